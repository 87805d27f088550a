"""Runs of jobs: they take a moment, and end as a test says.

A job has as many runs at once as it says, one unless it says more. A run beyond that waits where
the job has a queue, and is skipped where it has none.
"""

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
OUTCOMES = ("succeed", "fail", "hang", "time out", "retry", "skip")


@dataclass
class Run:
    """One run of a job.

    Attributes:
        seconds: How long it takes once it has begun.
        begun: When it left the queue, by the clock that only goes forward; 0 while it waits.
        skipped: It never took place.
    """

    job: Json
    outcome: str
    trigger: str
    creator: str
    seconds: float
    request: Json
    begun: float = 0
    skipped: bool = False
    id: int = field(default_factory=next_id)
    started: int = field(default_factory=now_ms)
    cancelled: bool = False
    ended: int = 0
    task_ids: dict[str, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """It has not ended; one that waits in the queue has not, either."""
        if self.cancelled or self.skipped:
            return False
        return not self.begun or self.outcome == "hang" or self.age < self.seconds

    @property
    def age(self) -> float:
        """How long it has been going on, in seconds."""
        return time.monotonic() - self.begun if self.begun else 0

    def state(self, task: str = "") -> Json:
        """Its state, or that of a task."""
        if self.active and not self.begun:
            reason = "Queued due to reaching maximum concurrent runs of the job."
            return {"life_cycle_state": "QUEUED", "state_message": "", "queue_reason": reason}
        if self.active:
            cycle = "RUNNING" if self.outcome != "retry" or self.age < self.seconds / 2 else ""
            return {
                "life_cycle_state": cycle or "WAITING_FOR_RETRY",
                "state_message": "In run",
            }
        if self.skipped:
            return {
                "life_cycle_state": "SKIPPED",
                "result_state": "MAXIMUM_CONCURRENT_RUNS_REACHED",
                "state_message": "Skipped: the job has reached its maximum of concurrent runs.",
            }
        if self.cancelled:
            return {
                "life_cycle_state": "TERMINATED",
                "result_state": "CANCELED",
                "state_message": "Run cancelled.",
                "user_cancelled_or_timedout": True,
            }
        if self.outcome == "time out":
            state = {"life_cycle_state": "TERMINATED", "result_state": "TIMEDOUT"}
            return {**state, "state_message": "Run timed out.", "user_cancelled_or_timedout": True}
        if self.outcome in ("succeed", "retry"):
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
    result = outcome({"job": job, **(request or {})}) if callable(outcome) else outcome
    if result not in OUTCOMES:
        raise ValueError(f"{result!r} is none of {OUTCOMES}")
    creator = creator or job["creator_user_name"]
    run = Run(job, result, trigger, creator, workspace.run_seconds, request or {})
    run.task_ids = {task["task_key"]: next_id() for task in job["settings"].get("tasks", [])}
    run.skipped = result == "skip" or (not has_queue(job) and not _has_room(workspace, job))
    workspace.runs[run.id] = run
    dequeue(workspace)
    return run


def has_queue(job: Json) -> bool:
    """Whether runs beyond those at once wait; what is made by the API has none by itself."""
    return bool(job["settings"].get("queue", {}).get("enabled"))


def _has_room(workspace: "Workspace", job: Json) -> bool:
    job = workspace.jobs.get(job["job_id"], job)
    most = job["settings"].get("max_concurrent_runs", 1)
    runs = [run for run in workspace.runs.values() if run.begun]
    mine = [run for run in runs if run.job["job_id"] == job["job_id"]]
    return sum(run.active for run in mine) < int(most)


def dequeue(workspace: "Workspace") -> None:
    """Lets runs begin that waited, in their order, as far as their jobs have room."""
    for run in workspace.runs.values():
        if run.active and not run.begun and _has_room(workspace, run.job):
            run.begun = time.monotonic()


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
    dequeue(workspace)
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
    dequeue(workspace)
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
