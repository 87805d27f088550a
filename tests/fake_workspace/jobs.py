"""Jobs."""

import copy
from typing import TYPE_CHECKING

from . import permissions
from .identities import Identity
from .wire import Json, Request, call, denied, invalid, next_id, now_ms, page

if TYPE_CHECKING:
    from .server import Workspace

TASKS_IN_A_PAGE = 100
JOBS_IN_A_PAGE = 100
WITH_SOURCE = ("notebook_task", "spark_python_task", "dbt_task", "sql_task")


def with_defaults(settings: Json) -> Json:
    """Settings as the service gives them back."""
    settings = copy.deepcopy(settings)
    settings.setdefault("email_notifications", {})
    settings.setdefault("webhook_notifications", {})
    settings.setdefault("timeout_seconds", 0)
    for task in settings.get("tasks", []):
        _complete(task, has_git="git_source" in settings)
    for cluster in settings.get("job_clusters", []):
        cluster.get("new_cluster", {}).pop("apply_policy_default_values", None)
    return settings


def _complete(task: Json, *, has_git: bool) -> None:
    task.setdefault("run_if", "ALL_SUCCESS")
    task.setdefault("timeout_seconds", 0)
    task.setdefault("email_notifications", {})
    if "depends_on" in task:
        task["depends_on"].sort(key=lambda one: one["task_key"])
    for kind in WITH_SOURCE if not has_git else ():
        if kind in ("notebook_task", "spark_python_task") and kind in task:
            task[kind].setdefault("source", "WORKSPACE")
    if cluster := task.get("new_cluster"):
        cluster.pop("apply_policy_default_values", None)
        cluster.setdefault("data_security_mode", "SINGLE_USER")
        cluster.setdefault("enable_elastic_disk", False)
        aws = {"availability": "SPOT_WITH_FALLBACK", "zone_id": "us-east-1c"}
        cluster.setdefault("aws_attributes", aws)


def find(workspace: "Workspace", caller: Identity, key: object, least: str) -> Json:
    """A job that the caller may use; rights come before existence, as in the service."""
    number = int(str(key or 0))
    job = workspace.jobs.get(number)
    if job is None and (caller.admin or f"/jobs/{number}" not in workspace.permissions):
        raise invalid(f"Job {number} does not exist.")
    permissions.need(workspace, "jobs", number, caller, least)
    if job is None:
        raise invalid(f"Job {number} does not exist.")
    return job


def _check_run_as(caller: Identity, settings: Json) -> str:
    run_as = settings.get("run_as") or {}
    name = str(run_as.get("service_principal_name") or run_as.get("user_name") or "")
    myself = name == caller.principal and not caller.application_id  # a service principal may not
    if not name or myself or caller.admin or name in caller.roles_on:
        return name
    raise denied(
        f"{caller.principal} is missing the required role (servicePrincipal/user) on {name}."
    )


@call("POST", r"/api/2\.[12]/jobs/create")
def _create(workspace: "Workspace", request: Request) -> Json:
    caller, settings = request.caller, request.json
    run_as = _check_run_as(caller, settings)
    entries = settings.pop("access_control_list", [])
    key = next_id()
    workspace.jobs[key] = {
        "job_id": key,
        "creator_user_name": caller.principal,
        "run_as_user_name": run_as or caller.principal,
        "created_time": now_ms(),
        "settings": with_defaults(settings),
    }
    permissions.own(workspace, "jobs", key, caller)
    workspace.permissions[f"/jobs/{key}"] += [
        entry for entry in entries if entry["permission_level"] != "IS_OWNER"
    ]
    workspace.created("jobs", key)
    return {"job_id": key}


@call("GET", r"/api/2\.[012]/jobs/get")
def _get(workspace: "Workspace", request: Request) -> Json:
    job = find(workspace, request.caller, request.query.get("job_id"), "CAN_VIEW")
    if not workspace.seen("jobs", job["job_id"]):
        raise invalid(f"Job {job['job_id']} does not exist.")
    return _paged(job, int(request.query.get("page_token") or 0))


def _paged(job: Json, start: int) -> Json:
    tasks = job["settings"].get("tasks", [])
    if len(tasks) <= TASKS_IN_A_PAGE:
        return job
    end = start + TASKS_IN_A_PAGE
    answer = {**job, "settings": {**job["settings"], "tasks": tasks[start:end]}}
    for name in ("job_clusters", "environments", "parameters") if start else ():
        answer["settings"].pop(name, None)
    if end < len(tasks):
        answer |= {"has_more": True, "next_page_token": str(end)}
    return answer


@call("GET", r"/api/2\.[12]/jobs/list")
def _list(workspace: "Workspace", request: Request) -> Json:
    name = request.query.get("name", "").lower()
    jobs = [
        job
        for job in workspace.jobs.values()
        if permissions.level(workspace, "jobs", job["job_id"], request.caller)
        and (not name or job["settings"].get("name", "").lower() == name)
    ]
    expand = request.query.get("expand_tasks") == "true"
    rows = [job if expand else _brief(job) for job in reversed(jobs)]
    if int(request.query.get("limit", 20)) > JOBS_IN_A_PAGE:
        raise invalid(f"limit is at most {JOBS_IN_A_PAGE}")
    return page(request, "jobs", rows)


def _brief(job: Json) -> Json:
    left_out = ("tasks", "job_clusters", "environments", "parameters")
    settings = {name: job["settings"][name] for name in job["settings"] if name not in left_out}
    return {**job, "settings": settings}


@call("POST", r"/api/2\.[12]/jobs/reset")
def _reset(workspace: "Workspace", request: Request) -> None:
    body = request.json
    job = find(workspace, request.caller, body["job_id"], "CAN_MANAGE")
    new = body["new_settings"]
    # The service keeps the identity when new settings name none.
    if "run_as" not in new and "run_as" in job["settings"]:
        new["run_as"] = job["settings"]["run_as"]
    _replace(request.caller, job, new)


@call("POST", r"/api/2\.[12]/jobs/update")
def _update(workspace: "Workspace", request: Request) -> None:
    body = request.json
    job = find(workspace, request.caller, body["job_id"], "CAN_MANAGE")
    new = copy.deepcopy(job["settings"])
    for name in body.get("fields_to_remove", []):
        new.pop(name, None)
    changes = body.get("new_settings", {})
    if "tasks" in changes:
        tasks = {task["task_key"]: task for task in [*new.get("tasks", []), *changes["tasks"]]}
        changes["tasks"] = list(tasks.values())
    _replace(request.caller, job, new | changes)


def _replace(caller: Identity, job: Json, settings: Json) -> None:
    if settings.get("run_as") != job["settings"].get("run_as"):
        job["run_as_user_name"] = _check_run_as(caller, settings) or job["run_as_user_name"]
    job["settings"] = with_defaults(settings)


@call("POST", r"/api/2\.[12]/jobs/delete")
def _delete(workspace: "Workspace", request: Request) -> None:
    key = request.json["job_id"]
    find(workspace, request.caller, key, "CAN_MANAGE")
    del workspace.jobs[int(key)]
    permissions.forget(workspace, "jobs", key)
