"""Reads the state of a target once, before a plan is made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from delivery.config.policy import Terms
from delivery.target.context import TargetContext
from delivery.target.events import Event, EventName
from delivery.target.history import ReleaseHistory
from delivery.target.store import State
from delivery.workspace.client import Job


@dataclass(frozen=True)
class Adoption:
    """A resource that was adopted on its own: a person made it, or it got another key.

    Attributes:
        seq: the number of the event.
        earlier: the key that it had before; empty if a person made it.
    """

    seq: int
    key: str
    id: str
    earlier: str


@dataclass(frozen=True)
class TargetSnapshot:
    """A target at one moment. Plain data: decisions are functions of it.

    Attributes:
        me: the identity that reads it.
        events: the names of all events.
        running: the event that delivered the running release; None if there is none.
        terms: what the running release's policy demands; None if there is none.
        state: the CLI's state.
        unsaved: the write-ahead log of an interrupted CLI on this machine.
        jobs: all jobs of the workspace.
        adoptions: the oldest first.
        block_reason: why the release of the plan is blocked here; empty if it is not.
        verified_digest: the digest that was verified here under the release's name; empty if none.
    """

    me: str
    events: Sequence[EventName]
    history: ReleaseHistory
    running: Event | None
    terms: Terms | None
    state: State
    unsaved: bytes
    jobs: Sequence[Job]
    adoptions: Sequence[Adoption]
    block_reason: str
    verified_digest: str

    def detail(self, name: str) -> Sequence[str]:
        """A list in the detail of the event that delivered the running release."""
        found: Sequence[str] = self.running.detail.get(name, []) if self.running else []
        return found


def read_snapshot(context: TargetContext, release: str, unsaved: bytes) -> TargetSnapshot:
    """Read a target, for a plan of one release.

    Args:
        unsaved: see `TargetSnapshot`.

    Raises:
        DeliveryError: the target is not visible to this identity, was tampered with, or was
            last deployed by a newer version.
    """
    ledger, events = context.ledger, context.ledger.list_events()
    history = ledger.history(events)
    running = context.running_event(history)
    policy = running.detail.get("policy") if running else None
    blocked = history.blocked.get(release)
    verified = [name for name in events if (name.kind, name.release) == ("verified", release)]
    return TargetSnapshot(
        me=context.workspace.me,
        events=events,
        history=history,
        running=running,
        terms=Terms.read(policy, history.running) if policy else None,
        state=context.state(history),
        unsaved=unsaved,
        jobs=list(context.workspace.jobs()),
        adoptions=list(_adoptions(context, events)),
        block_reason=ledger.read(blocked).reason if blocked else "",
        verified_digest=ledger.read(verified[-1]).digest if verified else "",
    )


def _adoptions(context: TargetContext, events: Sequence[EventName]) -> Iterator[Adoption]:
    for name in events:
        detail = context.ledger.read(name).detail if name.kind == "adopted" else {}
        if "key" in detail and not detail.get("ours"):
            earlier = str(detail.get("from", ""))
            yield Adoption(name.seq, str(detail["key"]), str(detail["id"]), earlier)
