"""SQL files: their statements, their parameters, and the names of tables.

On this machine no catalog knows a table by its name of three parts. A statement that reads
`catalog.schema.table` gets a view of that table instead, and one that writes it is taken apart.
"""

import itertools
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.errors import SqlglotError

DIALECT = "databricks"
_MUSTACHE = re.compile(r"\{\{\s*(?P<name>\w+)\s*\}\}")
_QUOTED_OR_BRACES = re.compile(
    r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|" + _MUSTACHE.pattern,
    re.S,
)
# What stands before a name, but is no schema of a catalog, as in delta.`path`.
_NO_SCHEMAS = ("avro", "csv", "delta", "global_temp", "json", "orc", "parquet", "text")
_NO_EFFECT = re.compile(
    r"(COMMENT|GRANT|REVOKE|OPTIMIZE|VACUUM|ANALYZE|CREATE\s+(?:SCHEMA|DATABASE|CATALOG))\b", re.I
)
# A name of three parts, or a word that may change what shorter names mean.
_MAY_NAME_TABLES = re.compile(r"[\w`]\s*\.\s*[\w`]+\s*\.\s*[\w`]|^\s*USE\b", re.I)

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # the engine judges what it cannot parse


class SqlError(ValueError):
    """A statement that does not run here."""


@dataclass(frozen=True, order=True)
class TableName:
    """A table in a catalog."""

    catalog: str
    schema: str
    table: str

    @property
    def view(self) -> str:
        """The name of its view on this machine."""
        return f"{self.catalog}__{self.schema}__{self.table}"

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.table}"


@dataclass
class Names:
    """What shorter names mean, since the last `USE`.

    Attributes:
        exists: whether there is such a table. A name of one part may also be a temporary view.
    """

    catalog: str = ""
    schema: str = ""
    exists: Callable[[TableName], bool] = lambda name: True  # noqa: ARG005 - always

    def use(self, catalog: str, schema: str = "default") -> None:
        """Look for shorter names here; without a catalog, in that of now."""
        self.catalog, self.schema = catalog or self.catalog, schema

    def find(self, *parts: str, is_written: bool = False) -> TableName | None:
        """The table of a catalog that a name means; None if it is none.

        Args:
            is_written: whether a statement writes it, so that it may be new.
        """
        catalog, schema, table = [*[""] * (3 - len(parts)), *parts]
        if schema in _NO_SCHEMAS:
            return None
        if catalog:
            return TableName(catalog, schema, table)
        found = TableName(self.catalog, schema or self.schema, table)
        if not (found.catalog and found.schema):
            return None
        return found if schema or is_written or self.exists(found) else None

    def parse(self, name: str, *, is_written: bool = False) -> TableName | None:
        """As `find`, of a name as code writes it."""
        parts = [quoted or plain for quoted, plain in re.findall(r"`([^`]*)`|([^.`]+)", name)]
        return self.find(*parts, is_written=is_written) if len(parts) <= 3 else None


@dataclass(frozen=True)
class Write:
    """What a statement writes.

    Attributes:
        how: `create` makes a table, `append` adds rows to it, `overwrite` replaces them, `change`
            is a statement that the engine runs on the table itself.
        columns: the columns that are given, if they are named.
        schema: the columns of a table that is made without rows.
        exists: what happens if the table exists: `fail`, `replace` or `keep`.
    """

    table: TableName
    how: Literal["create", "append", "overwrite", "change"]
    columns: tuple[str, ...] = ()
    schema: str = ""
    exists: Literal["fail", "replace", "keep"] = "fail"


@dataclass(frozen=True)
class Statement:
    """A statement as it runs here.

    Attributes:
        text: what the engine runs; the rows that are written, if it writes rows; may be empty.
        reads: the tables whose views the text uses.
        note: why nothing runs.
    """

    text: str
    reads: tuple[TableName, ...] = ()
    write: Write | None = None
    note: str = ""


def split(text: str) -> list[tuple[str, int]]:
    """The statements of a text, each with the line in which it starts.

    Raises:
        SqlError: the text has no end, such as that of a string.
    """
    statements, first, last = [], None, None
    for token in [*_tokens(text), None]:
        if token is None or token.token_type is TokenType.SEMICOLON:
            if first and last:
                statements.append((text[first.start : last.end + 1], _line(text, first)))
            first, last = None, None
        else:
            first, last = first or token, token
    return statements


