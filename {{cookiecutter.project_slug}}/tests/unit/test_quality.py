"""Rules: which rows are quarantined or only marked, and which row of a key is kept."""

import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.contract import Column, Contract, Rule
from lakehouse.engine.landing import ORIGIN
from lakehouse.quality import is_newer, judge, read_as

TYPES = {"id": "bigint", "price": "double", "day": "date"}
THINGS = Contract(
    "silver.things",
    (Column("id", "bigint"), Column("price", "double", required=True), Column("day", "date")),
    key=("id",),
    rules=(Rule("cheap", "price < 100", "quarantine"), Rule("dated", "day > '2013-01-01'", "warn")),
)
LANDED = "id string, price string, day string, _loaded_at timestamp, _arrived_at timestamp"
NOON = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)
NIGHT = NOON + datetime.timedelta(hours=12)


def landed(spark: SparkSession, *rows: tuple[Any, ...]) -> DataFrame:
    """Rows of bronze, each later than the one before."""
    numbered = [(*row, NOON, NOON, number, "a.csv") for number, row in enumerate(rows, 1)]
    return spark.createDataFrame(numbered, f"{LANDED}, _row bigint, _file string")


def found(rows: DataFrame, *columns: str) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in rows.select(*columns).collect()}


def test_text_becomes_values_and_what_is_none_is_named(spark: SparkSession) -> None:
    raw = landed(spark, ("1", "2.5", "2013-01-01"), ("x", "y", None), (None, None, None))
    assert found(read_as(raw, TYPES), *TYPES, "_unreadable") == {
        (1, 2.5, datetime.date(2013, 1, 1), None),
        (None, None, None, "id,price"),
        (None, None, None, None),
    }


def test_a_column_that_bronze_does_not_have_is_null(spark: SparkSession) -> None:
    rows = read_as(landed(spark, ("1", "5", None)), {**TYPES, "colour": "string", "size": "bigint"})
    assert dict(rows.dtypes)["size"] == "bigint"
    assert found(rows, "id", "colour", "size", "_unreadable") == {(1, None, None, None)}


def test_each_row_is_in_one_place(spark: SparkSession) -> None:
    raw = landed(
        spark,
        ("1", "5", "2013-01-02"),  # superseded by the next
        ("1", "6", "2013-01-02"),
        ("2", "500", "2013-01-02"),  # too expensive
        ("3", None, "2013-01-02"),  # a rule that is NULL is not met
        (None, "5", "2013-01-02"),  # no key
        ("x", "5", "2013-01-02"),  # neither key nor number
        ("4", "7", None),  # only marked
        ("5", "7", "2013-01-01"),  # only marked
    )
    judged = judge(read_as(raw, TYPES), THINGS)
    assert found(judged.valid, "id", "price", "_warned") == {
        (1, 6.0, None),
        (4, 7.0, "dated"),
        (5, 7.0, "dated"),
    }
    assert found(judged.older, "id", "price", "_row") == {(1, 5.0, 1)}
    assert found(judged.quarantined, "id", "price", "_failed") == {
        ("2", "500", "cheap"),
        ("3", None, "no_price,cheap"),
        (None, "5", "no_id"),
        ("x", "5", "unreadable,no_id"),
    }


def test_a_valid_row_outlives_an_invalid_correction(spark: SparkSession) -> None:
    judged = judge(read_as(landed(spark, ("1", "5", None), ("1", "500", None)), TYPES), THINGS)
    assert found(judged.valid, "id", "price") == {(1, 5.0)}
    assert judged.older.count() == 0


def test_rows_keep_their_origin_and_quarantine_the_text_that_landed(spark: SparkSession) -> None:
    raw = landed(spark, ("1", "5", None), ("2", "5.50x", None))
    judged = judge(read_as(raw, TYPES), THINGS)
    assert judged.valid.columns == ["id", "price", "day", "_warned", *ORIGIN]
    assert judged.older.columns == judged.valid.columns
    assert judged.quarantined.columns == [*raw.columns, "_failed"]
    assert found(judged.quarantined, "price") == {("5.50x",)}


def test_a_contract_may_have_no_rules(spark: SparkSession) -> None:
    plain = Contract("t", (Column("id", "bigint"), Column("price", "double")), key=("id",))
    judged = judge(read_as(landed(spark, ("1", "-5", "x")), plain.types), plain)
    assert found(judged.valid, "id", "price", "_warned") == {(1, -5.0, None)}


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ((NIGHT, NOON, 1, "a"), (NOON, NIGHT, 2, "b")),  # a later batch
        ((NOON, NIGHT, 1, "a"), (NOON, NOON, 2, "b")),  # then a later file
        ((NOON, NOON, 2, "a"), (NOON, NOON, 1, "b")),  # then a later row
        ((NOON, NOON, 1, "b"), (NOON, NOON, 1, "a")),  # names only decide if all else is equal
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_the_row_that_arrived_last_is_the_newest(
    spark: SparkSession, later: tuple[Any, ...], earlier: tuple[Any, ...], swapped: bool
) -> None:
    rows = [("1", "5", None, *later), ("1", "6", None, *earlier)]
    raw = spark.createDataFrame(
        rows[::-1] if swapped else rows, f"{LANDED}, _row bigint, _file string"
    )
    assert found(judge(read_as(raw, TYPES), THINGS).valid, "price") == {(5.0,)}
    origin = "_loaded_at timestamp, _arrived_at timestamp, _row bigint, _file string"
    names = ", ".join([origin, *(f"_old_{column}" for column in origin.split(", "))])
    pair = spark.createDataFrame([(*later, *earlier)], names)
    assert pair.select(is_newer("", "_old_"), is_newer("_old_", "")).collect() == [(True, False)]


def test_a_row_is_not_newer_than_itself(spark: SparkSession) -> None:
    origin = "_loaded_at timestamp, _arrived_at timestamp, _row bigint, _file string"
    rows = spark.createDataFrame([(NOON, NOON, 1, "a")], origin)
    assert rows.select(is_newer("", "")).collect() == [(False,)]
