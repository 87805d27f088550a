"""Retains resources that hold data when a rollback deploys an older release without them.

The overlay declares them in the older release, as the CLI's state has them.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from delivery.config.includes import add_include
from delivery.errors import RefusedError
from delivery.refusals import Refusal
from delivery.resources import KINDS, properties_of


def retention_overlay(
    state: Mapping[str, Mapping[str, Any]], keys: Iterable[str]
) -> dict[str, Any]:
    """The YAML that declares retained resources, with their permissions and grants.

    Args:
        state: the entries of the CLI's state, by key.
        keys: the resources to retain, such as `volumes.flights_exports`.

    Raises:
        RefusedError: a resource is of a kind that cannot be retained.
    """
    resources: dict[str, dict[str, Any]] = {}
    for key in sorted(keys):
        kind, _, name = key.partition(".")
        resources.setdefault(kind, {})[name] = _declaration_from_state(kind, key, state)
    return {"resources": resources}


def write_overlay(
    folder: Path, state: Mapping[str, Mapping[str, Any]], keys: Iterable[str]
) -> None:
    """Declare retained resources in the folder of an opened release."""
    retained = list(keys)
    if retained:
        add_include(folder, retention_overlay(state, retained))


def _declaration_from_state(
    kind: str, key: str, state: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    known = properties_of(key)
    if known.state_only is None:
        retainable = ", ".join(name for name, row in KINDS.items() if row.fate == "retained")
        raise RefusedError(
            Refusal.NOT_RETAINABLE,
            f"{key}: given a resource of {kind}, expected one that can be retained: {retainable}\n"
            "    Deploy a fixed release instead, which loses no data.",
        )
    entry, names = state[key].get("state", {}), dict(known.renamed)
    declared = {names.get(k, k): v for k, v in entry.items() if k not in known.state_only}
    for part in ("permissions", "grants"):
        rights = state.get(f"{key}.{part}", {}).get("state", {})
        entries = rights.get("__embed__") or [permission(acl) for acl in rights.get("acls", [])]
        if entries:
            declared[part] = entries
    return declared


def permission(acl: Mapping[str, str]) -> dict[str, str]:
    """The YAML permission for an ACL of a secret scope."""
    name = acl["principal"]
    is_id = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name)
    field = "service_principal_name" if is_id else "user_name" if "@" in name else "group_name"
    return {"level": acl["permission"], field: name}
