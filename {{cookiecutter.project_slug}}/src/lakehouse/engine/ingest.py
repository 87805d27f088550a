"""Ingests landing files into bronze: each once, every column as text, every file accounted for.

`ops.files` has one row for each file that was seen: ingested, or rejected with a reason. A file is
rejected alone; the others go on. A rejected file is tried again when it or the contract changes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.contract import Contract
from lakehouse.engine import times
from lakehouse.engine.arrivals import Arrival
from lakehouse.engine.files import ROW
from lakehouse.engine.landing import ARRIVED, FILE, LOADED
from lakehouse.engine.loaders import Found, Landed, Loader
from lakehouse.engine.report import Change
from lakehouse.engine.stores import Location, Store

INGESTED, REJECTED, CHANGED = "ingested", "rejected", "changed"
FILES = (
    "source string, file string, status string, reason string, rows bigint, added string, "
    "missing string, bytes bigint, modified_at timestamp, digest string, contract string, "
    "loaded_at timestamp"
)


@dataclass(frozen=True)
class Seen:
    """A file as it was seen: one row of `ops.files`."""

    source: str
    file: str
    status: str
    reason: str
    rows: int
    added: str
    missing: str
    bytes: int
    modified_at: datetime
    digest: str
    contract: str
    loaded_at: datetime | None


@dataclass(frozen=True)
class Ingested:
    """What an ingest has done.

    Attributes:
        change: the effect on bronze.
        files: the files that this run has judged.
        waiting: the files that are rejected, from this run or earlier ones.
    """

    change: Change
    files: tuple[Seen, ...] = ()
    waiting: tuple[Seen, ...] = ()

    def lines(self) -> Iterator[str]:
        """What a person has to know: rejected files, new and missing columns."""
        for seen in self.files:
            if seen.status == INGESTED and (seen.added or seen.missing):
                news = [f"new column {seen.added}"] if seen.added else []
                news += [f"without {seen.missing}"] if seen.missing else []
                yield f"{seen.source}/{seen.file}: {', '.join(news)}"
        for seen in self.waiting:
            yield f"{seen.source}/{seen.file}: {seen.status}: {seen.reason}"


def ingest(
    spark: SparkSession,
    store: Store,
    contract: Contract,
    source: str,
    folder: str,
    at: Mapping[str, Location],
) -> Ingested:
    """Ingest the new files of `folder`; see `Tables.ingest`."""
    bronze, ledger = at[f"bronze.{source}"], at["ops.files"]
    landed = Landed(contract, source, folder, bronze, at["ops.arrivals"])
    loader = store.loader(landed)
    before = store.count(bronze) if store.exists(bronze) else 0
    known = _known(store, ledger, source)
    arrivals = loader.arrivals()
    new = [a for a in arrivals if _is_to_read(a, known.get(a.name), contract)]
    loaded_at = _next(known.values())
    interrupted = _found_in_bronze(store, bronze, known.values()) if new else {}
    judged: list[Seen] = []
    for batch in loader.batches(new):
        loaded = {file.name: interrupted.get(file.name, loaded_at) for file in batch}
        judged += _load(loader, batch, landed, known, loaded, loaded_at)
    if contract.columns and not store.exists(bronze):
        store.write(spark.createDataFrame([], _columns(contract)), bronze, "append")
    _record(spark, store, ledger, judged, known)
    known |= {seen.file: seen for seen in judged}
    rejected = [a for a in arrivals if a.name in known and known[a.name].status != INGESTED]
    waiting = tuple(known[arrival.name] for arrival in loader.existing(rejected))
    after = store.count(bronze) if store.exists(bronze) else 0
    change = Change(f"bronze.{source}", after, inserted=after - before)
    return Ingested(change, tuple(judged), waiting)


def _load(
    loader: Loader,
    batch: Sequence[Arrival],
    landed: Landed,
    known: Mapping[str, Seen],
    loaded: Mapping[str, datetime],
    loaded_at: datetime,
) -> list[Seen]:
    """Judge files, and append the rows of those that are new and accepted.

    Args:
        loaded: when each was loaded, if it is: by this run, or by one that was interrupted.
    """
    found = {one.file.name: one for one in loader.inspect(batch)}
    judged = [_judged(found[name], known.get(name), landed, loaded[name]) for name in found]
    accepted = [found[seen.file] for seen in judged if seen.rows and seen.loaded_at == loaded_at]
    if accepted:
        loader.append(accepted, loaded_at)
    return judged


def _columns(contract: Contract) -> str:
    """The columns of a bronze table without rows: no file has any yet."""
    names = [f"`{name}` string" for name in contract.types]
    own = f"{ROW} bigint, {FILE} string, {ARRIVED} timestamp, {LOADED} timestamp"
    return ", ".join([*names, own])


def _record(
    spark: SparkSession,
    store: Store,
    ledger: Location,
    judged: Sequence[Seen],
    known: Mapping[str, Seen],
) -> None:
    rows = [tuple(vars(seen).values()) for seen in judged]
    if any(seen.file in known for seen in judged):
        store.merge(spark.createDataFrame(rows, FILES), ledger, ["source", "file"])
    elif rows:
        store.add(rows, FILES, ledger)


def _known(store: Store, ledger: Location, source: str) -> dict[str, Seen]:
    if not store.exists(ledger):
        return {}
    return {row["file"]: Seen(**row) for row in store.find(ledger, [("source", "=", source)])}


def _is_to_read(arrival: Arrival, seen: Seen | None, contract: Contract) -> bool:
    if seen is None or (arrival.bytes, arrival.modified_at) != (seen.bytes, seen.modified_at):
        return True
    return seen.status == REJECTED and seen.contract != contract.digest


def _next(known: Iterable[Seen]) -> datetime:
    """The time of this batch, which is after that of every earlier one."""
    return times.now(after=_latest(known))


def _latest(known: Iterable[Seen]) -> datetime:
    """The time of the last batch that is recorded."""
    return max((seen.loaded_at for seen in known if seen.loaded_at), default=times.START)


def _found_in_bronze(store: Store, bronze: Location, known: Iterable[Seen]) -> dict[str, datetime]:
    """Files whose rows an interrupted run has appended without a row in `ops.files`."""
    if not store.exists(bronze):
        return {}
    rows = store.read(bronze).where(F.col(LOADED) > F.lit(_latest(known)))
    found = times.collect(rows.groupBy(FILE).agg(F.max(LOADED).alias(LOADED)))
    return {row[FILE]: row[LOADED] for row in found}


def _judged(found: Found, seen: Seen | None, landed: Landed, loaded_at: datetime) -> Seen:
    """What becomes of a file: only what was never ingested has the time `loaded_at`."""
    file, inspected = found.file, found.inspected
    if seen is not None and seen.status in {INGESTED, CHANGED}:
        if not found.digest:
            return seen  # it cannot be read now
        same = found.digest == seen.digest
        reason = "" if same else "other content under the same name; give it another name"
        status = INGESTED if same else CHANGED
        noted = replace(seen, status=status, reason=reason)
        return replace(noted, bytes=file.bytes, modified_at=file.modified_at)
    refused = inspected.refused
    return Seen(
        landed.source,
        file.name,
        REJECTED if refused else INGESTED,
        refused,
        0 if refused else inspected.rows,
        ", ".join(inspected.added),
        ", ".join(inspected.missing),
        file.bytes,
        file.modified_at,
        found.digest,
        landed.contract.digest,
        None if refused else loaded_at,
    )
