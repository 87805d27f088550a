"""`branch`: names of branches, and commits to protected branches."""

import re
from collections.abc import Iterator
from pathlib import Path

from delivery import git
from delivery.checks.registry import CheckContext, rule
from delivery.config.policy_file import branch_names
from delivery.errors import Finding
from delivery.forge.environment import pipeline_branch

# The "Revert" button of the forge creates this branch and chooses its name.
_REVERT = re.compile(r"revert-\w[\w./-]*", re.ASCII)


def current_branch(root: Path) -> str | None:
    """The branch of the pipeline, else the one that is checked out; None if there is none."""
    head = git.output_or_none(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    return pipeline_branch() or head or None


@rule("branch")
def check_branch(context: CheckContext) -> Iterator[Finding]:
    """Branches that are neither protected nor have a known prefix; commits to protected ones."""
    branch = current_branch(context.root)
    policy = branch_names(context.root) or context.policy.branches
    prefixes = "|".join(map(re.escape, policy.prefixes))
    if branch is None:
        return
    if branch in policy.protected:
        if context.committing and git.output_or_none(context.root, "remote"):
            message = f"branch: {branch} is protected, expected a commit on another branch"
            hint = f"git switch -c {'/'.join([*policy.prefixes[:1], 'late-arrivals'])}"
            yield context.policy_finding("branches", "branch", message, hint)
    elif _REVERT.fullmatch(branch):
        return
    elif prefixes and not re.fullmatch(rf"({prefixes})/[\w][\w./-]*", branch, re.ASCII):
        expected = f"one of {', '.join(policy.prefixes)}, a slash and a short name"
        message = f"branch: given {branch}, expected {expected}"
        hint = f"git branch -m {policy.prefixes[0]}/late-arrivals"
        yield context.policy_finding("branches.prefixes", "branch", message, hint)
