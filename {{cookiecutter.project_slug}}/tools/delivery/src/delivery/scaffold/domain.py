"""A new domain: its files, and its lines in files that all domains share."""

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from delivery.config.policy_file import POLICY_FILE
from delivery.config.yaml import read_yaml
from delivery.errors import DeliveryError
from delivery.scaffold import edits
from delivery.scaffold.changes import Change, require_possible
from delivery.scaffold.names import require_new_name
from delivery.scaffold.render import rendered

COMPUTES = ("serverless", "classic")
_OWNER = re.compile(r"@[\w.-]+(?:/[\w.-]+)*", re.ASCII)


class Kind(StrEnum):
    """What computes the gold tables of a domain."""

    JOB = "job"
    SQL = "sql"
    PIPELINE = "pipeline"


class Edit(NamedTuple):
    """How a shared file changes."""

    path: str
    change: Callable[[str], str]


def new_domain(root: Path, name: str, kind: Kind, owner: str = "") -> list[Change]:
    """The changes that create a domain. Nothing is written.

    Raises:
        DeliveryError: the name, the owner or the project does not allow it.
    """
    require_new_name(root, name)
    if owner and not _OWNER.fullmatch(owner):
        raise DeliveryError(
            f"owner: given {owner[:80]!r}, expected a team, such as @your-organization/your-team"
        )
    compute = compute_of(root)
    layers = (
        ("common", "pipeline", f"pipeline_{compute}")
        if kind is Kind.PIPELINE
        else ("common", "local", str(kind), compute)
    )
    created = [
        Change("create", path, text.encode())
        for path, text in rendered(layers, {"domain": name}).items()
    ]
    shared = [
        Edit(POLICY_FILE, lambda text: edits.add_job(text, name, f"{name}_daily")),
        Edit(edits.OWNERS, lambda text: _owned(text, name, owner)),
        Edit(edits.INDEX, lambda text: edits.add_page(text, name)),
    ]
    if owner and not (root / edits.OWNERS).is_file():
        raise DeliveryError(f"owner: given {owner}, but there is no {edits.OWNERS}; create it")
    changes = [*created, *edited(root, shared)]
    require_possible(root, changes)
    return changes


def edited(root: Path, shared: list[Edit]) -> list[Change]:
    """The changes of shared files; a file that does not exist, or stays the same, has none."""
    changes = []
    for path, change in shared:
        if (root / path).is_file():
            before = (root / path).read_bytes()
            try:
                after = change(before.decode()).encode()
            except UnicodeDecodeError:
                raise DeliveryError(f"{path}: expected UTF-8 text") from None
            if after != before:
                changes.append(Change("edit", path, after, before))
    return changes


def _owned(text: str, name: str, owner: str) -> str:
    """The code owners with a line for the domain: its owner, or else the owners of all files."""
    owners = owner or edits.owners_of_all(text)
    return edits.add_owner(text, name, owners) if owners else text


def compute_of(root: Path) -> str:
    """What the jobs of the project run on."""
    compute = read_yaml(root, POLICY_FILE).section("project").get("compute", COMPUTES[0])
    if compute not in COMPUTES:
        raise DeliveryError(
            f"{POLICY_FILE}: project.compute: given {compute!r}, expected {' or '.join(COMPUTES)}"
        )
    return str(compute)
