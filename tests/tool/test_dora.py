"""The four figures: what counts as a delivery, what as a failure, and what was looked at."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from delivery.render.html import status_page
from delivery.render.text import status_as_text
from delivery.status.metrics import Dora, dora
from delivery.target.events import NO_RELEASE, Event, EventName
from delivery.target.ledger import Ledger
from hypothesis import given
from hypothesis import strategies as st

from tool.test_screens import shown, status

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
A, B, C = (f"2026.11.2{n}-g0000000{n}" for n in (1, 2, 3))
BACK = {"back": True}
Step = tuple[str, str] | tuple[str, str, dict[str, Any]]


class _Past:
    """A ledger whose events are known; each happens a while after the one before."""

    def __init__(self, steps: Sequence[Step], every: timedelta = timedelta(hours=1)) -> None:
        self.reads = 0
        self._events = {}
        for seq, (kind, release, *more) in enumerate(steps, start=1):
            event = Event(
                seq=seq, previous="", id="", at=NOW - (len(steps) - seq + 1) * every,
                kind=cast(Any, kind), project="p", target="t", release=release, actor="a",
                detail=more[0] if more else {},
            )  # fmt: skip
            self._events[EventName(seq, kind, release)] = event

    def read_all(self, names: Iterable[EventName]) -> list[Event]:
        return [self.read(name) for name in names]

    def read(self, name: EventName) -> Event:
        self.reads += 1
        return self._events[name]

    def dora(self) -> Dora:
        return dora(cast(Ledger, self), list(self._events), NOW)


def _counts(*steps: Step) -> tuple[int, int, int]:
    """Deliveries, failures, and how many were mended."""
    figures = _Past(steps).dora()
    return figures.deployments, figures.failed, figures.restore_of


GOOD = (("started", A), ("deployed", A), ("verified", A))
BY_HAND = (("blocked", B), ("started", A), ("rolled_back", A), ("verified", A))
STORIES: dict[str, tuple[tuple[Step, ...], tuple[int, int, int]]] = {
    "good": (GOOD, (1, 0, 0)),
    "the CLI fails and the way back leads back": (
        (*GOOD, ("started", B), ("failed", B), ("blocked", B), *BY_HAND[1:]), (2, 1, 1),
    ),
    "the verification fails": (
        (*GOOD, ("started", B), ("deployed", B), ("failed", B), *BY_HAND), (2, 1, 1),
    ),
    "back by hand": (
        (*GOOD, ("started", B), ("deployed", B), ("verified", B), *BY_HAND), (2, 1, 1),
    ),
    "back by hand, before it was verified": (
        (*GOOD, ("started", B), ("deployed", B), *BY_HAND), (2, 1, 1),
    ),
    "back by hand from what was cut off": ((*GOOD, ("started", B), *BY_HAND), (2, 1, 1)),
    "cut off and delivered again": (
        (*GOOD, ("started", B), ("started", B), ("deployed", B), ("verified", B)), (2, 0, 0),
    ),
    "cut off, and another one": ((("started", B), *GOOD), (1, 0, 0)),
    "a way back that fails, and another try": (
        (*GOOD, ("started", B), ("deployed", B), ("verified", B), ("started", A),
         ("failed", A, BACK), *BY_HAND), (2, 1, 1),
    ),
    "verified again in vain: one failure": (
        (*GOOD, ("started", B), ("deployed", B), ("failed", B), ("failed", B)), (2, 1, 0),
    ),
    "mended by a release": (
        (("started", B), ("failed", B), ("started", C), ("deployed", C), ("verified", C)),
        (2, 1, 1),
    ),
    "what runs, delivered once more": ((*GOOD, *BY_HAND[1:]), (1, 0, 0)),
    "of no release": ((*GOOD, ("failed", NO_RELEASE)), (1, 0, 0)),
    "back past two": (
        (*GOOD, ("started", B), ("deployed", B), ("verified", B), *BY_HAND,
         ("started", C), ("rolled_back", C), ("verified", C)), (2, 2, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_what_counts_as_a_delivery_and_what_as_a_failure(story: str) -> None:
    steps, expected = STORIES[story]
    assert _counts(*steps) == expected


KINDS = ("started", "deployed", "verified", "failed", "rolled_back", "blocked", "adopted")
_STEPS = st.tuples(
    st.sampled_from(KINDS), st.sampled_from([A, B, C, NO_RELEASE]), st.sampled_from([{}, BACK])
)


@given(st.lists(_STEPS, max_size=40))
def test_no_more_can_fail_than_is_delivered(steps: list[Step]) -> None:
    figures = _Past(steps).dora()
    failed = [t for t in steps if t[0] == "failed" and t[1] != NO_RELEASE and t[-1] != BACK]
    deployed = [t for t in steps if t[0] == "deployed"]
    assert 0 <= figures.failed <= figures.deployments
    assert len(deployed) <= figures.deployments <= len(deployed) + len(failed) + _by_hand(steps)
    assert figures.failed <= len(failed) + _by_hand(steps)
    assert figures.failure_rate is None or 0 <= figures.failure_rate <= 1


def _by_hand(steps: Sequence[Step]) -> int:
    """A rollback before which nothing failed since the last verified delivery."""
    count = 0
    for seq, (kind, *_) in enumerate(steps):
        before = [t for t in steps[:seq] if t[0] in ("failed", "rolled_back", "verified")]
        known = [t for t in before if t[0] != "failed" or (t[1] != NO_RELEASE and t[-1] != BACK)]
        count += kind == "rolled_back" and (not known or known[-1][0] == "verified")
    return count


@given(st.lists(st.sampled_from(list(STORIES)), max_size=8))
def test_one_story_after_another_counts_what_all_of_them_count(chosen: list[str]) -> None:
    ends = [name for name in chosen if STORIES[name][0][-1][0] == "verified"]
    steps = [step for name in ends for step in STORIES[name][0]]
    expected = [sum(STORIES[name][1][n] for name in ends) for n in range(3)]
    assert list(_counts(*steps)) == expected


def test_what_is_mended_by_hand_took_until_it_was_verified() -> None:
    figures = _Past(STORIES["back by hand"][0]).dora()
    assert (figures.failure_rate, figures.restore_hours) == (0.5, 1)


def test_figures_say_how_many_days_were_looked_at() -> None:
    steps = [("started", A), ("deployed", A), ("verified", A)]
    past = _Past(89 * steps, timedelta(hours=8))
    assert (past.dora().deployments, past.dora().days) == (89, 89)
    busy = _Past(400 * steps, timedelta(hours=1))
    figures = busy.dora()
    assert (figures.deployments, figures.days) == (128, 16)
    assert figures.per_week == 56
    assert busy.reads <= 4 * 128
    old = _Past(100 * steps, timedelta(days=1)).dora()
    assert (old.deployments, old.days, old.per_week) == (30, 90, 2.33)


def test_what_was_delivered_before_those_days_fails_no_change_of_theirs() -> None:
    assert _counts(*BY_HAND) == (0, 0, 1)


def test_a_young_target_is_not_extrapolated() -> None:
    figures = _Past(GOOD, timedelta(minutes=1)).dora()
    assert (figures.deployments, figures.days, figures.per_week) == (1, 7, 1)


def test_days_stand_beside_the_counts_everywhere() -> None:
    one = status(dora=Dora(days=23, deployments=64, per_week=19.5, failed=1, failure_rate=0.016))
    assert "last 23 days" in status_page("Demo", [one], NOW)
    assert "last 23 days            deployments 64 (19.5 a week)" in shown(status_as_text(one))
    assert one.model_dump(mode="json")["dora"]["days"] == 23
    unseen = status(dora=Dora())
    assert "deployments" not in status_page("Demo", [unseen], NOW) + status_as_text(unseen)
