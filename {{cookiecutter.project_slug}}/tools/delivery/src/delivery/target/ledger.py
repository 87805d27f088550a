"""The ledger of a target: numbered, chained events in the workspace that never change.

The number of an event determines its folder: the first 999 are in the ledger's folder itself, each
further thousand has a folder of its own, such as `ledger/00001000`. No clock is involved, so all
writers of a number use the same folder, and no folder comes near the 10,000 entries that a
workspace accepts. Events that an earlier version wrote to other folders are read from there.
"""

import contextlib
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from delivery.config.target import Target
from delivery.errors import FailedError, LockedError, NotVisibleError, TamperedError
from delivery.forge.environment import actor, run_url
from delivery.refusals import Refusal
from delivery.release.manifest import sha256
from delivery.target.events import EVENT_FILE, NO_RELEASE, Event, EventKind, EventName
from delivery.target.history import ReleaseHistory
from delivery.target.lock import Lock
from delivery.workspace.client import Entry, Workspace

_FOLDER = re.compile(r"\d{8}")
_PER_FOLDER = 1000  # events in a folder; the copies of the state double the number of entries
_AT_ONCE = 8  # requests at the same time
_VANISHING = 2.0  # seconds; a lock may be released between the failed write and the read
_FIRST_PREVIOUS = "0" * 64  # the `previous` digest of the first event


