"""The table API: six functions that read and write the lakehouse, the same on every engine."""

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.engine.report import Change
from lakehouse.engine.session import Engine, current_engine, session
from lakehouse.engine.stores import Folders, JvmFolders, Store, UnityCatalog

_STORES: dict[Engine, type[Folders] | type[UnityCatalog]] = {
    Engine.EMBEDDED: Folders,
    Engine.JVM: JvmFolders,
    Engine.CONNECT: UnityCatalog,
    Engine.CLUSTER: UnityCatalog,
}


class Tables:
    """The tables of one domain. A table's name is `layer.table`, such as `silver.flights`."""

    def __init__(self, catalog: str, schemas: dict[str, str], engine: Engine | None = None) -> None:
        """Open the tables of `catalog`; `schemas` names the schema of each layer."""
        self._engine = engine or current_engine()
        self._spark = session(self._engine)
        self._schemas = dict(schemas)
        self._store: Store = _STORES[self._engine](self._spark, catalog)

    @property
    def spark(self) -> SparkSession:
        """The session that reads the tables."""
        return self._spark

    def address(self, name: str) -> str:
        """The name of the table in SQL, for use in statements."""
        return self._store.address(*self._parts(name))

    def exists(self, name: str) -> bool:
        """Whether the table has been written before."""
        return self._store.exists(*self._parts(name))

    def read(self, name: str) -> DataFrame:
        """The rows of the table."""
        return self._spark.read.table(self.address(name))

    def ingest(self, name: str, folder: str) -> Change:
        """Append the rows of those CSV files in `folder` that have not been ingested.

        A file is identified by its name: a corrected file needs a new one. Every column is a
        string; `_file` and `_loaded_at` record the file and the time of each row.
        """
        before = self._count(name)
        self._store.ingest(folder, *self._parts(name))
        after = self._count(name)
        return Change(name, after, inserted=after - before)

    def upsert(self, name: str, rows: DataFrame, key: Sequence[str]) -> Change:
        """Make the table equal to `rows`, one for each `key`, writing only rows that differ.

        Rows whose keys are not in `rows` are deleted.
        """
        if not self._has_columns(name, rows):
            return self._overwrite(name, rows)
        operations = _operations(self.read(name), rows, list(key))
        counts = {row["_operation"]: row["count"] for row in _counted(operations).collect()}
        if counts:
            self._merge(name, operations, key)
        inserted, updated, deleted = (counts.get(o, 0) for o in ("insert", "update", "delete"))
        return Change(name, self._count(name), inserted, updated, deleted)

    def replace(self, name: str, rows: DataFrame) -> Change:
        """Make the table equal to `rows`; nothing is written if it already is."""
        if not self._has_columns(name, rows):
            return self._overwrite(name, rows)
        inserted, deleted = _difference(self.read(name), rows)
        if inserted or deleted:
            self._store.write(rows, *self._parts(name), "overwrite")
        return Change(name, self._count(name), inserted, deleted=deleted)

    def _overwrite(self, name: str, rows: DataFrame) -> Change:
        before = self._count(name)
        self._store.write(rows, *self._parts(name), "overwrite")
        after = self._count(name)
        return Change(name, after, inserted=after, deleted=before)

    def _merge(self, name: str, operations: DataFrame, key: Sequence[str]) -> None:
        columns = [column for column in operations.columns if column != "_operation"]
        match = " AND ".join(f"t.`{column}` = s.`{column}`" for column in key)
        settings = ", ".join(f"t.`{column}` = s.`{column}`" for column in columns)
        names = ", ".join(f"`{column}`" for column in columns)
        values = ", ".join(f"s.`{column}`" for column in columns)
        self._spark.sql(
            f"MERGE INTO {self.address(name)} t USING {{operations}} s ON {match} "
            "WHEN MATCHED AND s._operation = 'delete' THEN DELETE "
            f"WHEN MATCHED THEN UPDATE SET {settings} "
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})",
            operations=operations,
        ).collect()

    def _has_columns(self, name: str, rows: DataFrame) -> bool:
        return self.exists(name) and self.read(name).dtypes == rows.dtypes

    def _count(self, name: str) -> int:
        return self.read(name).count() if self.exists(name) else 0

    def _parts(self, name: str) -> tuple[str, str]:
        layer, _, table = name.partition(".")
        if layer not in self._schemas or not table:
            layers = ", ".join(self._schemas)
            raise ValueError(
                f"table: given {name!r}, expected LAYER.TABLE with a layer of {layers}"
            )
        return self._schemas[layer], table


def _operations(old: DataFrame, new: DataFrame, key: list[str]) -> DataFrame:
    """The rows to insert, update and delete, each with its `_operation`; not the equal rows."""
    columns = F.struct(*new.columns)
    both = new.select(*key, columns.alias("new")).join(
        old.select(*key, columns.alias("old")), key, "full_outer"
    )
    operation = (
        F.when(F.col("old").isNull(), "insert")
        .when(F.col("new").isNull(), "delete")
        .when(~F.col("new").eqNullSafe(F.col("old")), "update")
    )
    rows = both.select(F.coalesce("new", "old").alias("row"), operation.alias("_operation"))
    return rows.where("_operation IS NOT NULL").select("row.*", "_operation")


def _counted(operations: DataFrame) -> DataFrame:
    return operations.groupBy("_operation").count()


def _difference(old: DataFrame, new: DataFrame) -> tuple[int, int]:
    """How many rows `new` has over `old`, and `old` over `new`, repeated rows counted."""
    signed = new.withColumn("_sign", F.lit(1)).unionByName(old.withColumn("_sign", F.lit(-1)))
    surplus = signed.groupBy(*new.columns).agg(F.sum("_sign").alias("_surplus"))
    counts = surplus.agg(
        F.sum(F.expr("greatest(_surplus, 0)")), F.sum(F.expr("greatest(-_surplus, 0)"))
    ).collect()[0]
    return counts[0] or 0, counts[1] or 0
