"""Gold as text."""

import datetime

import pytest
from pyspark.sql import SparkSession

from lakehouse.engine import Engine, Tables
from lakehouse.flights import show

COUNTS = "flights bigint, cancelled bigint, arrived bigint, late bigint, delay_minutes bigint"
DAY = datetime.date(2013, 1, 1)


def test_the_ten_busiest_routes_are_shown(spark: SparkSession) -> None:
    rows = [("JFK", f"Airport {n:02}", n, 0, n, 0, 0) for n in range(1, 13)]
    routes = spark.createDataFrame(rows, f"origin string, dest_name string, {COUNTS}")
    shown = show.busiest(routes).collect()
    assert [row["flights"] for row in shown] == list(range(12, 2, -1))
    assert shown[0]["route"] == "JFK → Airport 12"


def test_the_most_punctual_airline_comes_first(spark: SparkSession) -> None:
    rows = [
        (DAY, "Late Air", 4, 1, 3, 3, 90),
        (DAY, "Good Air", 2, 0, 2, 0, -4),
        (DAY + datetime.timedelta(1), "Good Air", 2, 0, 2, 1, 24),
    ]
    days = spark.createDataFrame(rows, f"date date, airline string, {COUNTS}")
    assert [tuple(row) for row in show.airlines(days).collect()] == [
        ("Good Air", 4, 0, 75.0, 5.0),
        ("Late Air", 4, 1, 0.0, 30.0),
    ]


def test_the_worst_weather_comes_first(spark: SparkSession) -> None:
    rows = [("fair", 2, 0, 2, 0, 0), ("fog", 2, 0, 2, 1, 9)]
    delays = spark.createDataFrame(rows, f"condition string, {COUNTS}")
    assert [row["condition"] for row in show.weather(delays).collect()] == ["fog", "fair"]


@pytest.fixture
def lake(root: object, spark: SparkSession) -> Tables:
    """Two months of gold; the tables are not bound to contracts."""
    tables = Tables("acme_dev", {"gold": "flights_gold"}, engine=Engine.EMBEDDED)
    for name, columns, values in (
        ("punctuality", "airline string", ("Good Air",)),
        ("routes", "origin string, dest_name string", ("JFK", "Boston")),
        ("weather_delay", "condition string", ("fog",)),
    ):
        months = [(DAY, 50), (DAY + datetime.timedelta(40), 2)]
        rows = [(day, *values, flights, 0, 2, 1, 9) for day, flights in months]
        tables.replace(
            f"gold.{name}", spark.createDataFrame(rows, f"date date, {columns}, {COUNTS}")
        )
    return tables


def test_only_the_newest_month_is_shown(lake: Tables) -> None:
    assert "52" not in show.gold(lake)  # 50 flights of the month before, and 2


def test_all_three_tables_are_shown(lake: Tables) -> None:
    text = show.gold(lake)
    for word in ("Airlines by punctuality", "Good Air", "Busiest routes", "JFK → Boston",
                 "Delay and weather", "fog"):  # fmt: skip
        assert word in text
