"""Secret scopes, dashboards, experiments, and what variables look up by name."""

import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from . import permissions, services
from .files import Node, full
from .identities import Identity
from .wire import Json, Request, call, denied, exists, missing, next_id

if TYPE_CHECKING:
    from .server import Workspace

SECRET_LEVELS = ("", "READ", "WRITE", "MANAGE")


# Secret scopes


def _scope(workspace: "Workspace", caller: Identity, name: str, least: str) -> Json:
    if name not in workspace.secret_scopes:
        raise missing(f"Scope {name} does not exist!")
    scope = workspace.secret_scopes[name]
    if _secret_level(scope, caller) < SECRET_LEVELS.index(least):
        raise denied(f"{caller.principal} does not have {least} permission on scope {name}.")
    return scope


def _secret_level(scope: Json, caller: Identity) -> int:
    if caller.admin:
        return SECRET_LEVELS.index("MANAGE")
    given = [SECRET_LEVELS.index(scope["acls"].get(one, "")) for one in caller.principals]
    return max(given)


@call("POST", "/api/2.0/secrets/scopes/create")
def _create_scope(workspace: "Workspace", request: Request) -> None:
    body, caller = request.json, request.caller
    name = body["scope"]
    if name in workspace.secret_scopes:
        raise exists(f"Scope {name} already exists!")
    owner = body.get("initial_manage_principal") or caller.principal
    backend = body.get("scope_backend_type") or "DATABRICKS"
    scope = {"name": name, "backend_type": backend, "acls": {owner: "MANAGE"}, "secrets": {}}
    workspace.secret_scopes[name] = scope


@call("GET", "/api/2.0/secrets/scopes/list")
def _list_scopes(workspace: "Workspace", request: Request) -> Json:
    rows = [
        {"name": scope["name"], "backend_type": scope["backend_type"]}
        for scope in workspace.secret_scopes.values()
        if _secret_level(scope, request.caller)
    ]
    return {"scopes": rows}


@call("POST", "/api/2.0/secrets/scopes/delete")
def _delete_scope(workspace: "Workspace", request: Request) -> None:
    name = request.json["scope"]
    _scope(workspace, request.caller, name, "MANAGE")
    del workspace.secret_scopes[name]


@call("GET", "/api/2.0/secrets/acls/list")
def _list_acls(workspace: "Workspace", request: Request) -> Json:
    # The service asks for MANAGE even to read them: who only plans cannot.
    scope = _scope(workspace, request.caller, request.query["scope"], "MANAGE")
    return {
        "items": [{"principal": one, "permission": level} for one, level in scope["acls"].items()]
    }


@call("GET", "/api/2.0/secrets/acls/get")
def _get_acl(workspace: "Workspace", request: Request) -> Json:
    scope = _scope(workspace, request.caller, request.query["scope"], "MANAGE")
    name = request.query["principal"]
    if name not in scope["acls"]:
        raise missing(f"{name} has no permission on the scope.")
    return {"principal": name, "permission": scope["acls"][name]}


@call("POST", "/api/2.0/secrets/acls/put")
def _put_acl(workspace: "Workspace", request: Request) -> None:
    body = request.json
    scope = _scope(workspace, request.caller, body["scope"], "MANAGE")
    scope["acls"][body["principal"]] = body["permission"]


@call("POST", "/api/2.0/secrets/acls/delete")
def _delete_acl(workspace: "Workspace", request: Request) -> None:
    body = request.json
    scope = _scope(workspace, request.caller, body["scope"], "MANAGE")
    if scope["acls"].pop(body["principal"], None) is None:
        raise missing(f"{body['principal']} has no permission on the scope.")


@call("POST", "/api/2.0/secrets/put")
def _put_secret(workspace: "Workspace", request: Request) -> None:
    body = request.json
    scope = _scope(workspace, request.caller, body["scope"], "WRITE")
    scope["secrets"][body["key"]] = body.get("string_value", "")


@call("GET", "/api/2.0/secrets/list")
def _list_secrets(workspace: "Workspace", request: Request) -> Json:
    scope = _scope(workspace, request.caller, request.query["scope"], "READ")
    return {"secrets": [{"key": key} for key in scope["secrets"]]}


