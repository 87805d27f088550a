"""Permissions of jobs, pipelines, folders, and other objects of the workspace."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .identities import NAMES, Identity, who
from .wire import ApiError, Json, Request, call, denied, invalid, missing

if TYPE_CHECKING:
    from .server import Workspace

# What the service calls the type of an object, by its name in the path.
TYPES = {
    "alertsv2": "alertv2",
    "apps": "apps",
    "cluster-policies": "cluster-policy",
    "clusters": "cluster",
    "dashboards": "dashboard",
    "database-instances": "database-instances",
    "database-projects": "database-projects",
    "directories": "directory",
    "experiments": "mlflowExperiment",
    "files": "file",
    "genie": "genie-space",
    "instance-pools": "instance-pool",
    "jobs": "job",
    "notebooks": "notebook",
    "pipelines": "pipelines",
    "registered-models": "registered-model",
    "serving-endpoints": "serving-endpoint",
    "sql/warehouses": "warehouses",
    "vector-search-endpoints": "vector-search-endpoints",
}
NODES = ("directories", "files", "notebooks")
OWNED = {"jobs": "job", "pipelines": "pipeline", "sql/warehouses": "warehouse"}
RANKS = {
    "CAN_MANAGE_RUN": 2,
    "CAN_RUN": 2,
    "CAN_EDIT": 3,
    "CAN_MANAGE": 4,
    "IS_OWNER": 5,
}


def rank(level: str) -> int:
    """Levels as numbers; all that only let one look are the lowest."""
    return RANKS.get(level, 1)


def own(workspace: "Workspace", kind: str, key: object, caller: Identity) -> None:
    """Makes the creator of a new object its owner."""
    level = "IS_OWNER" if kind in OWNED else "CAN_MANAGE"
    workspace.permissions[f"/{kind}/{key}"] = [caller.entry(level)]


def forget(workspace: "Workspace", kind: str, key: object) -> None:
    """Ends the permissions of an object that was deleted."""
    if not workspace.keeps_permissions:
        workspace.permissions.pop(f"/{kind}/{key}", None)


def _is_there(workspace: "Workspace", kind: str, key: str) -> bool:
    found: dict[str, Iterable[object]] = {
        "jobs": workspace.jobs,
        "pipelines": workspace.pipelines,
        "dashboards": workspace.dashboards,
        "experiments": workspace.experiments,
    }
    return kind not in found or key in map(str, found[kind]) or workspace.keeps_permissions


def level(workspace: "Workspace", kind: str, key: object, caller: Identity) -> int:
    """What the caller may do with an object."""
    if caller.admin:
        return RANKS["CAN_MANAGE"]
    entries = workspace.permissions.get(f"/{kind}/{key}", [])
    names = caller.principals
    return max([rank(one["permission_level"]) for one in entries if who(one) in names], default=0)


def need(workspace: "Workspace", kind: str, key: object, caller: Identity, least: str) -> None:
    """Refuses a caller below a level."""
    if level(workspace, kind, key, caller) < rank(least):
        what = {1: "View", 2: "Manage Run", 4: "Admin or Owner"}.get(rank(least), least)
        noun = OWNED.get(kind, kind)
        raise denied(f"User {caller.principal} does not have {what} permissions on {noun} {key}")


@call("GET", "/api/2.0/permissions/{kind...}/{key}")
def _get(workspace: "Workspace", request: Request, kind: str, key: str) -> Json:
    _check(workspace, request.caller, kind, key, workspace.level_to_read_permissions)
    return _described(workspace, kind, key)


@call("PUT", "/api/2.0/permissions/{kind...}/{key}")
def _put(workspace: "Workspace", request: Request, kind: str, key: str) -> Json:
    return _change(workspace, request, kind, key, keep=False)


@call("PATCH", "/api/2.0/permissions/{kind...}/{key}")
def _patch(workspace: "Workspace", request: Request, kind: str, key: str) -> Json:
    return _change(workspace, request, kind, key, keep=True)


def _change(workspace: "Workspace", request: Request, kind: str, key: str, *, keep: bool) -> Json:
    _check(workspace, request.caller, kind, key, "CAN_MANAGE")
    given = {who(entry): entry for entry in request.json.get("access_control_list", [])}
    for principal in given:
        known = workspace.identities.find(principal)
        if known and not known.assigned:
            raise missing(f"Principal: ServicePrincipalName({principal}) does not exist")
    entries = _entries(workspace, kind, key)
    kept = [entry for entry in entries if keep and who(entry) not in given]
    changed = kept + list(given.values())
    _check_owner(request.caller, kind, entries, changed)
    entries[:] = changed
    return _described(workspace, kind, key)


def _check(workspace: "Workspace", caller: Identity, kind: str, key: str, least: str) -> None:
    if kind not in TYPES:
        raise invalid(f"{kind} is not a type of object with permissions")
    if kind in NODES:
        node = workspace.tree.by_id(key)
        if node is None:
            raise missing(f"{kind} {key} not found.")
        least = "CAN_READ" if least == "CAN_VIEW" else least
        workspace.tree.need(caller, node.path, least, "use the permissions of")
        return
    if not _is_there(workspace, kind, key):
        raise missing(f"{kind} {key} does not exist.")
    if level(workspace, kind, key, caller) < rank(least):
        message = "{} does not have Manage permissions on {} {}."
        raise denied(message.format(caller.principal, OWNED.get(kind, kind), key))
    if f"/{kind}/{key}" not in workspace.permissions:
        raise missing(f"{kind} {key} not found.")


def _check_owner(caller: Identity, kind: str, old: list[Json], new: list[Json]) -> None:
    if kind not in OWNED:
        return
    owners = [who(entry) for entry in new if entry["permission_level"] == "IS_OWNER"]
    if len(owners) != 1:
        raise invalid(f"The {OWNED[kind]} must have exactly one owner.")
    before = [who(entry) for entry in old if entry["permission_level"] == "IS_OWNER"]
    if before != owners and not caller.admin:
        raise ApiError(403, "PERMISSION_DENIED", "Only an admin can change the owner.")


def _entries(workspace: "Workspace", kind: str, key: str) -> list[Json]:
    if kind in NODES:
        node = workspace.tree.by_id(key)
        return node.acl if node else []
    return workspace.permissions[f"/{kind}/{key}"]


def _described(workspace: "Workspace", kind: str, key: str) -> Json:
    lines = [_line(entry) for entry in _entries(workspace, kind, key)]
    lines += _inherited(workspace, kind, key)
    answer: Json = {"object_id": f"/{kind}/{key}", "object_type": TYPES[kind]}
    return answer | {"access_control_list": lines}


def _inherited(workspace: "Workspace", kind: str, key: str) -> list[Json]:
    admins = {"group_name": "admins", "permission_level": "CAN_MANAGE"}
    lines = [_line(admins, f"/{kind}/" if kind not in NODES else "/directories/")]
    node = workspace.tree.by_id(key) if kind in NODES else None
    for above in workspace.tree.lineage(node.path)[1:] if node else []:
        lines += [_line(entry, f"/directories/{above.object_id}") for entry in above.acl]
    return lines


def _line(entry: Json, source: str = "") -> Json:
    permission: Json = {"permission_level": entry["permission_level"], "inherited": bool(source)}
    if source:
        permission["inherited_from_object"] = [source]
    named = {name: entry[name] for name in NAMES if entry.get(name)}
    return {**named, "display_name": who(entry), "all_permissions": [permission]}
