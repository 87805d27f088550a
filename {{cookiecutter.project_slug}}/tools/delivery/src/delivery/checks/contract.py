"""`contract`: the data contracts follow the Open Data Contract Standard, and jobs can use them.

Nothing of what judges them is imported in a project without contracts.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from delivery.checks.registry import CheckContext, rule
from delivery.config.closest import closest
from delivery.config.condition import parse_condition
from delivery.config.contract_schema import Field, Problem, listed, schema_problems
from delivery.config.contracts import ENGINE, RULE, Document, entries_of
from delivery.config.yaml import YamlMapping, kind_of, read_yaml
from delivery.errors import Finding, InvalidFileError

LAYERS = ("landing", "silver", "gold")
SEVERITIES = ("quarantine", "warn")
POLICIES = {
    "unknownColumns": ("add", "refuse"),
    "missingColumns": ("null", "refuse"),
    "otherTypes": ("quarantine", "refuse"),
}
# The logical types that have a type in Spark; others need `physicalType`.
LOGICAL_TYPES = ("string", "integer", "number", "boolean", "date", "timestamp")
SPARK_TYPES = (
    *("string", "boolean", "date", "timestamp", "timestamp_ntz", "binary", "variant", "interval"),
    *("bigint", "long", "int", "integer", "smallint", "short", "tinyint", "byte"),
    *("double", "float", "real", "decimal", "dec", "numeric", "char", "varchar"),
    *("array", "map", "struct"),
)
# Where a row comes from: columns that every table of silver has.
_ORIGIN = ("_file", "_arrived_at", "_loaded_at", "_row")
_UNUSUAL = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@rule("contract")
def check_contract(context: CheckContext) -> Iterator[Finding]:
    """Data contracts that the standard, or the jobs, do not accept."""
    documents = []
    paths = sorted(context.root.glob("src/*/*/contracts/*.y*ml"))
    files = [path.relative_to(context.root).as_posix() for path in paths]
    for file in files:
        try:
            document = _read(context.root, file)
        except InvalidFileError as error:  # still check the others
            yield from error.findings
            continue
        documents.append(document)
    landed = {(d.domain, d.table): d for d in documents if d.layer == "landing"}
    for document in documents:
        yield from map(document.finding, _check_document(document))
        words = _words(context.root, document)
        yield from _check_conditions(document, landed.get((document.domain, document.table)), words)
    yield from _check_together(documents, files)


def _read(root: Path, file: str) -> Document:
    """A contract, if the name of its file gives its layer and table.

    Raises:
        InvalidFileError: it has another name, or is not YAML.
    """
    layer, _, table = PurePosixPath(file).stem.partition(".")
    domain, suffix = PurePosixPath(file).parts[2], PurePosixPath(file).suffix
    if layer not in LAYERS or not re.fullmatch(r"\w+", table) or suffix != ".yml":
        expected = f"{closest(layer, LAYERS) or LAYERS[1]}.{table or domain}.yml"
        message = f"given {PurePosixPath(file).name}, expected LAYER.TABLE.yml"
        hint = f"Jobs do not read it. Layers are {listed(LAYERS)}; rename it to {expected}"
        raise InvalidFileError(Finding(file, 1, RULE, message, hint))
    tree = read_yaml(root, file)
    return Document(file, domain, layer, table, tree, (root / file).read_text(encoding="utf-8"))


def _check_document(document: Document) -> Iterator[Problem]:
    problems = schema_problems(document.tree)
    reported = {problem.path for problem in problems}
    yield from problems
    for check in (
        _check_scalars,
        _check_place,
        _check_columns,
        _check_keys,
        _check_rules,
        _check_policies,
    ):
        # What the standard refuses is reported once.
        yield from (problem for problem in check(document) if problem.path not in reported)


# --- YAML ---


def _check_scalars(document: Document) -> Iterator[Problem]:
    """Values that jobs, which read YAML 1.1, read as another type: `on`, `12:30`, `2013-01-01`."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        other = yaml.load(document.text, loader)  # noqa: S506 - it is a safe loader
    except (yaml.YAMLError, *_UNUSUAL) as error:
        reason = getattr(error, "problem", None) or error
        yield Problem((), f"jobs cannot read it: {reason}", "Quote the values that look unusual.")
        return
    yield from _differences(document.tree, other, ())


