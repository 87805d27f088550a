"""The transformations of silver and gold, on a few rows, each labelled with its reason."""

import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse import quality
from lakehouse.contract import Contract, load_contract
from lakehouse.flights import show, tasks, transform

FLIGHTS = (
    "date date, carrier string, origin string, dest string, dest_name string, time_hour timestamp, "
    "cancelled boolean, arr_delay int, distance int"
)
DAY = datetime.date(2013, 1, 1)
HOUR = datetime.datetime(2013, 1, 1, 10)
NIGHT = datetime.datetime(2013, 1, 1, 23)


def flights(spark: SparkSession) -> DataFrame:
    rows = [
        (DAY, "AA", "JFK", "LAX", "Los Angeles", HOUR, False, 14, 100),  # just on time
        (DAY, "AA", "JFK", "LAX", "Los Angeles", HOUR, False, 15, 100),  # just late
        (DAY, "AA", "JFK", "LAX", "Los Angeles", NIGHT, False, -9, 100),  # early
        (DAY, "AA", "JFK", "BOS", "Boston", HOUR, True, None, 10),  # cancelled
        (DAY, "ZZ", "JFK", "BOS", "Boston", HOUR, False, None, 10),  # diverted
    ]
    return spark.createDataFrame(rows, FLIGHTS)


def rows_of(frame: DataFrame) -> list[dict[str, Any]]:
    return [row.asDict() for row in frame.collect()]


AIRPORTS = [("LAX", "Los Angeles"), ("BOS", "Boston")]


