"""A workspace as data that can be compared."""

import hashlib
import re
from typing import TYPE_CHECKING, Any

from .wire import Json

if TYPE_CHECKING:
    from .server import Workspace

# What a resource has of its own in each deployment.
OWN = re.compile(
    "((creat|updat)ed?_(at|by|time)|(metastore|schema|volume|dashboard|job|pipeline|experiment)_id"
    "|etag|id|revision_create_time|last_modified|(storage|artifact)_location)"
)


def snapshot(workspace: "Workspace", *, files: bool = True) -> dict[str, Any]:
    """All resources by name, without ids and times; with digests of files and notebooks."""
    names = _names(workspace)
    kinds: dict[str, dict[str, Json]] = {
        "jobs": {names[str(key)]: job for key, job in workspace.jobs.items()},
        "pipelines": {names[key]: one for key, one in workspace.pipelines.items()},
        "dashboards": {names[key]: one for key, one in workspace.dashboards.items()},
        "published": {names[key]: one for key, one in workspace.published.items()},
        "experiments": {names[key]: one for key, one in workspace.experiments.items()},
    }
    for kind in ("catalogs", "external_locations", "schemas", "volumes", "models", "secret_scopes"):
        kinds[kind] = getattr(workspace, kind)
    result: dict[str, Any] = {kind: _cleaned(found, names) for kind, found in kinds.items()}
    services = {
        kind: {_called(one): one for one in found.values()}
        for kind, found in workspace.services.items()
        if found and kind != "operations"
    }
    result |= {kind: _cleaned(found, names) for kind, found in services.items()}
    result["grants"] = {
        ".".join(key): dict(lines) for key, lines in workspace.grants.items() if lines
    }
    result["permissions"] = _permissions(workspace, names)
    return result | ({"files": _files(workspace), "folders": _folders(workspace)} if files else {})


def _called(one: Json) -> str:
    """What a thing of the services is called: names are unique in a test."""
    names = ("name", "display_name", "title", "cluster_name", "instance_pool_name", "table_name")
    return str(next(one[name] for name in names if name in one))


def _names(workspace: "Workspace") -> dict[str, str]:
    """What stands for each id: names, numbered where two things have the same."""
    found = [(str(key), job["settings"].get("name", "")) for key, job in workspace.jobs.items()]
    found += [(key, one["name"]) for key, one in workspace.pipelines.items()]
    found += [(key, one["display_name"]) for key, one in workspace.dashboards.items()]
    found += [(key, one["name"]) for key, one in workspace.experiments.items()]
    names: dict[str, str] = {}
    for key, name in found:
        copies = sum(1 for one in names.values() if one == name or one.startswith(f"{name} #"))
        names[key] = f"{name} #{copies + 1}" if copies else name
    return names


def _cleaned(value: Any, names: dict[str, str], depth: int = 0) -> Any:
    """Without what differs from one deployment to the next; names instead of ids."""
    if isinstance(value, list):
        return [_cleaned(one, names, depth + 1) for one in value]
    if isinstance(value, dict):
        kept = {name: one for name, one in value.items() if depth != 1 or not OWN.fullmatch(name)}
        return {name: _cleaned(one, names, depth + 1) for name, one in kept.items()}
    if isinstance(value, str) and names:
        return re.sub("|".join(names), lambda found: names[found[0]], value)
    return names.get(str(value), value) if isinstance(value, int) else value


def _permissions(workspace: "Workspace", names: dict[str, str]) -> dict[str, list[Json]]:
    lines = {}
    for path, entries in workspace.permissions.items():
        kind, key = path.rsplit("/", 1)
        if key in names:  # the service keeps them for what was deleted outside delivery
            lines[f"{kind}/{names[key]}"] = sorted(entries, key=str)
    return lines


def _files(workspace: "Workspace") -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in workspace.files.items()}


def _folders(workspace: "Workspace") -> list[str]:
    nodes = workspace.tree.nodes.values()
    return sorted(node.path for node in nodes if node.kind == "DIRECTORY")