def _differences(value: Any, other: Any, path: Field) -> Iterator[Problem]:
    if isinstance(value, dict) and isinstance(other, dict):
        for key, entry in value.items():
            if key in other:
                yield from _differences(entry, other[key], (*path, key))
            else:
                hint = f'Quote it: "{key}"'
                yield Problem((*path, key), "a key that jobs read as another value", hint)
    elif isinstance(value, list) and isinstance(other, list):
        for number, (entry, other_entry) in enumerate(zip(value, other, strict=True)):
            yield from _differences(entry, other_entry, (*path, number))
    elif type(value) is not type(other):
        message = f"given {value}, which jobs read as {other!r}"
        yield Problem(path, message, f'Quote it: {_key(path)}: "{value}"')


# --- the table ---


def _check_place(document: Document) -> Iterator[Problem]:
    """What the document says of itself, and where it is."""
    domain = document.tree.get("domain")
    if domain != document.domain:
        given = domain if "domain" in document.tree else "none"
        message = f"given {given}, expected the folder's name, {document.domain}"
        yield Problem(("domain",), message, f"Write domain: {document.domain}")
    version = document.tree.get("version")
    if isinstance(version, str) and not re.fullmatch(r"\d+(\.\d+){2}", version):
        message = f"given {version!r}, expected three numbers"
        hint = "Jobs compare the first one: a higher one drops columns. Write version: 1.0.0"
        yield Problem(("version",), message, hint)
    tables = document.tree.get("schema")
    if not isinstance(tables, list) or len(tables) != 1:
        given = f"{len(tables)} tables" if isinstance(tables, list) else kind_of(tables)
        names = [entry.get("name") for entry, _ in document.tree.items_of("schema").sections()]
        other = next((name for name in names if name != document.table), document.table)
        hint = f"Write one file for each table, such as {document.layer}.{other}.yml"
        yield Problem(("schema",), f"given {given}, expected one table", hint)
        return
    name = document.schema.get("name")
    if isinstance(name, str) and name != document.table:
        message = f"given {name}, expected {document.table}, as in the name of the file"
        hint = f"Write name: {document.table}, or rename the file: {document.layer}.{name}.yml"
        yield Problem(("schema", 0, "name"), message, hint)
    if not document.columns:
        path: Field = (
            ("schema", 0, "properties") if "properties" in document.schema else ("schema", 0)
        )
        hint = "properties: [{name: id, logicalType: integer}]"
        yield Problem(path, "given no columns, expected at least one", hint)


def _check_columns(document: Document) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, column in document.columns:
        path: Field = ("schema", 0, "properties", number)
        name = column.get("name")
        if isinstance(name, str):
            yield from _check_name(name, (*path, "name"))
            earlier = first.setdefault(name.lower(), number)
            if earlier != number:
                line = document.line(("schema", 0, "properties", earlier))
                message = f"given twice, first in line {line}"
                yield Problem((*path, "name"), message, "Keep one of the two, or rename it.")
        yield from _check_type(column, path)
        for inner, rule_ in entries_of(column, "quality"):
            if rule_.get("engine") == ENGINE:
                hint = "Move it to `quality` of the table, beside `properties`."
                message = "given a rule of the jobs, which they read only from the table"
                yield Problem((*path, "quality", inner), message, hint)


def _check_name(name: str, path: Field) -> Iterator[Problem]:
    """A name that landing files, whose columns are renamed when they are read, can have."""
    usual = re.sub(r"[ ,;{}()\n\t=]+", "_", name.strip().lower()).lstrip("_")
    if not name or name != usual:
        rules = "a name in lower case, without spaces or , ; { } ( ) =, that does not begin with _"
        hint = f"Write name: {usual or 'distance'}"
        yield Problem(path, f"given {name!r}, expected {rules}", hint)


