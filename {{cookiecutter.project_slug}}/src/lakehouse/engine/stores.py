"""Where tables are stored and how they are written: everything that differs by engine."""

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pyspark.sql import Column, DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.readwriter import DataStreamWriter
from pyspark.sql.types import StringType

from lakehouse.contract import spark_type
from lakehouse.engine import times
from lakehouse.engine.loaders import EmbeddedLoader, Landed, Loader
from lakehouse.engine.spark_loader import AutoLoader, FileStreamLoader

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

# Sail encodes other characters of a path twice, and then looks for a file that does not exist.
_PLAIN_PATH = re.compile(r"[\w./:\\-]+", re.ASCII)
# Bytes; more is computed again. A plan, which has held rows up to three times, may have 128 MiB.
_HELD = 32 * 1024 * 1024
_FILE_SIZE = 2 * 1024 * 1024  # bytes of a file of bronze: one core reads one file
_COMPACTED = 20  # after so many writes of a table its small files are merged
MONTH = "_month"  # partitions tables on a laptop; `read` leaves it out
Condition = tuple[str, str, Any]  # a column, one of `_OPERATORS`, and a value
_OPERATORS: dict[str, Callable[[Column, Any], Column]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    ">": lambda column, value: column > value,
    "in": lambda column, values: column.isin(list(values)),
}


@dataclass(frozen=True)
class Location:
    """A table in its catalog.

    Attributes:
        schema, table: its schema and name.
        partition: the column of dates or times that partitions or clusters it; empty if none does.
    """

    schema: str
    table: str
    partition: str = ""


@dataclass(frozen=True)
class Merged:
    """What a merge has written, in rows."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


class Store(Protocol):
    """Tables of one catalog."""

    def identifier(self, at: Location) -> str:
        """The name of the table in SQL."""

    def exists(self, at: Location) -> bool:
        """Whether the table has been written before."""

    def version(self, at: Location) -> int:
        """The newest version of the table in Delta's log."""

    def read(self, at: Location) -> DataFrame:
        """The rows of the table."""

    def types(self, at: Location) -> list[tuple[str, str]]:
        """The table's columns and their types, as `DataFrame.dtypes`."""

    def count(self, at: Location) -> int:
        """The number of rows."""

    def newer(self, at: Location, column: str, after: datetime) -> DataFrame:
        """The rows with a time after `after` in `column`."""

    def newest(
        self, column: str, places: Sequence[Location], after: datetime
    ) -> list[datetime | None]:
        """The latest time after `after` that each table has in `column`; None if it has none."""

    def find(
        self, at: Location, where: Sequence[Condition], newest: str = ""
    ) -> list[dict[str, Any]]:
        """Rows of a small table, with times in UTC.

        Args:
            where: at least one condition; they all hold.
            newest: only the row with the greatest value in this column.
        """

    def add(self, rows: Sequence[tuple[Any, ...]], columns: str, at: Location) -> None:
        """Append rows that are in memory.

        Args:
            columns: their names and types, such as `id bigint, name string`.
        """

    def write(self, rows: DataFrame, at: Location, mode: str) -> None:
        """Write the table.

        Args:
            mode: `append` adds rows, and new columns; `overwrite` replaces the rows, which have the
                table's columns; `replace` replaces the table, with its columns and metadata.
        """

    def merge(
        self,
        rows: DataFrame,
        at: Location,
        key: Sequence[str],
        *,
        update: bool = True,
        delete: bool = False,
    ) -> Merged:
        """Insert rows with new keys; NULL equals NULL.

        Args:
            update: also update the rows of known keys that differ.
            delete: also delete the rows whose keys are not in `rows`.
        """

    def hold(self, rows: DataFrame, at: Location) -> DataFrame:
        """The same rows, computed once if the engine can keep them: in memory, or in a table."""

    def alter(self, statements: Sequence[str]) -> None:
        """Run the statements of Unity Catalog that the engine knows."""

    def replace_where(
        self, rows: DataFrame, at: Location, column: str, values: Sequence[Any]
    ) -> None:
        """Replace the rows that have one of `values` in `column`."""

    def loader(self, landed: Landed) -> Loader:
        """What finds and reads landing files."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other runs of this catalog out; they wait."""