# Dashboards


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _serialized(text: str, query: dict[str, str]) -> str:
    """A dashboard's content as the service gives it back."""
    content = json.loads(text)
    for one in content.get("pages", []):
        one["pageType"] = "PAGE_TYPE_CANVAS"
    for one in content.get("datasets", []):
        for name in ("catalog", "schema"):
            if query.get(f"dataset_{name}"):
                one[name] = query[f"dataset_{name}"]
    changed = content != json.loads(text) or not content
    return (json.dumps(content, separators=(",", ":")) if changed else text).rstrip("\n") + "\n"


def _dashboard(workspace: "Workspace", caller: Identity, key: str, least: str) -> Json:
    if key not in workspace.dashboards:
        raise missing(f"Unable to find dashboard [{key}]")
    permissions.need(workspace, "dashboards", key, caller, least)
    return workspace.dashboards[key]


@call("POST", "/api/2.0/lakeview/dashboards")
def _create_dashboard(workspace: "Workspace", request: Request) -> Json:
    body, caller, key = request.json, request.caller, secrets.token_hex(16)
    folder = full(body.get("parent_path") or f"/Users/{caller.principal}")
    path = f"{folder}/{body['display_name']}.lvdash.json"
    content = _serialized(body.get("serialized_dashboard") or "{}", request.query)
    owner = caller.principal
    node = Node(path, "DASHBOARD", owner, content.encode(), resource_id=key)
    workspace.tree.write(caller, node, overwrite=False)
    shown = {
        "parent_path": folder.removeprefix("/Workspace"),
        "path": path.removeprefix("/Workspace"),
    }
    times = {"create_time": _now(), "update_time": _now(), "lifecycle_state": "ACTIVE"}
    made = {"dashboard_id": key, "serialized_dashboard": content, "etag": "1000", **shown, **times}
    workspace.dashboards[key] = body | made
    permissions.own(workspace, "dashboards", key, caller)
    workspace.created("dashboards", key)
    return workspace.dashboards[key]


@call("GET", "/api/2.0/lakeview/dashboards/{key}")
def _get_dashboard(workspace: "Workspace", request: Request, key: str) -> Json:
    if not workspace.seen("dashboards", key):
        raise missing(f"Unable to find dashboard [{key}]")
    return _dashboard(workspace, request.caller, key, "CAN_READ")


@call("PATCH", "/api/2.0/lakeview/dashboards/{key}")
def _update_dashboard(workspace: "Workspace", request: Request, key: str) -> Json:
    found, body = _dashboard(workspace, request.caller, key, "CAN_EDIT"), request.json
    node = workspace.tree.nodes.pop(full(found["path"]))
    if body.get("display_name"):
        found["display_name"] = body["display_name"]
        found["path"] = f"{found['parent_path']}/{body['display_name']}.lvdash.json"
    if body.get("serialized_dashboard"):
        found["serialized_dashboard"] = _serialized(body["serialized_dashboard"], request.query)
    found |= {name: body[name] for name in ("warehouse_id",) if name in body}
    found |= {"etag": str(int(found["etag"]) + 1), "update_time": _now()}
    node.path, node.content = full(found["path"]), found["serialized_dashboard"].encode()
    workspace.tree.put(node)
    return found


@call("DELETE", "/api/2.0/lakeview/dashboards/{key}")
def _trash_dashboard(workspace: "Workspace", request: Request, key: str) -> None:
    found = _dashboard(workspace, request.caller, key, "CAN_MANAGE")
    workspace.tree.nodes.pop(full(found["path"]), None)
    del workspace.dashboards[key]
    workspace.published.pop(key, None)
    permissions.forget(workspace, "dashboards", key)


@call("POST", "/api/2.0/lakeview/dashboards/{key}/published")
def _publish(workspace: "Workspace", request: Request, key: str) -> Json:
    found, body = _dashboard(workspace, request.caller, key, "CAN_EDIT"), request.json
    workspace.published[key] = {
        "display_name": found["display_name"],
        "embed_credentials": bool(body.get("embed_credentials")),
        "revision_create_time": _now(),
        "warehouse_id": body.get("warehouse_id") or found.get("warehouse_id", ""),
    }
    return workspace.published[key]


@call("GET", "/api/2.0/lakeview/dashboards/{key}/published")
def _get_published(workspace: "Workspace", request: Request, key: str) -> Json:
    _dashboard(workspace, request.caller, key, "CAN_READ")
    if key not in workspace.published:
        raise missing(f"Unable to find published dashboard [{key}]")
    return workspace.published[key]


