"""Data contracts: what each table is, from `src/lakehouse/<domain>/contracts/<layer>.<table>.yml`.

The documents follow the Open Data Contract Standard 3. This module reads what the jobs need;
`delivery check` judges whole documents.
"""

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal, get_args

import yaml

try:  # in C, where PyYAML has it
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

OnFailure = Literal["quarantine", "warn"]
# The type in Spark of each logical type of the standard; `physicalType` names another.
SPARK_TYPES = {
    "string": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
_OTHER_NAMES = {
    "long": "bigint",
    "integer": "int",
    "short": "smallint",
    "byte": "tinyint",
    "real": "float",
    "dec": "decimal",
    "numeric": "decimal",
}
# Functions of SQL that give something else in each run.
_PRESENT = re.compile(
    r"(?i)\b(current_\w+|curdate|now|localtimestamp|unix_timestamp|rand|randn|random|uuid)\b"
)
ENGINE = "lakehouse"  # the `engine` of the rules that jobs apply to each row


class ContractError(ValueError):
    """A contract that cannot be used; the message names file and field."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its name, in lower case.
        type: its type in Spark.
        required: whether NULL is invalid. A landing file must have the column.
        synonyms: former names, which a landing file may still use.
        description: what it means, for readers.
        tags: for Unity Catalog: its classification, and `key:value` or `key` for each other one.
    """

    name: str
    type: str
    required: bool = False
    synonyms: tuple[str, ...] = ()
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One expectation about a row.

    Attributes:
        name: shown in `_failed` or `_warned` of a row that does not meet it.
        condition: a SQL condition; a row for which it is NULL does not meet it.
        on_failure: `quarantine` keeps the row out of silver, `warn` only marks it.
    """

    name: str
    condition: str
    on_failure: OnFailure


@dataclass(frozen=True)
class Landing:
    """What happens to a landing file that differs from its contract.

    Attributes:
        unknown: a column that the contract does not have is added to bronze, or the file refused.
        missing: an optional column that the file does not have is NULL, or the file refused. A
            file without a required column is always refused.
        other_type: a row with a text that its type cannot represent is quarantined, or the file
            refused.
    """

    unknown: Literal["add", "refuse"] = "add"
    missing: Literal["null", "refuse"] = "null"
    other_type: Literal["quarantine", "refuse"] = "quarantine"


@dataclass(frozen=True)
class Contract:
    """What one table is.

    Attributes:
        name: `<layer>.<table>`.
        columns: in the order of the document.
        key: the columns that identify a row; empty if there is no primary key.
        partition: the column whose months partition the table on a laptop, and by which Databricks
            clusters it; empty if there is none. It belongs to the key.
        rules: in the order of the document.
        landing: what happens to files that differ; for contracts of the layer `landing`.
        version: such as `1.2.0`. A higher first number drops columns; see `lakehouse.evolution`.
        description: what the table is for.
        tags: as those of a column.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    partition: str = ""
    rules: tuple[Rule, ...] = ()
    landing: Landing = field(default_factory=Landing)
    version: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()

    @property
    def types(self) -> dict[str, str]:
        """The type in Spark of each column."""
        return {column.name: column.type for column in self.columns}

    @property
    def depends_on_time(self) -> bool:
        """Whether the same row may break a rule today and not tomorrow."""
        return any(_PRESENT.search(rule.condition) for rule in self.rules)

    @property
    def digest(self) -> str:
        """Changes if a table has to be rebuilt: with columns, types, keys, partition or rules."""
        columns = [(c.name, c.type, c.required, c.synonyms) for c in self.columns]
        text = json.dumps([columns, self.key, self.partition, repr(self.rules)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_contract(domain: str, name: str) -> Contract:
    """Read the contract of the table `name`, such as `silver.flights`.

    Raises:
        ContractError: there is none, or it cannot be used.
    """
    contract = find_contract(domain, name)
    if contract is None:
        file = f"src/lakehouse/{domain}/contracts/{name}.yml"
        raise ContractError(f"{name}: given no contract, expected {file}")
    return contract


@functools.cache
def find_contract(domain: str, name: str) -> Contract | None:
    """The contract of a table; None if it has none, such as a quarantine table.

    Raises:
        ContractError: it cannot be used.
    """
    path = files("lakehouse") / domain / "contracts" / f"{name}.yml"
    if not domain or not path.is_file():
        return None
    origin = f"src/lakehouse/{domain}/contracts/{name}.yml"
    return parse_contract(yaml.load(path.read_text(encoding="utf-8"), SafeLoader), name, origin)


def parse_contract(document: Any, name: str, origin: str) -> Contract:
    """Create a contract from a parsed YAML document; errors name `origin`.

    Raises:
        ContractError: the document cannot be used.
    """
    tables = _list(document, "schema", origin)
    if len(tables) != 1:
        raise ContractError(f"{origin}: schema: given {len(tables)} tables, expected one")
    table = tables[0]
    properties = _list(table, "properties", origin)
    columns = tuple(_column(entry, origin) for entry in properties)
    for column in {column.name for column in columns}:
        if [other.name for other in columns].count(column) > 1:
            raise ContractError(f"{origin}: column {column}: declared more than once")
    key = _ordered(properties, "primaryKey", "primaryKeyPosition")
    partition = next(iter(_ordered(properties, "partitioned", "partitionKeyPosition")), "")
    if partition and partition not in key:
        # A correction that moves a row to another partition would leave the old row behind.
        raise ContractError(
            f"{origin}: partitioned: given {partition}, expected a column of the primary key"
        )
    description = document.get("description")
    return Contract(
        name,
        columns,
        key,
        partition,
        _rules(table, origin),
        _landing(table, origin),
        version=str(document.get("version") or ""),
        description=str(description.get("purpose") or "") if isinstance(description, dict) else "",
        tags=_tags(table),
    )


def _column(entry: Any, origin: str) -> Column:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or not name:
        raise ContractError(f"{origin}: properties: given {entry!r}, expected a column with a name")
    if name != name.lower():
        raise ContractError(f"{origin}: column {name}: expected lower case: {name.lower()}")
    logical = entry.get("logicalType", "string")
    type_ = entry.get("physicalType") or SPARK_TYPES.get(str(logical))
    if not type_:
        known = ", ".join(SPARK_TYPES)
        raise ContractError(
            f"{origin}: column {name}: logicalType: given {logical!r}, expected one of {known}"
        )
    synonyms = tuple(str(other.get("synonym")) for other in _optional(entry, "synonyms", origin))
    description = str(entry.get("description") or "")
    return Column(
        name,
        spark_type(str(type_)),
        bool(entry.get("required")),
        synonyms,
        description,
        _tags(entry),
    )


def spark_type(name: str) -> str:
    """The type as Spark writes it: `decimal(10,2)` for `Decimal(10, 2)`, `bigint` for `long`."""
    plain = re.sub(r"\s*([(),:<>])\s*", r"\1", name.strip().lower())
    usual = re.sub(r"[a-z_]+(?![a-z_:])", lambda word: _OTHER_NAMES.get(word[0], word[0]), plain)
    sized = re.sub(r"\bdecimal(?![(:])", "decimal(10,0)", usual)
    return re.sub(r"\b(?:var)?char\(\d+\)", "string", sized)


def _tags(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags of a column or a table; its classification is one of them."""
    tags = {str(tag).partition(":")[0].strip(): str(tag) for tag in entry.get("tags") or ()}
    if entry.get("classification"):
        tags["classification"] = f"classification:{entry['classification']}"
    return tuple(tags[key] for key in sorted(tags))


def _ordered(properties: list[Any], flag: str, position: str) -> tuple[str, ...]:
    chosen = [entry for entry in properties if entry.get(flag)]
    return tuple(entry["name"] for entry in sorted(chosen, key=lambda e: e.get(position, 0)))


def _rules(table: Mapping[str, Any], origin: str) -> tuple[Rule, ...]:
    rules: dict[str, Rule] = {}
    for entry in _optional(table, "quality", origin):
        if entry.get("engine") != ENGINE:
            continue  # a check of another tool
        name, severity = entry.get("name"), entry.get("severity")
        if not name or not entry.get("implementation"):
            raise ContractError(
                f"{origin}: rule {name}: expected a name, and a SQL condition as implementation"
            )
        if severity not in get_args(OnFailure):
            known = " or ".join(get_args(OnFailure))
            raise ContractError(
                f"{origin}: rule {name}: severity: given {severity!r}, expected {known}"
            )
        if name in rules:
            raise ContractError(f"{origin}: rule {name}: declared more than once")
        rules[name] = Rule(str(name), str(entry["implementation"]), severity)
    return tuple(rules.values())


_POLICIES = {
    "unknownColumns": ("unknown", ("add", "refuse")),
    "missingColumns": ("missing", ("null", "refuse")),
    "otherTypes": ("other_type", ("quarantine", "refuse")),
}


def _landing(table: Mapping[str, Any], origin: str) -> Landing:
    chosen: dict[str, Any] = {}
    for entry in _optional(table, "customProperties", origin):
        name, value = entry.get("property"), entry.get("value")
        if name not in _POLICIES:
            continue  # the property of another tool
        field_name, known = _POLICIES[name]
        if value not in known:
            raise ContractError(
                f"{origin}: {name}: given {value!r}, expected {' or '.join(map(repr, known))}"
            )
        chosen[field_name] = value
    return Landing(**chosen)


def _optional(table: Mapping[str, Any], key: str, origin: str) -> list[Any]:
    return _list(table, key, origin) if table.get(key) is not None else []


def _list(document: Any, key: str, origin: str) -> list[Any]:
    found = document.get(key) if isinstance(document, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise ContractError(f"{origin}: {key}: given {found!r}, expected a list of mappings")
    return found
