"""What the workspace keeps much as it was given: compute, serving, databases, search, and more."""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import permissions
from .wire import ApiError, Json, Request, call, denied, invalid, missing, next_id

if TYPE_CHECKING:
    from .server import Workspace

OWNER = "_owner"  # a field of our own, never on the wire
Made = Callable[[Json], Json]


def _nothing(_: Json) -> Json:
    return {}


@dataclass(frozen=True)
class Service:
    """One kind of thing, with the usual four calls.

    Attributes:
        kind: what bundles call it.
        id: the field that it is known by; the workspace makes those of `made_id`.
        path: of the whole, for POST; with `/ID` for GET, PATCH, PUT and DELETE.
        made: what the workspace adds to it.
        acl: what the calls about permissions call it, and the field that is the id there; empty
            for what has none: its owner changes it, and everybody sees it.
    """

    kind: str
    id: str
    path: str = ""
    made: Made = _nothing
    made_id: Callable[[], str] | None = None
    acl: tuple[str, str] = ("", "")


def kept(workspace: "Workspace", kind: str) -> dict[str, Json]:
    """All things of a kind, by id."""
    return workspace.services.setdefault(kind, {})


def shown(found: Json) -> Json:
    """A thing as it is on the wire."""
    return {name: value for name, value in found.items() if name != OWNER}


def find(workspace: "Workspace", request: Request, service: Service, key: str, least: str) -> Json:
    """A thing that the caller may see, or change."""
    found = kept(workspace, service.kind).get(key)
    if found is None:
        raise missing(f"{service.kind} {key} does not exist.")
    kind, name = service.acl
    if kind:
        permissions.need(workspace, kind, found[name], request.caller, least)
    elif least != "CAN_VIEW" and not (
        request.caller.admin or found[OWNER] == request.caller.principal
    ):
        raise denied(f"{request.caller.principal} does not own {service.kind} {key}.")
    return found


def create(workspace: "Workspace", request: Request, service: Service, body: Json) -> Json:
    """Make a thing; its creator owns it."""
    if service.made_id:
        body[service.id] = service.made_id()
    key = str(body[service.id])
    if key in kept(workspace, service.kind):
        raise ApiError(409, "RESOURCE_ALREADY_EXISTS", f"{service.kind} {key} already exists.")
    made = {**body, OWNER: request.caller.principal}
    made |= service.made(made)
    kept(workspace, service.kind)[key] = made
    if service.acl[0]:
        permissions.own(workspace, service.acl[0], made[service.acl[1]], request.caller)
    return made


def change(
    workspace: "Workspace", request: Request, service: Service, key: str, changes: Json
) -> Json:
    """Change some fields of a thing; None takes one away."""
    found = find(workspace, request, service, key, "CAN_MANAGE")
    found |= changes
    for name in [name for name, value in found.items() if value is None]:
        del found[name]
    return found


def delete(workspace: "Workspace", request: Request, service: Service, key: str) -> None:
    """Delete a thing."""
    found = find(workspace, request, service, key, "CAN_MANAGE")
    del kept(workspace, service.kind)[key]
    if service.acl[0]:
        permissions.forget(workspace, service.acl[0], found[service.acl[1]])


def _hex() -> str:
    return secrets.token_hex(16)


def _uuid() -> str:
    return str(uuid.uuid4())


ALERTS = Service("alerts", "id", "/api/2.0/alerts", made_id=_uuid, acl=("alertsv2", "id"),
                 made=lambda _: {"lifecycle_state": "ACTIVE"})  # fmt: skip
APPS = Service("apps", "name", "/api/2.0/apps", acl=("apps", "name"), made=lambda app: {
    "id": str(next_id()),
    "url": f"{app['name']}-1.example.com",
    "compute_size": app.get("compute_size", "MEDIUM"),
    "compute_status": {"state": "STOPPED", "message": "stopped"},
    "app_status": {"state": "UNAVAILABLE", "message": "stopped"},
    "forward_user_access_token": True,
    "service_principal_client_id": _uuid(),
    "service_principal_name": f"app-{app['name']}",
})  # fmt: skip
CLUSTERS = Service("clusters", "cluster_id", made_id=_uuid, acl=("clusters", "cluster_id"),
                   made=lambda one: {"state": "RUNNING", "creator_user_name": one[OWNER],
                                     "enable_elastic_disk": False})  # fmt: skip
