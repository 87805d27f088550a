"""The rights of deployer, planner and whoever plans, which the CLI does not show as they are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from delivery.bundle import Section
from delivery.plan import Change, Field
from delivery.run_as import Identities

_OWNER = "IS_OWNER"
_OWNED = ("jobs", "pipelines", "sql_warehouses")  # kinds that have an owner among their permissions


def with_rights(
    changes: Sequence[Change],
    raw: Mapping[str, Any],
    tree: Section,
    state: Mapping[str, Mapping[str, Any]],
    identities: Identities,
    me: str,
) -> list[Change]:
    """The changes, and how the deployer's, the planner's and our own rights differ.

    The CLI writes whoever runs it into permissions as owner, so these entries are compared here: as
    declared, as deployed last, and as they are in the workspace. So the plan is the same whoever
    makes it, and sees what hands gave to any of them.
    """
    known = {change.key: change for change in changes}
    for node, entry in raw["plan"].items():
        key = node.removeprefix("resources.")
        kind, _, name = key.removesuffix(".permissions").partition(".")
        if not key.endswith(".permissions") or entry["action"] in ("delete", "recreate"):
            continue
        given, resources = state.get(key, {}).get("state", {}), tree.section("resources")
        declared: Sequence[Any] = resources.section(kind).section(name).items_of("permissions")
        if name not in resources.section(kind):
            declared = _entries(given)  # it is retained as it was deployed
        rights = _OwnRights(kind, declared, given, entry)
        for principal in dict.fromkeys((identities.deployer, identities.planner, me)):
            told = rights.of(principal, owns=principal == identities.deployer)
            if told:
                change = known.get(key, Change(key=key, action="update"))
                known[key] = change.model_copy(update={"fields": [*change.fields, told]})
    return [known[key] for key in sorted(known)]


class _OwnRights(NamedTuple):
    """The permissions on one resource: declared, deployed last, and the CLI's word on them."""

    kind: str
    declared: Sequence[Any]
    given: Mapping[str, Any]
    entry: Mapping[str, Any]

    def of(self, principal: str, owns: bool) -> Field | None:
        """How the rights of one principal differ; None where they are as they should be."""
        new, old = _level(self.declared, principal), _level(_entries(self.given), principal)
        if owns and self.entry["action"] != "create":
            new = self._own_level if new in (None, "CAN_MANAGE") else new
        seen = self.entry.get("remote_state")
        remote = old if seen is None else _level(_entries(seen), principal)
        if new == remote:  # also where a deploy was cut off before the state knew of it
            return None
        if new == old and self.entry["action"] == "create":
            return None
        return Field(path=f"[{_named(principal)}='{principal}']", old=old, new=new, remote=remote)

    @property
    def _own_level(self) -> str:
        """What the CLI gives to whoever deploys."""
        if self.kind == "secret_scopes":
            return "MANAGE"
        owned = any(isinstance(e, Mapping) and e.get("level") == _OWNER for e in self.declared)
        return "CAN_MANAGE" if owned or self.kind not in _OWNED else _OWNER


def _entries(rights: Mapping[str, Any]) -> Sequence[Any]:
    """The single rights in the state of a resource's permissions, or of a scope's."""
    return rights.get("__embed__", rights.get("acls")) or ()


def _named(principal: str) -> str:
    """The field that names a principal of this form."""
    return "user_name" if "@" in principal else "service_principal_name"


def _level(entries: Iterable[Any], principal: str) -> str | None:
    """A principal's level among permissions, as YAML has them or as a secret scope has them."""
    for entry in entries:
        if isinstance(entry, Mapping) and principal in entry.values():
            return str(entry.get("level", entry.get("permission")))
    return None
