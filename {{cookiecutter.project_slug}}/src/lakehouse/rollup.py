"""From silver to gold by days: only the days whose rows changed are computed anew."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import evolution, runs
from lakehouse.contract import Contract
from lakehouse.engine import Change, Tables, times
from lakehouse.refine import CHANGED
from lakehouse.runs import Run

_DAYS = 400  # if more days than these changed, the whole table is computed


@dataclass(frozen=True)
class Gold:
    """How one table of gold is computed.

    Attributes:
        name: `gold.<table>`. Its contract names the column of days: the one that is `partitioned`.
        source: the table of silver that it aggregates; it has the same column of days.
        compute: the rows of gold from rows of the source.
        also: other tables whose changes matter, and the days that changed rows of them affect, in
            the same column.
        follows: tables that every day depends on, such as names: a change computes the whole table.
    """

    name: str
    source: str
    compute: Callable[[DataFrame], DataFrame]
    also: Mapping[str, Callable[[DataFrame], DataFrame]] = field(default_factory=dict)
    follows: Sequence[str] = ()


def refresh(tables: Tables, gold: Gold) -> Change:
    """Write a table of gold, and its row in `ops.runs`."""
    begin = time.monotonic()
    contract = tables.contract(gold.name)
    last = runs.last_run(tables, gold.name)
    before = tables.version(gold.name)
    newest = _newest(tables, gold, last)
    rebuilt, days = _scope(tables, gold, contract, last, newest)
    rows = tables.read(gold.source)
    started = times.now(after=last.started_at if last else runs.START)
    if rebuilt:
        runs.begin(tables, last, started)
        drop = evolution.drops_columns(contract, last)
        change = tables.replace(gold.name, gold.compute(rows), drop_columns=drop)
        change = replace(change, note=runs.note(rebuilt))
    elif days:
        touched = rows.where(F.col(contract.partition).isin(days))
        change = tables.replace(gold.name, gold.compute(touched), (contract.partition, days))
    else:
        change = Change(gold.name, tables.count(gold.name))
    run = Run(
        gold.name,
        times.now(after=started),
        time.monotonic() - begin,
        inserted=change.inserted,
        deleted=change.deleted,
        rows=change.rows,
        version_before=before,
        version_after=tables.version(gold.name),
        up_to=max(newest.values(), default=last.up_to if last else runs.START),
        contract=contract.digest,
        rebuilt=rebuilt,
    )
    runs.record(tables, [evolution.apply(tables, run, last, replaced=change.replaced)])
    return change


def _scope(
    tables: Tables,
    gold: Gold,
    contract: Contract,
    last: Run | None,
    newest: Mapping[str, datetime],
) -> tuple[str, list[date]]:
    """Why the whole table is computed, or the days that are."""
    if last is None or not tables.exists(gold.name):
        return runs.FIRST, []
    if last.rebuilt == runs.BEGUN:
        return "an earlier rebuild was interrupted", []
    if last.contract != contract.digest:
        return "its contract changed", []
    if tables.full_refresh:
        return "full refresh", []
    sources = (gold.source, *gold.also, *gold.follows)
    # Days may have left it without a trace.
    if rebuilt := runs.rebuilt_since(tables, sources, last.started_at):
        return f"{rebuilt} was rebuilt", []
    for name in gold.follows:
        if name in newest:
            return f"{name} changed", []
    days = _days(tables, gold, contract.partition, last) if newest else []
    return ("many days changed", []) if len(days) > _DAYS else ("", days)


def _days(tables: Tables, gold: Gold, day: str, last: Run) -> list[date]:
    """The days whose rows changed since the last run."""
    found: list[DataFrame] = []
    for name in _with_superseded(gold.source):
        found.append(tables.newer(name, CHANGED, last.up_to).select(day))
    for source, days_of in gold.also.items():
        for name in _with_superseded(source):
            found.append(days_of(tables.newer(name, CHANGED, last.up_to)).select(day))
    rows = functools.reduce(DataFrame.union, found)
    return sorted(row[0] for row in rows.distinct().collect() if row[0] is not None)


def _newest(tables: Tables, gold: Gold, last: Run | None) -> dict[str, datetime]:
    """When each table that matters last changed, of those that changed since the last run."""
    sources = [gold.source, *gold.also, *gold.follows]
    names = [name for source in sources for name in _with_superseded(source)]
    return tables.newest(CHANGED, names, last.up_to if last else runs.START)


def _with_superseded(source: str) -> tuple[str, str]:
    """A row that left silver has changed its day, too."""
    return source, f"{source}_superseded"