def _check_type(column: YamlMapping, path: Field) -> Iterator[Problem]:
    logical, physical = column.get("logicalType"), column.get("physicalType")
    if isinstance(physical, str):
        words = re.findall(r"[a-z_]+", physical.lower()) or [""]
        if {"struct", "interval", "collate"} & {*words}:  # these have other words, too
            words = words[:1]
        for word in words:
            if word not in SPARK_TYPES:
                near = closest(word, SPARK_TYPES) or "decimal(10, 2)"
                message = f"given {physical!r}, expected a type of Spark"
                yield Problem((*path, "physicalType"), message, f"Write physicalType: {near}")
                return
    elif isinstance(logical, str) and logical not in LOGICAL_TYPES:
        message = f"given {logical}, expected {listed(LOGICAL_TYPES)}, or also a physicalType"
        hint = f"Add physicalType: {'array<string>' if logical == 'array' else 'string'}"
        yield Problem((*path, "logicalType"), message, hint)


def _check_keys(document: Document) -> Iterator[Problem]:
    keys = [(number, c) for number, c in document.columns if c.get("primaryKey") is True]
    seen: dict[Any, int] = {}
    for number, column in keys:
        path: Field = ("schema", 0, "properties", number)
        position = column.get("primaryKeyPosition")
        if position is None:
            message = "given a primary key without a position, expected primaryKeyPosition"
            hint = f"Add primaryKeyPosition: {_free(keys)}"
            yield Problem((*path, "primaryKey"), message, hint)
        elif isinstance(position, int | float) and position in seen:
            line = document.line(("schema", 0, "properties", seen[position]))
            message = f"given {position}, as already in line {line}, expected another position"
            hint = f"Write primaryKeyPosition: {_free(keys)}"
            yield Problem((*path, "primaryKeyPosition"), message, hint)
        elif isinstance(position, int | float):
            seen[position] = number
    if document.layer == "silver" and document.columns and not keys:
        message = "given no primary key, expected one: silver has one row for each key"
        hint = "Add to its columns: primaryKey: true, primaryKeyPosition: 1"
        yield Problem(("schema", 0), message, hint)
    partitions = [(n, c) for n, c in document.columns if c.get("partitioned") is True]
    for number, column in partitions:
        if column.get("primaryKey") is not True:
            message = "given a column outside of the primary key, expected one of its columns"
            hint = (
                "A correction could move a row to another partition and leave the old one behind."
            )
            hint += " Partition by a column of the key, such as a date."
            yield Problem(("schema", 0, "properties", number, "partitioned"), message, hint)
    for number, _ in partitions[1:]:
        message = "given a second column, expected one: jobs partition by the first"
        path = ("schema", 0, "properties", number, "partitioned")
        yield Problem(path, message, "Remove partitioned and partitionKeyPosition here.")


def _free(keys: list[tuple[int, YamlMapping]]) -> int:
    """The first position that no column of the key has."""
    taken = [column.get("primaryKeyPosition") for _, column in keys]
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


# --- rules and policies ---


def _check_rules(document: Document) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, entry in entries_of(document.schema, "quality"):
        path: Field = ("schema", 0, "quality", number)
        engine = entry.get("engine")
        if engine != ENGINE:
            if closest(engine, [ENGINE], 0.7):
                message = f"given {engine}, expected {ENGINE}; else jobs do not apply the rule"
                yield Problem((*path, "engine"), message, f"Write engine: {ENGINE}")
            continue
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            yield Problem(path, "given a rule without a name", "Add name: positive_distance")
        else:
            earlier = first.setdefault(name, number)
            if earlier != number:
                line = document.line(("schema", 0, "quality", earlier))
                message = f"given twice, first in line {line}"
                yield Problem((*path, "name"), message, "Keep one of the two, or rename it.")
        severity = entry.get("severity")
        if severity not in SEVERITIES:
            given = severity if "severity" in entry else "none"
            near = closest(severity, SEVERITIES) or SEVERITIES[0]
            message = f"given {given}, expected {listed(SEVERITIES)}"
            hint = f"Write severity: {near}"
            yield Problem((*path, "severity"), message, hint)
        condition = entry.get("implementation")
        if not isinstance(condition, str) or not condition.strip():
            message = f"given {kind_of(condition)}, expected a SQL condition"
            hint = "Write implementation: distance > 0"
            yield Problem((*path, "implementation"), message, hint)


