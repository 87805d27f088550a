"""From bronze to silver: only what is new is judged, merged and accounted for.

A run writes in this order: the rows that newer ones supersede, silver, quarantine, and last its row
in `ops.runs`. Each write can be repeated without effect, so a run that was interrupted anywhere is
completed by the next one.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import evolution, quality, runs
from lakehouse.contract import Contract
from lakehouse.engine import Change, Tables, times
from lakehouse.engine.files import ROW
from lakehouse.engine.landing import FILE, LOADED
from lakehouse.runs import Run

CHANGED = "_changed_at"  # when the job wrote a row of silver, or moved it to the superseded rows
_MONTHS = 36  # of more months than these, all of silver is read


@dataclass(frozen=True)
class Refined:
    """What `refine` did: the changed tables, and the account."""

    changes: tuple[Change, ...]
    run: Run


def refine(
    tables: Tables,
    table: str,
    prepare: Callable[[DataFrame], DataFrame] | None = None,
    follows: Sequence[str] | None = None,
) -> Refined:
    """Write `silver.<table>`, `<table>_quarantine` and `<table>_superseded` from what landed.

    Args:
        prepare: adds the columns of silver to the typed rows of bronze.
        follows: the tables of silver that `prepare` reads; empty if it reads none. Rows in
            quarantine are judged again after a change of one of them; in each run, if it is not
            known (None) what `prepare` reads.

    Raises:
        ValueError: rows were lost or counted twice.
    """
    begin, name = time.monotonic(), f"silver.{table}"
    contract = tables.contract(name)
    last = runs.last_run(tables, name)
    started = times.now(after=last.started_at if last else runs.START)
    before = tables.version(name)
    looked_up = follows if prepare else ()
    due = _due(tables, table, contract, last, looked_up)
    changes = (
        _write(tables, table, due, prepare, started, last) if due else _unchanged(tables, name)
    )
    run = Run(
        name,
        times.now(after=started),
        time.monotonic() - begin,
        landed=tables.count(f"bronze.{table}"),
        failed=_failed(tables, changes[1]) if due or last is None else last.failed,
        version_before=before,
        version_after=tables.version(name),
        up_to=due.up_to,
        contract=due.digest,
        rebuilt=due.rebuilt,
        followed=due.followed,
    )
    run = _counted(run, changes)
    if not run.balanced:
        raise ValueError(f"rows are not accounted for: {run}; compute all of it: --full-refresh")
    run = evolution.apply(tables, run, last, replaced=changes[0].replaced)
    runs.record(tables, [run])
    return Refined(tuple(changes), run)


@dataclass(frozen=True)
class _Due:
    """What a run has to do; false if there is nothing.

    Attributes:
        rebuilt: why the whole table is computed; empty if its new rows are enough.
        again: whether rows in quarantine are judged again.
        since, up_to: the rows of bronze that are new were loaded after `since`, up to `up_to`.
        digest: changes with the contract and the types that bronze is read as.
        followed: when each table that is looked up last changed, as JSON.
    """

    rebuilt: str
    again: bool
    since: datetime
    up_to: datetime
    digest: str
    followed: str

    def __bool__(self) -> bool:
        return bool(self.rebuilt) or self.again or self.up_to > self.since


def _due(
    tables: Tables, table: str, contract: Contract, last: Run | None, follows: Sequence[str] | None
) -> _Due:
    bronze = f"bronze.{table}"
    typed_as = tables.contract(f"landing.{table}").types
    digest = f"{contract.digest} {runs.digest_of(typed_as)}"
    rebuilt = _reason(tables, contract.name, last, digest)
    since = runs.START if rebuilt or last is None else last.up_to
    up_to = tables.newest(LOADED, [bronze], since).get(bronze, since)
    followed = _followed(tables, follows, last) if follows is not None else ""
    again = not rebuilt and _may_be_released(tables, contract, last, followed)
    return _Due(rebuilt, again, since, up_to, digest, followed)


def _write(
    tables: Tables,
    table: str,
    due: _Due,
    prepare: Callable[[DataFrame], DataFrame] | None,
    started: datetime,
    last: Run | None,
) -> list[Change]:
    """Write silver, quarantine and superseded."""
    contract = tables.contract(f"silver.{table}")
    new = tables.newer(f"bronze.{table}", LOADED, due.since)
    raw = _with_quarantined(tables, table, new, due.since) if due.again else new
    typed = quality.read_as(raw, tables.contract(f"landing.{table}").types)
    rows = prepare(typed) if prepare else typed
    if due.rebuilt:
        return _rebuild(tables, contract, rows, started, last, due.rebuilt)
    return _merge(tables, contract, rows, started, runs.START if due.again else due.since)


def _unchanged(tables: Tables, name: str) -> list[Change]:
    names = (name, f"{name}_quarantine", f"{name}_superseded")
    return [Change(unchanged, tables.count(unchanged)) for unchanged in names]


def _counted(run: Run, changes: Sequence[Change]) -> Run:
    """The run with the numbers of silver, quarantine and superseded."""
    silver, quarantine, superseded = changes
    return replace(
        run,
        inserted=silver.inserted,
        updated=silver.updated,
        deleted=silver.deleted,
        quarantined=quarantine.rows,
        superseded=superseded.rows,
        rows=silver.rows,
    )


def _reason(tables: Tables, name: str, last: Run | None, digest: str) -> str:
    """Why the table is computed anew; empty if its new rows are enough."""
    if last is None or not tables.exists(name):
        return runs.FIRST
    if last.rebuilt == runs.BEGUN:
        return "an earlier rebuild was interrupted"
    if last.contract != digest:
        return "its contract changed"
    return "full refresh" if tables.full_refresh else ""


def _followed(tables: Tables, follows: Sequence[str], last: Run | None) -> str:
    """When each of the tables last changed, as JSON."""
    found: dict[str, str] = json.loads(last.followed) if last and last.followed else {}
    seen = [found.get(name, str(runs.START)) for name in follows]
    after = datetime.fromisoformat(min(seen, default=str(runs.START)))
    found |= {name: str(at) for name, at in tables.newest(CHANGED, follows, after).items()}
    return json.dumps({name: found[name] for name in follows if name in found})


def _may_be_released(tables: Tables, contract: Contract, last: Run | None, followed: str) -> bool:
    """Whether rows in quarantine may be valid by now."""
    known = last is not None and followed and last.followed == followed
    if known and not contract.depends_on_time:
        return False
    return tables.count(f"{contract.name}_quarantine") > 0


def _with_quarantined(tables: Tables, table: str, new: DataFrame, since: datetime) -> DataFrame:
    """The new rows, and those in quarantine: what they lacked may be known by now."""
    held = tables.read(f"silver.{table}_quarantine").drop("_failed")
    # Later ones are of an interrupted run: they are among the new rows.
    earlier = held.where(F.col(LOADED) <= F.lit(since))
    return new.unionByName(earlier, allowMissingColumns=True)


def _rebuild(
    tables: Tables,
    contract: Contract,
    rows: DataFrame,
    moment: datetime,
    last: Run | None,
    reason: str,
) -> list[Change]:
    name, changed = contract.name, F.lit(moment).alias(CHANGED)
    unique = quality.has_unique_keys(rows, contract)
    judged = quality.judge(rows, contract, unique=unique)
    runs.begin(tables, last, moment)
    drop = evolution.drops_columns(contract, last)
    silver = tables.overwrite(name, judged.valid.select("*", changed), drop_columns=drop)
    quarantine = tables.overwrite(f"{name}_quarantine", judged.quarantined)
    superseded = tables.overwrite(f"{name}_superseded", judged.older.select("*", changed))
    return [replace(silver, note=runs.note(reason)), quarantine, superseded]


def _merge(
    tables: Tables, contract: Contract, rows: DataFrame, moment: datetime, since: datetime
) -> list[Change]:
    """Bring `rows` to where they belong: all rows of bronze since then that silver lacks."""
    name = contract.name
    held = name.partition(".")[2]
    judged = quality.judge(rows, contract, hold=partial(tables.hold, name=f"{held}_checked"))
    valid = judged.valid
    pairs = tables.hold(_with_old(valid, tables.read(name), contract), f"{held}_pairs")
    known = F.col(f"_old_{FILE}").isNotNull()
    newer = quality.is_newer("", "_old_")
    changed = F.lit(moment).alias(CHANGED)

    new = pairs.where(~known | newer).select(*valid.columns, changed)
    late = pairs.where(known & quality.is_newer("_old_", "")).select(*valid.columns, changed)
    old = [F.col(f"_old_{column}").alias(column) for column in valid.columns]
    replaced = pairs.where(known & newer).select(*old, changed)
    older = judged.older.select("*", changed)
    # A row that an interrupted run has merged is both in silver and among the new rows.
    gone = older.unionByName(late).unionByName(replaced).dropDuplicates([FILE, ROW])
    superseded = tables.insert_new(f"{name}_superseded", gone, [FILE, ROW])
    silver = tables.merge(name, new, contract.key)
    quarantine = _quarantine(tables, f"{name}_quarantine", judged.quarantined, since)
    return [silver, quarantine, superseded]


def _with_old(valid: DataFrame, silver: DataFrame, contract: Contract) -> DataFrame:
    """Each valid row, and as `_old_…` the columns of the row of its key in silver."""
    current = _of_same_months(silver, valid, contract.partition)
    old = current.select(*(F.col(c).alias(f"_old_{c}") for c in valid.columns))
    same = [F.col(column) == F.col(f"_old_{column}") for column in contract.key]
    return valid.join(old, same, "left")


def _quarantine(tables: Tables, name: str, rows: DataFrame, since: datetime) -> Change:
    """Make what the quarantine has of rows that were loaded after `since` equal to `rows`.

    As long as none leaves it, new ones are appended.
    """
    identity = [FILE, ROW, "_failed"]
    stored = tables.read(name)
    old = stored.where(F.col(LOADED) > F.lit(since)).select(*identity)
    both = rows.select(*identity, F.lit(1).alias("_new")).join(
        old.withColumn("_old", F.lit(1)), identity, "full"
    )
    lacking = both.agg(F.count_if(F.col("_new").isNull()), F.count_if(F.col("_old").isNull()))
    gone, new = lacking.collect()[0]
    if gone:
        others = stored.where(F.col(LOADED) <= F.lit(since))
        return tables.replace(name, rows.unionByName(others, allowMissingColumns=True))
    if new:
        return tables.append(name, rows.join(old, identity, "left_anti").select(*rows.columns))
    return Change(name, tables.count(name))


def _of_same_months(rows: DataFrame, batch: DataFrame, partition: str) -> DataFrame:
    """The rows of the months that `batch` has, so that no other files are read."""
    if not partition:
        return rows
    month = F.date_trunc("month", F.col(partition).cast("timestamp"))
    found = times.collect(batch.select(month.alias("month")).distinct())
    months = sorted(row["month"] for row in found if row["month"])
    if len(months) > _MONTHS:
        return rows
    column, within = F.col(partition), F.lit(False)
    for start in months:
        end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
        within = within | ((column >= F.lit(start)) & (column < F.lit(end)))
    return rows.where(within)


def _failed(tables: Tables, quarantine: Change) -> str:
    """How many rows in quarantine break each rule, as JSON."""
    if not quarantine.rows:
        return "{}"
    counts = tables.read(quarantine.table).groupBy(F.col("_failed")).count().collect()
    return runs.by_rule({row["_failed"]: row["count"] for row in counts})
