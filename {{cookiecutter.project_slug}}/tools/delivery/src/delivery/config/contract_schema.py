"""Judges a data contract by the schema of the Open Data Contract Standard.

The schema knows more than the standard's Python model, which leaves every field optional and takes
unknown keys below the first level. A test holds that the model accepts what the schema accepts.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from delivery.config.closest import closest
from delivery.config.yaml import kind_of

Field = tuple[str | int, ...]
_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "nothing",
    "number": "a number",
    "object": "a mapping",
    "string": "a string",
}
# Examples of keys that the schema has none for.
_EXAMPLES = {
    "id": "flights.silver.flights",
    "implementation": "distance > 0",
    "location": "s3://bucket/flights/*.csv",
    "name": "distance",
    "property": "unknownColumns",
    "synonym": "former_name",
    "value": "1",
    "version": "1.0.0",
}
_PLAIN = {"array": "[…]", "boolean": "true", "integer": "1", "number": "1", "object": "{…}"}
_MANY = 16  # of more values than these, the closest are named


class Problem(NamedTuple):
    """What is wrong at `path`: what was given, what is expected, and what to do about it."""

    path: Field
    message: str
    hint: str


def schema_problems(document: Any) -> list[Problem]:
    """Where a document differs from the standard."""
    try:
        errors = [*_validator().iter_errors(document)]
    except ValueError as error:  # text that is not Unicode, or a document of too many levels
        return [Problem((), f"cannot be judged: {error}", "Remove unusual characters and nesting.")]
    found = [entry for error in errors for entry in _problems(error, document)]
    # A key may be refused only because another entry of its mapping is wrong: only that one counts.
    causes = [entry.problem.path for entry in found if not entry.known]
    # A misspelt key is not missing, too.
    meant = [(*entry.problem.path[:-1], entry.meant) for entry in found if entry.meant]
    kept = [e for e in found if not (e.known and _is_inside(e.problem.path[:-1], causes))]
    return list(dict.fromkeys(e.problem for e in kept if e.problem.path not in meant))


def _is_inside(path: Field, others: Iterable[Field]) -> bool:
    return any(other[: len(path)] == path for other in others)


def value_at(document: Any, path: Iterable[str | int]) -> Any:
    """The value at a path of the document."""
    for part in path:
        document = document[part]
    return document


def listed(words: Sequence[Any], given: Any = "") -> str:
    """`a, b or c`; of many words, the closest ones."""
    texts = [str(word) for word in words]
    if len(texts) > _MANY:
        texts = [*(difflib.get_close_matches(str(given), texts, 5, 0.3) or texts[:8]), "…"]
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


# --- the errors of the validator ---


class _Found(NamedTuple):
    """A problem; whether it is a key that the standard knows, or which of those was meant."""

    problem: Problem
    known: bool = False
    meant: str = ""


def _problems(error: Any, document: Any) -> Iterator[_Found]:
    path, kind = tuple(error.instance_path), error.kind
    given = value_at(document, path)
    branch = _fitting(kind.context, path) if kind.name in ("oneOf", "anyOf") else []
    if kind.name in ("additionalProperties", "unevaluatedProperties"):
        for key in kind.unexpected:
            yield _unexpected(path, key, _keys(path))
    elif kind.name == "required":
        # The schema wants `map` of each column without a logical type.
        is_untyped = kind.property == "map" and "logicalType" not in given
        yield _Found(_missing((*path, "logicalType" if is_untyped else kind.property)))
    elif branch:
        for inner in branch:
            yield from _problems(inner, document)
    else:
        yield _Found(_other(error, kind, path, given))


def _fitting(branches: list[list[Any]], path: Field) -> list[Any]:
    """The errors of the form that was most likely meant: the one whose type fits."""
    fitting = [
        branch
        for branch in branches
        if branch and not any(e.kind.name == "type" and (*e.instance_path,) == path for e in branch)
    ]
    return fitting[0] if len(fitting) == 1 else []


def _unexpected(path: Field, key: str, known: list[str]) -> _Found:
    near, field = closest(key, known), (*path, key)
    if key in known:
        message = "given, expected not beside these keys and values"
        hint = "Remove it, or look up in the standard what it needs beside it, such as `type`."
        return _Found(Problem(field, message, hint), known=True)
    if near:
        message = f"unknown key, expected {near}"
        return _Found(Problem(field, message, f"Rename it to {near}."), meant=near)
    hint = f"Remove it; keys are {listed(known, key)}." if known else "Remove it."
    return _Found(Problem(field, "unknown key, expected one of the standard", hint))


def _missing(path: Field) -> Problem:
    options = _options(path)
    expected = f"one of {listed(options)}" if len(options) > 1 else "one"
    return Problem(path, f"given none, expected {expected}", f"Add {_example(path)}")


def _other(error: Any, kind: Any, path: Field, given: Any) -> Problem:
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    if kind.name == "enum":
        near = closest(given, map(str, kind.options)) or kind.options[0]
        expected = f"one of {listed(kind.options, given)}"
        return Problem(path, f"given {given!r}, expected {expected}", f"Write {key}: {near}")
    if kind.name in ("type", "oneOf", "anyOf"):
        types = _types(error)
        expected = listed([_KINDS[name] for name in types]) if types else "another form"
        quoted = types == ["string"] and isinstance(given, int | float)
        hint = f'Quote it: {key}: "{given}"' if quoted else f"Write {_example(path)}"
        return Problem(path, f"given {kind_of(given)}, expected {expected}", hint)
    return Problem(path, f"not as the standard says: {error.message}", f"Write {_example(path)}")


def _types(error: Any) -> list[str]:
    """The types that would fit; empty if another than a type is wrong."""
    if error.kind.name == "type":
        return list(error.kind.types)
    inner = [e for branch in getattr(error.kind, "context", ()) for e in branch]
    if not all(e.kind.name in ("type", "oneOf", "anyOf") for e in inner):
        return []
    return list(dict.fromkeys(name for e in inner for name in _types(e)))


# --- the schema ---


@cache
def _schema() -> Any:
    spec = find_spec("open_data_contract_standard")
    file = Path(spec.origin or "" if spec else "").with_name("schema.json")
    return json.loads(file.read_text(encoding="utf-8"))


@cache
def _validator() -> Any:
    from jsonschema_rs import Draft201909Validator  # only if there is a contract

    return Draft201909Validator(_schema())


def _nodes(path: Field) -> list[dict[str, Any]]:
    """The parts of the schema that may apply at a path."""
    nodes = _reachable([_schema()])
    for part in path:
        below = [
            node.get("properties", {}).get(part) if isinstance(part, str) else node.get("items")
            for node in nodes
        ]
        nodes = _reachable(below)
    return nodes


def _reachable(nodes: list[Any]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    while nodes:
        node, nodes = nodes[0], nodes[1:]
        if not isinstance(node, dict) or id(node) in found:
            continue
        found[id(node)] = node
        branches = [entry for key in ("allOf", "anyOf", "oneOf") for entry in node.get(key, ())]
        target = [value_at(_schema(), node["$ref"][2:].split("/"))] if "$ref" in node else []
        nodes = [*nodes, *target, *branches, node.get("then"), node.get("else")]
    return [*found.values()]


def _keys(path: Field) -> list[str]:
    """The keys that the standard knows at a path."""
    return list(dict.fromkeys(key for node in _nodes(path) for key in node.get("properties", ())))


def _options(path: Field) -> list[Any]:
    return next((node["enum"] for node in _nodes(path) if "enum" in node), [])


def _example(path: Field) -> str:
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    nodes = _nodes(path)
    values = [node["default"] for node in nodes if "default" in node] + _options(path)
    values += [value for node in nodes for value in node.get("examples", ())]
    types = [node["type"] for node in nodes if isinstance(node.get("type"), str)]
    plain = _PLAIN.get(types[0] if types else "", "text")
    value = _EXAMPLES.get(key) or next((v for v in values if isinstance(v, str | int)), plain)
    return f"{key}: {json.dumps(value) if isinstance(value, bool) else value}"
