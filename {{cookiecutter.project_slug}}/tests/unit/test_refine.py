"""From bronze to silver: no row is lost."""

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import quality, refine
from lakehouse.engine import Tables
from lakehouse.flights import transform
from lakehouse.refine import Account


def bronze(tables: Tables, spark: SparkSession) -> DataFrame:
    rows = [
        ("AA", "American", "a.csv"),
        ("AA", "American Airlines", "b.csv"),
        ("ZZ", None, "a.csv"),
    ]
    raw = spark.createDataFrame(rows, "carrier string, name string, _file string")
    tables.replace("bronze.airlines", raw.withColumn("_loaded_at", F.current_timestamp()))
    return quality.read_as(tables.read("bronze.airlines"), transform.AIRLINES)


def test_each_landed_row_is_in_one_place(tables: Tables, spark: SparkSession) -> None:
    changes, account = refine.refine(tables, "flights", "airlines", bronze(tables, spark))
    assert account == Account(landed=3, silver=1, quarantined=1, superseded=1, warned=0)
    assert str(account) == "3 landed = 1 silver + 1 quarantined + 1 superseded ✓"
    assert [change.table for change in changes] == ["silver.airlines", "silver.airlines_quarantine"]
    assert [row["name"] for row in tables.read("silver.airlines").collect()] == [
        "American Airlines"
    ]


def test_a_row_that_is_lost_fails_the_task(tables: Tables, spark: SparkSession) -> None:
    rows = bronze(tables, spark).where("name IS NOT NULL")
    with pytest.raises(
        ValueError, match=r"flights\.airlines: rows are not accounted for: 3 landed"
    ):
        refine.refine(tables, "flights", "airlines", rows)


def test_warned_rows_are_counted(tables: Tables, spark: SparkSession) -> None:
    raw = spark.createDataFrame(
        [("LAX", "Los Angeles", "33.9", "-118.4", None, "a.csv")],
        "faa string, name string, lat string, lon string, tzone string, _file string",
    ).withColumn("_loaded_at", F.current_timestamp())
    tables.replace("bronze.airports", raw)
    rows = quality.read_as(raw, transform.AIRPORTS)
    assert refine.refine(tables, "flights", "airports", rows)[1].warned == 1
