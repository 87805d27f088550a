"""Runs of jobs: they take a moment, and end as a test says."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import permissions
from .identities import ORG_ID
from .jobs import find as find_job
from .wire import Json, Request, call, invalid, next_id, now_ms, page

if TYPE_CHECKING:
    from .server import Workspace

Outcome = str | Callable[[Json], str]
OUTCOMES = ("succeed", "fail", "hang")


@dataclass
class Run:
    """One run of a job."""

    job: Json
    outcome: str
    trigger: str
    creator: str
    due: float
    request: Json
    id: int = field(default_factory=next_id)
    started: int = field(default_factory=now_ms)
    cancelled: bool = False
    ended: int = 0
    task_ids: dict[str, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """It has not ended."""
        if self.cancelled:
            return False
        return self.outcome == "hang" or time.monotonic() < self.due

    def state(self, task: str = "") -> Json:
        """Its state, or that of a task."""
        if self.active:
            return {"life_cycle_state": "RUNNING", "state_message": "In run"}
        if self.cancelled:
            return {
                "life_cycle_state": "TERMINATED",
                "result_state": "CANCELED",
                "state_message": "Run cancelled.",
                "user_cancelled_or_timedout": True,
            }
        if self.outcome == "succeed":
            state = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}
            return {**state, "state_message": ""}
        message = "Workload failed, see run output for details"
        if not task:
            message = f"Task {next(iter(self.task_ids), 'main')} failed with message: {message}."
        state = {"life_cycle_state": "INTERNAL_ERROR", "result_state": "FAILED"}
        return {**state, "state_message": message}

    def described(self, url: str) -> Json:
        """As the service tells it."""
        job_id, name = self.job["job_id"], self.job["settings"].get("name", "Untitled")
        page_url = f"{url}/?o={ORG_ID}#job/{job_id}/run/{self.id}"
        answer: Json = {"run_id": self.id, "job_id": job_id, "run_name": name}
        answer |= {"run_page_url": page_url, "run_type": "JOB_RUN", "trigger": self.trigger}
        answer |= {"creator_user_name": self.creator, "start_time": self.started}
        answer |= {"state": self.state(), "tasks": self._tasks(url)}
        if not self.active:
            self.ended = self.ended or now_ms()
            answer |= {"end_time": self.ended, "run_duration": self.ended - self.started}
        return answer

    def _tasks(self, url: str) -> list[Json]:
        return [
            {"run_id": key, "task_key": task, "state": self.state(task), "attempt_number": 0}
            for task, key in self.task_ids.items()
        ]


def start(
    workspace: "Workspace", job: Json, trigger: str, creator: str = "", request: Json | None = None
) -> Run:
    """Starts a run."""
    outcome = workspace.outcomes.get(job["settings"].get("name", ""), "succeed")
    said = outcome({"job": job, **(request or {})}) if callable(outcome) else outcome
    if said not in OUTCOMES:
        raise ValueError(f"{said!r} is none of {OUTCOMES}")
    due = time.monotonic() + workspace.run_seconds
    creator = creator or job["creator_user_name"]
    run = Run(job, said, trigger, creator, due, request or {})
    run.task_ids = {task["task_key"]: next_id() for task in job["settings"].get("tasks", [])}
    workspace.runs[run.id] = run
    return run


@call("POST", r"/api/2\.[12]/jobs/run-now")
def _run_now(workspace: "Workspace", request: Request) -> Json:
    body = request.json
    job = find_job(workspace, request.caller, body["job_id"], "CAN_MANAGE_RUN")
    token = body.get("idempotency_token")
    for run in workspace.runs.values():
        if token and run.request.get("idempotency_token") == token:
            return {"run_id": run.id, "number_in_job": run.id}
    run = start(workspace, job, "ONE_TIME", request.caller.principal, body)
    return {"run_id": run.id, "number_in_job": run.id}


def _find(workspace: "Workspace", request: Request, key: object, least: str) -> Run:
    number = int(str(key or 0))
    for run in workspace.runs.values():
        if number == run.id or number in run.task_ids.values():
            permissions.need(workspace, "jobs", run.job["job_id"], request.caller, least)
            return run
    raise invalid(f"Run {number} does not exist.")


@call("GET", r"/api/2\.[12]/jobs/runs/get")
def _get(workspace: "Workspace", request: Request) -> Json:
    run = _find(workspace, request, request.query.get("run_id"), "CAN_VIEW")
    return run.described(workspace.url)


@call("GET", r"/api/2\.[12]/jobs/runs/get-output")
def _output(workspace: "Workspace", request: Request) -> Json:
    run = _find(workspace, request, request.query.get("run_id"), "CAN_VIEW")
    answer: Json = {"metadata": run.described(workspace.url), "logs": ""}
    if run.outcome == "fail":
        answer |= {"error": "RuntimeError: the test wants this run to fail", "error_trace": ""}
    return answer


@call("GET", r"/api/2\.[12]/jobs/runs/list")
def _list(workspace: "Workspace", request: Request) -> Json:
    query = request.query
    job_id = int(query.get("job_id") or 0)
    runs = [
        run
        for run in sorted(workspace.runs.values(), key=lambda run: -run.started)
        if (not job_id or run.job["job_id"] == job_id)
        and (query.get("active_only") != "true" or run.active)
        and (query.get("completed_only") != "true" or not run.active)
        and permissions.level(workspace, "jobs", run.job["job_id"], request.caller)
    ]
    return page(request, "runs", [run.described(workspace.url) for run in runs])


@call("POST", r"/api/2\.[12]/jobs/runs/cancel")
def _cancel(workspace: "Workspace", request: Request) -> None:
    run = _find(workspace, request, request.json["run_id"], "CAN_MANAGE_RUN")
    run.cancelled = run.cancelled or run.active


@call("POST", r"/api/2\.[12]/jobs/runs/cancel-all")
def _cancel_all(workspace: "Workspace", request: Request) -> None:
    job = find_job(workspace, request.caller, request.json["job_id"], "CAN_MANAGE_RUN")
    for run in workspace.runs.values():
        if run.job is job:
            run.cancelled = run.cancelled or run.active