DATABASES = Service("database_instances", "name", "/api/2.0/database/instances",
                    acl=("database-instances", "name"), made=lambda one: {
    "uid": _uuid(), "state": "AVAILABLE", "pg_version": "PG_VERSION_16",
    "effective_capacity": one.get("capacity", "CU_1"), "effective_node_count": 1,
    "effective_stopped": False,
})  # fmt: skip
DATABASE_CATALOGS = Service("database_catalogs", "name", "/api/2.0/database/catalogs",
                            made=lambda _: {"uid": _uuid()})  # fmt: skip
SYNCED = Service("synced_database_tables", "name", "/api/2.0/database/synced_tables",
                 made=lambda _: {"unity_catalog_provisioning_state": "ACTIVE"})  # fmt: skip
GENIE = Service("genie_spaces", "space_id", "/api/2.0/genie/spaces", made_id=_hex,
                acl=("genie", "space_id"), made=lambda _: {"etag": "1"})  # fmt: skip
POOLS = Service("instance_pools", "instance_pool_id", made_id=_uuid,
                acl=("instance-pools", "instance_pool_id"),
                made=lambda one: {"state": "ACTIVE", "enable_elastic_disk": True,
                                  "idle_instance_autotermination_minutes": one.get(
                                      "idle_instance_autotermination_minutes", 60)})  # fmt: skip
SERVING = Service("model_serving_endpoints", "name", "/api/2.0/serving-endpoints",
                  acl=("serving-endpoints", "id"), made=lambda _: {
    "id": _hex(), "state": {"ready": "READY", "config_update": "NOT_UPDATING"},
    "permission_level": "CAN_MANAGE",
})  # fmt: skip
MODELS = Service("models", "name", acl=("registered-models", "id"),
                 made=lambda _: {"id": _hex()})  # fmt: skip
MONITORS = Service("quality_monitors", "table_name", made=lambda one: {
    "status": "MONITOR_STATUS_ACTIVE", "dashboard_id": _hex(),
    "drift_metrics_table_name": f"{one['table_name']}_drift_metrics",
    "profile_metrics_table_name": f"{one['table_name']}_profile_metrics",
})  # fmt: skip
WAREHOUSES = Service("sql_warehouses", "id", made_id=_hex, acl=("sql/warehouses", "id"),
                     made=lambda one: {
    "state": "RUNNING", "creator_name": one[OWNER],
    "min_num_clusters": one.get("min_num_clusters", 1),
    "warehouse_type": one.get("warehouse_type", "CLASSIC"),
})  # fmt: skip
SEARCH = Service("vector_search_endpoints", "name", "/api/2.0/vector-search/endpoints",
                 acl=("vector-search-endpoints", "id"), made=lambda _: {
    "id": _uuid(), "endpoint_status": {"state": "ONLINE"},
})  # fmt: skip
INDEXES = Service("vector_search_indexes", "name", "/api/2.0/vector-search/indexes",
                  made=lambda one: {
    "status": {"ready": True}, "index_subtype": one.get("index_subtype", "HYBRID"),
})  # fmt: skip


def _usual(service: Service) -> None:
    """The calls on what lies below a path by its id."""

    def post(workspace: "Workspace", request: Request) -> Json:
        return shown(create(workspace, request, service, request.json))

    def get(workspace: "Workspace", request: Request, key: str) -> Json:
        return shown(find(workspace, request, service, key, "CAN_VIEW"))

    def patch(workspace: "Workspace", request: Request, key: str) -> Json:
        changes = {k: v for k, v in request.json.items() if k not in (service.id, "update_mask")}
        changed = change(workspace, request, service, key, changes)
        if "etag" in changed:
            changed["etag"] = str(int(changed["etag"]) + 1)
        return shown(changed)

    def remove(workspace: "Workspace", request: Request, key: str) -> None:
        delete(workspace, request, service, key)

    call("POST", service.path)(post)
    call("GET", f"{service.path}/{{key}}")(get)
    call("PATCH", f"{service.path}/{{key}}")(patch)
    call("DELETE", f"{service.path}/{{key}}")(remove)


for _service in (
    ALERTS, APPS, DATABASES, DATABASE_CATALOGS, SYNCED, GENIE, SERVING, SEARCH, INDEXES,
):  # fmt: skip
    _usual(_service)


