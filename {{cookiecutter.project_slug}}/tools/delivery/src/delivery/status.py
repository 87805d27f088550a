"""What runs where: one target's standing, its health, and how it is delivered to."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel

from delivery.forge import kind_of
from delivery.ledger import NO_RELEASE, Event, Ledger, Name, Standing
from delivery.release import ID
from delivery.site import Site
from delivery.store import State

WINDOW = timedelta(days=90)
_FOLDER = re.compile(rf"/releases/({ID.pattern})/")
_AT_ONCE = 8  # calls in flight when many events are read

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


class Dora(BaseModel):
    """How well a target is delivered to, with the counts behind it.

    Attributes:
        days: how many days were looked at, at most 90; 0 when none was.
        deployments: deliveries that ended, those that failed among them.
    """

    days: int = 0
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
    at: AwareDatetime


def read_status(site: Site) -> tuple[Status, int]:
    """What a target is like now, but for drift; and how many entries its state has."""
    site.check_seen()
    names = site.ledger.names()
    standing = site.ledger.standing(names)
    state, held = site.state(standing), site.ledger.held()
    now = datetime.now(UTC)
    running = site.running(standing)
    mixed = mixed_jobs(state, standing)
    status = Status(
        target=site.target.name,
        host=site.target.host,
        url=site.policy.project.url,
        forge=kind_of(site.policy.project),
        **_delivery(running),
        health=_health(standing),
        sync="mixed" if mixed else "unknown" if standing.running else "not deployed",
        mixed=mixed,
        jobs=_jobs(site, state),
        retained=running.detail.get("retained", []) if running else [],
        blocked={r: site.ledger.read(n).reason for r, n in standing.blocked.items()},
        orphans=[f"{job.name} ({job.id})" for job in site.store.orphans(state)],
        lock=held.told(now) if held else "",
        unfinished=_unfinished(site, standing),
        unexplained=_unexplained(site.ledger, names, state),
        previous=standing.back(site.store.kept()),
        dora=dora(site.ledger, names, now),
        at=now,
    )
    return status, len(state.entries)


def with_drift(status: Status, drifted: list[str]) -> Status:
    """The status of a target about which it is known which resources hands changed."""
    mixed = status.mixed or status.unfinished
    sync: Sync = "mixed" if mixed else "drifted" if drifted else "in sync"
    return status.model_copy(update={"drifted": drifted, "sync": sync})


def unseen(target: str, reason: str) -> Status:
    """The status of a target that cannot be seen."""
    return Status(target=target, host="", unexplained=reason, at=datetime.now(UTC))


def history(site: Site, limit: int) -> list[Event]:
    """The newest events, the newest first, with their chain checked.

    Raises:
        DeliveryError: somebody changed the ledger.
    """
    site.check_seen()
    names = site.ledger.names()[-limit:]
    _read_all(site.ledger, names)
    site.ledger.verify(names)
    return [site.ledger.read(name) for name in reversed(names)]


def _read_all(ledger: Ledger, names: Sequence[Name]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(ledger.read, names))


def dora(ledger: Ledger, names: Sequence[Name], now: datetime) -> Dora:
    """The four figures: how often, how fast, how often in vain, how long until it works again."""
    looked_at, days = _looked_at(ledger, names, now)
    walk = _Walk(ledger)
    for name in looked_at:
        walk.take(name)
    total, failed = len(walk.tries), sum(one.failed for one in walk.tries)
    return Dora(
        days=days,
        deployments=total,
        failed=failed,
        per_week=round(total * 7 / days, 2),
        failure_rate=round(failed / total, 3) if total else None,
        lead_hours=_median(walk.leads),
        restore_hours=_median(walk.restored),
        lead_of=len(walk.leads),
        restore_of=len(walk.restored),
    )


_MOST_EVENTS = 128  # bodies that are read: what is older is not counted, and the days say so


def _looked_at(ledger: Ledger, names: Sequence[Name], now: datetime) -> tuple[list[Name], int]:
    """The events of the last 90 days, as far as they can be read in a moment; and those days."""
    left, first = list(_telling(names)), len(names) + 1
    oldest, read = now, 0
    while left and read < _MOST_EVENTS:
        block = [left.pop() for _ in range(min(2 * _AT_ONCE, len(left)))]
        _read_all(ledger, block)
        read += len(block)
        for name in block:
            at = ledger.read(name).at
            if at < now - WINDOW:
                return [n for n in names if n.seq >= first], WINDOW.days
            oldest, first = at, name.seq
    days = math.ceil((now - oldest) / timedelta(days=1))
    return [n for n in names if n.seq >= first or not left], max(1 if left else 7, days)


def _telling(names: Sequence[Name]) -> Iterator[Name]:
    """The events whose bodies are needed: of a start its name says enough."""
    broken = False
    for name in names:
        broken = broken or name.kind in ("failed", "rolled_back")
        if name.kind in ("deployed", "failed", "rolled_back"):
            yield name
        elif name.kind == "verified" and broken:
            broken = False
            yield name


@dataclass
class _Try:
    """A release that was delivered, or that failed before it was."""

    release: str
    failed: bool = False


@dataclass
class _Walk:
    """The events in their order, and what they say of how a team delivers.

    Attributes:
        begun: releases of which a delivery began and no end is known.
        runs: what was delivered last; None where that was before the events that are looked at.
        broken: since when it does not work.
    """

    ledger: Ledger
    tries: list[_Try] = field(default_factory=list)
    leads: list[float] = field(default_factory=list)
    restored: list[float] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    runs: _Try | None = None
    broken: datetime | None = None

    def take(self, name: Name) -> None:
        """Count one more event in."""
        if name.kind == "started":
            self.begun.append(name.release)
        elif name.kind == "deployed":
            self._deployed(self.ledger.read(name))
        elif name.kind == "failed" and name.release != NO_RELEASE:
            self._failed(self.ledger.read(name))
        elif name.kind == "rolled_back":
            self._rolled_back(self.ledger.read(name))
        elif name.kind == "verified" and self.broken:
            self.restored.append((self.ledger.read(name).at - self.broken) / timedelta(hours=1))
            self.broken = None

    def _deployed(self, event: Event) -> None:
        self.runs = self._tried(event.release)
        if "time" in event.detail:
            self.leads.append((event.at.timestamp() - event.detail["time"]) / 3600)

    def _failed(self, event: Event) -> None:
        """One that was never delivered counts as a delivery, too; a way back is no change."""
        if event.detail.get("back"):
            self.begun.clear()
            return
        failed = self._tried(event.release) if self.begun or not self.runs else self.runs
        failed.failed = True
        self.broken = self.broken or event.at

    def _rolled_back(self, event: Event) -> None:
        """By hand, when nothing said that it failed: then the release that was left failed."""
        left = next((r for r in reversed(self.begun) if r != event.release), "")
        if not self.broken:
            failed = self._tried(left) if left else self.runs
            if failed is None or failed.release != event.release:
                self.broken = event.at
            if failed and self.broken:
                failed.failed = True
        self.begun.clear()
        tries = (one for one in reversed(self.tries) if one.release == event.release)
        self.runs = next(tries, None)

    def _tried(self, release: str) -> _Try:
        self.begun.clear()
        self.tries.append(_Try(release))
        return self.tries[-1]


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


def _health(standing: Standing) -> Health:
    if standing.is_empty:
        return "unknown"
    if standing.verified:
        return "verified"
    return "failed" if standing.failed else "not verified"


def _unfinished(site: Site, standing: Standing) -> str:
    """A deploy of which no end is known, and what to do about it; empty where there is none."""
    if standing.unfinished is None:
        return ""
    begun, target = site.ledger.read(standing.unfinished), site.target.name
    return (
        f"deploy of {begun.release}, begun {begun.at:%Y-%m-%d %H:%M} UTC by {begun.actor}; to end "
        f"it: delivery deploy {target}, to go back: delivery rollback {target} --reason …"
    )


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


def commit_url(project: str, forge: str, commit: str) -> str:
    """Where people look at a commit; empty when the project has no address, or no known forge."""
    middle = {"github": "/commit/", "gitlab": "/-/commit/"}.get(forge, "")
    return f"{project.rstrip('/')}{middle}{commit}" if project and commit and middle else ""
