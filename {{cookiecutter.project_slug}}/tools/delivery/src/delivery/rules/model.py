"""Unknown fields and wrong types, by the typed model of `databricks-bundles`."""

import difflib
import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from delivery.bundle import Mark, Section
from delivery.errors import Finding
from delivery.resources import KINDS

RULE = "model"

_UNKNOWN = re.compile(r"Unexpected field '(.*)' for class (\w+)")
_MISSING = re.compile(r"missing \d+ required keyword-only arguments?: (.*)")
_LATER = re.compile(r"<([\w.\[\]-]+)>")
_MOST = 20  # findings of one resource


def check_model(tree: Section) -> Iterator[Finding]:
    """Every resource that its kind's model does not take."""
    kinds = tree.section("resources")
    for kind in (kind for kind in kinds if kind in KINDS and KINDS[kind].model):
        for key, resource in kinds.section(kind).items():
            mark = kinds.section(kind).marks[key]
            yield from _check(kind, f"{kind}.{key}", _plain(resource), resource, mark)


def _check(kind: str, key: str, value: Any, resource: Any, mark: Mark) -> Iterator[Finding]:
    """One finding after the other: the model tells the first only, so each is taken away."""
    whole = True
    for _ in range(_MOST):
        error = _error(kind, value)
        if error is None:
            return
        unknown, field = _UNKNOWN.search(error), _culprit(kind, value, error)
        if unknown:
            yield _finding(kind, key, error, _find(resource, unknown[1]) or mark)
            _remove(value, unknown[1])
        elif field:
            wrong = _of_field(kind, value, resource, field) or [(error, resource.marks[field])]
            yield from (_finding(kind, key, *found) for found in wrong)
            value, whole = {k: v for k, v in value.items() if k != field}, False
        else:
            if whole:  # else it may be what was taken away that is missing
                yield _finding(kind, key, error, mark)
            return


def _of_field(
    kind: str, value: dict[str, Any], resource: Section, field: str
) -> list[tuple[str, Mark]]:
    """What is wrong with single entries of a field, where it is a list."""
    marks = resource.items_of(field).marks
    alone = [_error(kind, {**value, field: [entry]}) for entry in value[field]] if marks else []
    return [(error, mark) for error, mark in zip(alone, marks, strict=True) if error]


def _finding(kind: str, key: str, error: str, mark: Mark) -> Finding:
    return Finding(mark.file, mark.line, RULE, f"{key}: {_told(kind, error)}", _mend(kind, error))


@cache
def _parser(kind: str) -> Callable[[Any], object]:
    module = importlib.import_module(f"databricks.bundles.{kind}")
    parse: Callable[[Any], object] = getattr(module, KINDS[kind].model).from_dict
    return parse


def _error(kind: str, value: Any) -> str | None:
    try:
        _parser(kind)(value)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return str(error)
    return None


def _told(kind: str, error: str) -> str:
    unknown, missing = _UNKNOWN.search(error), _MISSING.search(error)
    if unknown:
        near = _near(kind, unknown[1], unknown[2])
        return f"unknown field {unknown[1]}" + (f", expected {near}" if near else "")
    return f"missing {missing[1]}" if missing else error


def _mend(kind: str, error: str) -> str:
    unknown, missing = _UNKNOWN.search(error), _MISSING.search(error)
    near = _near(kind, unknown[1], unknown[2]) if unknown else ""
    if near:
        return f"Rename it to {near}."
    known = "`databricks bundle schema` lists what there is."
    return f"Add {missing[1]}." if missing else f"Remove it, or write another; {known}"


def _near(kind: str, field: str, name: str) -> str:
    """The likeliest field of one of the model's classes; empty when none is alike."""
    return next(iter(difflib.get_close_matches(field, _names(kind, name), 1)), "")


def _names(kind: str, name: str) -> list[str]:
    """The fields of one of the model's classes."""
    module = importlib.import_module(f"databricks.bundles.{kind}")
    found = getattr(module, name, None)
    return [field.name for field in fields(found)] if found else []


def _plain(value: Any) -> Any:
    """What the model takes: references that only the workspace knows stand as references."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    later = _LATER.fullmatch(value) if isinstance(value, str) else None
    return f"${{{later[1]}}}" if later else value


def _find(value: Any, key: str) -> Mark | None:
    """Where a key stands first, at any depth."""
    if isinstance(value, Section) and key in value:
        return value.marks[key]
    below = (
        value.values() if isinstance(value, Section) else value if isinstance(value, list) else ()
    )
    return next((mark for entry in below if (mark := _find(entry, key))), None)


def _remove(value: Any, key: str) -> None:
    """Take a key away, where `_find` would find it."""
    if isinstance(value, dict) and value.pop(key, None) is not None:
        return
    for entry in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        _remove(entry, key)


def _culprit(kind: str, value: Any, error: str) -> str | None:
    """The field without which there would be no such error; None when it is about the whole."""
    if not isinstance(value, dict) or error.startswith(f"{KINDS[kind].model}."):
        return None
    without = ((key, {k: v for k, v in value.items() if k != key}) for key in value)
    return next((key for key, fewer in without if _error(kind, fewer) != error), None)
