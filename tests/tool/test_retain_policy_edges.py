"""Retaining and policy, where the other tests leave room."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from delivery.config.policy import Freeze, Policy
from delivery.config.root import find_root
from delivery.errors import DeliveryError
from delivery.plan.retention import retention_overlay

from tool.test_guard import policy


def test_what_is_kept_is_the_same_bytes_in_any_order() -> None:
    state = {key: {"state": {"name": key}} for key in ("volumes.b", "volumes.a", "schemas.c")}
    texts = {
        json.dumps(retention_overlay(state, keys)) for keys in (list(state), list(reversed(state)))
    }
    assert len(texts) == 1
    assert [*retention_overlay(state, state)["resources"]["volumes"]] == ["a", "b"]


@pytest.mark.parametrize(("day", "frozen"), [(19, False), (20, True), (24, True), (25, False)])
def test_a_freeze_counts_days_in_utc(day: int, frozen: bool) -> None:
    held = Freeze(
        first=date(2026, 12, 20), last=date(2026, 12, 24), targets=["prod"], reason="year's end"
    )
    given = policy().model_copy(update={"freezes": [held]})
    west = timezone(timedelta(hours=-8))
    local = datetime(2026, 12, day, 1, tzinfo=UTC).astimezone(west)
    assert local.date() == date(2026, 12, day - 1)
    assert given.active_freeze("prod", local) == (held if frozen else None)


def test_both_policies_protect() -> None:
    mine, theirs = policy(protected=["volumes.a"]), policy(protected=["volumes.b"])
    assert {*mine.stricter(theirs).guard.protected} == {"volumes.a", "volumes.b"}
    freezes = [
        Freeze(first=date(2026, 1, n), last=date(2026, 1, n), targets=["prod"], reason="x")
        for n in (1, 2)
    ]
    one, other = (policy().model_copy(update={"freezes": [freeze]}) for freeze in freezes)
    assert one.stricter(other).freezes == freezes


def test_the_root_is_the_nearest_folder_with_a_bundle(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    with pytest.raises(DeliveryError, match=r"expected a folder with a databricks\.yml in it"):
        find_root(inner)
    (tmp_path / "databricks.yml").touch()
    assert find_root(inner) == tmp_path
    (tmp_path / "a" / "databricks.yml").touch()
    assert find_root(inner) == tmp_path / "a"


def test_a_freeze_ends_after_it_begins() -> None:
    with pytest.raises(ValueError, match="last: given 2026-12-01, expected 2026-12-24 or later"):
        Freeze(first=date(2026, 12, 24), last=date(2026, 12, 1), targets=["prod"], reason="x")


def given(**changes: object) -> Policy:
    return Policy.model_validate({**policy().model_dump(mode="json"), **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"approval": {"production": "none"}},
        {"guard": {"rights": {"production": "refuse"}}},
        {"freezes": [{"first": "2026-12-20", "last": "2026-12-24", "targets": ["production"],
                      "reason": "x"}]},
    ],
)  # fmt: skip
def test_a_target_that_is_none_is_told_and_does_not_silently_hold_nothing(
    changes: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match="given production, expected one of prod"):
        given(**changes)


def test_a_pattern_that_is_no_expression_is_told() -> None:
    with pytest.raises(ValueError, match=r"given \(x, expected a regular expression"):
        given(naming={"keys": "(x"})


def targets(*names: str) -> Policy:
    branches = {"integration": "main", "targets": dict.fromkeys(names, "main"), "prefixes": ["x"]}
    return given(branches=branches)


def test_the_last_target_asks_for_approval_whatever_it_is_called() -> None:
    live = targets("test", "live")
    assert [live.approval_of(t) for t in ("test", "live")] == ["none", "environment"]
    free = live.model_copy(update={"approval": {"live": "none"}})
    assert free.approval_of("live") == "none"
    assert free.stricter(live).approval_of("live") == "environment"