class Ledger:
    """The events of one target.

    Attributes:
        may_be_missing: nothing was ever deployed, so there may be no ledger. Otherwise a missing
            ledger means that this identity may not read it.
    """

    def __init__(self, workspace: Workspace, target: Target) -> None:
        self.workspace = workspace
        self.target = target
        self.folder = f"{target.root}/ledger"
        self.may_be_missing = False
        self._lock_file = f"{self.folder}/lock.json"
        self._contents: dict[EventName, bytes] = {}
        self._events: dict[EventName, Event] = {}
        self._names: dict[int, EventName] = {}
        self._entries: dict[EventName, Entry] = {}

    def list_events(self) -> list[EventName]:
        """List all events in order: one request, and one more for each further thousand.

        Raises:
            NotVisibleError: there is no ledger that this identity may read.
            TamperedError: a number is missing or exists twice.
        """
        entries = self.workspace.list_dir_or_none(self.folder)
        if entries is None and not self.may_be_missing:
            raise NotVisibleError(
                f"target {self.target.name} is not visible: no ledger in {self.target.root} of "
                f"{self.target.host}\n    Ask for read access to {self.folder}. If nothing was "
                f"ever deployed there: delivery deploy {self.target.name} --first"
            )
        folders = [e.path for e in entries or [] if _FOLDER.fullmatch(e.name)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            listings = [entries or [], *pool.map(self.workspace.list_dir, folders)]
        self._entries = {name: entry for listing in listings for name, entry in _events_in(listing)}
        names = sorted(self._entries)
        for expected, name in enumerate(names, start=1):
            if name.seq != expected:
                raise self._tampered(f"given event {name.seq}, expected {expected}")
        self._names = {name.seq: name for name in names}
        return names

    def was_deploying_predicate(self) -> Callable[[float], bool]:
        """Return a function: whether a deploy was in progress at a time of the workspace's clock.

        A deploy whose lock was broken counts as in progress, because its CLI may still be running.
        """
        names = reversed(self.list_events())
        events = [(name, self._entries[name].created) for name in names]

        def was_deploying(moment: float) -> bool:
            for name, created in events:
                if created > moment:
                    continue
                if name.kind == "started":
                    return True
                if name.kind in ("deployed", "rolled_back", "verified"):
                    return False
                if name.kind == "failed" and "lock" not in self.read(name).detail:
                    return False
            return False

        return was_deploying

    def created_at(self, event: Event | EventName) -> float:
        """When an event was written, as Unix time in seconds by the workspace's clock.

        Infinity for an event that is not listed, so that nothing counts as newer.
        """
        self.list_events()
        entry = self._entries.get(EventName(event.seq, event.kind, event.release))
        return entry.created if entry else float("inf")

    def history(self, names: Sequence[EventName] | None = None) -> ReleaseHistory:
        """Derive the history of the target from its events."""
        history = ReleaseHistory()
        for name in self.list_events() if names is None else names:
            history.apply(name)
        return history

    def read(self, name: EventName) -> Event:
        """Read an event, and check its digest in the next event.

        Raises:
            TamperedError: the event was edited, or does not match its name.
            DeliveryError: the event has a newer schema than this tool can read.
        """
        event, after = self._parsed(name), self._names.get(name.seq + 1)
        if after and self._parsed(after).previous != sha256(self._content(name)):
            raise self._tampered(
                f"event {name.seq} was edited: its digest differs from that in event {after.seq}"
            )
        return event

    def read_all(self, names: Iterable[EventName]) -> list[Event]:
        """Read several events at the same time; see `read`."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.read, names))

    def verify(self, names: Sequence[EventName]) -> None:
        """Check that each event has the digest of the event before it.

        Raises:
            TamperedError: an event has another digest.
        """
        previous = _FIRST_PREVIOUS
        if names and names[0].seq > 1:
            previous = sha256(self._content(self.list_events()[names[0].seq - 2]))
        for name in names:
            if self._parsed(name).previous != previous:
                raise self._tampered(f"event {name.seq} does not follow the event before it")
            previous = sha256(self._content(name))

    def append(self, lock: Lock, kind: EventKind, release: str, **fields: Any) -> Event:
        """Write the next event.

        Raises:
            FailedError: another run broke the lock, or wrote the event first.
        """
        if not self._is_held_by(lock):
            raise self._lock_lost()
        names = self.list_events()
        event = Event(
            seq=len(names) + 1,
            previous=sha256(self._content(names[-1])) if names else _FIRST_PREVIOUS,
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
        name = EventName(event.seq, kind, event.release)
        if not self.workspace.create(self._path(name), event.content()):
            raise FailedError(f"ledger: event {event.seq} was written by another run")
        self._contents[name] = event.content()
        self._resolve_race(lock, name)
        self._names[name.seq] = name
        return event

    def _resolve_race(self, lock: Lock, mine: EventName) -> None:
        """Delete all but one event with this number, if another run has broken the lock.

        Of two writers, the second one finds both events. It deletes the event of the one that does
        not hold the lock. No later event exists yet.

        Raises:
            FailedError: another run holds the lock, and the event was deleted.
        """
        entries = self.workspace.list_dir(str(PurePosixPath(self._path(mine)).parent))
        rivals = [name for name, _ in _events_in(entries) if name.seq == mine.seq and name != mine]
        if not rivals:
            return
        is_held = self._is_held_by(lock)
        for name in rivals if is_held else [mine]:
            self.workspace.delete(self._path(name))
        if not is_held:
            raise self._lock_lost()

    def current_lock(self) -> Lock | None:
        """The lock as it is stored now; None if the target is not locked."""
        content = self.workspace.read(self._lock_file)
        return None if content is None else Lock.parse(content)

    @contextlib.contextmanager
    def lock(
        self,
        operation: str,
        wait: float = 0,
        broken: bool = False,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> Iterator[Lock]:
        """Hold the target's lock.

        Args:
            operation: the purpose, such as `deploy 2026.11.23-g3f2a9c10`.
            wait: how long to wait for the lock, in seconds.
            broken: break the lock of another run.
            waiting: is called with the holder of the lock, again and again during the wait.

        Raises:
            LockedError: another run holds the lock.
            FailedError: the lock can be neither written nor read.
        """
        lock = Lock(str(uuid.uuid4()), actor(self.workspace), run_url(), _now(), operation)
        self.list_events()  # refuses to start a new ledger where one may exist
        if broken:
            self.workspace.delete(self._lock_file)
        self._acquire(lock, wait, waiting)
        try:
            yield lock
        finally:
            if self._is_held_by(lock):
                self.workspace.delete(self._lock_file)

    def _acquire(self, lock: Lock, wait: float, waiting: Callable[[str], None]) -> None:
        end = time.monotonic() + wait
        while not self.workspace.create(self._lock_file, lock.content()):
            existing = self.current_lock()
            if existing and time.monotonic() >= end:
                raise LockedError(
                    Refusal.LOCKED,
                    f"lock of {self.target.name}: held by {existing.describe(_now())}\n"
                    "    Wait for it: --wait 30m. If that run has ended, break the lock: "
                    "--break-lock --reason …",
                )
            if existing:
                waiting(existing.describe(_now()))
            elif time.monotonic() >= end + _VANISHING:
                raise FailedError(
                    f"lock of {self.target.name}: {self._lock_file} can be neither written nor "
                    "read\n    Ask for write access to this folder.",
                )
            time.sleep(min(5.0, max(0.1, end - time.monotonic())))

    def _is_held_by(self, lock: Lock) -> bool:
        return self.workspace.read(self._lock_file) == lock.content()

    def _parsed(self, name: EventName) -> Event:
        if name not in self._events:
            try:
                event = Event.parse(self._content(name), f"ledger of {self.target.name}: ")
            except ValueError:
                raise self._tampered(f"event {name.seq} is not a valid event") from None
            if (event.seq, event.kind, event.release) != (name.seq, name.kind, name.release):
                raise self._tampered(
                    f"event {name.seq} has the content of event {event.seq}, {event.kind}"
                )
            if (event.project, event.target) != (self.target.project, self.target.name):
                raise self._tampered(f"event {name.seq} belongs to another project or target")
            self._events[name] = event
        return self._events[name]

    def _content(self, name: EventName) -> bytes:
        if name not in self._contents:
            content = self.workspace.read(self._path(name))
            if content is None:
                raise self._tampered(f"event {name.seq} cannot be read")
            self._contents[name] = content
        return self._contents[name]

    def _path(self, name: EventName) -> str:
        entry = self._entries.get(name)
        return entry.path if entry else event_path(self.target, name)

    def _lock_lost(self) -> FailedError:
        return FailedError(f"lock of {self.target.name}: another run broke it")

    def _tampered(self, reason: str) -> TamperedError:
        hint = f"{self.folder} was edited: ask a workspace admin for its history."
        return TamperedError(
            Refusal.LEDGER_EDITED, f"ledger of {self.target.name}: {reason}\n    {hint}"
        )


def event_path(target: Target, name: EventName) -> str:
    """The path of a new event; see the module for the folders."""
    first = name.seq - name.seq % _PER_FOLDER
    folder = f"{target.root}/ledger" + (f"/{first:08d}" if first else "")
    return f"{folder}/{name}"


def _events_in(entries: Sequence[Entry]) -> Iterator[tuple[EventName, Entry]]:
    for entry in entries:
        if found := EVENT_FILE.fullmatch(entry.name):
            yield EventName(int(found[1]), found[2], found[3]), entry


def _now() -> datetime:
    return datetime.now(UTC)
