"""What an operation on a target needs: its context, the reason, the approvers and the lock."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from delivery.target.context import Progress, TargetContext
from delivery.target.events import Event, EventKind
from delivery.target.lock import Lock


@dataclass(frozen=True)
class Operation:
    """An operation on one target, requested with a reason.

    Attributes:
        approved_by: who approved the operation, according to the forge.
        wait: how long to wait for the lock, in seconds.
        break_lock: break the lock of another run.
        progress: reports progress to people.
    """

    context: TargetContext
    reason: str
    approved_by: str = ""
    wait: float = 0
    break_lock: bool = False
    progress: Progress = field(default=lambda _: None)

    @property
    def target(self) -> str:
        """The name of the target."""
        return self.context.target.name

    @contextlib.contextmanager
    def locked(self, operation: str, break_lock: bool = False) -> Iterator[Lock]:
        """Hold the target's lock."""
        self.context.require_visible()
        broken = self.break_lock or break_lock
        with self.context.locked(operation, self.wait, broken, self.progress) as lock:
            yield lock

    def record(self, lock: Lock, kind: EventKind, release: str, detail: Any = None) -> Event:
        """Write the event of this operation."""
        given = {"reason": self.reason, "approved_by": self.approved_by, "detail": detail or {}}
        return self.context.ledger.append(lock, kind, release, **given)
