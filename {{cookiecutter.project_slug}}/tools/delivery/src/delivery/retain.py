"""Going back keeps what a newer release added and what holds data: its state becomes YAML."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from delivery.errors import DeliveryError, Exit
from delivery.resources import KINDS, about

FILE = "resources/_retained/retained.yml"


def overlay(state: Mapping[str, Mapping[str, Any]], keys: Iterable[str]) -> dict[str, Any]:
    """The YAML that declares what is kept, with its permissions and grants.

    Args:
        state: the entries of the CLI's state, by key.
        keys: what to keep, such as `volumes.flights_exports`.

    Raises:
        DeliveryError: there is a kind among them that cannot be mapped.
    """
    resources: dict[str, dict[str, Any]] = {}
    for key in sorted(keys):
        kind, _, name = key.partition(".")
        resources.setdefault(kind, {})[name] = _declared(kind, key, state)
    return {"resources": resources, "sync": {"exclude": [FILE]}}


def lay_over(folder: Path, state: Mapping[str, Mapping[str, Any]], keys: Iterable[str]) -> None:
    """Declare what is kept, in an opened release; the file itself is not deployed."""
    kept = list(keys)
    if kept:
        file = folder / FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(overlay(state, kept), indent=1), encoding="utf-8")


def _declared(kind: str, key: str, state: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    known = about(key)
    if known.state_only is None:
        retained = ", ".join(name for name, one in KINDS.items() if one.fate == "retained")
        raise DeliveryError(
            f"{key}: given a resource of {kind}, expected one that can be retained: {retained}\n"
            f"    Go forward with a mended release, or name the key: --allow-destroy {key} "
            "--reason …",
            Exit.REFUSED,
        )
    entry, names = state[key].get("state", {}), dict(known.renamed)
    kept = {names.get(k, k): v for k, v in entry.items() if k not in known.state_only}
    for part in ("permissions", "grants"):
        rights = state.get(f"{key}.{part}", {}).get("state", {})
        entries = rights.get("__embed__") or [permission(acl) for acl in rights.get("acls", [])]
        if entries:
            kept[part] = entries
    return kept


def permission(acl: Mapping[str, str]) -> dict[str, str]:
    """A secret scope's own form of a permission, as YAML has it."""
    name = acl["principal"]
    is_id = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name)
    who = "service_principal_name" if is_id else "user_name" if "@" in name else "group_name"
    return {"level": acl["permission"], who: name}
