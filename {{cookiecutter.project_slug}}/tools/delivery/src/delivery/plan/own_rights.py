"""Compares the rights of deployer, planner and caller, which the CLI's plan misreports."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from delivery.config.identities import Identities
from delivery.config.yaml import YamlMapping
from delivery.plan.model import FieldChange, ResourceChange
from delivery.resources import properties_of

_OWNER = "IS_OWNER"


def add_permission_changes(
    changes: Sequence[ResourceChange],
    raw: Mapping[str, Any],
    tree: YamlMapping,
    state: Mapping[str, Mapping[str, Any]],
    identities: Identities,
    me: str,
) -> list[ResourceChange]:
    """Add changes of the permissions of the deployer, the planner and the caller.

    The CLI adds the identity that runs it to the permissions as owner. These entries are therefore
    compared here: as declared, as last deployed, and as they are in the workspace. The plan is then
    the same for every caller, and includes rights that were granted outside delivery.

    Args:
        raw: the CLI's plan.
        state: the entries of the CLI's state, by key.
        me: the caller.
    """
    known = {change.key: change for change in changes}
    resources = tree.section("resources")
    for node, entry in raw["plan"].items():
        key = node.removeprefix("resources.")
        kind, _, name = key.removesuffix(".permissions").partition(".")
        if not key.endswith(".permissions") or entry["action"] in ("delete", "recreate"):
            continue
        deployed = _entries(state.get(key, {}).get("state", {}))
        declared: Sequence[Any] = deployed  # of a retained resource
        if name in resources.section(kind):
            declared = resources.section(kind).section(name).items_of("permissions")
        permissions = _Permissions(kind, declared, deployed, entry)
        for principal in dict.fromkeys((identities.deployer, identities.planner, me)):
            changed = permissions.change(principal, owns=principal == identities.deployer)
            if changed:
                change = known.get(key, ResourceChange(key=key, action="update"))
                known[key] = change.model_copy(update={"fields": [*change.fields, changed]})
    return [known[key] for key in sorted(known)]


class _Permissions(NamedTuple):
    """The permissions on one resource: declared, last deployed, and their entry in the plan."""

    kind: str
    declared: Sequence[Any]
    deployed: Sequence[Any]
    entry: Mapping[str, Any]

    def change(self, principal: str, owns: bool) -> FieldChange | None:
        """How the level of one principal changes; None if it does not."""
        new, old = _level(self.declared, principal), _level(self.deployed, principal)
        if owns and self.entry["action"] != "create":
            new = self._owner_level if new in (None, "CAN_MANAGE") else new
        actual = self.entry.get("remote_state")
        remote = old if actual is None else _level(_entries(actual), principal)
        if new == remote:  # an interrupted deploy may have set it without saving the state
            return None
        if new == old and self.entry["action"] == "create":
            return None
        field = "user_name" if "@" in principal else "service_principal_name"
        return FieldChange(path=f"[{field}='{principal}']", old=old, new=new, remote=remote)

    @property
    def _owner_level(self) -> str:
        """The level that the CLI gives to the identity that deploys."""
        if self.kind == "secret_scopes":
            return "MANAGE"
        owned = any(isinstance(e, Mapping) and e.get("level") == _OWNER for e in self.declared)
        return "CAN_MANAGE" if owned or not properties_of(self.kind).has_owner else _OWNER


def _entries(permissions: Mapping[str, Any]) -> Sequence[Any]:
    """The entries in the state of a resource's permissions, or of a secret scope's ACLs."""
    return permissions.get("__embed__", permissions.get("acls")) or ()


def _level(entries: Iterable[Any], principal: str) -> str | None:
    """A principal's level, from entries of the YAML or from ACLs of a secret scope."""
    for entry in entries:
        if isinstance(entry, Mapping) and principal in entry.values():
            return str(entry.get("level", entry.get("permission")))
    return None
