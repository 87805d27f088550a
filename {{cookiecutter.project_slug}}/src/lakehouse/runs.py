"""The account of each run: one row of `ops.runs` for each task and table."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from lakehouse.engine import Tables, times

TABLE = "ops.runs"
START = times.START
FIRST = "first load"  # the reason why a table is computed that there was not before
BEGUN = "begun"  # in `rebuilt` of a run that has begun to compute the whole table
_SCHEMA = (
    "table string, started_at timestamp, seconds double, landed bigint, inserted bigint, "
    "updated bigint, deleted bigint, quarantined bigint, superseded bigint, rows bigint, "
    "failed string, rejected_files bigint, columns_added string, columns_missing string, "
    "version_before bigint, version_after bigint, up_to timestamp, contract string, "
    "rebuilt string, version string, metadata string, applied string, "
    "followed string"
)


@dataclass(frozen=True)
class Run:
    """What one run did to one table.

    Attributes:
        table: `layer.table`.
        started_at, seconds: when the run began, and how long it took.
        landed, quarantined, superseded, rows: the number of rows in each place afterwards;
            `landed = rows + quarantined + superseded` for a table of silver.
        inserted, updated, deleted: the rows that the run changed.
        failed: how many rows each rule quarantines, as JSON.
        rejected_files: the landing files that wait.
        columns_added, columns_missing: columns of landing files that differ from the contract.
        version_before, version_after: the table's versions in Delta's log.
        up_to: the newest rows of the source that the table takes into account.
        contract: the digest of what the contract says of rows; empty while a rebuild runs.
        rebuilt: why the whole table was computed; empty if only its new rows were. A rebuild that
            has begun has a row of its own.
        version: the version of the contract.
        metadata: the digest of what the contract says of the table besides its rows.
        followed: when each table that it looks up last changed, as JSON.
        applied: that metadata as JSON, if this run has brought it; see `lakehouse.evolution`.
    """

    table: str
    started_at: datetime
    seconds: float = 0.0
    landed: int | None = None
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    quarantined: int | None = None
    superseded: int | None = None
    rows: int = 0
    failed: str = "{}"
    rejected_files: int = 0
    columns_added: str = ""
    columns_missing: str = ""
    version_before: int | None = None
    version_after: int | None = None
    up_to: datetime = START
    contract: str = ""
    rebuilt: str = ""
    version: str = ""
    metadata: str = ""
    applied: str = ""
    followed: str = ""

    def __str__(self) -> str:
        if self.landed is None:
            return f"{self.table}: {self.rows:,} rows"
        rebuilt = f" ({note(self.rebuilt)}, {self.seconds:.1f} s)" if note(self.rebuilt) else ""
        return (
            f"{self.table.partition('.')[2]}: {self.landed:,} landed = {self.rows:,} silver "
            f"+ {self.quarantined or 0:,} quarantined + {self.superseded or 0:,} superseded "
            f"{'✓' if self.balanced else '✗'}{rebuilt}"
        )

    @property
    def balanced(self) -> bool:
        """Whether every landed row is in exactly one place."""
        return self.landed == self.rows + (self.quarantined or 0) + (self.superseded or 0)


def last_run(tables: Tables, table: str) -> Run | None:
    """The last run of a table; None if there was none."""
    found = tables.find(TABLE, [("table", "=", table)], newest="started_at")
    # Older runs have no value in newer columns.
    known = {name: value for name, value in found[0].items() if value is not None} if found else {}
    return Run(**known) if known else None


def last_applied(tables: Tables, table: str) -> dict[str, str]:
    """The metadata that was brought to a table last; empty if none was."""
    where = [("table", "=", table), ("applied", "!=", "")]
    found = tables.find(TABLE, where, newest="started_at")
    return dict(json.loads(found[0]["applied"])) if found else {}


def begin(tables: Tables, last: Run | None, started: datetime) -> None:
    """Record that a rebuild has begun: the next run, of any release, begins again."""
    if last is not None:
        begun = replace(
            last, started_at=started, contract="", rebuilt=BEGUN, metadata="", applied=""
        )
        record(tables, [begun])


def rebuilt_since(tables: Tables, names: Sequence[str], moment: datetime) -> str:
    """One of the tables that were computed as a whole after `moment`; empty if none was."""
    by_domain: dict[str, list[str]] = {}
    for name in names:
        _, own = tables.split(name)
        by_domain.setdefault(name.removesuffix(own), []).append(own)
    for domain, own_names in by_domain.items():
        where = [("table", "in", own_names), ("rebuilt", "!=", ""), ("started_at", ">", moment)]
        found = tables.find(f"{domain}{TABLE}", where, newest="started_at")
        if found:
            return f"{domain}{found[0]['table']}"
    return ""


def record(tables: Tables, runs: Sequence[Run]) -> None:
    """Append `runs`."""
    names = [field.name for field in fields(Run)]
    tables.add(TABLE, [tuple(getattr(run, name) for name in names) for run in runs], _SCHEMA)


def note(rebuilt: str) -> str:
    """What a person has to know of the reason why a table was computed."""
    return "" if rebuilt in {"", FIRST} else f"rebuilt: {rebuilt}"


def digest_of(types: Mapping[str, str]) -> str:
    """Changes with the types that the texts of bronze are read as."""
    return hashlib.sha256(json.dumps(dict(types)).encode()).hexdigest()[:16]


def by_rule(counts: Mapping[str, int]) -> str:
    """Rows by rule as JSON, from counts by the rules that a row breaks, joined by commas."""
    found: dict[str, int] = {}
    for names, rows in counts.items():
        for name in names.split(","):
            found[name] = found.get(name, 0) + rows
    return json.dumps(dict(sorted(found.items())))
