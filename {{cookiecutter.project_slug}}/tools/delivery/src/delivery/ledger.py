"""What happened on a target: numbered, chained events in the workspace, never changed again."""

import contextlib
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from delivery import __version__
from delivery.errors import DeliveryError, Exit
from delivery.release.manifest import sha256
from delivery.target import Target
from delivery.workspace import Workspace

Kind = Literal[
    "started",
    "deployed",
    "verified",
    "failed",
    "rolled_back",
    "blocked",
    "unblocked",
    "pruned",
    "adopted",
]

SCHEMA = 1
NO_RELEASE = "none"  # what stands for the release in events that are about the target
_NAME = re.compile(r"(\d{8})-([a-z_]+)-(\d{4}\.\d\d\.\d\d-g[0-9a-f]{8}|none)\.json")
_VANISHING = 2.0  # seconds in which a lock may come and go between two looks
_START = "0" * 64  # the digest before the first event


class _Frozen(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True
    )


class StateOf(_Frozen):
    """The CLI's state as it was when an event was written."""

    lineage: str = ""
    serial: int = 0


class Event(_Frozen):
    """One thing that happened; `previous` is the sha256 of the event before."""

    schema_: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)] = SCHEMA
    seq: int
    previous: str
    id: str
    at: datetime
    kind: Kind
    project: str
    target: str
    release: str
    digest: str = ""
    plan_digest: str = ""
    commit: str = ""
    branch: str = ""
    actor: str
    approved_by: str = ""
    run_url: str = ""
    reason: str = ""
    cli_version: str = ""
    tool_version: str = __version__
    state: StateOf = StateOf()
    changes: dict[str, int] = {}
    seconds: float = 0
    detail: dict[str, Any] = {}

    def content(self) -> bytes:
        """The event as it is stored, nothing sorted: the targets of its policy have an order."""
        return f"{json.dumps(self.model_dump(mode='json'), indent=1)}\n".encode()


@dataclass(frozen=True, order=True)
class Name:
    """What an event's file name says: enough for most questions."""

    seq: int
    kind: str
    release: str

    def __str__(self) -> str:
        return f"{self.seq:08d}-{self.kind}-{self.release}.json"


@dataclass
class Standing:
    """What the names of all events say of a target.

    Attributes:
        is_empty: nothing ever happened.
        running: the release that was delivered last; empty when none was.
        delivered: the event that delivered it.
        verified: whether it was verified since.
        unfinished: a delivery that began and of which no end is known.
        begun: the release of the last delivery that began and was not verified since.
        failed: a delivery failed, and none was verified since.
        good: releases that were verified, in the order in which they were verified first.
        trail: the good ones that lead to what runs; going back takes those off that it leaves.
        explained: something was made here by this tool.
        blocked: releases that may not be delivered.
    """

    is_empty: bool = True
    running: str = ""
    delivered: Name | None = None
    verified: bool = False
    unfinished: Name | None = None
    begun: str = ""
    failed: bool = False
    good: list[str] = field(default_factory=list)
    trail: list[str] = field(default_factory=list)
    blocked: dict[str, Name] = field(default_factory=dict)
    explained: bool = False

    def take(self, name: Name) -> None:
        """Count one more event in."""
        self.is_empty = False
        self.explained |= name.kind in ("started", "deployed", "rolled_back", "adopted")
        if name.kind == "started":
            self.unfinished, self.begun = name, name.release
        elif name.kind in ("deployed", "rolled_back"):
            self.running, self.delivered, self.verified = name.release, name, False
            self.unfinished = None
        elif name.kind == "verified" and name.release == self.running:
            self._verify(name.release)
        elif name.kind == "failed":
            self.unfinished, self.failed = None, name.release != NO_RELEASE or self.failed
        elif name.kind == "blocked":
            self.blocked[name.release] = name
            self._end(name.release)
        elif name.kind == "unblocked":
            self.blocked.pop(name.release, None)

    def _verify(self, release: str) -> None:
        """Go on from what was verified: what lies behind it on the trail was left for good."""
        self.verified, self.begun, self.failed = True, "", False
        self.good = [*dict.fromkeys([*self.good, release])]
        self.trail = [*self.before(release), release]

    def _end(self, release: str) -> None:
        """A release that is blocked before it was delivered is no attempt any more."""
        if self.begun == release != self.running:
            self.unfinished, self.begun = None, ""

    def before(self, release: str) -> list[str]:
        """The trail as it was before a release: all of it, where the release is not on it."""
        known = release in self.trail
        return self.trail[: self.trail.index(release)] if known else self.trail

    def behind(self, release: str) -> list[str]:
        """What going back to a release leaves: what came after it, and what was begun."""
        after = self.trail[len(self.before(release)) + 1 :]
        left = [*after, self.running, self.begun]
        return [r for r in dict.fromkeys(left) if r and r != release]

    def back(self, kept: Container[str]) -> str:
        """The release to go back to; empty when there is none.

        What runs is meant where another release was begun over it and came to nothing, or where
        the way back to it was cut off.

        Args:
            kept: the releases that the target still has.
        """
        shaken = self.verified and (self.failed or self.begun not in ("", self.running))
        cut_off = self.delivered and self.delivered.kind == "rolled_back" and not self.verified
        known = [*self.before(self.running), *([self.running] if shaken or cut_off else [])]
        usable = (r for r in reversed(known) if r not in self.blocked and r in kept)
        return next(usable, "")