class Folders:
    """Delta tables in `.lakehouse/<catalog>/<schema>/<table>` under the project's root.

    The embedded engine reads them, and writes what is large. delta-rs writes what is small: its
    merges read only the partitions that they touch.
    """

    def __init__(self, spark: SparkSession, catalog: str) -> None:
        self._spark = spark
        self._catalog = catalog
        self._opened: dict[Path, DeltaTable] = {}
        self._read: dict[Location, dict[str, pa.Table]] = {}

    def identifier(self, at: Location) -> str:
        return f"delta.`{self.path(at)}`"

    def exists(self, at: Location) -> bool:
        return (self.path(at) / "_delta_log").is_dir()

    def version(self, at: Location) -> int:
        return int(self._delta(at).version())

    def read(self, at: Location) -> DataFrame:
        return self._spark.read.table(self.identifier(at)).drop(MONTH)

    def count(self, at: Location) -> int:
        # Both writers note the rows of each file in Delta's log.
        return sum(self._delta(at).get_add_actions(flatten=True)["num_records"].to_pylist())

    def newest(
        self, column: str, places: Sequence[Location], after: datetime
    ) -> list[datetime | None]:
        return [self._newest(column, at, after) for at in places]

    def _newest(self, column: str, at: Location, after: datetime) -> datetime | None:
        latest = self._latest(column, at)
        if latest is None:
            return _newest_by_engine([self.read(at)], column, after)[0]
        return max((moment for moment in latest.values() if moment > after), default=None)

    def _latest(self, column: str, at: Location) -> dict[str, datetime] | None:
        """The latest time in each file of a table; None if it is not known of every file.

        Delta's log has the statistics of a table's first columns; of times, whole milliseconds.
        """
        log = self._delta(at).get_add_actions(flatten=True)
        name = f"max.{column}"
        known = log[name].to_pylist() if name in log.schema.names else [None] * log.num_rows
        latest = dict(zip(log["path"].to_pylist(), known, strict=True))
        return None if None in latest.values() else latest

    def newer(self, at: Location, column: str, after: datetime) -> DataFrame:
        rows, latest = self.read(at), self._latest(column, at)
        if latest is not None:
            files = [str(self.path(at) / f) for f, moment in latest.items() if moment > after]
            if not files:
                return rows.limit(0)
            if len(files) < len(latest):
                rows = self._spark.read.schema(rows.schema).parquet(*files)
        return rows.where(F.col(column) > F.lit(after))

    def types(self, at: Location) -> list[tuple[str, str]]:
        from deltalake.schema import PrimitiveType

        fields = [field for field in self._delta(at).schema().fields if field.name != MONTH]
        if not all(isinstance(field.type, PrimitiveType) for field in fields):
            return self.read(at).dtypes
        return [(field.name, spark_type(field.type.type)) for field in fields]

    def find(
        self, at: Location, where: Sequence[Condition], newest: str = ""
    ) -> list[dict[str, Any]]:
        from pyarrow import parquet

        rows = self._in_memory(at).filter(parquet.filters_to_expression(list(where)))
        if newest:
            rows = rows.sort_by([(newest, "descending")]).slice(0, 1)
        found: list[dict[str, Any]] = rows.to_pylist()
        return found

    def add(self, rows: Sequence[tuple[Any, ...]], columns: str, at: Location) -> None:
        import pyarrow as pa

        types = {"bigint": "int64", "timestamp": pa.timestamp("us", "UTC")}
        pairs = [column.split() for column in columns.split(", ")]
        schema = pa.schema([(name, types.get(type_, type_)) for name, type_ in pairs])
        names = schema.names
        records = [dict(zip(names, row, strict=True)) for row in rows]
        self.append_arrow(pa.Table.from_pylist(records, schema), at)

    def write(self, rows: DataFrame, at: Location, mode: str) -> None:
        # Sail cannot change the partition of a table without replacing it.
        mode = "append" if mode == "append" else "replace"
        writer = _writer(_nullable(_with_month(rows, at)), mode)
        (writer.partitionBy(MONTH) if at.partition else writer).save(str(self.path(at)))
        self._compact(at)

    def append_arrow(self, rows: "pa.Table", at: Location) -> None:
        """Append rows that are in memory, adding new columns."""
        from deltalake import write_deltalake

        table = self._delta(at) if self.exists(at) else self.path(at)
        write_deltalake(
            table, rows, mode="append", schema_mode="merge", target_file_size=_FILE_SIZE
        )
        self._compact(at)

    def merge(
        self,
        rows: DataFrame,
        at: Location,
        key: Sequence[str],
        *,
        update: bool = True,
        delete: bool = False,
    ) -> Merged:
        source = _with_month(rows, at).toArrow()
        if not source.num_rows and not delete:
            return Merged()
        same = [f'(t."{name}" IS NOT DISTINCT FROM s."{name}")' for name in key]
        if at.partition and not delete:
            same.insert(0, f"({_is_month(source[MONTH].unique().to_pylist(), 't.')})")
        others = [name for name in source.column_names if name not in key]
        differs = " OR ".join(f'(t."{name}" IS DISTINCT FROM s."{name}")' for name in others)
        merger = self._delta(at).merge(
            source, " AND ".join(same), source_alias="s", target_alias="t"
        )
        merger = merger.when_not_matched_insert_all()
        if update and differs:
            merger = merger.when_matched_update_all(predicate=differs)
        if delete:
            merger = merger.when_not_matched_by_source_delete()
        counts = merger.execute()
        self._compact(at)
        return Merged(
            *(counts[f"num_target_rows_{what}"] for what in ("inserted", "updated", "deleted"))
        )

    def replace_where(
        self, rows: DataFrame, at: Location, column: str, values: Sequence[Any]
    ) -> None:
        from deltalake import write_deltalake

        condition = f'"{column}" IN ({", ".join(map(_literal, values))})'
        if column == at.partition:
            months = sorted({value.strftime("%Y-%m") for value in values})
            condition = f"({_is_month(months)}) AND {condition}"
        source = _with_month(rows, at).toArrow()
        write_deltalake(self._delta(at), source, mode="overwrite", predicate=condition)
        self._compact(at)

    def loader(self, landed: Landed) -> Loader:
        return EmbeddedLoader(self, landed, local_folder(landed.folder))

    def hold(self, rows: DataFrame, at: Location) -> DataFrame:  # noqa: ARG002 - in memory
        held = rows.toArrow()
        if held.nbytes > _HELD:
            return rows
        return self._spark.createDataFrame(held, rows.schema)

    def alter(self, statements: Sequence[str]) -> None:
        pass  # folders have no comments, tags or constraints

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        folder = project_root() / ".lakehouse" / self._catalog
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released when its process ends
            yield

    def _delta(self, at: Location) -> "DeltaTable":
        """The table at its newest version; its log is read once."""
        from deltalake import DeltaTable

        path = self.path(at)
        if path not in self._opened:
            self._opened[path] = DeltaTable(path)
        table = self._opened[path]
        if (path / "_delta_log" / f"{table.version() + 1:020}.json").exists():
            table.update_incremental()
        return table

    def _in_memory(self, at: Location) -> "pa.Table":
        """All rows of a small table; each of its files, which never change, is read once."""
        import pyarrow as pa

        before = self._read.get(at, {})
        folder = self.path(at)
        files = self._delta(at).get_add_actions()["path"].to_pylist()
        self._read[at] = {f: before[f] if f in before else _plain_rows(folder / f) for f in files}
        return pa.concat_tables(self._read[at].values(), promote_options="default")

    def _compact(self, at: Location) -> None:
        """Now and then, merge the small files of the daily writes, which make every read slower."""
        table = self._delta(at)
        if table.version() % _COMPACTED == _COMPACTED - 1:
            table.optimize.compact()
            table.create_checkpoint()

    def path(self, at: Location) -> Path:
        """The folder of the table."""
        return plain(project_root()) / ".lakehouse" / self._catalog / at.schema / at.table


