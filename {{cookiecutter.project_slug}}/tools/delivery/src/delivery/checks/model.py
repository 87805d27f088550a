"""`model`: unknown fields and wrong types, found with the models of `databricks-bundles`."""

import difflib
import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from delivery.checks.registry import CheckContext, rule
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding
from delivery.resources import KINDS

RULE = "model"

_UNKNOWN = re.compile(r"Unexpected field '(.*)' for class (\w+)")
_MISSING = re.compile(r"missing \d+ required keyword-only arguments?: (.*)")
_UNRESOLVED = re.compile(r"<([\w.\[\]-]+)>")
_MAX_FINDINGS = 20  # of one resource


@rule("model", scope="target")
def check_model(context: CheckContext, target: str) -> Iterator[Finding]:
    """Resources that do not match the model of their kind."""
    kinds = context.targets[target].tree.section("resources")
    for kind in (kind for kind in kinds if kind in KINDS and KINDS[kind].model):
        for key, resource in kinds.section(kind).items():
            mark = kinds.section(kind).marks[key]
            yield from _check(kind, f"{kind}.{key}", _plain(resource), resource, mark)


def _check(kind: str, key: str, value: Any, resource: Any, mark: Mark) -> Iterator[Finding]:
    """All findings of a resource. The model raises only the first: remove its cause and repeat."""
    complete = True
    for _ in range(_MAX_FINDINGS):
        error = _error(kind, value)
        if error is None:
            return
        unknown, field = _UNKNOWN.search(error), _cause(kind, value, error)
        if unknown:
            yield _finding(kind, key, error, _find(resource, unknown[1]) or mark)
            _remove(value, unknown[1])
        elif field:
            wrong = _entry_errors(kind, value, resource, field)
            for found in wrong or [(error, resource.marks[field])]:
                yield _finding(kind, key, *found)
            value, complete = {k: v for k, v in value.items() if k != field}, False
        else:
            if complete:  # else the error may be about a field that this loop removed
                yield _finding(kind, key, error, mark)
            return


def _entry_errors(
    kind: str, value: dict[str, Any], resource: YamlMapping, field: str
) -> list[tuple[str, Mark]]:
    """The errors of single entries of a field, if it is a list."""
    marks = resource.items_of(field).marks
    errors = [_error(kind, {**value, field: [entry]}) for entry in value[field]] if marks else []
    return [(error, mark) for error, mark in zip(errors, marks, strict=True) if error]


def _finding(kind: str, key: str, error: str, mark: Mark) -> Finding:
    unknown, missing = _UNKNOWN.search(error), _MISSING.search(error)
    near = _near(kind, unknown[1], unknown[2]) if unknown else ""
    message, hint = error, "Remove or replace it; `databricks bundle schema` lists the fields."
    if unknown:
        message = f"unknown field {unknown[1]}" + (f", expected {near}" if near else "")
    elif missing:
        message, hint = f"missing {missing[1]}", f"Add {missing[1]}."
    if near:
        hint = f"Rename it to {near}."
    return Finding(mark.file, mark.line, RULE, f"{key}: {message}", hint)


@cache
def _parser(kind: str) -> Callable[[Any], object]:
    module = importlib.import_module(f"databricks.bundles.{kind}")
    parse: Callable[[Any], object] = getattr(module, KINDS[kind].model).from_dict
    return parse


def _error(kind: str, value: Any) -> str | None:
    """The first error of the model; None if it accepts the value."""
    try:
        _parser(kind)(value)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return str(error)
    return None


def _near(kind: str, field: str, class_name: str) -> str:
    """The field of a model class with the most similar name; empty if none is similar."""
    model = getattr(importlib.import_module(f"databricks.bundles.{kind}"), class_name, None)
    names = [known.name for known in fields(model)] if model else []
    return next(iter(difflib.get_close_matches(field, names, 1)), "")


def _plain(value: Any) -> Any:
    """The value with `<...>` as references again, which the model accepts for every type."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    unresolved = _UNRESOLVED.fullmatch(value) if isinstance(value, str) else None
    return f"${{{unresolved[1]}}}" if unresolved else value


def _find(value: Any, key: str) -> Mark | None:
    """The mark of the first occurrence of a key, at any depth."""
    if isinstance(value, YamlMapping) and key in value:
        return value.marks[key]
    return next((mark for entry in _children(value) if (mark := _find(entry, key))), None)


def _remove(value: Any, key: str) -> None:
    """Remove a key, at any depth."""
    if isinstance(value, dict) and value.pop(key, None) is not None:
        return
    for entry in _children(value):
        _remove(entry, key)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _cause(kind: str, value: Any, error: str) -> str | None:
    """The field that causes an error; None if the error is about the whole resource."""
    if not isinstance(value, dict) or error.startswith(f"{KINDS[kind].model}."):
        return None
    without = ((key, {k: v for k, v in value.items() if k != key}) for key in value)
    return next((key for key, fewer in without if _error(kind, fewer) != error), None)
