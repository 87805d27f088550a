"""What runs where: one target's standing, its health, and how it is delivered to."""

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel

from delivery.ledger import NO_RELEASE, Event, Ledger, Name, Standing
from delivery.release import ID
from delivery.site import Site
from delivery.store import State

WINDOW = timedelta(days=90)
_FOLDER = re.compile(rf"/releases/({ID.pattern})/")
_AT_ONCE = 8  # calls in flight when many events are read

Sync = Literal["in sync", "drifted", "mixed", "not deployed", "unknown"]
Health = Literal["verified", "not verified", "failed", "unknown"]


class JobStatus(BaseModel):
    """A job of the target, and how its last run ended."""

    key: str
    release: str
    url: str
    last_run: str = "none"
    run_url: str = ""
    started: datetime | None = None


class Dora(BaseModel):
    """How well a target is delivered to, over the last 90 days, with the counts behind it."""

    deployments: int = 0
    failed: int = 0
    per_week: float = 0
    failure_rate: float | None = None
    lead_hours: float | None = None
    restore_hours: float | None = None
    lead_of: int = 0
    restore_of: int = 0


class Status(BaseModel):
    """One target, as it stands."""

    target: str
    host: str
    url: str = ""
    release: str = ""
    commit: str = ""
    branch: str = ""
    since: datetime | None = None
    actor: str = ""
    approved_by: str = ""
    run_url: str = ""
    health: Health = "unknown"
    sync: Sync = "unknown"
    mixed: str = ""
    drifted: list[str] = []
    jobs: list[JobStatus] = []
    retained: list[str] = []
    blocked: dict[str, str] = {}
    orphans: list[str] = []
    lock: str = ""
    unfinished: str = ""
    unexplained: str = ""
    previous: str = ""
    dora: Dora = Dora()
    at: datetime


def read_status(site: Site) -> tuple[Status, int]:
    """What a target is like now, but for drift; and how many entries its state has."""
    site.store.check_marker()
    names = site.ledger.names()
    standing, state, held = site.ledger.standing(names), site.store.state(), site.ledger.held()
    now = datetime.now(UTC)
    running = site.running(standing)
    mixed = mixed_jobs(state, standing)
    status = Status(
        target=site.target.name,
        host=site.target.host,
        url=site.policy.project.url,
        **_delivery(running),
        health=_health(names, standing),
        sync="mixed" if mixed else "unknown" if standing.running else "not deployed",
        mixed=mixed,
        jobs=_jobs(site, state),
        retained=running.detail.get("retained", []) if running else [],
        blocked={r: site.ledger.read(n).reason for r, n in standing.blocked.items()},
        orphans=[f"{job.name} ({job.id})" for job in site.store.orphans(state)],
        lock=held.told(now) if held else "",
        unfinished=str(standing.unfinished.release) if standing.unfinished else "",
        unexplained=_unexplained(site.ledger, names, state),
        previous=standing.back(site.store.kept()),
        dora=dora(events_since(site.ledger, names, now - WINDOW), now),
        at=now,
    )
    return status, len(state.entries)


def with_drift(status: Status, drifted: list[str]) -> Status:
    """The status of a target about which it is known which resources hands changed."""
    sync: Sync = "mixed" if status.mixed else "drifted" if drifted else "in sync"
    return status.model_copy(update={"drifted": drifted, "sync": sync})


def unseen(target: str, reason: str) -> Status:
    """The status of a target that cannot be seen."""
    return Status(target=target, host="", unexplained=reason, at=datetime.now(UTC))


def history(site: Site, limit: int) -> list[Event]:
    """The newest events, the newest first, with their chain checked.

    Raises:
        DeliveryError: somebody changed the ledger.
    """
    site.store.check_marker()
    names = site.ledger.names()[-limit:]
    _read_all(site.ledger, names)
    site.ledger.verify(names)
    return [site.ledger.read(name) for name in reversed(names)]


def events_since(ledger: Ledger, names: Sequence[Name], start: datetime) -> list[Event]:
    """The deliveries and failures since a time, the oldest first."""
    kinds = ("deployed", "rolled_back", "failed", "verified")
    chosen = [name for name in names if name.kind in kinds]
    found: list[Event] = []
    while chosen:
        block = [chosen.pop() for _ in range(min(4 * _AT_ONCE, len(chosen)))]
        _read_all(ledger, block)
        found += [ledger.read(name) for name in block]
        if found[-1].at < start or len(found) >= _MOST_EVENTS:
            break
    return [event for event in reversed(found) if event.at >= start]