class _SparkStore:
    """Tables that Spark writes with Delta."""

    def __init__(self, spark: SparkSession, catalog: str) -> None:
        self._spark = spark
        self._catalog = catalog

    def identifier(self, at: Location) -> str:
        raise NotImplementedError

    def version(self, at: Location) -> int:
        history = self._spark.sql(f"DESCRIBE HISTORY {self.identifier(at)} LIMIT 1")
        return int(history.collect()[0]["version"])

    def read(self, at: Location) -> DataFrame:
        return self._spark.read.table(self.identifier(at))

    def types(self, at: Location) -> list[tuple[str, str]]:
        return self.read(at).dtypes

    def count(self, at: Location) -> int:
        return self.read(at).count()

    def newer(self, at: Location, column: str, after: datetime) -> DataFrame:
        return self.read(at).where(F.col(column) > F.lit(after))

    def newest(
        self, column: str, places: Sequence[Location], after: datetime
    ) -> list[datetime | None]:
        return _newest_by_engine([self.read(at) for at in places], column, after)

    def find(
        self, at: Location, where: Sequence[Condition], newest: str = ""
    ) -> list[dict[str, Any]]:
        rows = self.read(at)
        for column, operator, value in where:
            rows = rows.where(_OPERATORS[operator](F.col(column), value))
        return times.collect(rows.orderBy(F.col(newest).desc()).limit(1) if newest else rows)

    def add(self, rows: Sequence[tuple[Any, ...]], columns: str, at: Location) -> None:
        self.write(self._spark.createDataFrame(list(rows), columns), at, "append")

    def merge(
        self,
        rows: DataFrame,
        at: Location,
        key: Sequence[str],
        *,
        update: bool = True,
        delete: bool = False,
    ) -> Merged:
        same = " AND ".join(f"t.`{name}` <=> s.`{name}`" for name in key)
        differs = " OR ".join(f"NOT (t.`{n}` <=> s.`{n}`)" for n in rows.columns if n not in key)
        changes = f" WHEN MATCHED AND ({differs}) THEN UPDATE SET *" if update and differs else ""
        counts = self._spark.sql(
            f"MERGE INTO {self.identifier(at)} t USING {{rows}} s ON {same}{changes}"
            " WHEN NOT MATCHED THEN INSERT *"
            + (" WHEN NOT MATCHED BY SOURCE THEN DELETE" if delete else ""),
            rows=rows,
        ).collect()[0]
        return Merged(
            counts["num_inserted_rows"], counts["num_updated_rows"], counts["num_deleted_rows"]
        )

    def write(self, rows: DataFrame, at: Location, mode: str) -> None:
        raise NotImplementedError

    def hold(self, rows: DataFrame, at: Location) -> DataFrame:
        # Serverless compute keeps no rows in memory. Without a new start, Spark's planner needs
        # minutes for the plan of a merge.
        self.write(rows, at, "replace")
        return self.read(at)