@dataclass(frozen=True)
class Lock:
    """Who works on a target; only they write events."""

    id: str
    actor: str
    run_url: str
    at: datetime
    what: str

    def content(self) -> bytes:
        """The lock as it is stored."""
        told = {**self.__dict__, "at": self.at.isoformat()}
        return json.dumps(told, indent=1, sort_keys=True).encode()

    def told(self, now: datetime) -> str:
        """Who has it and since when."""
        minutes = max(0, int((now - self.at).total_seconds() // 60))
        where = f", {self.run_url}" if self.run_url else ""
        return (
            f"{self.actor}, {self.what}, since {self.at:%Y-%m-%d %H:%M} UTC ({minutes} min){where}"
        )


class Ledger:
    """The events of one target."""

    def __init__(self, workspace: Workspace, target: Target) -> None:
        self.workspace = workspace
        self.target = target
        self.folder = f"{target.root}/ledger"
        self._lock = f"{self.folder}/lock.json"
        self._bodies: dict[Name, bytes] = {}

    def names(self) -> list[Name]:
        """All events in their order, by one listing.

        Raises:
            DeliveryError: there is a gap, or a number twice: somebody removed or added events.
        """
        entries = self.workspace.entries(self.folder)
        found = [m for e in entries if (m := _NAME.fullmatch(e.name))]
        names = sorted(Name(int(m[1]), m[2], m[3]) for m in found)
        for expected, name in enumerate(names, start=1):
            if name.seq != expected:
                raise self._tampered(f"given event {name.seq}, expected {expected}")
        return names

    def written(self, event: Event | Name) -> float:
        """When an event was written, by the workspace's clock, as Unix time in seconds.

        Where the workspace does not tell, it was never: nothing is taken for younger than it.
        """
        name = str(Name(event.seq, event.kind, event.release))
        entries = self.workspace.entries(self.folder)
        return next((entry.created for entry in entries if entry.name == name), float("inf"))

    def standing(self, names: Sequence[Name] | None = None) -> Standing:
        """What the target's events amount to."""
        standing = Standing()
        for name in self.names() if names is None else names:
            standing.take(name)
        return standing

    def read(self, name: Name) -> Event:
        """An event's body.

        Raises:
            DeliveryError: it is not what its name says, or of a newer form than this tool knows.
        """
        content = self._body(name)
        try:
            document = json.loads(content)
            if document.get("schema", 0) > SCHEMA:
                raise DeliveryError(
                    f"ledger of {self.target.name}: event {name.seq} has schema "
                    f"{document['schema']}, expected at most {SCHEMA}: update the delivery tool"
                )
            event = Event.model_validate(document)
        except (ValueError, TypeError, ValidationError, AttributeError, RecursionError):
            raise self._tampered(f"event {name.seq} is no event") from None
        if (event.seq, event.kind, event.release) != (name.seq, name.kind, name.release):
            raise self._tampered(f"event {name.seq} says it is {event.seq}, {event.kind}")
        if (event.project, event.target) != (self.target.project, self.target.name):
            raise self._tampered(f"event {name.seq} belongs to another project or target")
        return event

    def verify(self, names: Sequence[Name]) -> None:
        """Check that each event is chained to the one before.

        Raises:
            DeliveryError: one is not.
        """
        before = _START
        if names and names[0].seq > 1:
            before = sha256(self._body(Name(*self._at(names[0].seq - 1))))
        for name in names:
            if self.read(name).previous != before:
                raise self._tampered(f"event {name.seq} does not follow the one before")
            before = sha256(self._body(name))

    def append(self, lock: Lock, kind: Kind, release: str, **fields: Any) -> Event:
        """Write the next event.

        Raises:
            DeliveryError: the lock was broken meanwhile.
        """
        if self.workspace.read(self._lock) != lock.content():
            raise DeliveryError(f"lock of {self.target.name}: it was taken from us", Exit.FAILED)
        names = self.names()
        event = Event(
            seq=len(names) + 1,
            previous=sha256(self._body(names[-1])) if names else _START,
            id=str(uuid.uuid4()),
            at=datetime.now(UTC),
            kind=kind,
            project=self.target.project,
            target=self.target.name,
            release=release or NO_RELEASE,
            actor=lock.actor,
            run_url=lock.run_url,
            **fields,
        )
        name = Name(event.seq, kind, event.release)
        if not self.workspace.create(f"{self.folder}/{name}", event.content()):
            raise DeliveryError(f"ledger: event {event.seq} was written by another", Exit.FAILED)
        self._bodies[name] = event.content()
        return event

    def held(self) -> Lock | None:
        """The lock as it is now; None when nobody has it."""
        content = self.workspace.read(self._lock)
        if content is None:
            return None
        try:
            told = json.loads(content)
            at = datetime.fromisoformat(told["at"])
            return Lock(**{**told, "at": at if at.tzinfo else at.replace(tzinfo=UTC)})
        except (ValueError, KeyError, TypeError):
            return Lock("", "somebody", "", datetime.fromtimestamp(0, UTC), "an unreadable lock")

    @contextlib.contextmanager
    def lock(
        self,
        what: str,
        wait: float = 0,
        broken: bool = False,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> Iterator[Lock]:
        """Have the target alone.

        Args:
            what: what for, such as `deploy 2026.11.23-g3f2a9c10`.
            wait: how long to wait for it, in seconds.
            broken: take it away from whoever has it.
            waiting: is told who has it while we wait.

        Raises:
            DeliveryError: another has it.
        """
        lock = Lock(str(uuid.uuid4()), actor(self.workspace), run_url(), _now(), what)
        if broken:
            self.workspace.delete(self._lock)
        self._take(lock, wait, waiting)
        try:
            yield lock
        finally:
            if self.workspace.read(self._lock) == lock.content():
                self.workspace.delete(self._lock)

    def _take(self, lock: Lock, wait: float, waiting: Callable[[str], None]) -> None:
        end = time.monotonic() + wait
        while not self.workspace.create(self._lock, lock.content()):
            held = self.held()
            if held and time.monotonic() >= end:
                raise DeliveryError(
                    f"lock of {self.target.name}: {held.told(_now())} works on it\n"
                    "    Wait for it with --wait 30m. If that run is gone for good: "
                    "--break-lock --reason …",
                    Exit.REFUSED,
                )
            if held:
                waiting(held.told(_now()))
            elif time.monotonic() >= end + _VANISHING:
                raise DeliveryError(
                    f"lock of {self.target.name}: {self._lock} can be neither written nor read\n"
                    "    Ask for the right to write to this folder.",
                    Exit.FAILED,
                )
            time.sleep(min(5.0, max(0.1, end - time.monotonic())))

    def _body(self, name: Name) -> bytes:
        if name not in self._bodies:
            content = self.workspace.read(f"{self.folder}/{name}")
            if content is None:
                raise self._tampered(f"event {name.seq} cannot be read")
            self._bodies[name] = content
        return self._bodies[name]

    def _at(self, seq: int) -> tuple[int, str, str]:
        name = self.names()[seq - 1]
        return name.seq, name.kind, name.release

    def _tampered(self, reason: str) -> DeliveryError:
        mend = f"Somebody changed {self.folder}: ask a workspace admin for its history."
        return DeliveryError(f"ledger of {self.target.name}: {reason}\n    {mend}", Exit.REFUSED)


def actor(workspace: Workspace) -> str:
    """Who caused this: the people that the pipeline names, else whoever we are.

    On GitHub a run keeps the name of whoever started it first, whoever starts it again.
    """
    named = (os.environ.get(v) for v in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN"))
    first = next(filter(None, named), None) or workspace.me
    again = os.environ.get("GITHUB_TRIGGERING_ACTOR") or first
    return first if again == first else f"{first}, started again by {again}"


def run_url() -> str:
    """The pipeline's run; empty outside of one."""
    server, repository, run = (
        os.environ.get(v, "") for v in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    if run:
        return f"{server}/{repository}/actions/runs/{run}"
    return os.environ.get("CI_JOB_URL", "")


def _now() -> datetime:
    return datetime.now(UTC)
