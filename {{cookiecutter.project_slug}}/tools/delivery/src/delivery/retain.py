"""Going back keeps what a newer release added and what holds data: its state becomes YAML."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from delivery.bundle import read_yaml
from delivery.bundle.load import ROOT_FILE
from delivery.errors import DeliveryError, Exit
from delivery.resources import KINDS, about

_SUFFIXES = (".yml", ".yaml", ".json")


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
    return {"resources": resources}


def lay_over(folder: Path, state: Mapping[str, Mapping[str, Any]], keys: Iterable[str]) -> None:
    """Declare what is kept, in an opened release."""
    kept = list(keys)
    if kept:
        include(folder, overlay(state, kept))


def include(folder: Path, document: Mapping[str, Any]) -> Path:
    """Add a file to an opened release, where its root includes it; the file is not deployed.

    A path below `sync` is relative to the file that it stands in.

    Raises:
        DeliveryError: no file can be added: the root includes files by their names alone.
    """
    patterns = [str(p) for p in read_yaml(folder, ROOT_FILE).items_of("include")]
    name = included_name(folder, patterns)
    if name is None:
        raise DeliveryError(
            f"include of databricks.yml: given {', '.join(patterns) or 'nothing'}, expected a "
            f"pattern that takes one more file, such as {_EXAMPLE}\n    Without it nothing can be "
            "kept when going back. Go forward with a release that has it.",
            Exit.REFUSED,
        )
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {**document, "sync": {"exclude": [file.name]}}
    file.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return file


_EXAMPLE = "release*.yml"


def included_name(folder: Path, patterns: Sequence[str]) -> str | None:
    """The name of a file that is not there, and that a pattern of an include list takes."""
    for number, pattern in product(("", "-2"), reversed(patterns)):
        *parts, last = pattern.replace("**", "*").split("/")
        file = last.replace("*", f"-retained{number}", 1).replace("*", "").removeprefix("-")
        name = "/".join([*(part.replace("*", "_retained") for part in parts), file])
        is_plain = "*" in last and not {*name} & {*"*?[]\\"}
        if is_plain and name.endswith(_SUFFIXES) and not (folder / name).exists():
            return name
    return None


def _declared(kind: str, key: str, state: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    known = about(key)
    if known.state_only is None:
        retained = ", ".join(name for name, one in KINDS.items() if one.fate == "retained")
        raise DeliveryError(
            f"{key}: given a resource of {kind}, expected one that can be retained: {retained}\n"
            "    Go forward with a mended release: nothing is lost.",
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