_MOST_EVENTS = 128  # more say nothing more about how a team delivers


def _read_all(ledger: Ledger, names: Sequence[Name]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(ledger.read, names))


def dora(events: Sequence[Event], now: datetime) -> Dora:
    """The four figures: how often, how fast, how often in vain, how long until it works again."""
    deployed = [e for e in events if e.kind == "deployed"]
    failed = [e for e in events if e.kind == "failed" and e.release != NO_RELEASE]
    leads = [(e.at.timestamp() - e.detail["time"]) / 3600 for e in deployed if "time" in e.detail]
    restored = _restored(events)
    weeks = max(1.0, (now - events[0].at) / timedelta(weeks=1)) if events else 1.0
    return Dora(
        deployments=len(deployed),
        failed=len(failed),
        per_week=round(len(deployed) / weeks, 2),
        failure_rate=round(len(failed) / len(deployed), 3) if deployed else None,
        lead_hours=_median(leads),
        restore_hours=_median(restored),
        lead_of=len(leads),
        restore_of=len(restored),
    )


def _restored(events: Sequence[Event]) -> list[float]:
    """Hours from each failure to the next verified delivery."""
    hours, broken = [], None
    for event in events:
        if event.kind == "failed" and event.release != NO_RELEASE:
            broken = broken or event.at
        elif event.kind == "verified" and broken:
            hours.append((event.at - broken) / timedelta(hours=1))
            broken = None
    return hours


def _median(values: Sequence[float]) -> float | None:
    return round(max(0.0, statistics.median(values)), 2) if values else None


def _delivery(event: Event | None) -> dict[str, Any]:
    if event is None:
        return {}
    return {
        "release": event.release,
        "commit": event.commit,
        "branch": event.branch,
        "since": event.at,
        "actor": event.actor,
        "approved_by": event.approved_by,
        "run_url": event.run_url,
    }


def _health(names: Sequence[Name], standing: Standing) -> Health:
    if not names or standing.is_empty:
        return "unknown"
    if standing.verified:
        return "verified"
    return "failed" if names[-1].kind in ("failed", "blocked") else "not verified"


def mixed_jobs(state: State, standing: Standing) -> str:
    """How many jobs run another release than the ledger says; empty when none does."""
    found = Counter(_release_of(entry) for key, entry in state.entries.items() if _is_job(key))
    found.pop("", None)
    others = sum(count for release, count in found.items() if release != standing.running)
    return f"{others} of {found.total()} jobs run another release" if others else ""


def _is_job(key: str) -> bool:
    return key.startswith("jobs.") and key.count(".") == 1


def _release_of(entry: Any) -> str:
    match = _FOLDER.search(str(entry.get("state", "")))
    return match[1] if match else ""


def _jobs(site: Site, state: State) -> list[JobStatus]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda item: _job(site, state, *item), state.ids("jobs").items()))


def _job(site: Site, state: State, key: str, identity: str) -> JobStatus:
    runs = site.workspace.runs(int(identity))
    job = JobStatus(
        key=key,
        release=_release_of(state.entries[f"jobs.{key}"]),
        url=site.workspace.job_address(identity),
    )
    if not runs:
        return job
    started = datetime.fromtimestamp(runs[0].started, UTC)
    changes = {"last_run": runs[0].state, "run_url": runs[0].url, "started": started}
    return job.model_copy(update=changes)


def _unexplained(ledger: Ledger, names: Sequence[Name], state: State) -> str:
    """A state that moved on without an event: somebody deployed past this tool."""
    kinds = ("deployed", "rolled_back", "adopted", "verified", "failed", "started")
    written = [name for name in names if name.kind in kinds]
    if not written or not state.content:
        return ""
    last = ledger.read(written[-1])
    known = last.state.serial
    if known and state.serial != known and last.kind != "started":
        return f"the state has serial {state.serial}, the last event explains {known}"
    return ""


def commit_url(project: str, commit: str) -> str:
    """Where people look at a commit; empty when the project has no address."""
    middle = "/-/commit/" if "gitlab" in project else "/commit/"
    return f"{project.rstrip('/')}{middle}{commit}" if project and commit else ""
