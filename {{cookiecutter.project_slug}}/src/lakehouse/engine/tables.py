"""The table API: the verbs that read and write the lakehouse, the same on every engine."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contract import Contract, find_contract, load_contract
from lakehouse.engine import times
from lakehouse.engine.ingest import Ingested, ingest
from lakehouse.engine.report import Change
from lakehouse.engine.session import Engine, current_engine, session
from lakehouse.engine.stores import (
    Condition,
    Folders,
    JvmFolders,
    Location,
    Store,
    UnityCatalog,
)

_STORES: dict[Engine, type[Folders] | type[JvmFolders] | type[UnityCatalog]] = {
    Engine.EMBEDDED: Folders,
    Engine.JVM: JvmFolders,
    Engine.CONNECT: UnityCatalog,
    Engine.CLUSTER: UnityCatalog,
}


class Tables:
    """The tables of one domain. A table's name is `layer.table`, such as `silver.flights`.

    A table of another domain is read by its name with the domain: `flights.silver.airports`.

    Where a table has a contract, only its columns are written, with its types; others that the
    table has are NULL in new rows. Columns that begin with an underscore are the engine's own: a
    contract does not list them.
    """

    def __init__(
        self,
        catalog: str,
        schemas: Mapping[str, str],
        domain: str = "",
        engine: Engine | None = None,
        *,
        full_refresh: bool = False,
    ) -> None:
        """Open the tables of `catalog`.

        Args:
            schemas: the schema of each layer.
            domain: whose contracts apply; none apply without it.
            full_refresh: whether silver and gold are computed from all of bronze, not only from
                what is new, such as after a change of a transformation.
        """
        self.domain = domain
        self.full_refresh = full_refresh
        self._engine = engine or current_engine()
        self._catalog = catalog
        self._schemas = dict(schemas)
        self._spark = session(self._engine)
        self._store: Store = _STORES[self._engine](self._spark, catalog)

    @property
    def spark(self) -> SparkSession:
        """The session that reads the tables."""
        return self._spark

    def of(self, domain: str) -> "Tables":
        """The tables of another domain, whose schemas are named as those of this one.

        Raises:
            ValueError: a schema of this domain does not end in `<domain>_<layer>`.
        """
        schemas = {}
        for layer, schema in self._schemas.items():
            ending = f"{self.domain}_{layer}"
            if not self.domain or not schema.endswith(ending):
                raise ValueError(f"schema of {layer}: given {schema}, expected …{ending}")
            schemas[layer] = f"{schema.removesuffix(ending)}{domain}_{layer}"
        engine, full = self._engine, self.full_refresh
        return Tables(self._catalog, schemas, domain, engine, full_refresh=full)

    def contract(self, name: str) -> Contract:
        """The contract of the table.

        Raises:
            ContractError: it has none, or the document cannot be used.
        """
        return load_contract(self.domain, name)

    def identifier(self, name: str) -> str:
        """The name of the table in SQL, for use in statements."""
        return self._store.identifier(self._at(name))

    def exists(self, name: str) -> bool:
        """Whether the table has been written before."""
        return self._store.exists(self._at(name))

    def version(self, name: str) -> int | None:
        """The newest version of the table; None if it has not been written."""
        return self._store.version(self._at(name)) if self.exists(name) else None

    def read(self, name: str) -> DataFrame:
        """The rows of the table."""
        return self._store.read(self._at(name))

    def count(self, name: str) -> int:
        """The number of rows; 0 if the table has not been written."""
        return self._store.count(self._at(name)) if self.exists(name) else 0

    def ingest(self, source: str, folder: str) -> Ingested:
        """Append the files in `folder` that have not been ingested to `bronze.<source>`.

        If the source has a contract, the table exists afterwards, even if no file has a row.

        The contract `landing.<source>` decides what happens to a file that differs from it. Every
        column is text. A file is identified by its path in the folder: a corrected file needs
        another name.
        """
        contract = find_contract(self.domain, f"landing.{source}") or Contract("", ())
        at = {name: self._at(name) for name in (f"bronze.{source}", "ops.files", "ops.arrivals")}
        return ingest(self._spark, self._store, contract, source, folder, at)

    def newest(
        self, column: str, names: Sequence[str], after: datetime = times.START
    ) -> dict[str, datetime]:
        """The latest time after `after` that each table has in `column`; only of those with one."""
        places = {name: self._at(name) for name in names if self.exists(name)}
        found = self._store.newest(column, list(places.values()), after)
        return {name: latest for name, latest in zip(places, found, strict=True) if latest}

    def newer(self, name: str, column: str, after: datetime) -> DataFrame:
        """The rows with a time after `after` in `column`."""
        return self._store.newer(self._at(name), column, after)

    def find(self, name: str, where: Sequence[Condition], newest: str = "") -> list[dict[str, Any]]:
        """Rows of a small table, with times in UTC; none if it has not been written.

        Args:
            where: at least one condition: a column, `=`, `!=`, `>` or `in`, and a value.
            newest: only the row with the greatest value in this column.
        """
        return self._store.find(self._at(name), where, newest) if self.exists(name) else []

    def add(self, name: str, rows: Sequence[tuple[Any, ...]], columns: str) -> None:
        """Append rows that are in memory to a table without a contract.

        Args:
            columns: their names and types, such as `id bigint, name string`.
        """
        self._store.add(rows, columns, self._at(name))

    def append(self, name: str, rows: DataFrame) -> Change:
        """Add `rows` to the table."""
        before = self.count(name)
        self._store.write(self._conform(name, rows), self._at(name), "append")
        after = self.count(name)
        return Change(name, after, inserted=after - before)

    def merge(self, name: str, rows: DataFrame, key: Sequence[str] = ()) -> Change:
        """Insert the rows with new keys, and update those that differ. Other rows stay.

        Args:
            key: the columns that identify a row, once each in `rows`; by default the contract's.
        """
        return self._merged(name, rows, key, delete=False)

    def insert_new(self, name: str, rows: DataFrame, key: Sequence[str]) -> Change:
        """Insert the rows with new keys; those that the table has stay as they are."""
        merged = self._store.merge(self._conform(name, rows), self._at(name), key, update=False)
        return Change(name, self.count(name), merged.inserted)

    def sync(self, name: str, rows: DataFrame, key: Sequence[str] = ()) -> Change:
        """Make the table equal to `rows`: as `merge`, and delete the rows with other keys."""
        return self._merged(name, rows, key, delete=True)

    def replace(
        self,
        name: str,
        rows: DataFrame,
        where: tuple[str, Sequence[Any]] | None = None,
        *,
        drop_columns: bool = False,
    ) -> Change:
        """Make the table equal to `rows`; nothing is written if it already is.

        Args:
            where: a column and values; only rows with these values are replaced, and `rows` has
                no others.
            drop_columns: see `overwrite`.
        """
        rows = self._conform(name, rows, keep_columns=not drop_columns)
        at = self._at(name)
        if where is not None and self.exists(name):
            self._check_columns(name, rows)
        if not self._has_columns(name, rows):
            return self.overwrite(name, rows, drop_columns=drop_columns)
        old = self.read(name)
        if where is not None:
            old = old.where(F.col(where[0]).isin(list(where[1])))
        inserted, deleted = _difference(old, rows)
        if inserted or deleted:
            if where is None:
                self._store.write(rows, at, "overwrite")
            else:
                self._store.replace_where(rows, at, *where)
        return Change(name, self.count(name), inserted, deleted=deleted)

    def overwrite(self, name: str, rows: DataFrame, *, drop_columns: bool = False) -> Change:
        """Replace the table, its columns and types, without comparing rows first.

        Args:
            drop_columns: drop the columns that the contract does not have, instead of filling them
                with NULL.
        """
        before = self.count(name)
        rows = self._conform(name, rows, keep_columns=not drop_columns)
        same = self._has_columns(name, rows)
        self._store.write(rows, self._at(name), "overwrite" if same else "replace")
        after = self.count(name)
        return Change(name, after, inserted=after, deleted=before, replaced=not same)

    def alter(self, statements: Sequence[str]) -> None:
        """Run statements about the metadata of tables, as far as the engine knows them."""
        self._store.alter(statements)

    def hold(self, rows: DataFrame, name: str) -> DataFrame:
        """The same rows, computed once if the engine can keep them.

        Args:
            name: of the rows, such as `orders_new`. Rows that were held by it before are gone.
        """
        return self._store.hold(rows, self._at(f"ops.held_{name}"))

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other runs on this machine out of the catalog; they wait."""
        return self._store.exclusive()

    def _merged(self, name: str, rows: DataFrame, key: Sequence[str], delete: bool) -> Change:
        rows = self._conform(name, rows)
        key = list(key) or list(self.contract(name).key)
        if not self.exists(name):
            return self.overwrite(name, rows)
        self._check_columns(name, rows)
        merged = self._store.merge(rows, self._at(name), key, delete=delete)
        return Change(name, self.count(name), merged.inserted, merged.updated, merged.deleted)

    def _conform(self, name: str, rows: DataFrame, *, keep_columns: bool = True) -> DataFrame:
        """The rows with the contract's columns in its order.

        Args:
            keep_columns: also have the columns that only the table has, as NULL.

        Raises:
            ValueError: the columns or types are not those of the contract.
        """
        if self.split(name)[0] is not self:
            raise ValueError(f"{name}: given a table of another domain, which is only read here")
        contract = find_contract(self.domain, name)
        if contract is None:
            return rows
        own = [column for column in rows.columns if column.startswith("_")]
        given = {column: type_ for column, type_ in rows.dtypes if column not in own}
        if given != contract.types:
            raise ValueError(f"{name}: {_mismatch(given, contract.types)}")
        stored = self._types(name) if keep_columns else []
        kept = [
            F.lit(None).cast(type_).alias(column)
            for column, type_ in stored
            if column not in given and not column.startswith("_")
        ]
        if not kept and rows.columns == [*contract.types, *own]:
            return rows  # the engine knows their schema
        return rows.select(*contract.types, *own, *kept)

    def _check_columns(self, name: str, rows: DataFrame) -> None:
        if not self._has_columns(name, rows):
            given, expected = dict(rows.dtypes), dict(self._types(name))
            raise ValueError(f"{name}: given the columns {given}, expected {expected}")

    def _has_columns(self, name: str, rows: DataFrame) -> bool:
        return self.exists(name) and self._types(name) == rows.dtypes

    def _types(self, name: str) -> list[tuple[str, str]]:
        """The columns of the table and their types; none if it has not been written."""
        return self._store.types(self._at(name)) if self.exists(name) else []

    def split(self, name: str) -> tuple["Tables", str]:
        """The tables of the domain that a name begins with, or else these, and the name in them."""
        domain, _, rest = name.partition(".")
        is_other = domain not in self._schemas and rest.partition(".")[0] in self._schemas
        return (self.of(domain), rest) if is_other else (self, name)

    def _at(self, name: str) -> Location:
        tables, own = self.split(name)
        if tables is not self:
            return tables._at(own)
        layer, _, table = name.partition(".")
        if layer not in self._schemas or not table:
            layers = ", ".join(self._schemas)
            raise ValueError(
                f"table: given {name!r}, expected LAYER.TABLE with a layer of {layers}"
            )
        # Superseded rows are partitioned as the table that they come from.
        contract = find_contract(self.domain, name.removesuffix("_superseded"))
        return Location(self._schemas[layer], table, contract.partition if contract else "")


def _mismatch(given: Mapping[str, str], expected: Mapping[str, str]) -> str:
    problems = [f"column {name}: not in the contract" for name in given if name not in expected]
    problems += [f"column {name}: missing" for name in expected if name not in given]
    problems += [
        f"column {name}: given {given[name]}, expected {expected[name]}"
        for name in given
        if name in expected and given[name] != expected[name]
    ]
    return "; ".join(problems)


def _difference(old: DataFrame, new: DataFrame) -> tuple[int, int]:
    """How many rows `new` has over `old`, and `old` over `new`, repeated rows counted."""
    signed = new.withColumn("_sign", F.lit(1)).unionByName(old.withColumn("_sign", F.lit(-1)))
    surplus = signed.groupBy(*map(F.col, new.columns)).agg(F.sum("_sign").alias("_surplus"))
    counts = surplus.agg(
        F.sum(F.expr("greatest(_surplus, 0)")), F.sum(F.expr("greatest(-_surplus, 0)"))
    ).collect()[0]
    return counts[0] or 0, counts[1] or 0