@call("DELETE", "/api/2.0/lakeview/dashboards/{key}/published")
def _unpublish(workspace: "Workspace", request: Request, key: str) -> None:
    _dashboard(workspace, request.caller, key, "CAN_EDIT")
    workspace.published.pop(key, None)


# Experiments


def _experiment(workspace: "Workspace", caller: Identity, key: str, least: str) -> Json:
    if key not in workspace.experiments:
        raise missing(f"Node ID {key} does not exist.")
    permissions.need(workspace, "experiments", key, caller, least)
    return workspace.experiments[key]


@call("POST", "/api/2.0/mlflow/experiments/create")
def _create_experiment(workspace: "Workspace", request: Request) -> Json:
    body, key = request.json, str(next_id())
    name = full(body["name"]).removeprefix("/Workspace")
    if any(one["name"] == name for one in workspace.experiments.values()):
        raise exists(f"Node named {name!r} already exists")
    place = body.get("artifact_location") or f"dbfs:/databricks/mlflow-tracking/{key}"
    made = {"experiment_id": key, "lifecycle_stage": "active", "artifact_location": place}
    workspace.experiments[key] = {**body, **made, "name": name}
    permissions.own(workspace, "experiments", key, request.caller)
    return {"experiment_id": key}


@call("GET", "/api/2.0/mlflow/experiments/get")
def _get_experiment(workspace: "Workspace", request: Request) -> Json:
    key = request.query["experiment_id"]
    return {"experiment": _experiment(workspace, request.caller, key, "CAN_READ")}


@call("POST", "/api/2.0/mlflow/experiments/update")
def _update_experiment(workspace: "Workspace", request: Request) -> None:
    body = request.json
    found = _experiment(workspace, request.caller, body["experiment_id"], "CAN_EDIT")
    if body.get("new_name"):
        found["name"] = full(body["new_name"]).removeprefix("/Workspace")


@call("POST", "/api/2.0/mlflow/experiments/delete")
def _delete_experiment(workspace: "Workspace", request: Request) -> None:
    key = request.json["experiment_id"]
    _experiment(workspace, request.caller, key, "CAN_MANAGE")
    del workspace.experiments[key]
    permissions.forget(workspace, "experiments", key)


# Lookups


def default_lookups() -> dict[str, list[Json]]:
    """What a workspace has before anyone deploys; tests add to it."""
    return {
        "warehouses": [
            {"id": "0a1b2c3d4e5f6071", "name": "Serverless Starter Warehouse", "state": "RUNNING"}
        ],
        "policies": [{"policy_id": "0011223344556677", "name": "Job Compute"}],
        "clusters": [{"cluster_id": "1123-000000-shared00", "cluster_name": "shared"}],
        "instance_pools": [{"instance_pool_id": "pool-0", "instance_pool_name": "small"}],
    }


@call("GET", "/api/2.0/sql/warehouses")
def _warehouses(workspace: "Workspace", request: Request) -> Json:
    made = services.kept(workspace, "sql_warehouses").values()
    return {"warehouses": [*workspace.lookups["warehouses"], *map(services.shown, made)]}


@call("GET", "/api/2.0/sql/warehouses/{key}")
def _warehouse(workspace: "Workspace", request: Request, key: str) -> Json:
    for one in workspace.lookups["warehouses"]:
        if one["id"] == key:
            return one
    return services.shown(services.find(workspace, request, services.WAREHOUSES, key, "CAN_VIEW"))


@call("GET", "/api/2.0/policies/clusters/list")
def _policies(workspace: "Workspace", request: Request) -> Json:
    return {"policies": workspace.lookups["policies"]}


@call("GET", r"/api/2\.[01]/clusters/list")
def _clusters(workspace: "Workspace", request: Request) -> Json:
    made = services.kept(workspace, "clusters").values()
    return {"clusters": [*workspace.lookups["clusters"], *map(services.shown, made)]}


@call("GET", "/api/2.0/instance-pools/list")
def _pools(workspace: "Workspace", request: Request) -> Json:
    made = services.kept(workspace, "instance_pools").values()
    return {"instance_pools": [*workspace.lookups["instance_pools"], *map(services.shown, made)]}


@call("POST", "/telemetry-ext", public=True)
def _telemetry(workspace: "Workspace", request: Request) -> Json:
    return {"errors": [], "numProtoSuccess": 1}
