"""The Spark session of the project, with the tables of its catalogs by their names."""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from delivery.local.sql import Names, SqlError, TableName, Write, bind, localize, split, with_target

_IN_FOLDERS = ("embedded",)  # engines without a catalog: tables are folders of the project


class Engine:
    """A session in which `catalog.schema.table` is a table of the project's table API.

    Attributes:
        spark: the session.
        changes: what was written by name.
    """

    def __init__(self, spark: Any, tables: Callable[..., Any] | None) -> None:
        self.spark = spark
        self.changes: list[Any] = []
        self._tables = tables
        self._names = Names(exists=self._exists)
        self._sql = spark.sql
        self._read_table = type(spark.read).table

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Let code find this session by `getOrCreate`, and tables by name, while a task runs."""
        if self._tables is None:
            yield
            return
        reader, session = type(self.spark.read), type(self.spark)
        writer = sys.modules[reader.__module__].DataFrameWriter
        catalog = type(self.spark.catalog)
        # `getOrCreate` wants an address, and then takes the session that there is.
        with contextlib.ExitStack() as stack, _environment("SPARK_REMOTE", "sc://localhost"):
            for owner, name, method in (
                (session, "sql", self._session_sql),
                (session, "table", self._session_table),
                (reader, "table", self._reader_table),
                (writer, "saveAsTable", self._save_as_table),
                (writer, "insertInto", self._insert_into),
                (catalog, "tableExists", self._table_exists(catalog.tableExists)),
                (catalog, "setCurrentCatalog", self._set_catalog),
                (catalog, "setCurrentDatabase", self._set_schema),
            ):
                stack.enter_context(_replaced(owner, name, method))
            yield

    def run_sql(
        self,
        text: str,
        parameters: Mapping[str, str],
        file: str = "SQL",
        first: int = 1,
        use: Callable[[Any], Any] = lambda rows: rows,
    ) -> Any:
        """Run the statements of a text; what `use` makes of the rows of the last one, or None.

        Args:
            file: where the text is, for messages.
            first: the line of the file in which it starts.

        Raises:
            SqlError: a statement fails; the text names the line in which it starts.
        """
        result, line = None, 1
        try:
            for statement, line in split(text):  # noqa: B007 - for the message
                result = self._run(bind(statement, parameters))
            return use(result) if result is not None else None
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise SqlError(f"{file}:{first + line - 1}: {reason}") from error

    def sql(self, query: str, *args: Any, **kwargs: Any) -> Any:
        """`spark.sql`, with tables by name."""
        rows = self._run(query, *args, **kwargs)
        return self._sql("SELECT 'done' AS result") if rows is None else rows

    def _run(self, query: str, *args: Any, **kwargs: Any) -> Any:
        """The rows of a statement; None if this tool ran it, or had nothing to do."""
        if self._tables is None:
            return self._sql(query, *args, **kwargs)
        statement = localize(query, self._names)
        for name in statement.reads:
            self._stored(name).createOrReplaceTempView(name.view)
        if statement.note:
            print(statement.note)
            return None
        if statement.write is None:
            return self._sql(statement.text, *args, **kwargs)
        self._write(statement.text, statement.write, *args, **kwargs)
        return None

    def table(self, name: str) -> Any:
        """The rows of a table.

        Raises:
            SqlError: it has not been written on this machine.
        """
        found = self._names.parse(name)
        return self._stored(found) if found else self._read_table(self.spark.read, name)

    def _stored(self, name: TableName) -> Any:
        tables, key = self._of(name)
        if not tables.exists(key):
            raise SqlError(
                f"given {name}, expected a table that was written on this machine; first run the "
                "job that writes it"
            )
        return tables.read(key)

    def _exists(self, name: TableName) -> bool:
        tables, key = self._of(name)
        return bool(tables.exists(key))

    def _of(self, name: TableName) -> tuple[Any, str]:
        """The table API of a table's schema, and the table's name in it."""
        if self._tables is None:
            raise SqlError(f"{name}: this engine has a catalog of its own")
        return self._tables(name.catalog, {name.schema: name.schema}), f"{name.schema}.{name.table}"

    def _write(self, text: str, write: Write, *args: Any, **kwargs: Any) -> None:
        tables, key = self._of(write.table)
        if write.how == "change":
            self._require_plain(write.table)
            changed = with_target(text, tables.identifier(key))
            self._sql(changed, *args, **kwargs)
            return
        if write.how == "create" and tables.exists(key) and write.exists != "replace":
            if write.exists == "keep":
                return
            raise SqlError(f"CREATE TABLE {write.table}: the table exists")
        if text:
            rows = self._sql(text, *args, **kwargs)
        else:
            rows = self.spark.createDataFrame([], write.schema)
        if write.how != "create":
            rows = self._with_columns(rows, write)
        self._put(write.table, rows, append=write.how == "append")

    def _put(self, name: TableName, rows: Any, *, append: bool) -> None:
        tables, key = self._of(name)
        if tables.exists(key):
            self._require_plain(name)
        with tables.exclusive():
            write = tables.append if append else tables.overwrite
            self.changes.append(write(key, _nullable(rows)))

    def _with_columns(self, rows: Any, write: Write) -> Any:
        """Rows with the columns of the table: those that are given by their place, others NULL."""
        existing = self._stored(write.table)
        types = dict(existing.dtypes)
        names = write.columns or tuple(existing.columns)
        if len(names) != len(rows.columns) or not {*names} <= {*types}:
            raise SqlError(
                f"INSERT INTO {write.table}: given {len(rows.columns)} columns, expected "
                f"{len(names)}: {', '.join(names)}"
            )
        given = {name: f"`{name}`" for name in names}
        cast = [
            f"CAST({given.get(name, 'NULL')} AS {type_}) AS `{name}`"
            for name, type_ in types.items()
        ]
        return rows.toDF(*names).selectExpr(*cast)

    def _require_plain(self, name: TableName) -> None:
        """Refuse to write a table that has columns of the table API, such as partitions.

        Raises:
            SqlError: it has.
        """
        tables, key = self._of(name)
        stored = self._read_table(self.spark.read, tables.identifier(key)).columns
        if [*stored] != [*tables.read(key).columns]:
            raise SqlError(
                f"{name} was written through lakehouse.engine.Tables; write it only there"
            )

    # What is replaced: its parameters have the names that Spark gives them.

    def _session_sql(self, session: Any, sqlQuery: str, *args: Any, **kwargs: Any) -> Any:  # noqa: N803, ARG002
        return self.sql(sqlQuery, *args, **kwargs)

    def _session_table(self, session: Any, tableName: str) -> Any:  # noqa: N803, ARG002
        return self.table(tableName)

    def _set_catalog(self, catalog: Any, catalogName: str) -> None:  # noqa: N803, ARG002
        self._names.use(catalogName)

    def _set_schema(self, catalog: Any, dbName: str) -> None:  # noqa: N803, ARG002
        self._names.use("", dbName)

    def _reader_table(self, reader: Any, tableName: str) -> Any:  # noqa: N803
        found = self._names.parse(tableName)
        return self.table(tableName) if found else self._read_table(reader, tableName)

    def _save_as_table(self, writer: Any, name: str, *args: Any, **options: Any) -> None:
        found = self._named(name)
        mode = options.get("mode") or (args[1] if len(args) > 1 else None) or writer._write.mode
        mode = str(mode or "error").lower()
        tables, key = self._of(found)
        if mode not in ("append", "overwrite") and tables.exists(key):
            if mode == "ignore":
                return
            raise SqlError(f"saveAsTable {found}: the table exists; give a mode: append")
        self._put(found, self._rows_of(writer), append=mode == "append" and tables.exists(key))

    def _insert_into(
        self,
        writer: Any,
        tableName: str,  # noqa: N803
        overwrite: bool | None = None,
    ) -> None:
        found = self._named(tableName)
        replaces = overwrite or (overwrite is None and writer._write.mode == "overwrite")
        write = Write(found, "overwrite" if replaces else "append")
        self._put(found, self._with_columns(self._rows_of(writer), write), append=not replaces)

    def _rows_of(self, writer: Any) -> Any:
        """The rows that a writer has; it only keeps their plan."""
        return type(self.spark.range(0))(writer._df, self.spark)

    def _named(self, name: str) -> TableName:
        found = self._names.parse(name, is_written=True)
        if found is None:
            raise SqlError(f"table: given {name}, expected CATALOG.SCHEMA.TABLE")
        return found

    def _table_exists(self, original: Callable[..., bool]) -> Callable[..., bool]:
        def exists(catalog: Any, tableName: str, dbName: str | None = None) -> bool:  # noqa: N803
            found = None if dbName else self._names.parse(tableName)
            if found is None:
                return original(catalog, tableName, dbName)
            return self._exists(found)

        return exists


def _nullable(rows: Any) -> Any:
    """The rows with columns that can be NULL, as in tables that declare nothing else."""
    columns = {}
    for field in rows.schema.fields:
        if not field.nullable:
            type_ = field.dataType.simpleString()
            columns[field.name] = f"nullif(`{field.name}`, CAST(NULL AS {type_})) AS `{field.name}`"
    return rows.selectExpr(*(columns.get(name, f"`{name}`") for name in rows.columns))


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = before or value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _replaced(owner: type, name: str, method: Callable[..., Any]) -> Iterator[None]:
    before = owner.__dict__[name]

    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    setattr(owner, name, call)
    try:
        yield
    finally:
        setattr(owner, name, before)


def open_engine(package: str) -> Engine:
    """The session of the project's package: `<package>.engine` has `session` and `current_engine`.

    On the embedded engine, its `Tables` are the tables of catalogs.
    """
    module = importlib.import_module(f"{package}.engine")
    current = module.current_engine()
    return Engine(module.session(current), module.Tables if current in _IN_FOLDERS else None)