def _check_policies(document: Document) -> Iterator[Problem]:
    for number, entry in entries_of(document.tree, "customProperties"):
        if str(entry.get("property")) in POLICIES:
            message = "given at the document, where jobs do not read it, expected at the table"
            hint = "Move it to customProperties of the table, beside `properties`."
            yield Problem(("customProperties", number, "property"), message, hint)
    for number, entry in entries_of(document.schema, "customProperties"):
        path: Field = ("schema", 0, "customProperties", number)
        name, value = str(entry.get("property")), entry.get("value")
        near = closest(name, POLICIES, 0.8)
        if name in POLICIES:
            known = POLICIES[name]
            if document.layer != "landing":
                hint = f"Move it to landing.{document.table}.yml"
                yield Problem((*path, "property"), f"given {name}, which only landing has", hint)
            elif value not in known:
                word = closest("null" if value is None else value, known) or known[0]
                text = '"null"' if word == "null" else word
                given = kind_of(value) if value is None else value
                message = f"given {given}, expected {listed(known)}"
                yield Problem((*path, "value"), message, f"Write value: {text}")
        elif near:
            message = f"given {name}, expected {near}; else jobs do not apply it"
            yield Problem((*path, "property"), message, f"Rename it to {near}.")


def _check_conditions(
    document: Document, landed: Document | None, words: frozenset[str] | None
) -> Iterator[Finding]:
    """Each condition by itself, on a table with the columns of the contract."""
    known = [*document.names, *(landed.names if landed else ()), *_ORIGIN]
    for number, entry in document.rules:
        path: Field = ("schema", 0, "quality", number, "implementation")
        text = entry.get("implementation")
        if document.layer != "silver":
            message = (
                f"given a rule for {document.layer}, expected one for silver: no job applies it"
            )
            hint = f"Move it to silver.{document.table}.yml"
            yield document.finding(Problem(path[:-1], message, hint), "warning")
        if not isinstance(text, str) or not text.strip():
            continue
        condition = parse_condition(text)
        if condition.error:
            message = f"given {text.strip()!r}, which is not a condition: {condition.error}"
            column = next(iter(document.names), "distance")
            hint = f"Write one such as implementation: {column} IS NOT NULL"
            yield document.finding(Problem(path, message, hint))
        for reference in condition.columns:
            name = reference.name.lower()
            if name in known or words is None or name in words:
                continue
            near = closest(name, known)
            message = f"unknown column {reference.name} at {reference.place}"
            message += f", expected {near}" if near else f", expected one of {listed(known[:-4])}"
            transform = f"{PurePosixPath(document.file).parents[1]}/transform.py"
            hint = f"Write {near}." if near else "Write one of the table's columns."
            hint += f" A column only for rules is added by {transform}, withColumn({name!r}, …)."
            yield document.finding(Problem(path, message, hint))


def _words(root: Path, document: Document) -> frozenset[str] | None:
    """The words in the strings of the domain's `transform.py`: columns it may add.

    None if the file cannot be read: then no column is unknown.
    """
    file = (root / document.file).parents[1] / "transform.py"
    if not file.is_file():
        return frozenset()
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, MemoryError, *_UNUSUAL):
        return None
    nodes = [*ast.walk(tree)]
    documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and id(node) not in documentation
    ]
    words = (re.findall(r"\w+", text) for text in texts if isinstance(text, str))
    return frozenset(word.lower() for found in words for word in found)


# --- contracts together ---


def _check_together(documents: Iterable[Document], files: list[str]) -> Iterator[Finding]:
    by_id: dict[str, Document] = {}
    for document in documents:
        key = document.tree.get("id")
        if isinstance(key, str) and by_id.setdefault(key, document) is not document:
            name = f"{document.domain}.{document.layer}.{document.table}"
            message = f"given {key}, as in {by_id[key].file}, expected another"
            yield document.finding(Problem(("id",), message, f"Write id: {name}"))
        layer = {"landing": "silver", "silver": "landing"}.get(document.layer)
        file = f"{PurePosixPath(document.file).parent}/{layer}.{document.table}.yml"
        if layer and file not in files:
            message = f"given {document.layer}.{document.table} without {layer}.{document.table}"
            problem = Problem((), f"{message}, expected both", f"Add {file}, or remove this file.")
            yield document.finding(problem, "warning")


def _key(path: Field) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")
