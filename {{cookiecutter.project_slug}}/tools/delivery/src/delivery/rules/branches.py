"""How branches are named, and which of them take no direct commits."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from delivery.errors import Finding
from delivery.policy import FILE, Branches

RULE = "branch"

# Pipelines check out a commit, not a branch: these say which branch it belongs to.
_PIPELINE_VARIABLES = ("GITHUB_HEAD_REF", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH")


def current_branch(root: Path) -> str | None:
    """The branch that is checked out, or that the pipeline runs for; None when there is none."""
    named = next((os.environ[name] for name in _PIPELINE_VARIABLES if os.environ.get(name)), None)
    return named or _git(root, "symbolic-ref", "--quiet", "--short", "HEAD") or None


def check_name(branch: str | None, branches: Branches) -> Iterator[Finding]:
    """Whether the branch is protected, or says what it is for."""
    prefixes = "|".join(map(re.escape, branches.prefixes))
    if branch is None or branch in branches.protected or not branches.prefixes:
        return
    if not re.fullmatch(rf"({prefixes})/[\w][\w./-]*", branch, re.ASCII):
        expected = f"one of {', '.join(branches.prefixes)}, a slash and a few words"
        mend = f"git branch -m {branches.prefixes[0]}/late-arrivals"
        yield Finding(FILE, 0, RULE, f"branch: given {branch}, expected {expected}", mend)


def check_commit(root: Path, branch: str | None, branches: Branches) -> Iterator[Finding]:
    """Whether a commit may be made here: not on a protected branch of a shared repository."""
    if branch in branches.protected and _git(root, "remote"):
        message = f"branch: {branch} is protected, expected a commit on a branch of its own"
        mend = f"git switch -c {'/'.join([*branches.prefixes[:1], 'what-it-does'])}"
        yield Finding(FILE, 0, RULE, message, mend)


def _git(root: Path, *arguments: str) -> str:
    """What git answers; nothing where it cannot."""
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