def _by_field(service: Service, verbs: dict[str, str]) -> None:
    """The calls on what is named in the body, or in the query."""

    def post(workspace: "Workspace", request: Request) -> Json:
        return {service.id: create(workspace, request, service, request.json)[service.id]}

    def get(workspace: "Workspace", request: Request) -> Json:
        return shown(find(workspace, request, service, request.query[service.id], "CAN_VIEW"))

    def edit(workspace: "Workspace", request: Request) -> None:
        body = request.json
        change(workspace, request, service, body.pop(service.id), body)

    def remove(workspace: "Workspace", request: Request) -> None:
        delete(workspace, request, service, request.json[service.id])

    for name, handler in {"create": post, "get": get, "edit": edit, "delete": remove}.items():
        call("GET" if name == "get" else "POST", verbs[name])(handler)


_by_field(CLUSTERS, {
    "create": "/api/2.1/clusters/create", "get": "/api/2.1/clusters/get",
    "edit": "/api/2.1/clusters/edit", "delete": "/api/2.1/clusters/permanent-delete",
})  # fmt: skip
_by_field(POOLS, {
    "create": "/api/2.0/instance-pools/create", "get": "/api/2.0/instance-pools/get",
    "edit": "/api/2.0/instance-pools/edit", "delete": "/api/2.0/instance-pools/delete",
})  # fmt: skip


# Warehouses


@call("POST", "/api/2.0/sql/warehouses")
def _create_warehouse(workspace: "Workspace", request: Request) -> Json:
    return {"id": create(workspace, request, WAREHOUSES, request.json)["id"]}


@call("POST", "/api/2.0/sql/warehouses/{key}/edit")
def _edit_warehouse(workspace: "Workspace", request: Request, key: str) -> None:
    change(workspace, request, WAREHOUSES, key, request.json)


@call("DELETE", "/api/2.0/sql/warehouses/{key}")
def _delete_warehouse(workspace: "Workspace", request: Request, key: str) -> None:
    delete(workspace, request, WAREHOUSES, key)


# Apps


@call("POST", "/api/2.0/apps/{key}/update")
def _update_app(workspace: "Workspace", request: Request, key: str) -> Json:
    body, masked = request.json, request.json["update_mask"].split(",")
    app = body.get("app", {})
    change(workspace, request, APPS, key, {name: app.get(name) for name in masked})
    return {"status": {"state": "SUCCEEDED"}}


@call("GET", "/api/2.0/apps/{key}/update")
def _updated_app(workspace: "Workspace", request: Request, key: str) -> Json:
    find(workspace, request, APPS, key, "CAN_VIEW")
    return {"status": {"state": "SUCCEEDED"}}


# Serving endpoints


@call("PUT", "/api/2.0/serving-endpoints/{key}/config")
def _serving_config(workspace: "Workspace", request: Request, key: str) -> Json:
    return shown(change(workspace, request, SERVING, key, {"config": request.json}))


@call("PUT", "/api/2.0/serving-endpoints/{key}/ai-gateway")
def _serving_gateway(workspace: "Workspace", request: Request, key: str) -> Json:
    change(workspace, request, SERVING, key, {"ai_gateway": request.json})
    return request.json


@call("PATCH", "/api/2.0/serving-endpoints/{key}/tags")
def _serving_tags(workspace: "Workspace", request: Request, key: str) -> Json:
    found, body = find(workspace, request, SERVING, key, "CAN_MANAGE"), request.json
    gone = {*body.get("delete_tags", []), *(tag["key"] for tag in body.get("add_tags", []))}
    rest = [tag for tag in found.get("tags", []) if tag["key"] not in gone]
    found["tags"] = [*rest, *body.get("add_tags", [])]
    return {"tags": found["tags"]}


# Models of the workspace's own registry


@call("POST", "/api/2.0/mlflow/registered-models/create")
def _create_model(workspace: "Workspace", request: Request) -> Json:
    return {"registered_model": shown(create(workspace, request, MODELS, request.json))}


@call("GET", "/api/2.0/mlflow/databricks/registered-models/get")
def _get_model(workspace: "Workspace", request: Request) -> Json:
    found = find(workspace, request, MODELS, request.query["name"], "CAN_VIEW")
    return {"registered_model_databricks": shown(found)}