class JvmFolders(_SparkStore):
    """The same folders on a JVM, written by Spark with Delta as on Databricks."""

    def __init__(self, spark: SparkSession, catalog: str) -> None:
        super().__init__(spark, catalog)
        self._folders = Folders(spark, catalog)

    def identifier(self, at: Location) -> str:
        return self._folders.identifier(at)

    def exists(self, at: Location) -> bool:
        return self._folders.exists(at)

    def write(self, rows: DataFrame, at: Location, mode: str) -> None:
        _writer(rows, mode).save(str(self._folders.path(at)))

    def replace_where(
        self, rows: DataFrame, at: Location, column: str, values: Sequence[Any]
    ) -> None:
        writer = rows.write.format("delta").mode("overwrite")
        condition = f"`{column}` IN ({', '.join(map(_literal, values))})"
        writer.option("replaceWhere", condition).save(str(self._folders.path(at)))

    def alter(self, statements: Sequence[str]) -> None:
        for statement in statements:
            if " COMMENT '" in statement:  # without a catalog there are only comments of columns
                self._spark.sql(statement)

    def append_stream(self, rows: DataFrame, at: Location, checkpoint: str) -> None:
        _stream_writer(rows, checkpoint).start(str(self._folders.path(at))).awaitTermination()

    def loader(self, landed: Landed) -> Loader:
        folder = str(local_folder(landed.folder))
        checkpoint = self._folders.path(landed.log).parent / "_checkpoints" / landed.source
        return FileStreamLoader(self._spark, self, landed, folder, str(checkpoint))

    def exclusive(self) -> AbstractContextManager[None]:
        return self._folders.exclusive()


