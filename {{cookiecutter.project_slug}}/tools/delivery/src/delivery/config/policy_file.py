"""`delivery.yml` as a file: what needs no model of the whole policy.

The model, with pydantic, takes a third of a second. Each commit would wait for it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from delivery.config.yaml import Mark, YamlList, YamlMapping, read_yaml
from delivery.errors import Finding

POLICY_FILE = "delivery.yml"
RULE = "policy"
# Fields of earlier versions, and their replacements.
REMOVED_FIELDS = {
    "cli_versions": "every CLI with the features that the tool needs may deploy; "
    "tools/cli-requirements.txt pins the version that pipelines install",
}


class BranchNames(NamedTuple):
    """The prefixes of branches, and the branches that change only through requests."""

    prefixes: tuple[str, ...]
    protected: tuple[str, ...]


def branch_names(root: Path) -> BranchNames | None:
    """The names in `branches`; None if the section is malformed, which the model describes."""
    section = read_yaml(root, POLICY_FILE).section("branches")
    targets, prefixes = section.section("targets"), section.get("prefixes")
    complete = section.keys() - {"approvals"} == {"integration", "targets", "prefixes"}
    if not complete or not targets or not isinstance(prefixes, YamlList):
        return None
    if not all(isinstance(n, str) for n in (section["integration"], *targets.values(), *prefixes)):
        return None
    return BranchNames(tuple(prefixes), protected_branches(section["integration"], targets))


def protected_branches(integration: str, targets: Mapping[str, str]) -> tuple[str, ...]:
    """The branches that change only through pull or merge requests."""
    return tuple(dict.fromkeys([integration, *targets.values()]))


def removed_fields(root: Path) -> Iterator[Finding]:
    """Fields of earlier versions in `delivery.yml`, which have no effect now."""
    document = read_yaml(root, POLICY_FILE)
    for name in document.keys() & REMOVED_FIELDS.keys():
        message, line = (
            f"{name}: no longer has an effect; {REMOVED_FIELDS[name]}",
            document.marks[name].line,
        )
        yield Finding(POLICY_FILE, line, RULE, message, f"Remove {name}.", "warning")


def policy_line(root: Path, path: str) -> int:
    """The line in `delivery.yml` of the deepest part of a dotted path that exists."""
    return mark_of(read_yaml(root, POLICY_FILE), tuple(path.split("."))).line


def mark_of(document: YamlMapping, path: tuple[int | str, ...]) -> Mark:
    """The mark of the deepest part of a path that exists."""
    value, mark = document, Mark(POLICY_FILE, 0)
    for step in path:
        if isinstance(value, YamlMapping) and step in value:
            value, mark = value[str(step)], value.marks[str(step)]
        elif isinstance(value, YamlList) and isinstance(step, int):
            value, mark = value[step], value.marks[step]
    return mark
