"""Pipelines and their updates."""

import uuid
from typing import TYPE_CHECKING

from . import permissions
from .identities import Identity
from .wire import ApiError, Json, Request, call, missing, now_ms, page

if TYPE_CHECKING:
    from .server import Workspace

BESIDE_SPEC = ("run_as", "parameters")
NOT_STORED = ("dry_run", "allow_duplicate_names", "expected_last_modified", "pipeline_id")


def _find(workspace: "Workspace", caller: Identity, key: str, least: str) -> Json:
    if key not in workspace.pipelines:
        raise missing(f"The specified pipeline {key} was not found.")
    permissions.need(workspace, "pipelines", key, caller, least)
    return workspace.pipelines[key]


def _apply(pipeline: Json, body: Json) -> None:
    key = pipeline["pipeline_id"]
    beside = {name: body.pop(name) for name in BESIDE_SPEC if name in body}
    spec = {name: value for name, value in body.items() if name not in NOT_STORED} | {"id": key}
    if not spec.get("storage") and not spec.get("catalog"):
        spec["storage"] = f"dbfs:/pipelines/{key}"
    run_as = beside.get("run_as") or {}
    name = run_as.get("service_principal_name") or run_as.get("user_name")
    pipeline |= {"spec": spec, "name": spec.get("name", ""), "last_modified": now_ms(), **beside}
    pipeline["run_as_user_name"] = name or pipeline["run_as_user_name"]


@call("POST", "/api/2.0/pipelines")
def _create(workspace: "Workspace", request: Request) -> Json:
    name = request.json.get("name", "")
    same = any(one["name"] == name for one in workspace.pipelines.values())
    if name and same and not request.json.get("allow_duplicate_names"):
        message = f"The pipeline name '{name}' is already used by another pipeline."
        raise ApiError(409, "RESOURCE_CONFLICT", message)
    key, caller = str(uuid.uuid4()), request.caller
    pipeline: Json = {
        "pipeline_id": key,
        "state": "IDLE",
        "creator_user_name": caller.principal,
        "run_as_user_name": caller.principal,
        "effective_publishing_mode": "DEFAULT_PUBLISHING_MODE",
    }
    _apply(pipeline, request.json)
    workspace.pipelines[key] = pipeline
    permissions.own(workspace, "pipelines", key, caller)
    workspace.created("pipelines", key)
    return {"pipeline_id": key}


@call("GET", "/api/2.0/pipelines")
def _list(workspace: "Workspace", request: Request) -> Json:
    names = ("pipeline_id", "name", "state", "creator_user_name", "run_as_user_name")
    rows = [
        {name: pipeline[name] for name in names}
        for key, pipeline in workspace.pipelines.items()
        if permissions.level(workspace, "pipelines", key, request.caller)
    ]
    return page(request, "statuses", rows, 25)


@call("GET", "/api/2.0/pipelines/{key}")
def _get(workspace: "Workspace", request: Request, key: str) -> Json:
    pipeline = _find(workspace, request.caller, key, "CAN_VIEW")
    if not workspace.seen("pipelines", key):
        raise missing(f"The specified pipeline {key} was not found.")
    return pipeline


@call("PUT", "/api/2.0/pipelines/{key}")
def _edit(workspace: "Workspace", request: Request, key: str) -> None:
    _apply(_find(workspace, request.caller, key, "CAN_MANAGE"), request.json)


@call("DELETE", "/api/2.0/pipelines/{key}")
def _delete(workspace: "Workspace", request: Request, key: str) -> None:
    _find(workspace, request.caller, key, "CAN_MANAGE")
    del workspace.pipelines[key]
    permissions.forget(workspace, "pipelines", key)


@call("POST", "/api/2.0/pipelines/{key}/updates")
def _start(workspace: "Workspace", request: Request, key: str) -> Json:
    _find(workspace, request.caller, key, "CAN_RUN")
    update = str(uuid.uuid4())
    body = {"pipeline_id": key, "state": "COMPLETED", "creation_time": now_ms()}
    workspace.updates[update] = {"update_id": update, **body}
    return {"update_id": update}


@call("GET", "/api/2.0/pipelines/{key}/updates/{update}")
def _update(workspace: "Workspace", request: Request, key: str, update: str) -> Json:
    _find(workspace, request.caller, key, "CAN_VIEW")
    if update not in workspace.updates:
        raise missing(f"The specified update {update} was not found.")
    return {"update": workspace.updates[update]}


@call("GET", "/api/2.0/pipelines/{key}/events")
def _events(workspace: "Workspace", request: Request, key: str) -> Json:
    _find(workspace, request.caller, key, "CAN_VIEW")
    return {"events": []}


@call("POST", "/api/2.0/pipelines/{key}/stop")
def _stop(workspace: "Workspace", request: Request, key: str) -> None:
    _find(workspace, request.caller, key, "CAN_RUN")