class UnityCatalog(_SparkStore):
    """Tables governed by Unity Catalog, clustered by the column that the contract names."""

    def identifier(self, at: Location) -> str:
        return f"`{self._catalog}`.`{at.schema}`.`{at.table}`"

    def exists(self, at: Location) -> bool:
        return self._spark.catalog.tableExists(self.identifier(at))

    def write(self, rows: DataFrame, at: Location, mode: str) -> None:
        if mode == "overwrite":
            rows.writeTo(self.identifier(at)).overwrite(F.lit(True))
            return
        if mode == "replace" and self.exists(at):
            # It may not allow other columns; `lakehouse.evolution` adds it again.
            self.alter([f"ALTER TABLE {self.identifier(at)} DROP PRIMARY KEY IF EXISTS"])
        writer = _writer(rows, mode)
        # Appending cannot name the columns; replacing without them would end the clustering.
        if at.partition and (mode == "replace" or not self.exists(at)):
            writer = writer.clusterBy(at.partition)
        writer.saveAsTable(self.identifier(at))

    def replace_where(
        self, rows: DataFrame, at: Location, column: str, values: Sequence[Any]
    ) -> None:
        writer = rows.write.format("delta").mode("overwrite")
        condition = f"`{column}` IN ({', '.join(map(_literal, values))})"
        writer.option("replaceWhere", condition).saveAsTable(self.identifier(at))

    def alter(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self._spark.sql(statement)

    def append_stream(self, rows: DataFrame, at: Location, checkpoint: str) -> None:
        _stream_writer(rows, checkpoint).toTable(self.identifier(at)).awaitTermination()

    def loader(self, landed: Landed) -> Loader:
        folder = landed.folder.rstrip("/")
        checkpoint = f"{folder.rpartition('/')[0]}/_checkpoints/{landed.source}"
        return AutoLoader(self._spark, self, landed, folder, checkpoint)

    def exclusive(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()  # the job has `max_concurrent_runs: 1`


def project_root() -> Path:
    """The folder of `.lakehouse/` and `data/`: `LAKEHOUSE_ROOT`, otherwise the
    project that contains the working directory.

    Raises:
        FileNotFoundError: no folder above the working directory has a `databricks.yml`.
    """
    if named := os.environ.get("LAKEHOUSE_ROOT"):
        return Path(named).resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "databricks.yml").is_file():
            return folder
    raise FileNotFoundError(
        f"no databricks.yml in {here} or above: run inside the project, or set LAKEHOUSE_ROOT"
    )


def _newest_by_engine(
    tables: Sequence[DataFrame], column: str, after: datetime
) -> list[datetime | None]:
    if not tables:
        return []
    # Files without newer rows are not read: their statistics are enough for that.
    newer = [rows.where(F.col(column) > F.lit(after)) for rows in tables]
    each = [rows.select(F.lit(n).alias("n"), column) for n, rows in enumerate(newer)]
    latest = F.max(column).alias("latest")
    found = times.collect(functools.reduce(DataFrame.union, each).groupBy("n").agg(latest))
    by_number = {row["n"]: row["latest"] for row in found}
    return [by_number.get(n) for n in range(len(tables))]


def _plain_rows(file: Path) -> "pa.Table":
    """The rows of a Parquet file; Arrow cannot compare the views of text that delta-rs writes."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    rows = ParquetFile(file).read()
    view, text = pa.string_view(), pa.string()
    fields = [field.with_type(text) if field.type == view else field for field in rows.schema]
    return rows.cast(pa.schema(fields))


@functools.cache
def plain(folder: Path) -> Path:
    """`folder`, or a link to it in the temporary folder if its name is not plain ASCII."""
    if _PLAIN_PATH.fullmatch(str(folder)):
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    link = Path(tempfile.gettempdir()) / f"lakehouse-{digest}"
    if not link.is_symlink() or link.readlink() != folder:
        link.unlink(missing_ok=True)
        link.symlink_to(folder, target_is_directory=True)
    return link


def _writer(rows: DataFrame, mode: str) -> DataFrameWriter:
    writer = rows.write.format("delta").mode("append" if mode == "append" else "overwrite")
    if mode == "overwrite":
        return writer
    return writer.option("mergeSchema" if mode == "append" else "overwriteSchema", True)


def _stream_writer(rows: DataFrame, checkpoint: str) -> DataStreamWriter:
    """Writes what there is now, and ends."""
    writer = rows.writeStream.format("delta").outputMode("append")
    return writer.option("checkpointLocation", checkpoint).trigger(availableNow=True)


def _with_month(rows: DataFrame, at: Location) -> DataFrame:
    if not at.partition:
        return rows
    return rows.withColumn(MONTH, F.date_format(at.partition, "yyyy-MM"))


def _nullable(rows: DataFrame) -> DataFrame:
    """The rows without NOT NULL texts, which Sail cannot read once delta-rs has rewritten them."""
    texts = [f.name for f in rows.schema.fields if not f.nullable and f.dataType == StringType()]
    maybe = {name: F.nullif(name, F.lit("\0")) for name in texts}
    return rows.withColumns(maybe) if maybe else rows


def _is_month(months: Sequence[str | None], alias: str = "") -> str:
    """A condition on literals, by which delta-rs skips the other partitions."""
    known = sorted(month for month in months if month is not None)
    conditions = [f"{alias}{MONTH} IN ({', '.join(map(_literal, known))})"] if known else []
    if None in months:
        conditions.append(f"({alias}{MONTH} IS NULL)")
    return " OR ".join(conditions) or "false"


def _literal(value: Any) -> str:
    """A value in SQL: a number, a date, or text, which also compares with times."""
    if isinstance(value, int | float):
        return str(value)
    text = str(value).replace("'", "''")
    is_date = isinstance(value, date) and not isinstance(value, datetime)
    return f"DATE '{text}'" if is_date else f"'{text}'"


_VOLUME = re.compile(r"/Volumes/[^/]+/(?P<domain>[^/]+)_[^/_]+/(?P<folder>.+)")


def local_folder(folder: str) -> Path:
    """The folder of a volume's files on a laptop: `data/<domain>/<volume>`.

    Any other path is returned unchanged.
    """
    volume = _VOLUME.fullmatch(folder)
    if not volume:
        return Path(folder)
    return project_root() / "data" / volume["domain"] / volume["folder"]