def bind(text: str, parameters: Mapping[str, str]) -> str:
    """The text with the values of `:name`, `{{name}}` and `IDENTIFIER(…)` in it.

    `{{name}}` is a string of SQL where it stands alone, and part of one within quotes.

    Raises:
        SqlError: a parameter has no value.
    """
    text = _bind_braces(text, parameters)
    pieces, end = [], 0
    for name, start, stop in _markers(text):
        pieces += [text[end:start], literal(_given(name, parameters, f":{name}"))]
        end = stop
    return _bind_identifiers("".join([*pieces, text[end:]]))


def literal(value: str) -> str:
    """A text as a string of SQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _bind_braces(text: str, parameters: Mapping[str, str]) -> str:
    """The text with values for `{{name}}`; comments stay as they are."""

    def fill(match: re.Match[str]) -> str:
        part = match[0]
        if part.startswith(("--", "/*")):
            return part
        if match["name"]:
            return literal(_given(match["name"], parameters, part))
        return _MUSTACHE.sub(lambda m: _escaped(_given(m["name"], parameters, m[0]), part[0]), part)

    return _QUOTED_OR_BRACES.sub(fill, text)


def _escaped(value: str, quote: str) -> str:
    if quote == "`":
        return value.replace("`", "``")
    return value.replace("\\", "\\\\").replace(quote, f"\\{quote}")


def _given(name: str, parameters: Mapping[str, str], shown: str) -> str:
    if name not in parameters:
        listed = ", ".join(parameters) or "none"
        raise SqlError(f"given {shown}, expected a parameter of the task: {listed}")
    return parameters[name]


def _markers(text: str) -> Iterator[tuple[str, int, int]]:
    """Each `:name`: its name and place. In `a:b` the colon reads a field of JSON."""
    tokens = _tokens(text)
    for colon, name in itertools.pairwise(tokens):
        if colon.token_type is not TokenType.COLON or name.start != colon.end + 1:
            continue
        before = text[colon.start - 1] if colon.start else " "
        if re.fullmatch(r"\w+", name.text) and not re.fullmatch(r"[\w`\])'\"]", before):
            yield name.text, colon.start, name.end + 1


def _bind_identifiers(text: str) -> str:
    """The text with a name for each `IDENTIFIER('a' || '.b')`."""
    string = r"'(?:[^'\\]|\\.)*'"
    call = re.compile(rf"\bIDENTIFIER\s*\(\s*({string}(?:\s*\|\|\s*{string})*)\s*\)", re.I)

    def name(match: re.Match[str]) -> str:
        strings = re.findall(string, match[1])
        return "".join(re.sub(r"\\(.)", r"\1", one[1:-1]) for one in strings)

    return call.sub(name, text)


def _tokens(text: str) -> list[Token]:
    try:
        return list(sqlglot.tokenize(text, read=DIALECT))
    except SqlglotError as error:
        raise SqlError(f"SQL: {error}") from None


def _line(text: str, token: Token) -> int:
    return text.count("\n", 0, token.start) + 1


def localize(text: str, names: Names) -> Statement:
    """A statement as it runs here. `USE` changes what `names` says.

    Raises:
        SqlError: it writes a table of a catalog in a way that does not work here.
    """
    nothing = _NO_EFFECT.match(text.lstrip())
    if nothing:
        return Statement("", note=f"{' '.join(nothing[1].upper().split())} has no effect here")
    if not names.catalog and not _MAY_NAME_TABLES.search(text):
        return Statement(text)
    try:
        tree = sqlglot.parse_one(text, read=DIALECT)
    except SqlglotError:
        return Statement(text)  # the engine says what is wrong with it
    if isinstance(tree, exp.Use):
        return _use(tree, names)
    return _localize(tree, names, text)


def _use(tree: exp.Use, names: Names) -> Statement:
    kind = str(tree.args.get("kind") or "").upper()
    parts = [part.name for part in tree.this.parts] if isinstance(tree.this, exp.Table) else []
    if kind == "CATALOG":
        names.use(parts[-1])
    elif parts:
        names.use(parts[0] if len(parts) == 2 else "", parts[-1])
    return Statement("", note=f"tables are now those of {names.catalog}.{names.schema}")


def _localize(tree: exp.Expr, names: Names, text: str) -> Statement:
    if isinstance(tree, exp.Drop | exp.TruncateTable | exp.Alter):
        for table in tree.find_all(exp.Table):
            if _name_of(table, names):
                raise SqlError(f"{tree.key.upper()} of {table.sql()} does not run here; {_INSTEAD}")
        return Statement(text)
    target = _target(tree)
    written = _name_of(target, names, is_written=True) if target is not None else None
    reads = _read_views(tree, names, target if written else None)
    if written is None and isinstance(tree, exp.Describe) and reads:
        return Statement(f"DESCRIBE TABLE {tree.this.sql(DIALECT)}", reads)
    if written is None:
        return Statement(tree.sql(DIALECT) if reads else text, reads)
    if isinstance(tree, exp.Create):
        return _create(tree, written, reads)
    if isinstance(tree, exp.Insert):
        return _insert(tree, written, reads)
    return Statement(tree.sql(DIALECT), reads, Write(written, "change"))


_INSTEAD = "CREATE TABLE, INSERT, MERGE, UPDATE and DELETE do, and all of lakehouse.engine.Tables"


def _target(tree: exp.Expr) -> exp.Table | None:
    """The table that a statement writes."""
    if isinstance(tree, exp.Create) and tree.args.get("kind") == "VIEW" and _is_temporary(tree):
        return None
    if not isinstance(tree, exp.Create | exp.Insert | exp.Merge | exp.Update | exp.Delete):
        return None
    found = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    return found if isinstance(found, exp.Table) else None


def _is_temporary(tree: exp.Create) -> bool:
    properties = tree.args.get("properties")
    return bool(properties and properties.find(exp.TemporaryProperty))


def _name_of(table: exp.Table, names: Names, *, is_written: bool = False) -> TableName | None:
    parts = [part.name for part in table.parts]
    return names.find(*parts, is_written=is_written) if len(parts) <= 3 else None


def _read_views(tree: exp.Expr, names: Names, target: Any) -> tuple[TableName, ...]:
    """Put views in the place of tables; the tables."""
    reads, local = set(), {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in [*tree.find_all(exp.Table)]:
        is_local = len(table.parts) == 1 and table.name in local
        name = None if table is target or is_local else _name_of(table, names)
        if name is None:
            continue
        if table.args.get("version") or table.args.get("when"):
            raise SqlError(f"{name}: earlier versions of a table cannot be read here")
        reads.add(name)
        _rename(table, name.view, has_alias=not isinstance(tree, exp.Describe))
    for column in tree.find_all(exp.Column) if reads else ():
        if column.args.get("db"):  # of `schema.table.column` the table is enough
            column.set("db", None)
            column.set("catalog", None)
    return tuple(sorted(reads))


def _rename(table: exp.Table, name: str, *, has_alias: bool) -> None:
    if has_alias and not table.alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
    table.set("this", exp.to_identifier(name, quoted=True))
    table.set("db", None)
    table.set("catalog", None)


def _create(tree: exp.Create, table: TableName, reads: tuple[TableName, ...]) -> Statement:
    if tree.args.get("kind") != "TABLE":
        what = str(tree.args.get("kind")).lower()
        raise SqlError(f"a {what} in a catalog does not run here: {table}; use a temporary view")
    exists: Literal["fail", "replace", "keep"] = "fail"
    if tree.args.get("replace"):
        exists = "replace"
    elif tree.args.get("exists"):
        exists = "keep"
    query = tree.expression.sql(DIALECT) if tree.expression else ""
    schema = "" if query else _schema(tree, table)
    return Statement(query, reads, Write(table, "create", schema=schema, exists=exists))


def _schema(tree: exp.Create, table: TableName) -> str:
    columns = tree.this.expressions if isinstance(tree.this, exp.Schema) else []
    found = [
        f"`{column.name}` {column.kind.sql(DIALECT)}"
        for column in columns
        if isinstance(column, exp.ColumnDef) and column.kind
    ]
    if not found:
        raise SqlError(f"CREATE TABLE {table}: expected columns, or AS SELECT …")
    return ", ".join(found)


def _insert(tree: exp.Insert, table: TableName, reads: tuple[TableName, ...]) -> Statement:
    if tree.args.get("by_name") or tree.args.get("where") or tree.args.get("partition"):
        raise SqlError(f"INSERT INTO {table}: BY NAME, REPLACE WHERE and PARTITION do not run here")
    if tree.expression is None:
        raise SqlError(f"INSERT INTO {table}: expected VALUES or SELECT")
    columns = tree.this.expressions if isinstance(tree.this, exp.Schema) else []
    how: Literal["append", "overwrite"] = "overwrite" if tree.args.get("overwrite") else "append"
    write = Write(table, how, tuple(column.name for column in columns))
    return Statement(tree.expression.sql(DIALECT), reads, write)


def with_target(text: str, identifier: str) -> str:
    """A statement that changes a table, with another name for the table: delta.`path`."""
    tree = sqlglot.parse_one(text, read=DIALECT)
    target = _target(tree)
    if target is not None:
        kind, path = identifier.split(".", 1)
        target.set("this", exp.to_identifier(path.strip("`"), quoted=True))
        target.set("db", exp.to_identifier(kind))
        target.set("catalog", None)
    return tree.sql(DIALECT)
