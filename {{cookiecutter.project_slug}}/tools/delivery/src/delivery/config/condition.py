"""Reads the SQL condition of a rule, without an engine.

The embedded engine would take three seconds to start, and it is not part of this tool's
environment; a parser takes a third of a second, and no row is needed to find a misspelt column.
"""

import re
from functools import cache
from typing import Any, NamedTuple

_TIME_UNITS = (
    *("year", "quarter", "month", "week", "day", "dayofyear"),
    *("hour", "minute", "second", "millisecond", "microsecond"),
)
_ALL = 1_000_000  # characters before an error, to find its position


class Reference(NamedTuple):
    """A column that a condition names, and where, such as `character 5`."""

    name: str
    place: str


class Condition(NamedTuple):
    """A condition: its columns; or what is wrong with it."""

    columns: tuple[Reference, ...] = ()
    error: str = ""


def parse_condition(text: str) -> Condition:
    """The columns of a condition, or its first error with its place.

    Columns of subqueries and parameters of lambda functions are left out.
    """
    from sqlglot import exp
    from sqlglot.errors import ParseError, SqlglotError

    try:
        parsed = _dialect().parse_into(exp.Condition, text, error_message_context=_ALL)
    except ParseError as error:
        return Condition(error=_reason(text, error.errors))
    except SqlglotError:
        return Condition(error="a quote or a comment is not closed")
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return Condition(error="it cannot be read")
    trees = [tree for tree in parsed if tree is not None]
    if len(trees) != 1 or not isinstance(trees[0], exp.Condition):
        return Condition(error=f"given {len(trees)} expressions" if trees else "given nothing")
    split = re.search(r">\s+>|<\s+<", text)
    if split and any(trees[0].find_all(exp.BitwiseRightShift, exp.BitwiseLeftShift)):
        return Condition(error=f"{_place(text, split.end() - 1)}, near {text[split.end() - 1]!r}")
    aggregates = [a for a in trees[0].find_all(exp.AggFunc) if not a.find_ancestor(exp.Query)]
    if aggregates:
        what = aggregates[0].sql(dialect="databricks")
        return Condition(error=f"given the aggregate {what}, expected a condition about one row")
    return Condition(tuple(_references(text, trees[0])))


@cache
def _dialect() -> Any:
    from sqlglot import Dialect

    return Dialect.get_or_raise("databricks")


def _references(text: str, tree: Any) -> list[Reference]:
    from sqlglot import exp

    found = []
    for column in tree.find_all(exp.Column):
        first = column.parts[0]
        is_unit = isinstance(column.parent, exp.Anonymous) and first.name.lower() in _TIME_UNITS
        if not is_unit and not column.find_ancestor(exp.Query):
            start = first.meta.get("start", 0)
            found.append((start, Reference(first.name, _place(text, start))))
    return [reference for _, reference in sorted(found)]


def _reason(text: str, errors: list[dict[str, Any]]) -> str:
    if not text.strip():
        return "given nothing"
    error = errors[0] if errors else {}
    near, start = error.get("highlight"), len(error.get("start_context") or "")
    missing = re.match("Required keyword|Expect", error.get("description") or "")
    if not near:
        return "it ends too early"
    return f"{_place(text, start)}, near {near!r}" + (": something is missing" if missing else "")


def _place(text: str, start: int) -> str:
    line, column = text.count("\n", 0, start) + 1, start - (text.rfind("\n", 0, start) + 1) + 1
    return f"character {column}" if "\n" not in text.strip() else f"line {line}, character {column}"
