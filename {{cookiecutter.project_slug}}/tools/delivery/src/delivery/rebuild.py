"""Build once more what a target says it verified: git is the measure, not the target's store."""

import re
import subprocess
from pathlib import Path

from delivery.errors import DeliveryError, Exit
from delivery.ledger import Event
from delivery.policy import load_policy
from delivery.release import Archive, build_commit, commit_of, tree_of


def rebuild(root: Path, receipt: Event, tree: str = "") -> Archive:
    """Build the release of a receipt from its commit.

    Whoever can write to the target's store can name any commit there; only one that the target's
    own branch has was reviewed.

    Args:
        tree: a commit whose files it must have; empty where any reviewed commit will do.

    Raises:
        DeliveryError: the commit is none of that branch, has other files, or gives other bytes.
    """
    policy = load_policy(root)
    branch = policy.branches.targets.get(receipt.target)
    if branch is None:
        known = ", ".join(policy.released)
        raise _refused(receipt, f"target: given {receipt.target}, expected one of {known}")
    _refuse_foreign(root, receipt, branch)
    commit = commit_of(root, receipt.commit)
    if commit.release != receipt.release:
        raise _refused(receipt, f"its commit makes {commit.release}")
    if tree and commit.tree != tree_of(root, tree):
        raise _refused(receipt, f"its files are not those of {tree}")
    archive = build_commit(root, commit, branch)
    if archive.manifest.digest != receipt.digest:
        raise _refused(
            receipt,
            f"{receipt.target} verified the digest {receipt.digest or 'of nothing'}, expected "
            f"{archive.manifest.digest} of its commit\n    Either somebody changed what "
            f"{receipt.target} keeps, or it was built with another uv than this checkout has: "
            "deliver the commit anew",
        )
    return archive


def _refuse_foreign(root: Path, receipt: Event, branch: str) -> None:
    """Refuse a commit that the branch of the target does not have.

    Raises:
        DeliveryError: it has not, or git does not know it.
    """
    known = re.fullmatch(r"[0-9a-f]{40,64}", receipt.commit)
    for place in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
        command = ["git", "merge-base", "--is-ancestor", receipt.commit, place]
        if (
            known
            and not subprocess.run(command, cwd=root, capture_output=True, check=False).returncode
        ):
            return
    raise _refused(
        receipt,
        f"its commit {receipt.commit or 'without a name'} is not on the branch {branch}, from "
        f"which {receipt.target} is delivered\n    Fetch the branch: git fetch origin {branch}",
    )


def _refused(receipt: Event, reason: str) -> DeliveryError:
    return DeliveryError(f"{receipt.release}: {reason}", Exit.REFUSED)
