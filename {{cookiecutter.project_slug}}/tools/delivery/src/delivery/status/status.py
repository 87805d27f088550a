"""The status of a target: its running release, its health, and its delivery metrics."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel

from delivery.forge.environment import forge_kind
from delivery.status.metrics import Dora, dora
from delivery.target.context import TargetContext
from delivery.target.events import Event, EventName
from delivery.target.history import ReleaseHistory
from delivery.target.ledger import Ledger
from delivery.target.store import State, jobs_on_other_releases, release_of_entry

_AT_ONCE = 8  # calls to the workspace at the same time

Sync = Literal["in sync", "drifted", "mixed", "not deployed", "unknown"]
Health = Literal["verified", "not verified", "failed", "unknown"]
Run = Literal["none", "running", "succeeded", "failed"]


class JobStatus(BaseModel):
    """A job of the target, and how its last run ended."""

    key: str
    release: str
    url: str
    last_run: Run = "none"
    run_url: str = ""
    started: datetime | None = None


class Status(BaseModel):
    """The status of one target.

    Attributes:
        host: empty if the target is unreachable; `out_of_band_change` then says why.
        url: the address of the repository.
        drifted: keys of resources that were changed outside delivery.
        in_progress: a deploy that has not ended, with a hint.
        out_of_band_change: a change of the CLI's state that no event explains.
    """

    target: str
    host: str
    url: str = ""
    forge: str = ""
    release: str = ""
    commit: str = ""
    branch: str = ""
    since: datetime | None = None
    actor: str = ""
    approved_by: str = ""
    run_url: str = ""
    health: Health = "unknown"
    sync: Sync = "unknown"
    jobs_on_other_releases: str = ""
    drifted: list[str] = []
    jobs: list[JobStatus] = []
    retained: list[str] = []
    blocked: dict[str, str] = {}
    orphans: list[str] = []
    lock: str = ""
    in_progress: str = ""
    out_of_band_change: str = ""
    rollback_target: str = ""
    dora: Dora = Dora()
    at: AwareDatetime

    def with_drift(self, drifted: list[str]) -> "Status":
        """A copy, once it is known which resources were changed outside delivery."""
        mixed = self.jobs_on_other_releases or self.in_progress
        sync: Sync = "mixed" if mixed else "drifted" if drifted else "in sync"
        return self.model_copy(update={"drifted": drifted, "sync": sync})


def read_status(context: TargetContext) -> tuple[Status, int]:
    """The status of a target, without drift, and the number of entries in its state."""
    context.require_visible()
    ledger, names = context.ledger, context.ledger.list_events()
    history = ledger.history(names)
    state, lock = context.state(history), ledger.current_lock()
    now, running = datetime.now(UTC), context.running_event(history)
    mixed = jobs_on_other_releases(state, history)
    status = Status(
        target=context.target.name,
        host=context.target.host,
        url=context.policy.project.url,
        forge=forge_kind(context.policy.project),
        **_running_release(running),
        health=_health(history),
        sync="mixed" if mixed else "unknown" if history.running else "not deployed",
        jobs_on_other_releases=mixed,
        jobs=_jobs(context, state),
        retained=running.detail.get("retained", []) if running else [],
        blocked={release: ledger.read(name).reason for release, name in history.blocked.items()},
        orphans=[f"{job.name} ({job.id})" for job in context.store.orphans(state)],
        lock=lock.describe(now) if lock else "",
        in_progress=_in_progress(context, history),
        out_of_band_change=_out_of_band_change(ledger, names, state),
        rollback_target=history.rollback_target(context.store.stored_releases()),
        dora=dora(ledger, names, now),
        at=now,
    )
    return status, len(state.entries)


def unreachable_status(target: str, reason: str) -> Status:
    """The status of a target that cannot be read."""
    return Status(target=target, host="", out_of_band_change=reason, at=datetime.now(UTC))


def read_history(context: TargetContext, limit: int) -> list[Event]:
    """The newest events, the newest first; their chain is verified.

    Raises:
        TamperedError: the ledger was edited.
    """
    context.require_visible()
    names = context.ledger.list_events()[-limit:]
    events = context.ledger.read_all(names)
    context.ledger.verify(names)
    return events[::-1]


def _running_release(event: Event | None) -> dict[str, Any]:
    """The fields of a status that the event of the running release has."""
    if event is None:
        return {}
    names = ("release", "commit", "branch", "actor", "approved_by", "run_url")
    return {"since": event.at, **{name: getattr(event, name) for name in names}}


def _health(history: ReleaseHistory) -> Health:
    if history.is_empty:
        return "unknown"
    if history.is_verified:
        return "verified"
    return "failed" if history.has_failed else "not verified"


def _in_progress(context: TargetContext, history: ReleaseHistory) -> str:
    """A deploy that has not ended, with a hint; empty if there is none."""
    if history.in_progress is None:
        return ""
    started, target = context.ledger.read(history.in_progress), context.target.name
    return (
        f"deploy of {started.release}, started {started.at:%Y-%m-%d %H:%M} UTC by {started.actor}; "
        f"to finish it: delivery deploy {target}, to roll back: delivery rollback {target} "
        "--reason …"
    )


def _jobs(context: TargetContext, state: State) -> list[JobStatus]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda item: _job(context, state, *item), state.ids("jobs").items()))


def _job(context: TargetContext, state: State, key: str, identity: str) -> JobStatus:
    runs = context.workspace.runs(int(identity))
    job = JobStatus(
        key=key,
        release=release_of_entry(state.entries[f"jobs.{key}"]),
        url=context.workspace.job_address(identity),
    )
    if not runs:
        return job
    started = datetime.fromtimestamp(runs[0].started, UTC)
    changes = {"last_run": runs[0].state, "run_url": runs[0].url, "started": started}
    return job.model_copy(update=changes)


def _out_of_band_change(ledger: Ledger, names: Sequence[EventName], state: State) -> str:
    """The sign of a deploy outside delivery: a state that is newer than the last event."""
    kinds = ("deployed", "rolled_back", "adopted", "verified", "failed", "started")
    writing = [name for name in names if name.kind in kinds]
    if not writing or not state.content:
        return ""
    last = ledger.read(writing[-1])
    known = last.state.serial
    if known and state.serial != known and last.kind != "started":
        return f"the state has serial {state.serial}, but the last event recorded {known}"
    return ""


def commit_url(project: str, forge: str, commit: str) -> str:
    """The address of a commit on its forge; empty if the project's address or forge is unknown."""
    middle = {"github": "/commit/", "gitlab": "/-/commit/"}.get(forge, "")
    return f"{project.rstrip('/')}{middle}{commit}" if project and commit and middle else ""
