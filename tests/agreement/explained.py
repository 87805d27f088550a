"""Why the CLI and `delivery check` may disagree about a bundle: what only one of them can know."""

from __future__ import annotations

import re
from collections.abc import Mapping

# What the CLI says, and `check` cannot know or says by a rule of the house.
MISSES = {
    r"failed to resolve \S+: .*does not exist": "a lookup asks the workspace",
    r"volume \S+ does not exist": "only the workspace knows its volumes",
    r"Python interpreter path|python mutator process failed|failed to execute script|"
    r"Executing '\w+' script": "the CLI runs the bundle's code, in an environment that is not here",
    r"stat \S+: no such file": "outside of the bundle's folder, which is all that is copied",
    r"\.\./\S+ defined in 'include' section": "the rule `include` refuses what leaves the project",
    r"bundle name not defined": "the rule `identity` asks for a name",
    r"do(?:es)? not support a setting a run_as user": (
        "only the workspace knows who deploys; the rule `run_as` wants no run_as of a bundle"
    ),
    r"expected map, found string at resources\.\w+\.\w+ ": (
        "a target replaces the value, and what is judged is the target"
    ),
}
# What `check` says, with its hint, and the CLI says later or never.
ALARMS = {
    r"The Jobs API refuses it: https://": "the CLI leaves it to the API",
    r"given no tasks, expected at least one": "it can be deployed, and does nothing: a warning",
    r"(?:whl|jar|egg|dependencies): given \S.*, expected a file": (
        "the CLI looks for libraries when it deploys"
    ),
    r"given \$\{workspace\.file_path\}/.*, expected a (?:file|folder)|"
    r"include: given \S+\*, expected a file": "the CLI leaves it to the run",
    r"task .*(?:package_name|entry_point): given": "the CLI does not read the project's code",
    r"The (?:values|names): https://|see https://www\.quartz|See https://docs\.databricks": (
        "the CLI leaves it to the API, or to the run"
    ),
    r"task .*: declared more than once": "the CLI merges the two",
    r"environment_key: given \S+, expected": "the CLI leaves it to the API",
    r"missing (?:task_key|job_cluster_key)": "the CLI leaves it to the API",
    r"job_id: given .*, expected a whole number": "the CLI resolves it when it deploys",
}


def reason(explanations: Mapping[str, str], text: str) -> str:
    """The explanation of what was said; empty if there is none."""
    return next((why for part, why in explanations.items() if re.search(part, text)), "")
