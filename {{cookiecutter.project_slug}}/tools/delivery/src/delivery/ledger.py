"""What happened on a target: numbered, chained events in the workspace, never changed again.

The number alone says where an event lies: the first 999 in the ledger's folder itself, each further
thousand in a folder of its own, such as `ledger/00001000`. No clock decides, so all writers of a
number meet in one folder; and no folder comes near the 10,000 entries that a workspace takes.
Events that an earlier version left elsewhere are read where they are.
"""

import contextlib
import json
import re
import time
import uuid
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from delivery import __version__
from delivery.environment import text
from delivery.errors import DeliveryError, Exit, NoAccessError, newer
from delivery.release.manifest import sha256
from delivery.target import Target
from delivery.workspace import Entry, Workspace

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
_FOLDER = re.compile(r"\d{8}")
_PER_FOLDER = 1000  # events of one folder; the states beside them double its entries
_AT_ONCE = 8  # folders that are listed at the same time
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
    kind: str
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

    @classmethod
    def parse(cls, content: bytes, where: str = "") -> "Event":
        """Read an event; fields of a later version are ignored, its schema number is judged.

        Args:
            where: what messages begin with.

        Raises:
            DeliveryError: the event has a newer schema than this tool knows.
            ValueError: the content is no event.
        """
        try:
            document = json.loads(content)
            schema = document.get("schema", SCHEMA)
            if isinstance(schema, int) and schema > SCHEMA:
                raise newer(f"{where}event {document.get('seq')}", schema, SCHEMA)
            return cls.model_validate(document, extra="ignore")
        except (AttributeError, TypeError, RecursionError) as error:
            raise ValueError(str(error)) from None


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

    @classmethod
    def parse(cls, content: bytes) -> "Lock":
        """Read a lock; whatever stands there, somebody has it."""
        known = {field.name for field in fields(cls)}
        try:
            told: dict[str, Any] = {k: v for k, v in json.loads(content).items() if k in known}
            at = datetime.fromisoformat(told["at"])
            return cls(**{**told, "at": at if at.tzinfo else at.replace(tzinfo=UTC)})
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls("", "somebody", "", datetime.fromtimestamp(0, UTC), "an unreadable lock")

    def told(self, now: datetime) -> str:
        """Who has it and since when."""
        minutes = max(0, int((now - self.at).total_seconds() // 60))
        where = f", {self.run_url}" if self.run_url else ""
        return (
            f"{self.actor}, {self.what}, since {self.at:%Y-%m-%d %H:%M} UTC ({minutes} min){where}"
        )


class TamperedError(DeliveryError):
    """Somebody changed the ledger: what it says cannot be trusted."""


class Ledger:
    """The events of one target.

    Attributes:
        is_new: nothing was ever delivered, so there may be no ledger yet. Otherwise a ledger that
            is not there cannot be seen.
    """

    def __init__(self, workspace: Workspace, target: Target) -> None:
        self.workspace = workspace
        self.target = target
        self.folder = f"{target.root}/ledger"
        self.is_new = False
        self._lock = f"{self.folder}/lock.json"
        self._bodies: dict[Name, bytes] = {}
        self._events: dict[Name, Event] = {}
        self._known: dict[int, Name] = {}
        self._places: dict[Name, Entry] = {}

    def names(self) -> list[Name]:
        """All events in their order: one listing, and one for each further thousand.

        Raises:
            NoAccessError: there is no ledger that we may see.
            TamperedError: there is a gap, or a number twice: somebody removed or added events.
        """
        entries = self.workspace.listed(self.folder)
        if entries is None and not self.is_new:
            raise NoAccessError(
                f"target {self.target.name}: cannot be seen: no ledger in {self.target.root} of "
                f"{self.target.host}\n    Ask for the right to read {self.folder}. If nothing was "
                f"ever delivered there: delivery deploy {self.target.name} --first"
            )
        folders = [e.path for e in entries or [] if _FOLDER.fullmatch(e.name)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            listings = [entries or [], *pool.map(self.workspace.entries, folders)]
        self._places = {name: entry for one in listings for name, entry in _events(one)}
        names = sorted(self._places)
        for expected, name in enumerate(names, start=1):
            if name.seq != expected:
                raise self._tampered(f"given event {name.seq}, expected {expected}")
        self._known = {name.seq: name for name in names}
        return names

    def under_way(self) -> Callable[[float], bool]:
        """Tells of a moment whether a delivery was under way, by the workspace's own clock.

        One whose lock was broken may go on: its CLI ends by itself.
        """
        names = {name: self._places[name].created for name in self.names()}

        def during(moment: float) -> bool:
            for name in reversed([name for name, created in names.items() if created <= moment]):
                if name.kind == "started":
                    return True
                if name.kind in ("deployed", "rolled_back", "verified"):
                    return False
                if name.kind == "failed" and "lock" not in self.read(name).detail:
                    return False
            return False

        return during

    def written(self, event: Event | Name) -> float:
        """When an event was written, by the workspace's clock, as Unix time in seconds.

        Where the workspace does not tell, it was never: nothing is taken for younger than it.
        """
        self.names()
        known = self._places.get(Name(event.seq, event.kind, event.release))
        return known.created if known else float("inf")

    def standing(self, names: Sequence[Name] | None = None) -> Standing:
        """What the target's events amount to."""
        standing = Standing()
        for name in self.names() if names is None else names:
            standing.take(name)
        return standing

    def read(self, name: Name) -> Event:
        """An event's body, as the event after it confirms it.

        Raises:
            TamperedError: it was edited, or is not what its name says.
            DeliveryError: it is of a newer form than this tool knows.
        """
        event, after = self._read(name), self._known.get(name.seq + 1)
        if after and self._read(after).previous != sha256(self._body(name)):
            raise self._tampered(f"event {name.seq} was edited: event {after.seq} has its digest")
        return event

    def verify(self, names: Sequence[Name]) -> None:
        """Check that each event is chained to the one before.

        Raises:
            TamperedError: one is not.
        """
        before = _START
        if names and names[0].seq > 1:
            before = sha256(self._body(self.names()[names[0].seq - 2]))
        for name in names:
            if self._read(name).previous != before:
                raise self._tampered(f"event {name.seq} does not follow the one before")
            before = sha256(self._body(name))

    def append(self, lock: Lock, kind: Kind, release: str, **fields: Any) -> Event:
        """Write the next event.

        Raises:
            DeliveryError: the lock was broken meanwhile.
        """
        if not self._holds(lock):
            raise self._lost()
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
        if not self.workspace.create(self._path(name), event.content()):
            raise DeliveryError(f"ledger: event {event.seq} was written by another", Exit.FAILED)
        self._bodies[name] = event.content()
        self._withdraw(lock, name)
        self._known[name.seq] = name
        return event

    def _withdraw(self, lock: Lock, mine: Name) -> None:
        """Leave one event with this number, should the lock have been broken as it was written.

        Whoever of two writers comes second sees the event of the other, and the lock decides for
        both which of them stays: nothing has followed either.

        Raises:
            DeliveryError: it is not ours.
        """
        entries = self.workspace.entries(str(PurePosixPath(self._path(mine)).parent))
        others = [name for name, _ in _events(entries) if name.seq == mine.seq and name != mine]
        if not others:
            return
        holds = self._holds(lock)
        for name in others if holds else [mine]:
            self.workspace.delete(self._path(name))
        if not holds:
            raise self._lost()

    def held(self) -> Lock | None:
        """The lock as it is now; None when nobody has it."""
        content = self.workspace.read(self._lock)
        return None if content is None else Lock.parse(content)

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
        self.names()  # a ledger that cannot be seen is not begun anew
        if broken:
            self.workspace.delete(self._lock)
        self._take(lock, wait, waiting)
        try:
            yield lock
        finally:
            if self._holds(lock):
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

    def _holds(self, lock: Lock) -> bool:
        return self.workspace.read(self._lock) == lock.content()

    def _read(self, name: Name) -> Event:
        if name not in self._events:
            try:
                self._events[name] = self._parsed(name)
            except ValueError:
                raise self._tampered(f"event {name.seq} is no event") from None
        return self._events[name]

    def _parsed(self, name: Name) -> Event:
        event = Event.parse(self._body(name), f"ledger of {self.target.name}: ")
        if (event.seq, event.kind, event.release) != (name.seq, name.kind, name.release):
            raise self._tampered(f"event {name.seq} says it is {event.seq}, {event.kind}")
        if (event.project, event.target) != (self.target.project, self.target.name):
            raise self._tampered(f"event {name.seq} belongs to another project or target")
        return event

    def _body(self, name: Name) -> bytes:
        if name not in self._bodies:
            content = self.workspace.read(self._path(name))
            if content is None:
                raise self._tampered(f"event {name.seq} cannot be read")
            self._bodies[name] = content
        return self._bodies[name]

    def _path(self, name: Name) -> str:
        known = self._places.get(name)
        return known.path if known else event_path(self.target, name)

    def _lost(self) -> DeliveryError:
        return DeliveryError(f"lock of {self.target.name}: it was taken from us", Exit.FAILED)

    def _tampered(self, reason: str) -> TamperedError:
        mend = f"Somebody changed {self.folder}: ask a workspace admin for its history."
        return TamperedError(f"ledger of {self.target.name}: {reason}\n    {mend}", Exit.REFUSED)


def event_path(target: Target, name: Name) -> str:
    """Where an event lies; the number alone decides, so all who write one meet in one folder."""
    first = name.seq - name.seq % _PER_FOLDER
    folder = f"{target.root}/ledger" + (f"/{first:08d}" if first else "")
    return f"{folder}/{name}"


def _events(entries: Sequence[Entry]) -> Iterator[tuple[Name, Entry]]:
    for entry in entries:
        if found := _NAME.fullmatch(entry.name):
            yield Name(int(found[1]), found[2], found[3]), entry


def actor(workspace: Workspace) -> str:
    """Who caused this: the people that the pipeline names, else whoever we are.

    On GitHub a run keeps the name of whoever started it first, whoever starts it again.
    """
    first = text("GITHUB_ACTOR") or text("GITLAB_USER_LOGIN") or workspace.me
    again = text("GITHUB_TRIGGERING_ACTOR") or first
    return first if again == first else f"{first}, started again by {again}"


def run_url() -> str:
    """The pipeline's run; empty outside of one."""
    server, repository, run = (
        text(v) for v in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    if run:
        return f"{server}/{repository}/actions/runs/{run}"
    return text("CI_JOB_URL")


def _now() -> datetime:
    return datetime.now(UTC)