@call("PATCH", "/api/2.0/mlflow/registered-models/update")
def _update_model(workspace: "Workspace", request: Request) -> Json:
    body = request.json
    return {"registered_model": shown(change(workspace, request, MODELS, body.pop("name"), body))}


@call("DELETE", "/api/2.0/mlflow/registered-models/delete")
def _delete_model(workspace: "Workspace", request: Request) -> None:
    delete(workspace, request, MODELS, request.query.get("name") or request.json["name"])


# Monitors of tables


@call("POST", "/api/2.1/unity-catalog/tables/{key}/monitor")
def _create_monitor(workspace: "Workspace", request: Request, key: str) -> Json:
    return shown(create(workspace, request, MONITORS, {**request.json, "table_name": key}))


@call("GET", "/api/2.1/unity-catalog/tables/{key}/monitor")
def _get_monitor(workspace: "Workspace", request: Request, key: str) -> Json:
    return shown(find(workspace, request, MONITORS, key, "CAN_VIEW"))


@call("PUT", "/api/2.1/unity-catalog/tables/{key}/monitor")
def _update_monitor(workspace: "Workspace", request: Request, key: str) -> Json:
    return shown(change(workspace, request, MONITORS, key, request.json))


@call("DELETE", "/api/2.1/unity-catalog/tables/{key}/monitor")
def _delete_monitor(workspace: "Workspace", request: Request, key: str) -> Json:
    delete(workspace, request, MONITORS, key)
    return {}


# Postgres: what is made is told by an operation


POSTGRES = {
    "projects": Service("postgres_projects", "name", acl=("database-projects", "project_id")),
    "branches": Service("postgres_branches", "name"),
    "databases": Service("postgres_databases", "name"),
    "endpoints": Service("postgres_endpoints", "name"),
    "roles": Service("postgres_roles", "name"),
    "catalogs": Service("postgres_catalogs", "name"),
    "synced_tables": Service("postgres_synced_tables", "name"),
}


def _operation(workspace: "Workspace", name: str, response: Json) -> Json:
    key = f"{name}/operations/{next_id()}"
    operation = {"name": key, "done": True, "response": response}
    kept(workspace, "operations")[key] = operation
    return operation


def _postgres(name: str) -> Service:
    """The kind of what has this name: its last but one step."""
    steps = name.split("/")
    if len(steps) < 2 or steps[-2] not in POSTGRES:
        raise invalid(f"{name} is no name of a resource")
    return POSTGRES[steps[-2]]


@call("POST", "/api/2.0/postgres/{path...}")
def _create_postgres(workspace: "Workspace", request: Request, path: str) -> Json:
    collection = path.rpartition("/")[2]
    noun = {"branches": "branch", "synced_tables": "synced_table"}.get(collection, collection[:-1])
    key = request.query[f"{noun}_id"]
    body: Json = {"name": f"{path}/{key}", f"{noun}_id": key, "uid": _uuid()}
    body["status"] = request.json.get("spec", {})  # the service gives back no spec
    if "/" in path:
        body["parent"] = path.rpartition("/")[0]
    made = create(workspace, request, POSTGRES[collection], body)
    return _operation(workspace, made["name"], shown(made))


@call("GET", "/api/2.0/postgres/{path...}")
def _get_postgres(workspace: "Workspace", request: Request, path: str) -> Json:
    if "/operations/" in path:
        return kept(workspace, "operations")[path]
    return shown(find(workspace, request, _postgres(path), path, "CAN_VIEW"))


@call("PATCH", "/api/2.0/postgres/{path...}")
def _update_postgres(workspace: "Workspace", request: Request, path: str) -> Json:
    found = find(workspace, request, _postgres(path), path, "CAN_MANAGE")
    found["status"] |= request.json.get("spec", {})
    return _operation(workspace, path, shown(found))


@call("DELETE", "/api/2.0/postgres/{path...}")
def _delete_postgres(workspace: "Workspace", request: Request, path: str) -> Json:
    delete(workspace, request, _postgres(path), path)
    return _operation(workspace, path, {})


# Runs that a bundle starts


@call("POST", r"/api/2\.[12]/jobs/runs/delete")
def _delete_run(workspace: "Workspace", request: Request) -> None:
    if workspace.runs.pop(int(request.json["run_id"]), None) is None:
        raise missing(f"Run {request.json['run_id']} does not exist.")
