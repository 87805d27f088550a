"""Decides what happens to a landing file, by the contract of its source."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lakehouse.contract import Contract
from lakehouse.engine.arrivals import Arrival
from lakehouse.engine.files import ROW, UnreadableFileError, parse

if TYPE_CHECKING:
    import pyarrow as pa

FILE, ARRIVED, LOADED = "_file", "_arrived_at", "_loaded_at"
# Where a row comes from, in the order in which rows of a key are compared: a later batch is newer,
# then a later file, then a later row of the file. Names are compared only if all else is equal.
ORIGIN = (LOADED, ARRIVED, ROW, FILE)

_PATTERNS = {
    "bigint": r"^\s*[+-]?\d+\s*$",
    "double": r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$",
    "boolean": r"(?i)^\s*(true|false|t|f|yes|no|y|n|1|0)\s*$",
    "date": r"^\s*\d{4}-\d{1,2}-\d{1,2}\s*$",
    "timestamp": r"^\s*\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d+)?)?.*)?\s*$",
}


@dataclass(frozen=True)
class Inspected:
    """What was found in a file.

    Attributes:
        rows: the number of its rows.
        added: columns that the contract does not have.
        missing: columns of the contract that the file does not have.
        refused: why the file is refused; empty if it is ingested.
    """

    rows: int = 0
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    refused: str = ""


def inspect(name: str, content: bytes, contract: Contract) -> tuple[Inspected, "pa.Table | None"]:
    """Read a file and compare it with its contract.

    Returns:
        What was found, and the rows; a column with a former name has its name of today.
    """
    try:
        table = _renamed(parse(name, content), contract)
    except UnreadableFileError as error:
        return Inspected(refused=str(error)), None
    given = [column for column in table.column_names if column != ROW]
    expected = [column.name for column in contract.columns]
    added = tuple(column for column in given if column not in expected)
    missing = tuple(column for column in expected if column not in given)
    refused = _refused(table, contract, given, added, missing)
    return Inspected(table.num_rows, added, missing, refused), None if refused else table


def bronze_rows(
    rows: "pa.Table", contract: Contract, file: Arrival, loaded_at: datetime
) -> "pa.Table":
    """The rows (from `inspect`) in bronze's columns, as text.

    First those of the contract, then where a row comes from, and last those that the contract does
    not have: in this order a new column is added to a table that exists, too.
    """
    import pyarrow as pa

    for column in contract.types:
        if column not in rows.column_names:
            rows = rows.append_column(column, pa.nulls(rows.num_rows, pa.string()))
    microseconds = pa.timestamp("us", "UTC")
    for name, value in (
        (FILE, pa.scalar(file.name)),
        (ARRIVED, pa.scalar(file.modified_at, microseconds)),
        (LOADED, pa.scalar(loaded_at, microseconds)),
    ):
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    own = [*contract.types, ROW, FILE, ARRIVED, LOADED]
    return rows.select([*own, *(name for name in rows.column_names if name not in own)])


def _renamed(table: "pa.Table", contract: Contract) -> "pa.Table":
    names = list(table.column_names)
    for column in contract.columns:
        for former in column.synonyms:
            if former.lower() in names and column.name not in names:
                names[names.index(former.lower())] = column.name
    return table.rename_columns(names)


def _refused(
    table: "pa.Table",
    contract: Contract,
    given: Sequence[str],
    added: Sequence[str],
    missing: Sequence[str],
) -> str:
    policy = contract.landing
    required = {column.name for column in contract.columns if column.required}
    lacking = [column for column in missing if column in required or policy.missing == "refuse"]
    if lacking:
        return (
            f"given the columns {', '.join(given)}, expected also {', '.join(lacking)}"
            f"{_renaming(lacking, added)}"
        )
    if added and policy.unknown == "refuse":
        return f"given the unknown columns {', '.join(added)}, expected only those of the contract"
    if policy.other_type == "refuse":
        return next(_other_types(table, contract), "")
    return ""


def _renaming(lacking: Sequence[str], added: Sequence[str]) -> str:
    """A hint if a missing column seems to have a new name."""
    for column in lacking:
        for close in difflib.get_close_matches(column, added, 1):
            return (
                f"; if {close} is a new name of {column}, add it to the contract: "
                f"synonyms: [{{synonym: {close}}}]"
            )
    return ""


def _other_types(table: "pa.Table", contract: Contract) -> Any:
    """What texts their type cannot represent: `column: given …, expected …`."""
    import pyarrow.compute as pc

    for name, type_ in contract.types.items():
        pattern = _PATTERNS.get(type_)
        if pattern is None or name not in table.column_names:
            continue
        texts = table[name].drop_null()
        for text in texts.filter(pc.invert(pc.match_substring_regex(texts, pattern))).slice(0, 1):
            yield f"column {name}: given {text.as_py()!r}, expected {type_}"
