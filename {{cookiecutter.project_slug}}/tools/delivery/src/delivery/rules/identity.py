"""A project's identity is its own: a fork that kept it would delete what the other deployed."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from delivery.bundle import Bundle
from delivery.errors import Finding
from delivery.policy import FILE, Policy

RULE = "identity"
# An address of the web or of ssh; a path on this machine belongs to no forge.
_ADDRESS = re.compile(
    r"(?:(?!file:)[\w+]+://(?:.*@)?([^/:@]+)(?::\d+)?/|(?:[^@/:]*@)?([^/:@.\\][^/:@\\]+):(?!//))"
    r"/?(.+?)(?:\.git)?/?"
)


def check_identity(root: Path, bundle: Bundle, policy: Policy) -> Iterator[Finding]:
    """Whether there is an identity, and whether this repository is the one that it was made for."""
    if not bundle.tree.section("bundle").get("uuid"):
        mend = "Make one: python -c 'import uuid; print(uuid.uuid4())'"
        yield Finding("targets/identity.yml", 0, RULE, "bundle.uuid: given none", mend)
    if not bundle.tree.section("bundle").get("name"):
        message = "bundle.name: given none"
        yield Finding("databricks.yml", 0, RULE, message, "bundle: {name: lakehouse}")
    home, origin = _place(policy.project.url), _place(_origin(root))
    if home and origin and home != origin:
        message = f"project.url: given {'/'.join(home)}, but this repository is {'/'.join(origin)}"
        mend = (
            "A fork needs an identity of its own: a new uuid in targets/identity.yml, its own "
            "deploy_root or bundle name, and its own project.url."
        )
        yield Finding(FILE, 0, RULE, message, mend)


def check_home(root: Path, policy: Policy) -> Iterator[Finding]:
    """Whether the policy says where the repository is at home: the rule above needs it."""
    if not policy.project.url:
        place = _place(_origin(root)) or ("example.com", "team/lakehouse")
        mend = f'For links, and to tell a fork: url: "https://{"/".join(place)}"'
        message = "project.url: not set yet"
        yield Finding(FILE, 0, "placeholder", message, mend, "warning")


def _origin(root: Path) -> str:
    command = ["git", "config", "--get", "remote.origin.url"]
    try:
        found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip()


def _place(address: str) -> tuple[str, str] | None:
    """Host and path of a repository, whatever way it is addressed in."""
    match = _ADDRESS.fullmatch(address)
    return ((match[1] or match[2]).lower(), match[3].lower()) if match else None
