"""`identity`: a fork with the identity of its origin would delete the origin's resources."""

import re
from collections.abc import Iterator
from pathlib import Path

from delivery import git
from delivery.checks.registry import CheckContext, rule
from delivery.errors import Finding

RULE = "identity"
# A URL or an ssh address; a path on this machine belongs to no forge.
_ADDRESS = re.compile(
    r"(?:(?!file:)[\w+]+://(?:.*@)?([^/:@]+)(?::\d+)?/|(?:[^@/:]*@)?([^/:@.\\][^/:@\\]+):(?!//))"
    r"/?(.+?)(?:\.git)?/?"
)


@rule("identity", needs="bundle")
def check_identity(context: CheckContext) -> Iterator[Finding]:
    """A missing identity, or one that belongs to another repository."""
    bundle = context.bundle
    if not bundle.tree.section("bundle").get("uuid"):
        hint = "Generate one: python -c 'import uuid; print(uuid.uuid4())'"
        yield Finding("targets/identity.yml", 0, RULE, "bundle.uuid: given none", hint)
    if not bundle.tree.section("bundle").get("name"):
        message = "bundle.name: given none"
        yield Finding("databricks.yml", 0, RULE, message, "bundle: {name: lakehouse}")
    home, origin = _place(context.policy.project.url), origin_of(context.root)
    if home and origin and home != origin:
        message = (
            f"project.url: given {'/'.join(home)}, expected this repository, {'/'.join(origin)}"
        )
        hint = (
            "A fork needs its own identity: a new uuid in targets/identity.yml, its own "
            "deploy_root or bundle name, and its own project.url."
        )
        yield context.policy_finding("project.url", RULE, message, hint)


def origin_of(root: Path) -> tuple[str, str] | None:
    """Host and path of the remote `origin`; None if there is no remote or it is a local path."""
    return _place(git.output_or_none(root, "config", "--get", "remote.origin.url") or "")


def _place(address: str) -> tuple[str, str] | None:
    """Host and path in the address of a repository; None for a local path."""
    match = _ADDRESS.fullmatch(address)
    return ((match[1] or match[2]).lower(), match[3].lower()) if match else None
