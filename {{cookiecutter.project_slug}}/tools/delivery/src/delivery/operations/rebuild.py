"""Rebuild a release that another target verified: git is the reference, not the target's store."""

import re
from pathlib import Path

from delivery import git
from delivery.config.policy import load_policy
from delivery.errors import RefusedError
from delivery.refusals import Refusal
from delivery.release import Archive, build_commit, commit_of, tree_of
from delivery.target.events import Event


def rebuild(root: Path, receipt: Event, tree: str = "") -> Archive:
    """Build the release of a receipt from its commit.

    Anyone who can write to the target's store can put any commit in a receipt. Only commits on the
    target's own branch were reviewed.

    Args:
        tree: a commit whose git tree the release must have; empty for any reviewed commit.

    Raises:
        RefusedError: the commit is not on that branch, has another tree, or gives another digest.
    """
    policy, target = load_policy(root), receipt.target
    branch = policy.branches.targets.get(target)
    if branch is None:
        known = ", ".join(policy.released)
        raise _refused(receipt, f"target: given {target}, expected one of {known}")
    if not _is_on(root, receipt.commit, branch):
        raise _refused(
            receipt,
            f"its commit {receipt.commit or '(none)'} is not on the branch {branch}, which "
            f"{target} deploys from\n    Fetch the branch: git fetch origin {branch}",
        )
    commit = commit_of(root, receipt.commit)
    if commit.release != receipt.release:
        raise _refused(receipt, f"its commit belongs to the release {commit.release}")
    if tree and commit.tree != tree_of(root, tree):
        raise _refused(receipt, f"its files differ from those of {tree}")
    archive = build_commit(root, commit, branch)
    if archive.manifest.digest != receipt.digest:
        expected = f"the digest {receipt.digest}" if receipt.digest else "no digest"
        raise _refused(
            receipt,
            f"its receipt has {expected}, but a build of its commit has {archive.manifest.digest}\n"
            f"    Either the store of {target} was edited, or the release was built with another "
            "version of uv: deploy the commit again.",
        )
    return archive


def _is_on(root: Path, commit: str, branch: str) -> bool:
    """Whether a commit is on a branch, as the remote or this checkout has it."""
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return False
    refs = (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}")
    return any(git.is_ancestor(root, commit, ref) for ref in refs)


def _refused(receipt: Event, reason: str) -> RefusedError:
    return RefusedError(Refusal.NOT_REBUILT, f"{receipt.release}: {reason}")
