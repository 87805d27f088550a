"""The ledger, where the other tests leave room."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.errors import DeliveryError, Exit
from delivery.ledger import Kind, Ledger, Lock, Name, Standing
from memory import Memory
from test_ledger import ONE, TWO, target

THREE = "2026.11.25-g00000003"
Ends = tuple[str, list[str], set[str], str, bool, bool]


def folded(*events: tuple[str, str]) -> Standing:
    standing = Standing()
    for seq, (kind, release) in enumerate(events, start=1):
        standing.take(Name(seq, kind, release))
    return standing


def delivered(release: str) -> tuple[tuple[str, str], ...]:
    return (("started", release), ("deployed", release), ("verified", release))


def ledger(memory: Memory, name: str = "prod") -> Ledger:
    return Ledger(memory, target(name))  # type: ignore[arg-type]


def test_going_back_leads_to_the_newest_good_release_before_what_runs() -> None:
    assert folded().back() == ""
    assert folded(*delivered(ONE)).back() == ""
    three = (*delivered(ONE), *delivered(TWO), *delivered(THREE))
    assert folded(*three).back() == TWO
    assert folded(*three, ("blocked", TWO)).back() == ONE
    assert folded(*three, ("blocked", TWO), ("blocked", ONE)).back() == ""
    assert folded(*three, ("blocked", TWO), ("unblocked", TWO)).back() == TWO


def test_a_release_that_is_verified_again_keeps_its_place() -> None:
    back = (*delivered(ONE), *delivered(TWO), *delivered(THREE), *delivered(TWO))
    standing = folded(*back)
    assert standing.good == [ONE, TWO, THREE]
    assert standing.back() == ONE  # not forward to three


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("started", True), ("deployed", True), ("rolled_back", True), ("adopted", True),
     ("blocked", False), ("unblocked", False), ("pruned", False), ("verified", False)],
)  # fmt: skip
def test_what_is_there_is_explained_by_what_made_it_alone(kind: str, expected: bool) -> None:
    assert folded((kind, ONE)).explained is expected


def test_unblocking_one_release_leaves_the_others_blocked() -> None:
    standing = folded(("blocked", ONE), ("blocked", TWO), ("unblocked", ONE))
    assert standing.blocked == {TWO: Name(2, "blocked", TWO)}
    standing.take(Name(4, "unblocked", THREE))
    assert [*standing.blocked] == [TWO]


@pytest.mark.parametrize("end", ["deployed", "rolled_back", "failed"])
def test_a_delivery_is_unfinished_until_its_end_is_known(end: str) -> None:
    standing = folded(("started", ONE))
    assert standing.unfinished == Name(1, "started", ONE)
    standing.take(Name(2, "blocked", TWO))
    assert standing.unfinished == Name(1, "started", ONE)
    standing.take(Name(3, end, ONE))
    assert standing.unfinished is None


def test_what_is_verified_must_be_what_runs() -> None:
    standing = folded(("started", ONE), ("deployed", ONE), ("verified", TWO))
    assert (standing.verified, standing.good, standing.running) == (False, [], ONE)


def test_a_failure_leaves_what_runs_as_it_was() -> None:
    standing = folded(*delivered(ONE), ("started", TWO), ("failed", TWO))
    assert (standing.running, standing.verified) == (ONE, True)
    assert standing.delivered == Name(2, "deployed", ONE)


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
    before = first_first[: first_first.index(running)] if running in good else first_first
    words = {r: kind for kind, r in events if kind in ("blocked", "unblocked")}
    blocked = {r for r, kind in words.items() if kind == "blocked"}
    back = [r for r in before if r not in blocked]
    since = events[ends[-1] + 1 :] if ends else []
    open_ = [kind for kind, _ in events if kind in ("started", "deployed", "rolled_back", "failed")]
    return (
        running,
        first_first,
        blocked,
        back[-1] if back else "",
        ("verified", running) in since,
        open_[-1:] == ["started"],
    )


STEPS = st.one_of(
    st.sampled_from([ONE, TWO, THREE]).map(lambda r: [*delivered(r)]),
    st.tuples(st.sampled_from(get_args(Kind)), st.sampled_from([ONE, TWO, THREE])).map(
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
        standing.good,
        {*standing.blocked},
        standing.back(),
        standing.verified,
        standing.unfinished is not None,
    ) == _by_hand(events)
    assert standing.is_empty is not bool(events)


def test_an_event_about_the_target_itself_names_no_release() -> None:
    memory = Memory()
    with ledger(memory).lock("adopt") as lock:
        event = ledger(memory).append(lock, "adopted", "")
    assert event.release == "none"
    assert [*memory.files] == ["/lake/ledger/00000001-adopted-none.json"]
    assert ledger(memory).read(Name(1, "adopted", "none")) == event


def test_two_writers_of_one_number_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    mine = ledger(memory)
    with mine.lock("deploy x") as lock:
        path = f"/lake/ledger/00000001-started-{ONE}.json"
        monkeypatch.setattr(mine, "names", list[Name])
        memory.files[path] = b"another's"
        with pytest.raises(DeliveryError, match="event 1 was written by another") as caught:
            mine.append(lock, "started", ONE)
        assert caught.value.code is Exit.FAILED
        assert memory.files[path] == b"another's"


def test_a_lock_that_is_gone_stops_who_had_it() -> None:
    memory = Memory()
    mine = ledger(memory)
    with mine.lock("deploy x") as lock:
        memory.delete("/lake/ledger/lock.json")
        with pytest.raises(DeliveryError, match="lock of prod: it was taken from us") as caught:
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
        assert ledger(memory).held() == lock
    assert memory.tries == 2


def test_whoever_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("delivery.ledger.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("delivery.ledger.time.sleep", sleep)
    memory, heard = Memory(), list[str]()
    other = Lock("1", "ana", "", datetime.now(UTC), "deploy x")
    memory.files["/lake/ledger/lock.json"] = other.content()
    with (
        pytest.raises(DeliveryError, match=r"ana, deploy x, since .* works on it"),
        ledger(memory).lock("deploy y", wait=12, waiting=heard.append),
    ):
        pass
    assert slept == [5.0, 5.0, 2.0]
    assert len(heard) == 3
    assert memory.files["/lake/ledger/lock.json"] == other.content()


@pytest.mark.parametrize(
    "told", [b"[]", b"null", b"{}", b'{"at": 5}', b'{"at": "noon"}', b"\xff", b""]
)
def test_a_lock_that_says_nothing_is_a_lock(told: bytes) -> None:
    memory = Memory({"/lake/ledger/lock.json": told})
    held = ledger(memory).held()
    assert held is not None
    assert (held.actor, held.what) == ("somebody", "an unreadable lock")


def test_the_age_of_a_lock_is_told_in_minutes() -> None:
    lock = Lock("1", "ana", "https://example.com/1", datetime(2026, 11, 23, 8, tzinfo=UTC), "x")
    assert lock.told(datetime(2026, 11, 23, 9, 30, 59, tzinfo=UTC)) == (
        "ana, x, since 2026-11-23 08:00 UTC (90 min), https://example.com/1"
    )
    early = datetime(2026, 11, 23, 7, tzinfo=UTC)
    assert lock.told(early).endswith("(0 min), https://example.com/1")


def test_events_of_another_target_are_told() -> None:
    memory = Memory()
    with ledger(memory).lock("x") as lock:
        ledger(memory).append(lock, "started", ONE)
    with pytest.raises(DeliveryError, match="belongs to another project or target") as caught:
        ledger(memory, "staging").read(Name(1, "started", ONE))
    assert caught.value.code is Exit.REFUSED


def _chain(kinds: list[Any]) -> Memory:
    memory = Memory()
    with ledger(memory).lock("x") as lock:
        for kind in kinds:
            ledger(memory).append(lock, kind, ONE)
    return memory


@settings(database=None, max_examples=50)
@given(st.lists(st.sampled_from(get_args(Kind)), min_size=2, max_size=6), st.data())
def test_no_event_before_the_last_can_be_changed_unseen(
    kinds: list[str], data: st.DataObject
) -> None:
    memory = _chain(kinds)
    paths = sorted(memory.files)
    ledger(memory).verify(ledger(memory).names())
    path = data.draw(st.sampled_from(paths[:-1]))
    field = data.draw(st.sampled_from(["reason", "actor", "digest", "at", "approved_by"]))
    event = json.loads(memory.files[path])
    event[field] = "2000-01-01T00:00:00Z" if field == "at" else "forged"
    memory.files[path] = json.dumps(event).encode()
    with pytest.raises(DeliveryError, match="does not follow the one before"):
        ledger(memory).verify(ledger(memory).names())


@settings(database=None, max_examples=50)
@given(st.integers(2, 6), st.data())
def test_no_event_before_the_last_can_go_unseen(count: int, data: st.DataObject) -> None:
    memory = _chain(["started"] * count)
    gone = data.draw(st.integers(1, count - 1))
    del memory.files[sorted(memory.files)[gone - 1]]
    with pytest.raises(DeliveryError, match=f"given event {gone + 1}, expected {gone}"):
        ledger(memory).names()
