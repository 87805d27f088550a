"""Read from git."""

import subprocess
from pathlib import Path

from delivery.errors import DeliveryError


def output(root: Path, *arguments: str) -> str:
    """The standard output of a git command.

    Raises:
        DeliveryError: git is not installed, or it fails; the message has git's own error.
    """
    return output_bytes(root, *arguments).decode(errors="replace")


def output_bytes(root: Path, *arguments: str) -> bytes:
    """The standard output of a git command as bytes; see `output`."""
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    except OSError as error:
        raise DeliveryError(f"git: {error.strerror}, expected git on the PATH") from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise DeliveryError(f"git {arguments[0]}: {reason or f'exit {done.returncode}'}")
    return done.stdout


def output_or_none(root: Path, *arguments: str) -> str | None:
    """The stripped output of a git command; None if git is not installed, or it fails."""
    try:
        return output(root, *arguments).strip()
    except DeliveryError:
        return None


def is_ancestor(root: Path, commit: str, descendant: str) -> bool:
    """Whether a commit is an ancestor of another; False if git does not have both."""
    return output_or_none(root, "merge-base", "--is-ancestor", commit, descendant) is not None
