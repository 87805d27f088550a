"""Rules: which rows are quarantined or only marked, and which row of a key is kept."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import quality
from lakehouse.quality import Rules, load_rules, parse_rules, read_as, sort_rows

TYPES = {"id": "int", "price": "double", "day": "date"}
FORM: Mapping[str, Any] = {
    "key": ["id"],
    "newest_by": ["_file"],
    "rules": [
        {"name": "cheap", "expect": "price < 100", "on_failure": "quarantine", "why": "-"},
        {"name": "readable", "expect": "_unreadable = ''", "on_failure": "quarantine", "why": "-"},
        {"name": "dated", "expect": "day IS NOT NULL", "on_failure": "warn", "why": "-"},
    ],
}
RULES = parse_rules(FORM, "things.yml")
DOMAINS = Path(quality.__file__).parent


def landed(spark: SparkSession, *rows: tuple[str | None, str | None, str | None, str]) -> DataFrame:
    raw = spark.createDataFrame(list(rows), "id string, price string, day string, _file string")
    return read_as(raw.withColumn("_loaded_at", F.current_timestamp()), TYPES)


def test_text_becomes_values_and_what_is_none_is_named(spark: SparkSession) -> None:
    rows = landed(
        spark, ("1", "2.5", "2013-01-01", "a"), ("x", "y", None, "a"), (None, None, None, "a")
    )
    found = [(r["id"], r["price"], r["day"], r["_unreadable"]) for r in rows.collect()]
    assert found == [
        (1, 2.5, datetime.date(2013, 1, 1), ""),
        (None, None, None, "id,price"),
        (None, None, None, ""),
    ]


def test_each_row_is_in_one_place(spark: SparkSession) -> None:
    rows = landed(
        spark,
        ("1", "5", "2013-01-01", "a"),  # superseded by the next
        ("1", "6", "2013-01-01", "b"),
        ("2", "500", "2013-01-01", "a"),  # too expensive
        ("3", None, "2013-01-01", "a"),  # a rule that is NULL is not met
        (None, "5", "2013-01-01", "a"),  # no key
        ("x", "5", "2013-01-01", "a"),  # neither key nor number
        ("4", "7", None, "a"),  # only marked
    )
    found = sort_rows(rows, RULES)
    assert {(r["id"], r["price"], r["_warned"]) for r in found.valid.collect()} == {
        (1, 6.0, ""),
        (4, 7.0, "dated"),
    }
    assert {(r["id"], r["price"], r["_failed"]) for r in found.quarantined.collect()} == {
        ("2", "500", "cheap"),
        ("3", None, "cheap"),
        (None, "5", "no_id"),
        ("x", "5", "no_id,readable"),
    }
    assert [(r["id"], r["older"]) for r in found.superseded.collect()] == [(1, 1)]


def test_a_newer_row_that_fails_leaves_the_older_one_valid(spark: SparkSession) -> None:
    rows = landed(spark, ("1", "5", None, "a"), ("1", "500", None, "b"))
    assert [r["price"] for r in sort_rows(rows, RULES).valid.collect()] == [5.0]


def test_rows_that_tie_are_settled_alike_in_any_order(spark: SparkSession) -> None:
    one, other = ("1", "5", None, "a"), ("1", "6", None, "a")
    picks = {
        sort_rows(landed(spark, *rows), RULES).valid.collect()[0]["price"]
        for rows in ([one, other], [other, one])
    }
    assert len(picks) == 1


def test_silver_has_no_helper_columns(spark: SparkSession) -> None:
    found = sort_rows(landed(spark, ("1", "5", None, "a")), RULES)
    assert found.valid.columns == ["id", "price", "day", "_warned"]
    assert found.quarantined.columns == ["id", "price", "day", "_file", "_loaded_at", "_failed"]


def test_rules_of_a_kind_may_be_none(spark: SparkSession) -> None:
    rules = Rules(("id",), ("_file",), ())
    assert sort_rows(landed(spark, ("1", "5", None, "a")), rules).valid.count() == 1
    assert rules.names("warn") == ()
    assert RULES.names("quarantine") == ("cheap", "readable")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "things.yml: given nothing, expected key, newest_by, rules"),
        ({**FORM, "rule": []}, "given key, newest_by, rule, rules, expected key, newest_by, rules"),
        (
            {**FORM, "rules": [{"name": "x"}]},
            "things.yml, rule 1: given name, expected expect, name",
        ),
        (
            {**FORM, "rules": [{**FORM["rules"][0], "on_failure": "drop"}]},
            "rule 1: on_failure: given 'drop', expected quarantine or warn",
        ),
    ],
)
def test_a_rules_file_of_another_form_is_refused(document: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_rules(document, "things.yml")


@pytest.mark.parametrize("file", sorted(DOMAINS.glob("*/rules/*.yml")), ids=lambda file: file.stem)
def test_every_rules_file_can_be_used(file: Path) -> None:
    rules = load_rules(file.parts[-3], file.stem)
    assert rules.key
    assert rules.newest_by
    assert all(rule.why for rule in rules.rules)
