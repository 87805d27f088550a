"""What exists already, as import blocks of Terraform for the stacks in `infra/terraform`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from delivery.bootstrap.needs import Needs, Principal, Trust
from delivery.bootstrap.thing import Thing
from delivery.errors import DeliveryError
from delivery.forge.base import Subject

_ENVIRONMENT = "module.environment"
_IDENTITIES = f"{_ENVIRONMENT}.module.identities"
_CATALOG = f"{_ENVIRONMENT}.module.catalog"
_FOLDER = f"{_ENVIRONMENT}.module.folder[0]"


@dataclass(frozen=True)
class Import:
    """One object and its place in the configuration.

    Attributes:
        to: the address of the resource in the stack.
        id: what the provider finds it by; each kind's page of registry.terraform.io tells its form
            (providers/databricks/databricks/latest/docs/resources/…#import).
    """

    to: str
    id: str

    @property
    def block(self) -> str:
        """The block of a Terraform file."""
        return f"import {{\n  to = {self.to}\n  id = {json.dumps(self.id)}\n}}\n"


def require_stack(root: Path, target: str) -> None:
    """Whether the project has a stack for the target: the addresses are those of its modules.

    Raises:
        DeliveryError: the project has none.
    """
    folder = Path("infra/terraform/stacks") / target
    if not (root / folder).is_dir():
        raise DeliveryError(
            f"--imports: {folder} does not exist, expected the stack of {target}\n"
            "    A project has one if it is generated with include_terraform=yes."
        )


def imports_of(needs: Needs, things: Sequence[Thing]) -> Iterator[Import]:
    """An import of each thing that is there, in the order in which it was made.

    Args:
        things: how the things of `needs.steps()` are, by which `needs` knows their ids.
    """
    present = {thing.name for thing in things if thing.state == "present"}
    yield from _identities(needs, present)
    yield from _catalog(needs, present)
    yield from _folder(needs, present)
    for trust in needs.trusts:
        for subject in trust.subjects:
            yield from _policies(needs, trust, subject)


def _identities(needs: Needs, present: set[str]) -> Iterator[Import]:
    # One that is switched off is there, too: a second one of its name would be made otherwise.
    known = [one for one in needs.principals if one.id]
    for one in known:
        yield Import(_at(_IDENTITIES, "service_principal", one.role), one.id)
    for one in known:
        if f"{one.role} in workspace" in present:
            place = _at(_IDENTITIES, "mws_permission_assignment", one.role)
            yield Import(place, f"{needs.workspace_id}|{one.id}")
    for user, used in needs.users:
        if f"{user.role} uses {used.role}" in present:
            name = needs.rule_set(used)
            yield Import(_at(_IDENTITIES, "access_control_rule_set", used.role), name)


def _catalog(needs: Needs, present: set[str]) -> Iterator[Import]:
    if "catalog" not in present:
        return
    yield Import(f"{_CATALOG}.databricks_catalog.this", needs.catalog)
    if "catalog binding" in present:
        number = f"{needs.workspace_id}|catalog|{needs.catalog}"
        yield Import(f"{_CATALOG}.databricks_workspace_binding.this", number)
    for what, who, _ in needs.grants:
        if f"grant {what}" in present:
            name = who.application_id if isinstance(who, Principal) else who
            yield Import(_at(_CATALOG, "grant", what), f"catalog/{needs.catalog}/{name}")


def _folder(needs: Needs, present: set[str]) -> Iterator[Import]:
    if "folder" not in present:
        return
    # The provider's paths have no /Workspace before them.
    path = needs.folder.removeprefix("/Workspace")
    yield Import(f"{_FOLDER}.databricks_directory.this", path)
    yield Import(f"{_FOLDER}.databricks_permissions.this", f"/directories/{needs.folder_id()}")


def _policies(needs: Needs, trust: Trust, subject: Subject) -> Iterator[Import]:
    number = needs.policy_id(trust, subject)
    if number:
        # Subjects of GitHub that contain ids have a key of their own: see modules/names.
        key = f"{trust.environment}{'-ids' if '@' in subject.value else ''}"
        place = _at(_IDENTITIES, "service_principal_federation_policy", key)
        yield Import(place, f"{trust.principal.id},{number}")


def _at(module: str, kind: str, key: str) -> str:
    return f'{module}.databricks_{kind}.this["{key}"]'
