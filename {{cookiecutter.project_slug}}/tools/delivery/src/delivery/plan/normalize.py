"""Reduces the CLI's plan to the changes that decisions depend on."""

import json
import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from delivery.plan.model import FieldChange, ResourceChange
from delivery.redaction import HIDDEN, is_secret, name_of
from delivery.release.manifest import sha256

_KEY = re.compile(r"\['([^']*)'\]$|([^.\[\]']+)$")  # the last key of a path
_INDEX = re.compile(r"(\[\d+\])+$")
_NAMED = re.compile(r"\[(?:name|key)='([^']*)'\]\.(?:default|value)$")  # named by the entry
_PRINCIPALS = ("principal", "group_name", "service_principal_name", "user_name")

_LONGEST = 300  # characters of a value in output


def normalize(raw: Mapping[str, Any], hidden: Set[str]) -> list[ResourceChange]:
    """The changes of the CLI's plan, the same for every caller.

    Args:
        raw: the CLI's plan.
        hidden: principals whose permissions are omitted; `add_permission_changes` adds them.
    """
    changes = (_change(key, node, hidden) for key, node in sorted(raw["plan"].items()))
    return [change for change in changes if change is not None]


def _change(node: str, entry: Mapping[str, Any], hidden: Set[str]) -> ResourceChange | None:
    action = entry["action"]
    key = node.removeprefix("resources.")
    if action == "skip":
        return None
    fields = list(_fields(key, entry.get("changes") or {}, hidden))
    if action == "update" and not fields:
        return None
    value = (entry.get("new_state") or {}).get("value") if action == "create" else None
    rights = _rights(key, value, hidden)
    if rights is not None:
        fields, value = list(_created_rights(rights)), rights
    return ResourceChange(key=key, action=action, fields=fields, value=_digest(value))


def _fields(key: str, changes: Mapping[str, Any], hidden: Set[str]) -> Iterator[FieldChange]:
    permissions = key.endswith(".permissions")
    for path, change in sorted(changes.items()):
        if change["action"] == "skip" or (permissions and any(f"'{p}'" in path for p in hidden)):
            continue
        values = {name: redact(path, change.get(name)) for name in ("old", "new", "remote")}
        yield FieldChange(path=path, **values)


def redact(path: str, value: Any, whole: bool = False) -> Any:
    """A value that is safe to print and save: without secrets, and shortened unless `whole`."""
    if isinstance(value, Mapping):
        return {
            name: redact(f"{path}.{name_of(name, value)}", entry, whole)
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [redact(path, entry, whole) for entry in value]
    named = _KEY.search(_NAMED.sub(r"['\1']", _INDEX.sub("", path)))
    name = (named[1] or named[2]) if named else ""
    if isinstance(value, str | int) and not isinstance(value, bool) and is_secret(name, str(value)):
        return HIDDEN
    if isinstance(value, str) and len(value) > _LONGEST and not whole:
        return f"{value[:_LONGEST]}… (sha256 {sha256(value.encode())[:16]})"
    return value


def _rights(key: str, value: Any, hidden: Set[str]) -> list[Any] | None:
    """The entries of created permissions or grants; None for any other resource."""
    if not key.endswith((".permissions", ".grants")) or not isinstance(value, Mapping):
        return None
    entries = value.get("__embed__", value.get("acls")) or []
    if key.endswith(".permissions"):
        entries = [e for e in entries if not any(p in e.values() for p in hidden)]
    return sorted(entries, key=str)


def _created_rights(rights: list[Any]) -> Iterator[FieldChange]:
    """Created rights, with the paths that the CLI uses for changed ones."""
    for entry in rights:
        name = next((name for name in _PRINCIPALS if name in entry), _PRINCIPALS[0])
        level = {k: v for k, v in entry.items() if k != name}
        new = next(iter(level.values())) if len(level) == 1 else level
        yield FieldChange(path=f"[{name}='{entry.get(name)}']", new=new)


def _digest(value: Any) -> str:
    return "" if value is None else sha256(json.dumps(value, sort_keys=True).encode())
