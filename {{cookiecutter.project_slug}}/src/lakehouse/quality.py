"""Declared quality rules: which rows are valid, quarantined or superseded.

Every landed row is in exactly one of three places, so
`landed = silver + quarantined + superseded` is always true.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, get_args

import yaml
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

OnFailure = Literal["quarantine", "warn"]
ORIGIN = ("_file", "_loaded_at")


@dataclass(frozen=True)
class Rule:
    """One expectation about a row.

    Attributes:
        name: shown in `_failed` or `_warned` of a row that does not meet it.
        expect: a SQL condition; a row for which it is NULL does not meet it.
        on_failure: `quarantine` keeps the row out of silver, `warn` only marks it.
        why: explains the rule to the reader of a quarantined row.
    """

    name: str
    expect: str
    on_failure: OnFailure
    why: str


@dataclass(frozen=True)
class Rules:
    """The rules of one table.

    Attributes:
        key: the columns that make a row unique; a row without them is quarantined.
        newest_by: of several valid rows of a key, the greatest by these columns is kept.
        rules: the expectations, in the order of the file.
    """

    key: tuple[str, ...]
    newest_by: tuple[str, ...]
    rules: tuple[Rule, ...]

    def names(self, on_failure: OnFailure) -> tuple[str, ...]:
        """The names of the rules with this action."""
        return tuple(rule.name for rule in self.rules if rule.on_failure == on_failure)


@dataclass(frozen=True)
class Sorted:
    """Where each landed row belongs.

    Attributes:
        valid: the newest valid row of each key, with `_warned`.
        quarantined: the rows as they landed, with `_failed`.
        superseded: each key with older valid rows, and their number as `older`.
    """

    valid: DataFrame
    quarantined: DataFrame
    superseded: DataFrame


def load_rules(domain: str, table: str) -> Rules:
    """Read `src/lakehouse/<domain>/rules/<table>.yml`.

    Raises:
        ValueError: the file has an invalid structure; the message names file and field.
    """
    path = files("lakehouse") / domain / "rules" / f"{table}.yml"
    return parse_rules(
        yaml.safe_load(path.read_text(encoding="utf-8")), f"{domain}/rules/{path.name}"
    )


def parse_rules(document: Any, origin: str) -> Rules:
    """Create `Rules` from a parsed YAML document; errors name `origin`.

    Raises:
        ValueError: the document has an invalid structure.
    """
    fields = _fields(document, {"key", "newest_by", "rules"}, origin)
    rules = tuple(_rule(entry, f"{origin}, rule {n}") for n, entry in enumerate(fields["rules"], 1))
    return Rules(tuple(fields["key"]), tuple(fields["newest_by"]), rules)


def read_as(raw: DataFrame, types: Mapping[str, str]) -> DataFrame:
    """Cast the text columns of bronze to their `types`, by column name.

    `_raw` keeps the row as it landed, and `_hash` is computed from its text. `_unreadable` names
    the columns whose text cannot be cast; it is empty if every column can be cast.
    """
    text = [name for name in raw.columns if name not in ORIGIN]
    typed = {name: F.expr(f"try_cast(`{name}` AS {type_})") for name, type_ in types.items()}
    broken = [
        F.when(F.col(f"`{name}`").isNotNull() & value.isNull(), name)
        for name, value in typed.items()
    ]
    return raw.select(
        *(value.alias(name) for name, value in typed.items()),
        *ORIGIN,
        F.concat_ws(",", *broken).alias("_unreadable"),
        F.struct(*raw.columns).alias("_raw"),
        F.xxhash64(*text).alias("_hash"),
    )


def sort_rows(rows: DataFrame, rules: Rules) -> Sorted:
    """Apply the rules to `rows` (from `read_as`), and find the newest valid row of each key."""
    checked = rows.withColumn("_failed", _broken(rules, "quarantine")).withColumn(
        "_warned", _broken(rules, "warn")
    )
    good = checked.where("_failed = ''").drop("_failed", "_unreadable", "_raw")
    newest = good.withColumn("_rank", _rank(rules)).where("_rank = 1")
    return Sorted(
        valid=newest.drop("_rank", "_hash", *ORIGIN),
        quarantined=checked.where("_failed <> ''").select("_raw.*", "_failed"),
        superseded=good.groupBy(*rules.key)
        .agg((F.count("*") - 1).alias("older"))
        .where("older > 0"),
    )


def _broken(rules: Rules, on_failure: OnFailure) -> Column:
    """The names of the rules that a row breaks, joined by commas."""
    names = [
        F.when(~F.coalesce(F.expr(rule.expect), F.lit(False)), rule.name)
        for rule in rules.rules
        if rule.on_failure == on_failure
    ]
    if on_failure == "quarantine":
        missing = [F.when(F.col(column).isNull(), f"no_{column}") for column in rules.key]
        names = [*missing, *names]
    return F.concat_ws(",", *names) if names else F.lit("")


def _rank(rules: Rules) -> Column:
    """1 for the newest row of a key. Rows that tie are ordered by the hash of their text, so that
    every run and every engine picks the same one.
    """
    newest_first = [F.col(column).desc_nulls_last() for column in rules.newest_by]
    return F.row_number().over(Window.partitionBy(*rules.key).orderBy(*newest_first, "_hash"))


def _rule(entry: Any, origin: str) -> Rule:
    fields = _fields(entry, {"name", "expect", "on_failure", "why"}, origin)
    if fields["on_failure"] not in get_args(OnFailure):
        known = " or ".join(get_args(OnFailure))
        raise ValueError(f"{origin}: on_failure: given {fields['on_failure']!r}, expected {known}")
    return Rule(**fields)


def _fields(document: Any, expected: set[str], origin: str) -> dict[str, Any]:
    given = set(document) if isinstance(document, dict) else set()
    if given != expected:
        raise ValueError(
            f"{origin}: given {', '.join(sorted(given)) or 'nothing'}, "
            f"expected {', '.join(sorted(expected))}"
        )
    return dict(document)
