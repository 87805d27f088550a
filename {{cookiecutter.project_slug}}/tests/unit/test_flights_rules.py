"""The declared rules of the sample: a valid row passes, and each fault is reported by name."""

import datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.contract import load_contract
from lakehouse.flights import transform
from lakehouse.quality import judge, read_as

GOOD: dict[str, dict[str, str | None]] = {
    "airlines": {"carrier": "AA", "name": "American"},
    "airports": {"faa": "LAX", "name": "Los Angeles", "lat": "33.9", "lon": "-118.4", "tzone": "x"},
    "weather": {
        "origin": "JFK",
        "time_hour": "2013-01-01T10:00:00Z",
        "temp": "39.0",
        "wind_speed": "0",
        "precip": "0.0",
        "visib": "10.0",
    },
    "flights": {
        "carrier": "AA",
        "flight": "1",
        "time_hour": "2013-01-01T10:00:00Z",
        "year": "2013",
        "month": "1",
        "day": "1",
        "origin": "JFK",
        "dest": "LAX",
        "tailnum": "N1",
        "sched_dep_time": "515",
        "dep_time": "517",
        "dep_delay": "2",
        "sched_arr_time": "819",
        "arr_time": "830",
        "arr_delay": "11",
        "air_time": "227",
        "distance": "1400",
    },
}


NOON = datetime.datetime(2024, 1, 1, 12)


def judged(spark: SparkSession, table: str, **changes: str | None) -> tuple[str | None, str | None]:
    """The rules that a valid row with these changes fails, and those that only warn."""
    types = load_contract("flights", f"landing.{table}").types
    row = dict.fromkeys(types) | GOOD[table] | changes
    schema = ", ".join(f"{name} string" for name in row)
    origin = "_row bigint, _file string, _loaded_at timestamp, _arrived_at timestamp"
    raw = spark.createDataFrame([(*row.values(), 1, "a.csv", NOON, NOON)], f"{schema}, {origin}")
    rows = read_as(raw, types)
    if table == "flights":
        airports = spark.createDataFrame([("LAX", "Los Angeles")], "faa string, name string")
        rows = transform.flights(rows, airports)
    found = judge(rows, load_contract("flights", f"silver.{table}"))
    failed: list[Any] = [r["_failed"] for r in found.quarantined.collect()]
    warned: list[Any] = [r["_warned"] for r in found.valid.collect()]
    return next(iter(failed), None), next(iter(warned), None)


@pytest.mark.parametrize("table", GOOD)
def test_a_good_row_passes(spark: SparkSession, table: str) -> None:
    assert judged(spark, table) == (None, None)


@pytest.mark.parametrize(
    ("table", "changes", "failed"),
    [
        ("airlines", {"carrier": None}, "no_carrier"),
        ("airlines", {"name": None}, "no_name"),
        ("airports", {"lat": "90.1"}, "on_earth"),
        ("airports", {"lat": "-90.1"}, "on_earth"),
        ("airports", {"lon": "180.1"}, "on_earth"),
        ("airports", {"lon": None}, "no_lon,on_earth"),
        ("airports", {"lat": "north"}, "unreadable,no_lat,on_earth"),
        ("weather", {"wind_speed": "251"}, "possible_wind"),
        ("weather", {"wind_speed": "-1"}, "possible_wind"),
        ("weather", {"visib": "far"}, "unreadable"),
        ("weather", {"time_hour": "noon"}, "unreadable,no_time_hour"),
        ("flights", {"time_hour": None}, "no_time_hour"),
        ("flights", {"flight": "UA1"}, "unreadable,no_flight"),
        ("flights", {"dep_delay": "late"}, "unreadable"),
        ("flights", {"day": "32"}, "no_date"),
        ("flights", {"month": None}, "no_date"),
        ("flights", {"dest": "SJU"}, "known_destination"),
        ("flights", {"dest": None}, "no_dest,known_destination"),
        ("flights", {"distance": "0"}, "positive_distance"),
        ("flights", {"distance": None}, "no_distance,positive_distance"),
        ("flights", {"dest": "SJU", "distance": "-1"}, "known_destination,positive_distance"),
    ],
)
def test_a_fault_is_called_by_its_name(
    spark: SparkSession, table: str, changes: dict[str, str | None], failed: str
) -> None:
    assert judged(spark, table, **changes) == (failed, None)


@pytest.mark.parametrize(
    ("table", "changes", "warned"),
    [
        ("airports", {"tzone": None}, "time_zone"),
        ("weather", {"visib": None}, "visibility"),
        ("weather", {"wind_speed": None}, ""),
        ("flights", {"tailnum": None}, "tail_number"),
        ("flights", {"arr_delay": None}, "arrives_if_it_left"),
        ("flights", {"dep_time": None, "arr_delay": None}, ""),
    ],
)
def test_a_warning_leaves_the_row_in_silver(
    spark: SparkSession, table: str, changes: dict[str, str | None], warned: str
) -> None:
    assert judged(spark, table, **changes) == (None, warned or None)
