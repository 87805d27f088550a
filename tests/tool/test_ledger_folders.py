"""A ledger of many years: where events lie, and that no two have one number."""

import hashlib
import json
from itertools import permutations
from typing import Any

import pytest
from delivery.errors import DeliveryError, Exit, TamperedError
from delivery.target.events import EventName
from delivery.target.ledger import event_path
from delivery.target.store import ReleaseStore, State
from hypothesis import given
from hypothesis import strategies as st

from tool.memory import Memory
from tool.test_ledger import ONE, TWO, fresh, target, write

EDGE = 1000


@pytest.fixture(scope="module")
def body() -> dict[str, Any]:
    memory = Memory()
    write(fresh(memory), ("verified", ONE))
    (content,) = memory.files.values()
    return dict(json.loads(content))


def filled(body: dict[str, Any], count: int, flat: bool = False) -> Memory:
    """A ledger with so many events, all in one folder if an earlier version wrote them."""
    memory, previous = Memory(), 64 * "0"
    for seq in range(1, count + 1):
        content = json.dumps({**body, "seq": seq, "previous": previous}).encode()
        name = EventName(seq, "verified", ONE)
        path = f"/lake/ledger/{name}" if flat else event_path(target(), name)
        memory.files[path] = content
        previous = hashlib.sha256(content).hexdigest()
    return memory


@pytest.mark.parametrize(
    ("seq", "folder"),
    [
        (1, "/lake/ledger"),
        (999, "/lake/ledger"),
        (1000, "/lake/ledger/00001000"),
        (1999, "/lake/ledger/00001000"),
        (2000, "/lake/ledger/00002000"),
        (12_345_678, "/lake/ledger/12345000"),
    ],
)
def test_the_number_alone_says_where_an_event_lies(seq: int, folder: str) -> None:
    for kind, release in (("started", ONE), ("blocked", TWO), ("pruned", "none")):
        name = EventName(seq, kind, release)
        assert event_path(target(), name) == f"{folder}/{name}"


@given(st.sets(st.integers(1, 20_000)))
def test_no_folder_holds_more_than_a_thousand_events(numbers: set[int]) -> None:
    folders: dict[str, int] = {}
    for seq in numbers:
        folder = event_path(target(), EventName(seq, "verified", ONE)).rpartition("/")[0]
        folders[folder] = folders.get(folder, 0) + 1
    assert all(count <= EDGE for count in folders.values())


def test_a_ledger_goes_on_in_the_next_folder(body: dict[str, Any]) -> None:
    memory = filled(body, EDGE - 2)
    write(fresh(memory), ("started", TWO), ("deployed", TWO), ("verified", TWO))
    new = [n for n in memory.files if TWO in n]
    assert new == [
        f"/lake/ledger/00000999-started-{TWO}.json",
        f"/lake/ledger/00001000/00001000-deployed-{TWO}.json",
        f"/lake/ledger/00001000/00001001-verified-{TWO}.json",
    ]
    names = fresh(memory).list_events()
    assert [name.seq for name in names] == [*range(1, EDGE + 2)]
    fresh(memory).verify(names)
    assert fresh(memory).history().running == TWO


def test_a_flat_ledger_of_an_earlier_version_goes_on_where_it_is(body: dict[str, Any]) -> None:
    memory = filled(body, 2500, flat=True)
    before = dict(memory.files)
    write(fresh(memory), ("started", TWO), ("deployed", TWO))
    assert {n: memory.files[n] for n in before} == before
    assert [*memory.files][2500:] == [
        f"/lake/ledger/00002000/00002501-started-{TWO}.json",
        f"/lake/ledger/00002000/00002502-deployed-{TWO}.json",
    ]
    ledger = fresh(memory)
    names = ledger.list_events()
    ledger.verify(names)
    assert ledger.read(names[1499]).seq == 1500


def test_a_folder_that_is_gone_is_a_gap(body: dict[str, Any]) -> None:
    memory = filled(body, 2100)
    for name in [n for n in memory.files if "/00001000/" in n]:
        del memory.files[name]
    with pytest.raises(TamperedError, match="given event 2000, expected 1000"):
        fresh(memory).list_events()


