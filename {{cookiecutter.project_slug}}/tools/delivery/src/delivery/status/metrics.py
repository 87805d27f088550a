"""Delivery metrics of a target: the four DORA figures."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import BaseModel

from delivery.target.events import NO_RELEASE, Event, EventName
from delivery.target.ledger import Ledger

WINDOW = timedelta(days=90)
_MOST_EVENTS = 128  # bodies to read at most; `Dora.days` says how far back that reaches
_BLOCK = 16  # events to read at the same time


class Dora(BaseModel):
    """The four DORA figures, and the counts behind them.

    Attributes:
        days: the number of days that were examined, at most 90; 0 if the target is unreachable.
        deployments: all deployments, including failed ones.
        lead_hours, restore_hours: lead time for changes and time to restore, as medians.
        lead_of, restore_of: how many deployments and failures these medians are of.
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


def dora(ledger: Ledger, names: Sequence[EventName], now: datetime) -> Dora:
    """Deployment frequency, lead time for changes, change failure rate and time to restore."""
    examined, days = _examined(ledger, names, now)
    fold = _DeploymentFold(ledger)
    for name in examined:
        fold.apply(name)
    total, failed = len(fold.attempts), sum(attempt.failed for attempt in fold.attempts)
    return Dora(
        days=days,
        deployments=total,
        failed=failed,
        per_week=round(total * 7 / days, 2),
        failure_rate=round(failed / total, 3) if total else None,
        lead_hours=_median(fold.lead_hours),
        restore_hours=_median(fold.restore_hours),
        lead_of=len(fold.lead_hours),
        restore_of=len(fold.restore_hours),
    )


def _examined(
    ledger: Ledger, names: Sequence[EventName], now: datetime
) -> tuple[list[EventName], int]:
    """The events of the last 90 days, or as many as may be read, and the number of days."""
    left, first = list(_needed(names)), len(names) + 1
    oldest, read = now, 0
    while left and read < _MOST_EVENTS:
        block = [left.pop() for _ in range(min(_BLOCK, len(left)))]
        ledger.read_all(block)
        read += len(block)
        for name in block:
            at = ledger.read(name).at
            if at < now - WINDOW:
                return [n for n in names if n.seq >= first], WINDOW.days
            oldest, first = at, name.seq
    days = math.ceil((now - oldest) / timedelta(days=1))
    return [n for n in names if n.seq >= first or not left], max(1 if left else 7, days)


def _needed(names: Sequence[EventName]) -> Iterator[EventName]:
    """The events whose bodies are needed; for the others the name is enough."""
    broken = False
    for name in names:
        broken = broken or name.kind in ("failed", "rolled_back")
        if name.kind in ("deployed", "failed", "rolled_back"):
            yield name
        elif name.kind == "verified" and broken:
            broken = False
            yield name


@dataclass
class _Attempt:
    """A release that was deployed, or whose deploy failed."""

    release: str
    failed: bool = False


@dataclass
class _DeploymentFold:
    """Folds events, in their order, into deployments, lead times and times to restore.

    Attributes:
        started: releases whose deploy was started and has not ended.
        running: the attempt that runs; None if it is older than the examined events.
        broken_since: when the target stopped working; None while it works.
    """

    ledger: Ledger
    attempts: list[_Attempt] = field(default_factory=list)
    lead_hours: list[float] = field(default_factory=list)
    restore_hours: list[float] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    running: _Attempt | None = None
    broken_since: datetime | None = None

    def apply(self, name: EventName) -> None:
        """Count one more event."""
        if name.kind == "started":
            self.started.append(name.release)
        elif name.kind == "deployed":
            self._deployed(self.ledger.read(name))
        elif name.kind == "failed" and name.release != NO_RELEASE:
            self._failed(self.ledger.read(name))
        elif name.kind == "rolled_back":
            self._rolled_back(self.ledger.read(name))
        elif name.kind == "verified" and self.broken_since:
            restored = self.ledger.read(name).at - self.broken_since
            self.restore_hours.append(restored / timedelta(hours=1))
            self.broken_since = None

    def _deployed(self, event: Event) -> None:
        self.running = self._attempt(event.release)
        if "time" in event.detail:
            self.lead_hours.append((event.at.timestamp() - event.detail["time"]) / 3600)

    def _failed(self, event: Event) -> None:
        """A deploy that failed counts as a deployment; a failed rollback is not a change."""
        if event.detail.get("back"):
            self.started.clear()
            return
        failed = self._attempt(event.release) if self.started or not self.running else self.running
        failed.failed = True
        self.broken_since = self.broken_since or event.at

    def _rolled_back(self, event: Event) -> None:
        """A rollback without an earlier failure means that the abandoned release failed."""
        abandoned = next((r for r in reversed(self.started) if r != event.release), "")
        if not self.broken_since:
            failed = self._attempt(abandoned) if abandoned else self.running
            if failed is None or failed.release != event.release:
                self.broken_since = event.at
            if failed and self.broken_since:
                failed.failed = True
        self.started.clear()
        earlier = (a for a in reversed(self.attempts) if a.release == event.release)
        self.running = next(earlier, None)

    def _attempt(self, release: str) -> _Attempt:
        self.started.clear()
        self.attempts.append(_Attempt(release))
        return self.attempts[-1]


def _median(values: Sequence[float]) -> float | None:
    return round(max(0.0, statistics.median(values)), 2) if values else None