def airports(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(AIRPORTS, "faa string, name string")


def test_a_destination_has_a_name_or_none(spark: SparkSession) -> None:
    rows = [("LAX", 2013, 1, 1, 1), ("SJU", 2013, 1, 1, 1), (None, 2013, 1, 1, 1)]
    schema = "dest string, year bigint, month bigint, day bigint, dep_time bigint"
    found = transform.flights(spark.createDataFrame(rows, schema), airports(spark))
    assert {(r["dest"], r["dest_name"]) for r in found.collect()} == {
        ("LAX", "Los Angeles"),
        ("SJU", None),
        (None, None),
    }


def test_dates_are_real_or_null_and_no_departure_is_a_cancellation(spark: SparkSession) -> None:
    rows = [("a", 2013, 1, 9, 517), ("b", 2013, 2, 30, None), ("c", None, 1, 1, 1)]
    schema = "dest string, year bigint, month bigint, day bigint, dep_time bigint"
    found = transform.flights(spark.createDataFrame(rows, schema), airports(spark))
    assert {r["dest"]: (r["date"], r["cancelled"]) for r in found.collect()} == {
        "a": (datetime.date(2013, 1, 9), False),
        "b": (None, True),
        "c": (None, False),
    }


def test_punctuality_counts_each_airline_and_day(spark: SparkSession) -> None:
    airlines = spark.createDataFrame([("AA", "American")], "carrier string, name string")
    found = {r["carrier"]: r for r in rows_of(transform.punctuality(flights(spark), airlines))}
    assert found["AA"] == {
        "carrier": "AA",
        "date": DAY,
        "flights": 4,
        "cancelled": 1,
        "arrived": 3,
        "late": 1,
        "delay_minutes": 20,
        "airline": "American",
    }
    assert found["ZZ"]["airline"] is None
    assert (found["ZZ"]["arrived"], found["ZZ"]["delay_minutes"]) == (0, 0)


def test_routes_sum_miles(spark: SparkSession) -> None:
    found = {
        (r["origin"], r["dest"]): r
        for r in rows_of(transform.routes(flights(spark), airports(spark)))
    }
    assert found["JFK", "LAX"]["miles"] == 300
    assert found["JFK", "BOS"]["flights"] == 2
    assert found["JFK", "BOS"]["dest_name"] == "Boston"


def test_the_worst_of_the_weather_names_it(spark: SparkSession) -> None:
    weather = spark.createDataFrame(
        [
            ("fog", HOUR, 2.9, 1.0, 50.0),
            ("rain or snow", HOUR, 3.0, 0.01, 50.0),
            ("wind", HOUR, 10.0, 0.0, 20.0),
            ("fair", HOUR, 10.0, 0.0, 19.9),
            ("fair", NIGHT, 10.0, None, None),
            ("unknown", HOUR, None, None, None),
        ],
        "origin string, time_hour timestamp, visib double, precip double, wind_speed double",
    )
    departures = weather.selectExpr(
        "DATE '2013-01-01' AS date", "origin", "time_hour", "false AS cancelled", "1 AS arr_delay"
    )
    unmeasured = departures.limit(1).selectExpr(
        "date",
        "'unknown' AS origin",
        "timestamp'2000-01-01' AS time_hour",
        "false AS cancelled",
        "1 AS arr_delay",
    )
    found = rows_of(transform.weather_delay(departures.unionByName(unmeasured), weather))
    assert {r["condition"]: r["flights"] for r in found} == {
        "fog": 1,
        "rain or snow": 1,
        "wind": 1,
        "fair": 2,
        "unknown": 2,
    }


def test_gold_is_whole_numbers(spark: SparkSession) -> None:
    found = dict(transform.routes(flights(spark), airports(spark)).dtypes)
    assert {type_ for type_ in found.values() if type_ not in {"string", "date"}} == {"bigint"}


def test_ratios_are_made_when_shown(spark: SparkSession) -> None:
    airlines = spark.createDataFrame(
        [("AA", "American"), ("ZZ", "Zeta")], "carrier string, name string"
    )
    shown = rows_of(show.airlines(transform.punctuality(flights(spark), airlines)))
    assert shown[0] == {
        "airline": "American",
        "flights": 4,
        "cancelled": 1,
        "on_time_%": 66.7,
        "delay_min": 6.7,
    }
    assert shown[1]["on_time_%"] is None  # nothing arrived: no ratio, and no error


def test_weather_changes_the_local_days_of_its_hours(spark: SparkSession) -> None:
    hours = spark.createDataFrame([(HOUR,)], "time_hour timestamp")
    days = {row["date"] for row in transform.days_of_weather(hours).collect()}
    assert days == {DAY - datetime.timedelta(1), DAY}


def empty(spark: SparkSession, contract: Contract) -> DataFrame:
    return spark.createDataFrame([], ", ".join(f"`{n}` {t}" for n, t in contract.types.items()))


def contract(name: str) -> Contract:
    return load_contract("flights", name)


@pytest.mark.parametrize("source", tasks.SOURCES)
def test_silver_has_columns_and_rules_that_its_contract_can_use(
    spark: SparkSession, source: str
) -> None:
    names = ["_row", "_file", "_loaded_at", "_arrived_at"]
    columns = [f"`{name}` string" for name in [*contract(f"landing.{source}").types, *names]]
    raw = spark.createDataFrame([], ", ".join(columns))
    rows = quality.read_as(raw, contract(f"landing.{source}").types)
    if source == "flights":
        rows = transform.flights(rows, empty(spark, contract("silver.airports")))
    judged = quality.judge(rows, contract(f"silver.{source}"))
    found = {n: t for n, t in judged.valid.dtypes if not n.startswith("_")}
    assert found == contract(f"silver.{source}").types


def test_gold_has_the_columns_and_types_of_its_contracts(spark: SparkSession) -> None:
    silver = {name: empty(spark, contract(f"silver.{name}")) for name in tasks.SOURCES}
    computed = {
        "punctuality": transform.punctuality(silver["flights"], silver["airlines"]),
        "routes": transform.routes(silver["flights"], silver["airports"]),
        "weather_delay": transform.weather_delay(silver["flights"], silver["weather"]),
    }
    for name, rows in computed.items():
        assert dict(rows.dtypes) == contract(f"gold.{name}").types
