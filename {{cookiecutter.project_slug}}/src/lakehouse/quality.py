"""Applies the rules of a contract: which rows are valid, and which are quarantined.

Pure functions over rows, the same on every engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.contract import Contract, OnFailure
from lakehouse.engine.landing import ORIGIN

UNREADABLE = "unreadable"  # the rule that a row breaks if a text is not of its column's type


@dataclass(frozen=True)
class Judged:
    """Where each row belongs.

    Attributes:
        valid: the newest valid row of each key: the contract's columns, origin, and
            in `_warned` the rules that it does not meet.
        older: the other valid rows, with the same columns.
        quarantined: the rows as they landed, with `_failed`.
    """

    valid: DataFrame
    older: DataFrame
    quarantined: DataFrame


def read_as(raw: DataFrame, types: Mapping[str, str]) -> DataFrame:
    """Cast the text columns of bronze to their `types`, by column name.

    A column that bronze does not have yet, such as one that is new in the contract, is NULL.

    `_raw` keeps the row as it landed. `_unreadable` names the columns whose text cannot be cast; it
    is NULL if every column can be cast.
    """
    given = {name: type_ for name, type_ in types.items() if name in raw.columns}
    typed = {name: F.lit(None).cast(type_) for name, type_ in types.items()}
    typed |= {name: F.expr(f"try_cast(`{name}` AS {type_})") for name, type_ in given.items()}
    broken = [F.when(F.col(f"`{name}`").isNotNull() & typed[name].isNull(), name) for name in given]
    return raw.select(
        *(value.alias(name) for name, value in typed.items()),
        *ORIGIN,
        _joined(broken).alias("_unreadable"),
        F.struct(*raw.columns).alias("_raw"),
    )


def judge(
    rows: DataFrame,
    contract: Contract,
    *,
    unique: bool = False,
    hold: Callable[[DataFrame], DataFrame] = lambda checked: checked,
) -> Judged:
    """Apply the contract to `rows` (from `read_as`), and find the newest valid row of each key.

    Args:
        unique: that no key has two rows is known; see `has_unique_keys`.
        hold: keeps the rows that were checked, from which all others are selected.
    """
    checked = rows.withColumn("_failed", _failed(contract)).withColumn(
        "_warned", _joined(_conditions(contract, "warn"))
    )
    columns = [*contract.types, "_warned", *ORIGIN]
    raw = F.when(F.col("_failed").isNotNull(), F.col("_raw")).alias("_raw")
    checked = hold(checked.select(*columns, "_failed", raw))
    good = checked.where("_failed IS NULL").select(*columns)
    bad = checked.where("_failed IS NOT NULL").select("_raw.*", "_failed")
    if unique:
        return Judged(good, good.limit(0), bad)
    ranked = good.withColumn("_rank", _rank(contract))
    valid, older = ranked.where("_rank = 1"), ranked.where("_rank > 1")
    return Judged(valid.drop("_rank"), older.drop("_rank"), bad)


def has_unique_keys(rows: DataFrame, contract: Contract) -> bool:
    """Whether no key has two rows. To know it costs less than to rank all rows."""
    known = rows.select(*contract.key).dropna()
    most = (
        known.groupBy(*map(F.col, contract.key)).agg(F.count("*").alias("rows")).agg(F.max("rows"))
    )
    return (most.collect()[0][0] or 0) <= 1


def is_newer(one: str, other: str) -> Column:
    """Whether the row whose columns begin with `one` arrived after that with `other`."""
    newer = F.lit(False)
    for name in reversed(ORIGIN):
        a, b = F.col(f"{one}{name}"), F.col(f"{other}{name}")
        newer = (a > b) | ((a == b) & newer)
    return newer


def _failed(contract: Contract) -> Column:
    """The names of the rules for which a row is quarantined, joined by commas."""
    needed = [c.name for c in contract.columns if c.required or c.name in contract.key]
    names = [F.when(F.col("_unreadable").isNotNull(), UNREADABLE)]
    names += [F.when(F.col(f"`{name}`").isNull(), f"no_{name}") for name in needed]
    return _joined([*names, *_conditions(contract, "quarantine")])


def _joined(names: list[Column]) -> Column:
    """The names that are not NULL, joined by commas; NULL if there are none."""
    return F.nullif(F.concat_ws(",", *names), F.lit("")) if names else F.lit(None).cast("string")


def _conditions(contract: Contract, on_failure: OnFailure) -> list[Column]:
    return [
        F.when(~F.coalesce(F.expr(rule.condition), F.lit(False)), rule.name)
        for rule in contract.rules
        if rule.on_failure == on_failure
    ]


def _rank(contract: Contract) -> Column:
    """1 for the newest row of a key: the one that arrived last."""
    newest_first = [F.col(name).desc() for name in ORIGIN]
    return F.row_number().over(Window.partitionBy(*contract.key).orderBy(*newest_first))
