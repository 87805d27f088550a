"""The account of each run."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lakehouse import runs
from lakehouse.engine import Tables, times
from lakehouse.runs import Run

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)
RUN = Run("silver.orders", NOON, 1.5, 9, 1, 2, 3, 4, 2, 3, '{"cheap": 4}', up_to=NOON)


def test_a_table_without_a_run_has_no_last_one(tables: Tables) -> None:
    assert runs.last_run(tables, "silver.orders") is None
    runs.record(tables, [RUN])
    assert runs.last_run(tables, "silver.shops") is None


def test_the_last_run_is_read_as_it_was_recorded(tables: Tables, new_york: None) -> None:
    later = replace(RUN, started_at=NOON + timedelta(seconds=1), version_before=1, version_after=2)
    runs.record(tables, [later, RUN, replace(later, table="silver.shops", rows=0)])
    assert runs.last_run(tables, "silver.orders") == later


def test_a_rebuild_is_found_by_its_time(tables: Tables) -> None:
    runs.record(tables, [RUN, replace(RUN, table="silver.shops", rebuilt="first load")])
    earlier = NOON - timedelta(seconds=1)
    names = ("silver.orders", "silver.shops")
    assert runs.rebuilt_since(tables, names, earlier) == "silver.shops"
    assert runs.rebuilt_since(tables, names, NOON) == ""
    assert runs.rebuilt_since(tables, names[:1], earlier) == ""


@pytest.mark.parametrize(
    ("landed", "rebuilt", "text"),
    [
        (9, "", "9 landed = 3 silver + 4 quarantined + 2 superseded ✓"),
        (1234, "", "1,234 landed = 3 silver + 4 quarantined + 2 superseded ✗"),
        (9, "first load", "9 landed = 3 silver + 4 quarantined + 2 superseded ✓"),
        (9, "x", "9 landed = 3 silver + 4 quarantined + 2 superseded ✓ (rebuilt: x, 1.5 s)"),
    ],
)
def test_an_account_reads_well(landed: int, rebuilt: str, text: str) -> None:
    assert str(replace(RUN, landed=landed, rebuilt=rebuilt)) == f"orders: {text}"


def test_a_table_of_gold_has_only_rows() -> None:
    assert str(Run("gold.revenue", NOON, rows=1234)) == "gold.revenue: 1,234 rows"


def test_a_run_is_later_than_the_one_before_even_if_the_clock_goes_back() -> None:
    future = datetime.now(UTC) + timedelta(hours=1)
    later = times.now(after=future)
    assert timedelta() < later - future <= timedelta(milliseconds=1)
    assert later.microsecond % 1000 == 0
    assert abs(times.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_rows_are_counted_for_each_rule_they_break() -> None:
    assert runs.by_rule({"cheap,dated": 2, "dated": 1}) == '{"cheap": 2, "dated": 3}'
    assert runs.by_rule({}) == "{}"
