"""The ledger: numbered, chained, written by one at a time."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from delivery.config.target import Target
from delivery.config.yaml import YamlMapping
from delivery.errors import DeliveryError, Exit
from delivery.forge.environment import actor, run_url
from delivery.target.events import EventKind, EventName
from delivery.target.history import ReleaseHistory
from delivery.target.ledger import Ledger
from delivery.target.lock import Lock
from hypothesis import given
from hypothesis import strategies as st

from tool.memory import Memory

ONE, TWO = "2026.11.23-g00000001", "2026.11.24-g00000002"
KINDS = get_args(EventKind)


def target(name: str = "prod", project: str = "p") -> Target:
    return Target(
        name, "demo", project, "https://example.com", "/lake", "d", "r", "pl", YamlMapping()
    )


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def ledger(memory: Memory) -> Ledger:
    return Ledger(memory, target())  # type: ignore[arg-type]


def write(ledger: Ledger, *events: tuple[Any, str]) -> None:
    with ledger.lock("test") as lock:
        for kind, release in events:
            ledger.append(lock, kind, release, reason="because")


def fresh(memory: Memory) -> Ledger:
    return Ledger(memory, target())  # type: ignore[arg-type]


def test_events_are_numbered_and_chained(ledger: Ledger, memory: Memory) -> None:
    write(ledger, ("started", ONE), ("deployed", ONE), ("verified", ONE))
    names = fresh(memory).list_events()
    assert [str(name) for name in names] == [
        f"00000001-started-{ONE}.json",
        f"00000002-deployed-{ONE}.json",
        f"00000003-verified-{ONE}.json",
    ]
    fresh(memory).verify(names)
    fresh(memory).verify(names[1:])
    event = fresh(memory).read(names[2])
    assert (event.seq, event.kind, event.actor, event.project) == (3, "verified", "deployer", "p")


def _edited(content: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(content), **changes}).encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: _edited(c, reason="other"), "event 3 does not follow the event before it"),
        (lambda c: _edited(c, seq=7), "event 2 has the content of event 7, deployed"),
        (lambda c: _edited(c, project="x"), "belongs to another project or target"),
        (lambda c: _edited(c, more="x"), "event 3 does not follow the event before it"),
        (lambda c: b"\x00", "event 2 is not a valid event"),
        (lambda c: b"[]", "event 2 is not a valid event"),
        (lambda c: _edited(c, schema=2), "schema 2, expected at most 1: update"),
    ],
)
def test_a_changed_event_is_told(
    ledger: Ledger, memory: Memory, change: Callable[[bytes], bytes], message: str
) -> None:
    write(ledger, ("started", ONE), ("deployed", ONE), ("verified", ONE))
    path = f"/lake/ledger/00000002-deployed-{ONE}.json"
    memory.files[path] = change(memory.files[path])
    with pytest.raises(DeliveryError, match=message):
        fresh(memory).verify(fresh(memory).list_events())


def test_a_missing_event_is_told(ledger: Ledger, memory: Memory) -> None:
    write(ledger, ("started", ONE), ("deployed", ONE))
    del memory.files[f"/lake/ledger/00000001-started-{ONE}.json"]
    with pytest.raises(DeliveryError, match="given event 2, expected 1") as caught:
        ledger.list_events()
    assert caught.value.code is Exit.REFUSED


def test_a_number_that_stands_twice_is_told(ledger: Ledger, memory: Memory) -> None:
    write(ledger, ("started", ONE))
    memory.files[f"/lake/ledger/00000001-blocked-{TWO}.json"] = b"{}"
    with pytest.raises(DeliveryError, match="given event 1, expected 2"):
        ledger.list_events()


def test_other_files_are_no_events(ledger: Ledger, memory: Memory) -> None:
    memory.files["/lake/ledger/00000001-deployed-x.json"] = b"{}"
    memory.files[f"/lake/ledger/00000001-deployed-{ONE}.state.json"] = b"{}"
    assert ledger.list_events() == []
    assert ledger.history().is_empty


def test_an_event_that_cannot_be_read_is_told(ledger: Ledger) -> None:
    with pytest.raises(DeliveryError, match="event 1 cannot be read"):
        ledger.read(EventName(1, "deployed", ONE))


def test_one_has_the_target_and_the_other_is_told_who(ledger: Ledger, memory: Memory) -> None:
    message = r"lock of prod: held by deployer \(deploy x\) since .* \(0 min\)"
    with (
        ledger.lock("deploy x"),
        pytest.raises(DeliveryError, match=message) as caught,
        fresh(memory).lock("deploy y"),
    ):
        pass
    assert caught.value.code is Exit.REFUSED
    assert ledger.current_lock() is None


def test_whoever_waits_hears_who_has_it(
    ledger: Ledger, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    other = Lock("1", "ana", "https://example.com/run/1", datetime.now(UTC), "deploy x")
    memory.files["/lake/ledger/lock.json"] = other.content()
    heard: list[str] = []

    def hear(text: str) -> None:
        heard.append(text)
        memory.delete("/lake/ledger/lock.json")

    with ledger.lock("deploy y", wait=60, waiting=hear) as lock:
        assert ledger.current_lock() == lock
    assert len(heard) == 1
    assert heard[0].startswith("ana (deploy x) since ")
    assert heard[0].endswith("https://example.com/run/1")


def test_a_broken_lock_stops_who_had_it(ledger: Ledger, memory: Memory) -> None:
    with ledger.lock("deploy x") as mine:
        with fresh(memory).lock("deploy y", broken=True) as theirs:
            with pytest.raises(DeliveryError, match="another run broke it"):
                ledger.append(mine, "deployed", ONE)
            fresh(memory).append(theirs, "blocked", TWO)
        memory.files["/lake/ledger/lock.json"] = theirs.content()
    assert memory.files["/lake/ledger/lock.json"] == theirs.content()  # not ours to remove


def test_an_unreadable_lock_is_a_lock(ledger: Ledger, memory: Memory) -> None:
    memory.files["/lake/ledger/lock.json"] = b"{"
    with pytest.raises(DeliveryError, match=r"unknown holder \(unreadable lock\) since 1970"):
        ledger._acquire(Lock("1", "x", "", datetime.now(UTC), "y"), 0, lambda _: None)


def test_a_folder_that_takes_no_lock_ends_the_wait(
    ledger: Ledger, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.target.ledger._VANISHING", 0.1)
    monkeypatch.setattr(memory, "create", lambda path, content: False)
    with pytest.raises(DeliveryError, match="can be neither written nor read"), ledger.lock("x"):
        pass


def test_a_clock_that_jumps_makes_no_negative_age() -> None:
    lock = Lock("1", "ana", "", datetime.now(UTC) + timedelta(hours=3), "deploy x")
    assert "(0 min)" in lock.describe(datetime.now(UTC))


def test_the_last_word_on_each_release_counts() -> None:
    standing = ReleaseHistory()
    for seq, (kind, release) in enumerate(
        [
            ("started", ONE), ("deployed", ONE), ("verified", ONE),
            ("started", TWO), ("deployed", TWO), ("failed", TWO), ("blocked", TWO),
            ("started", ONE), ("rolled_back", ONE),
        ],
        start=1,
    ):  # fmt: skip
        standing.apply(EventName(seq, kind, release))
    assert (standing.running, standing.is_verified, standing.verified_releases) == (
        ONE,
        False,
        [ONE],
    )
    assert [*standing.blocked] == [TWO]
    assert (
        standing.rollback_target({ONE, TWO}) == ONE
    )  # the way back is not verified yet: it goes on
    standing.apply(EventName(10, "unblocked", TWO))
    assert standing.blocked == {}


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([ONE, TWO]))))
def test_going_back_never_leads_to_what_is_blocked_or_was_never_verified(
    events: list[tuple[str, str]],
) -> None:
    standing, verified = ReleaseHistory(), set()
    for seq, (kind, release) in enumerate(events, start=1):
        if kind == "verified" and release == standing.running:
            verified.add(release)
        standing.apply(EventName(seq, kind, release))
    back = standing.rollback_target({ONE, TWO})
    assert back in {"", *verified} or standing.delivered == EventName(
        standing.delivered.seq if standing.delivered else 0, "rolled_back", back
    )
    assert back not in standing.blocked
    assert set(standing.verified_releases) == verified
    assert not (standing.is_verified and standing.running not in verified)


def test_the_pipeline_says_who_and_where(monkeypatch: pytest.MonkeyPatch, memory: Memory) -> None:
    for name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "GITHUB_RUN_ID", "CI_JOB_URL"):
        monkeypatch.delenv(name, raising=False)
    assert (actor(memory), run_url()) == ("deployer", "")  # type: ignore[arg-type]
    monkeypatch.setenv("GITLAB_USER_LOGIN", "ana")
    monkeypatch.setenv("CI_JOB_URL", "https://example.com/jobs/1")
    assert (actor(memory), run_url()) == ("ana", "https://example.com/jobs/1")  # type: ignore[arg-type]
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://example.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "team/lake")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    assert run_url() == "https://example.com/team/lake/actions/runs/7"
