"""What data contracts say of their tables, as far as a plan needs it.

Files that cannot be used are no error here: `check` judges contracts, and jobs refuse them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

_FILE = re.compile(r"src/[\w-]+/([\w-]+)/contracts/((?:landing|silver|gold)\.\w+)\.yml")
_UNUSABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # safe; YAML 1.1, as jobs read it
# The type in Spark of each logical type of the standard; `physicalType` names another.
_SPARK_TYPES = {
    "string": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}

_NAMES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}
_NAMES |= {"real": "float", "dec": "decimal", "numeric": "decimal"}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        type: its type in Spark.
        tags: by key; the classification is one of them.
    """

    name: str
    type: str
    required: bool
    description: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Contract:
    """What one table is.

    Attributes:
        major: the first number of its version.
        columns: by name, in the order of the document.
        partition: the column that clusters the table; empty if none does.
        rules: condition and severity of each rule, by name, in the order of the document.
    """

    major: int
    purpose: str
    tags: Mapping[str, str]
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    partition: str
    rules: Mapping[str, tuple[str, str]]

    def needs_value(self, column: str) -> bool:
        """Whether a column takes no NULL."""
        return column in self.key or (column in self.columns and self.columns[column].required)


EMPTY = Contract(0, "", {}, {}, (), "", {})


def read_contracts(files: Mapping[str, bytes]) -> dict[str, Contract | None]:
    """The contracts in the files of a release, such as `flights.silver.flights`.

    One that cannot be used is None.
    """
    found: dict[str, Contract | None] = {}
    for path, content in sorted(files.items()):
        named = _FILE.fullmatch(path)
        if named:
            try:
                contract = _contract(yaml.load(content, _LOADER))  # noqa: S506
            except (yaml.YAMLError, *_UNUSABLE):
                contract = None
            found[f"{named[1]}.{named[2]}"] = contract
    return found


def _contract(document: Any) -> Contract:
    """A parsed document; any of `_UNUSABLE` if it is not one."""
    (table,) = document["schema"]
    entries = table["properties"]
    columns = {column.name: column for column in map(_column, entries)}
    if len(columns) != len(entries):
        raise ValueError
    rules = {
        _text(entry["name"]): (_text(entry["implementation"]), _text(entry["severity"]))
        for entry in table.get("quality") or ()
        if entry.get("engine") == "lakehouse"
    }
    version = re.match(r"(\d+)", _text(document.get("version")))
    partition = _ordered(entries, "partitioned", "partitionKeyPosition")
    return Contract(
        major=int(version[1]) if version else 0,
        purpose=_text((document.get("description") or {}).get("purpose")),
        tags=_tags(table),
        columns=columns,
        key=_ordered(entries, "primaryKey", "primaryKeyPosition"),
        partition=next(iter(partition), ""),
        rules=rules,
    )


def _column(entry: Any) -> Column:
    logical = _text(entry.get("logicalType", "string"))
    return Column(
        name=_text(entry["name"]).lower(),
        type=_usual(_text(entry.get("physicalType"))) or _SPARK_TYPES[logical],
        required=bool(entry.get("required")),
        description=_text(entry.get("description")),
        tags=_tags(entry),
    )


def _usual(name: str) -> str:
    """A type as Spark writes it, if it has other names."""
    plain = re.sub(r"\s+", "", name.lower())
    return re.sub(r"^[a-z_]+", lambda found: _NAMES.get(found[0], found[0]), plain)


def _tags(entry: Any) -> dict[str, str]:
    pairs = (_text(tag).partition(":") for tag in entry.get("tags") or ())
    tags = {key.strip(): value.strip() for key, _, value in pairs}
    classification = _text(entry.get("classification"))
    return {**tags, "classification": classification} if classification else tags


def _ordered(entries: Sequence[Any], flag: str, position: str) -> tuple[str, ...]:
    chosen = [entry for entry in entries if entry.get(flag)]
    return tuple(entry["name"] for entry in sorted(chosen, key=lambda e: e.get(position, 0)))


def _text(value: Any) -> str:
    """A scalar as text; empty for none."""
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        raise TypeError
    return "" if value is None else str(value)


def statements(before: Contract, after: Contract, at: str, table: str) -> list[str]:
    """The statements with which jobs bring a contract to its table, besides its rows.

    Args:
        before: what the table has from the running release; `EMPTY` if the table loses it.
        at: the name of the table in SQL.
        table: its plain name.
    """
    old, new = dict(_metadata(before, at, table)), dict(_metadata(after, at, table))
    # A key is not replaced by another one: it is dropped first.
    is_other = {undo for undo in old if "PRIMARY KEY" in undo and old[undo] != new.get(undo)}
    undone = [undo for undo in reversed(old) if undo not in new or undo in is_other]
    return undone + [do for undo, do in new.items() if old.get(undo) != do]


def _metadata(contract: Contract, at: str, table: str) -> Iterator[tuple[str, str]]:
    """The statements that undo and that bring each comment, tag or constraint."""
    alter = f"ALTER TABLE {at}"
    if contract.purpose:
        comment = f"COMMENT ON TABLE {at} IS"
        yield f"{comment} NULL", f"{comment} {_literal(contract.purpose)}"
    yield from _tag_statements(alter, contract.tags)
    for name, column in contract.columns.items():
        alter_column = f"{alter} ALTER COLUMN {_quoted(name)}"
        if column.description:
            comment = f"{alter_column} COMMENT"
            yield f"{comment} ''", f"{comment} {_literal(column.description)}"
        yield from _tag_statements(alter_column, column.tags)
        if contract.needs_value(name):
            yield f"{alter_column} DROP NOT NULL", f"{alter_column} SET NOT NULL"
    if contract.key:
        key = ", ".join(map(_quoted, contract.key))
        constraint = f"CONSTRAINT {_quoted(f'{table}_pk')} PRIMARY KEY ({key})"
        yield f"{alter} DROP PRIMARY KEY IF EXISTS", f"{alter} ADD {constraint}"
    if contract.partition:
        yield f"{alter} CLUSTER BY NONE", f"{alter} CLUSTER BY ({_quoted(contract.partition)})"


def _tag_statements(alter: str, tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key in sorted(tags):
        name = _literal(key)
        yield f"{alter} UNSET TAGS ({name})", f"{alter} SET TAGS ({name} = {_literal(tags[key])})"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def identifier(*names: str) -> str:
    """A name in SQL, such as `` `demo_prod`.`flights_silver`.`flights` ``."""
    return ".".join(map(_quoted, names))
