"""Retaining and policy, where the other tests leave room."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from delivery.errors import DeliveryError
from delivery.policy import Freeze, Policy, find_root
from delivery.retain import overlay
from test_guard import policy


def test_what_is_kept_is_the_same_bytes_in_any_order() -> None:
    state = {key: {"state": {"name": key}} for key in ("volumes.b", "volumes.a", "schemas.c")}
    texts = {json.dumps(overlay(state, keys)) for keys in (list(state), list(reversed(state)))}
    assert len(texts) == 1
    assert [*overlay(state, state)["resources"]["volumes"]] == ["a", "b"]


@pytest.mark.parametrize(("day", "frozen"), [(19, False), (20, True), (24, True), (25, False)])
def test_a_freeze_counts_days_in_utc(day: int, frozen: bool) -> None:
    held = Freeze(
        first=date(2026, 12, 20), last=date(2026, 12, 24), targets=["prod"], reason="year's end"
    )
    given = policy().model_copy(update={"freezes": [held]})
    west = timezone(timedelta(hours=-8))
    local = datetime(2026, 12, day, 1, tzinfo=UTC).astimezone(west)
    assert local.date() == date(2026, 12, day - 1)
    assert given.frozen("prod", local) == (held if frozen else None)


def test_both_policies_protect() -> None:
    mine, theirs = policy(protected=["volumes.a"]), policy(protected=["volumes.b"])
    assert {*mine.stricter(theirs).guard.protected} == {"volumes.a", "volumes.b"}
    freezes = [
        Freeze(first=date(2026, 1, n), last=date(2026, 1, n), targets=["prod"], reason="x")
        for n in (1, 2)
    ]
    one, other = (policy().model_copy(update={"freezes": [freeze]}) for freeze in freezes)
    assert one.stricter(other).freezes == freezes


def test_a_policy_comes_back_from_an_event_as_it_was() -> None:
    given = policy(protected=["volumes.a"])
    assert Policy.model_validate(given.model_dump(mode="json")) == given


def test_the_root_is_the_nearest_folder_with_a_bundle(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    with pytest.raises(DeliveryError, match=r"expected a folder with a databricks\.yml in it"):
        find_root(inner)
    (tmp_path / "databricks.yml").touch()
    assert find_root(inner) == tmp_path
    (tmp_path / "a" / "databricks.yml").touch()
    assert find_root(inner) == tmp_path / "a"
