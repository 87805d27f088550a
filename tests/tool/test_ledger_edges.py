"""The ledger, where the other tests leave room."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from delivery.errors import DeliveryError, Exit
from delivery.status.status import _health
from delivery.target.events import EventKind, EventName
from delivery.target.history import ReleaseHistory
from delivery.target.ledger import Ledger
from delivery.target.lock import Lock
from hypothesis import given, settings
from hypothesis import strategies as st

from tool.memory import Memory
from tool.test_ledger import ONE, TWO, target

THREE, FOUR = "2026.11.25-g00000003", "2026.11.26-g00000004"
ALL = {ONE, TWO, THREE, FOUR}
Ends = tuple[str, list[str], set[str], bool, bool]


def folded(*events: tuple[str, str]) -> ReleaseHistory:
    standing = ReleaseHistory()
    for seq, (kind, release) in enumerate(events, start=1):
        standing.apply(EventName(seq, kind, release))
    return standing


def delivered(release: str) -> tuple[tuple[str, str], ...]:
    return (("started", release), ("deployed", release), ("verified", release))


def returned(release: str) -> tuple[tuple[str, str], ...]:
    return (("started", release), ("rolled_back", release), ("verified", release))


def ledger(memory: Memory, name: str = "prod") -> Ledger:
    return Ledger(memory, target(name))  # type: ignore[arg-type]


def back(*events: tuple[str, str]) -> str:
    return folded(*events).rollback_target(ALL)


def test_going_back_leads_to_the_newest_good_release_before_what_runs() -> None:
    assert back() == ""
    assert back(*delivered(ONE)) == ""
    three = (*delivered(ONE), *delivered(TWO), *delivered(THREE))
    assert back(*three) == TWO
    assert back(*three, ("blocked", TWO)) == ONE
    assert back(*three, ("blocked", TWO), ("blocked", ONE)) == ""
    assert back(*three, ("blocked", TWO), ("unblocked", TWO)) == TWO
    assert folded(*three).rollback_target({ONE, THREE}) == ONE  # two was pruned


def test_going_back_does_not_lead_to_what_was_left_behind() -> None:
    left = (*delivered(ONE), *delivered(TWO), *delivered(THREE), *returned(ONE))
    assert back(*left) == ""
    assert folded(*left).rollback_path == [ONE]
    assert back(*left, ("started", FOUR), ("deployed", FOUR)) == ONE  # and not to three
    assert back(*left, *delivered(FOUR)) == ONE
    assert back(*left, *delivered(TWO), *delivered(FOUR)) == TWO  # it was delivered again


def test_what_runs_comes_back_over_a_delivery_that_came_to_nothing() -> None:
    two = (*delivered(ONE), *delivered(TWO))
    assert back(*two, ("started", THREE)) == TWO
    assert back(*two, ("started", THREE), ("failed", THREE)) == TWO
    assert back(*two, ("started", THREE), ("failed", THREE), ("blocked", THREE)) == TWO
    assert back(*two, ("started", THREE), ("deployed", THREE)) == TWO
    assert back(*two, ("started", THREE), ("deployed", THREE), ("failed", THREE)) == TWO


def test_a_way_back_that_was_cut_off_goes_on() -> None:
    two = (*delivered(ONE), *delivered(TWO))
    begun = (*two, ("blocked", TWO), ("started", ONE))
    assert back(*begun) == ONE
    assert back(*begun, ("failed", ONE)) == ONE
    assert back(*begun, ("rolled_back", ONE)) == ONE
    assert back(*two, *returned(ONE)) == ""


def test_going_back_leaves_all_that_came_after() -> None:
    three = (*delivered(ONE), *delivered(TWO), *delivered(THREE))
    assert folded(*three).abandoned_by_rollback_to(ONE) == [TWO, THREE]
    assert folded(*three).abandoned_by_rollback_to(TWO) == [THREE]
    assert folded(*delivered(ONE), ("started", TWO)).abandoned_by_rollback_to(ONE) == [TWO]
    assert folded(*delivered(ONE), ("started", TWO), ("deployed", TWO)).abandoned_by_rollback_to(
        ONE
    ) == [TWO]


def test_an_attempt_that_is_blocked_is_none_any_more() -> None:
    standing = folded(*delivered(ONE), ("started", TWO), ("blocked", TWO))
    assert (standing.in_progress, standing.attempted) == (None, "")
    running = folded(("started", ONE), ("deployed", ONE), ("started", ONE), ("blocked", ONE))
    assert running.attempted == ONE


def test_a_failure_is_forgotten_when_something_works() -> None:
    failed = (*delivered(ONE), ("started", TWO), ("failed", TWO))
    assert folded(*failed).has_failed
    assert not folded(*failed, *delivered(TWO)).has_failed
    assert not folded(*delivered(ONE), ("failed", "none")).has_failed  # a lock was broken


def test_health_is_that_of_what_runs() -> None:
    for events, health in (
        ((), "unknown"),
        (delivered(ONE), "verified"),
        ((*delivered(ONE), ("started", TWO), ("deployed", TWO)), "not verified"),
        ((("started", ONE), ("deployed", ONE), ("blocked", TWO)), "not verified"),
        ((*delivered(ONE), ("deployed", TWO), ("failed", TWO), ("blocked", TWO)), "failed"),
        ((("deployed", ONE), ("failed", ONE), ("rolled_back", TWO)), "failed"),
    ):
        assert _health(folded(*events)) == health


def test_a_release_that_is_verified_again_keeps_its_place() -> None:
    again = (*delivered(ONE), *delivered(TWO), *delivered(THREE), *delivered(TWO))
    standing = folded(*again)
    assert standing.verified_releases == [ONE, TWO, THREE]
    assert standing.rollback_target(ALL) == ONE  # not forward to three


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("started", True), ("deployed", True), ("rolled_back", True), ("adopted", True),
     ("blocked", False), ("unblocked", False), ("pruned", False), ("verified", False)],
)  # fmt: skip
def test_what_is_there_is_explained_by_what_made_it_alone(kind: str, expected: bool) -> None:
    assert folded((kind, ONE)).managed_by_us is expected


def test_unblocking_one_release_leaves_the_others_blocked() -> None:
    standing = folded(("blocked", ONE), ("blocked", TWO), ("unblocked", ONE))
    assert standing.blocked == {TWO: EventName(2, "blocked", TWO)}
    standing.apply(EventName(4, "unblocked", THREE))
    assert [*standing.blocked] == [TWO]


@pytest.mark.parametrize("end", ["deployed", "rolled_back", "failed"])
def test_a_delivery_is_unfinished_until_its_end_is_known(end: str) -> None:
    standing = folded(("started", ONE))
    assert standing.in_progress == EventName(1, "started", ONE)
    standing.apply(EventName(2, "blocked", TWO))
    assert standing.in_progress == EventName(1, "started", ONE)
    standing.apply(EventName(3, end, ONE))
    assert standing.in_progress is None


def test_what_is_verified_must_be_what_runs() -> None:
    standing = folded(("started", ONE), ("deployed", ONE), ("verified", TWO))
    assert (standing.is_verified, standing.verified_releases, standing.running) == (False, [], ONE)


def test_a_failure_leaves_what_runs_as_it_was() -> None:
    standing = folded(*delivered(ONE), ("started", TWO), ("failed", TWO))
    assert (standing.running, standing.is_verified) == (ONE, True)
    assert standing.delivered == EventName(2, "deployed", ONE)


def _by_hand(events: list[tuple[str, str]]) -> Ends:
    """The same, told by looking back from the end."""
    ends = [i for i, (kind, _) in enumerate(events) if kind in ("deployed", "rolled_back")]
    running = events[ends[-1]][1] if ends else ""

    def ran(index: int) -> str:
        before = [i for i in ends if i < index]
        return events[before[-1]][1] if before else ""

    good = [
        release
        for i, (kind, release) in enumerate(events)
        if kind == "verified" and ran(i) == release and release
    ]
    first_first = [r for i, r in enumerate(good) if r not in good[:i]]
    words = {r: kind for kind, r in events if kind in ("blocked", "unblocked")}
    blocked = {r for r, kind in words.items() if kind == "blocked"}
    since = events[ends[-1] + 1 :] if ends else []
    begun = [i for i, (kind, _) in enumerate(events) if kind == "started"]
    after = events[begun[-1] + 1 :] if begun else []
    last = events[begun[-1]][1] if begun else ""
    ended = any(kind in ("deployed", "rolled_back", "failed") for kind, _ in after)
    return (
        running,
        first_first,
        blocked,
        ("verified", running) in since,
        bool(begun) and not (ended or (("blocked", last) in after and last != running)),
    )


STEPS = st.one_of(
    st.sampled_from([ONE, TWO, THREE]).map(lambda r: [*delivered(r)]),
    st.tuples(st.sampled_from(get_args(EventKind)), st.sampled_from([ONE, TWO, THREE])).map(
        lambda event: [event]
    ),
)


@settings(database=None, max_examples=300)
@given(st.lists(STEPS, max_size=8))
def test_folding_says_what_looking_back_says(steps: list[list[tuple[str, str]]]) -> None:
    events = [event for step in steps for event in step]
    standing = folded(*events)
    assert (
        standing.running,
        standing.verified_releases,
        {*standing.blocked},
        standing.is_verified,
        standing.in_progress is not None,
    ) == _by_hand(events)
    assert standing.is_empty is not bool(events)
    leads = standing.rollback_target(ALL)
    assert leads in {*standing.verified_releases, ""} | {standing.running}
    assert leads not in standing.blocked
    assert {*standing.rollback_path} <= {*standing.verified_releases}
    assert leads in {*standing.rollback_path, standing.running, ""}


def test_an_event_about_the_target_itself_names_no_release() -> None:
    memory = Memory()
    with ledger(memory).lock("adopt") as lock:
        event = ledger(memory).append(lock, "adopted", "")
    assert event.release == "none"
    assert [*memory.files] == ["/lake/ledger/00000001-adopted-none.json"]
    assert ledger(memory).read(EventName(1, "adopted", "none")) == event


def test_two_writers_of_one_number_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    mine = ledger(memory)
    with mine.lock("deploy x") as lock:
        path = f"/lake/ledger/00000001-started-{ONE}.json"
        monkeypatch.setattr(mine, "list_events", list[EventName])
        memory.files[path] = b"another's"
        with pytest.raises(DeliveryError, match="event 1 was written by another run") as caught:
            mine.append(lock, "started", ONE)
        assert caught.value.code is Exit.FAILED
        assert memory.files[path] == b"another's"


def test_a_lock_that_is_gone_stops_who_had_it() -> None:
    memory = Memory()
    mine = ledger(memory)
    with mine.lock("deploy x") as lock:
        memory.delete("/lake/ledger/lock.json")
        with pytest.raises(DeliveryError, match="lock of prod: another run broke it") as caught:
            mine.append(lock, "started", ONE)
    assert caught.value.code is Exit.FAILED
    assert memory.files == {}


def test_a_lock_is_left_even_when_the_work_fails() -> None:
    memory = Memory()
    with pytest.raises(ZeroDivisionError), ledger(memory).lock("deploy x"):
        raise ZeroDivisionError
    assert memory.files == {}


def test_a_lock_that_is_given_up_between_two_looks_is_taken() -> None:
    class Given(Memory):
        tries = 0

        def create(self, path: str, content: bytes) -> bool:
            self.tries += 1
            return self.tries > 1 and super().create(path, content)

    memory = Given()
    with ledger(memory).lock("deploy x") as lock:
        assert ledger(memory).current_lock() == lock
    assert memory.tries == 2


def test_whoever_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("delivery.target.ledger.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("delivery.target.ledger.time.sleep", sleep)
    memory, heard = Memory(), list[str]()
    other = Lock("1", "ana", "", datetime.now(UTC), "deploy x")
    memory.files["/lake/ledger/lock.json"] = other.content()
    with (
        pytest.raises(DeliveryError, match=r"held by ana \(deploy x\) since "),
        ledger(memory).lock("deploy y", wait=12, waiting=heard.append),
    ):
        pass
    assert slept == [5.0, 5.0, 2.0]
    assert len(heard) == 3
    assert memory.files["/lake/ledger/lock.json"] == other.content()


@pytest.mark.parametrize(
    "content", [b"[]", b"null", b"{}", b'{"at": 5}', b'{"at": "noon"}', b"\xff", b""]
)
def test_a_lock_that_says_nothing_is_a_lock(content: bytes) -> None:
    memory = Memory({"/lake/ledger/lock.json": content})
    held = ledger(memory).current_lock()
    assert held is not None
    assert (held.actor, held.operation) == ("unknown holder", "unreadable lock")


def test_the_age_of_a_lock_is_told_in_minutes() -> None:
    lock = Lock("1", "ana", "https://example.com/1", datetime(2026, 11, 23, 8, tzinfo=UTC), "x")
    assert lock.describe(datetime(2026, 11, 23, 9, 30, 59, tzinfo=UTC)) == (
        "ana (x) since 2026-11-23 08:00 UTC (90 min), https://example.com/1"
    )
    early = datetime(2026, 11, 23, 7, tzinfo=UTC)
    assert lock.describe(early).endswith("(0 min), https://example.com/1")


def test_events_of_another_target_are_told() -> None:
    memory = Memory()
    with ledger(memory).lock("x") as lock:
        ledger(memory).append(lock, "started", ONE)
    with pytest.raises(DeliveryError, match="belongs to another project or target") as caught:
        ledger(memory, "staging").read(EventName(1, "started", ONE))
    assert caught.value.code is Exit.REFUSED


def _chain(kinds: list[Any]) -> Memory:
    memory = Memory()
    with ledger(memory).lock("x") as lock:
        for kind in kinds:
            ledger(memory).append(lock, kind, ONE)
    return memory


@settings(database=None, max_examples=50)
@given(st.lists(st.sampled_from(get_args(EventKind)), min_size=2, max_size=6), st.data())
def test_no_event_before_the_last_can_be_changed_unseen(
    kinds: list[str], data: st.DataObject
) -> None:
    memory = _chain(kinds)
    paths = sorted(memory.files)
    ledger(memory).verify(ledger(memory).list_events())
    path = data.draw(st.sampled_from(paths[:-1]))
    field = data.draw(st.sampled_from(["reason", "actor", "digest", "at", "approved_by"]))
    event = json.loads(memory.files[path])
    event[field] = "2000-01-01T00:00:00Z" if field == "at" else "forged"
    memory.files[path] = json.dumps(event).encode()
    with pytest.raises(DeliveryError, match="does not follow the event before it"):
        ledger(memory).verify(ledger(memory).list_events())


@settings(database=None, max_examples=50)
@given(st.integers(2, 6), st.data())
def test_no_event_before_the_last_can_go_unseen(count: int, data: st.DataObject) -> None:
    memory = _chain(["started"] * count)
    gone = data.draw(st.integers(1, count - 1))
    del memory.files[sorted(memory.files)[gone - 1]]
    with pytest.raises(DeliveryError, match=f"given event {gone + 1}, expected {gone}"):
        ledger(memory).list_events()