def test_one_number_in_two_folders_is_told(body: dict[str, Any]) -> None:
    memory = filled(body, EDGE)
    memory.files[f"/lake/ledger/00001000-started-{TWO}.json"] = b"{}"  # an earlier version's
    with pytest.raises(TamperedError, match="given event 1000, expected 1001"):
        fresh(memory).list_events()


def test_names_cost_one_listing_and_one_for_each_further_thousand(body: dict[str, Any]) -> None:
    memory = filled(body, 4300)
    fresh(memory).list_events()
    assert (memory.listings, memory.reads) == (5, 0)


def test_the_state_lies_beside_its_event() -> None:
    memory = Memory()
    store = ReleaseStore(memory, target())  # type: ignore[arg-type]
    store.save_state(EventName(3, "deployed", ONE), State(content=b"{}"))
    store.save_state(EventName(1003, "deployed", ONE), State(content=b"{}"))
    assert [*memory.files] == [
        f"/lake/ledger/00000003-deployed-{ONE}.state.json",
        f"/lake/ledger/00001000/00001003-deployed-{ONE}.state.json",
    ]


@pytest.mark.parametrize("count", [0, 998, 999, 1000, 1999])
def test_of_two_who_write_one_number_the_one_with_the_lock_stays(
    body: dict[str, Any], count: int
) -> None:
    """The lock is broken between the last look and the write: both write the same number."""
    memory = filled(body, count)
    slow, quick = fresh(memory), fresh(memory)
    lock = "/lake/ledger/lock.json"
    with slow.lock("slow") as mine:
        del memory.files[lock]
        with quick.lock("quick") as theirs:
            taken = memory.files.pop(lock)
            memory.files[lock] = mine.content()  # as it was when the slow one looked

            def other() -> None:
                memory.files[lock] = taken
                quick.append(theirs, "blocked", TWO)

            memory.before[f"{count + 1:08d}-started-{ONE}.json"] = other
            with pytest.raises(DeliveryError, match="another run broke it"):
                slow.append(mine, "started", ONE)
    names = fresh(memory).list_events()
    assert (names[-1], len(names)) == (EventName(count + 1, "blocked", TWO), count + 1)
    fresh(memory).verify(names)


def test_the_one_with_the_lock_removes_what_was_written_without_it() -> None:
    memory = Memory()
    stray = f"/lake/ledger/00000001-started-{ONE}.json"
    with fresh(memory).lock("x") as lock:
        memory.before[f"00000001-blocked-{TWO}.json"] = lambda: memory.files.update({stray: b"{}"})
        fresh(memory).append(lock, "blocked", TWO)
        assert stray not in memory.files
        assert fresh(memory).list_events() == [EventName(1, "blocked", TWO)]


def edited(memory: Memory, name: EventName, **changes: Any) -> None:
    path = event_path(target(), name)
    memory.files[path] = json.dumps({**json.loads(memory.files[path]), **changes}).encode()


def test_an_event_that_is_read_is_held_against_the_one_after_it() -> None:
    memory = Memory()
    write(fresh(memory), ("started", ONE), ("deployed", ONE), ("verified", ONE))
    edited(memory, EventName(2, "deployed", ONE), branch="mian")
    ledger = fresh(memory)
    names = ledger.list_events()
    with pytest.raises(
        TamperedError, match="event 2 was edited: its digest differs from that in event 3"
    ) as caught:
        ledger.read(names[1])
    assert caught.value.code is Exit.REFUSED
    assert ledger.read(names[2]).kind == "verified"  # nothing is said of what is not used


def test_bodies_are_read_once_and_only_where_they_are_used(body: dict[str, Any]) -> None:
    memory = filled(body, 1500)
    ledger = fresh(memory)
    names = ledger.list_events()
    ledger.read(names[700])
    assert memory.reads == 2  # it, and the one after it
    for name in names[700:710]:
        ledger.read(name)
    assert memory.reads == 11


@pytest.mark.parametrize("order", [*permutations(["started", "blocked", "pruned"])])
def test_names_are_ordered_by_number(order: tuple[str, ...]) -> None:
    memory = Memory()
    for seq, kind in enumerate(order, start=1):
        memory.files[event_path(target(), EventName(seq, kind, ONE))] = b"{}"
    assert [name.kind for name in fresh(memory).list_events()] == [*order]
