"""`model`: fields, types and values of resources, compared with the models of `databricks-bundles`.

What does not fit, the CLI leaves out with a warning, or refuses.
"""

import importlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

from delivery.checks.registry import CheckContext, rule
from delivery.config.closest import closest
from delivery.config.model import Mismatch, mismatches
from delivery.config.yaml import Mark, YamlMapping, kind_of
from delivery.errors import Finding
from delivery.resources import KINDS, SUB_RESOURCES, UNTRIED

RULE = "model"
_BUNDLES = "databricks.bundles"
_NO_KINDS = ("build", "core", "version")  # modules of `databricks-bundles` that are no kinds


@rule(RULE, scope="target")
def check_model(context: CheckContext, target: str) -> Iterator[Finding]:
    """Resources that do not match the model of their kind, and kinds that do not exist."""
    kinds = context.targets[target].tree.section("resources")
    for kind in kinds:
        if not _is_kind(kind):
            yield _unknown_kind(kind, kinds.marks[kind])
            continue
        for key, resource in kinds.section(kind).items():
            mark = kinds.section(kind).marks[key]
            yield from check_resource(kind, key, resource, mark)


def check_resource(kind: str, key: str, resource: Any, mark: Mark) -> Iterator[Finding]:
    """What does not fit the model of the kind; nothing if it has none."""
    name = f"{kind}.{key}"
    if not isinstance(resource, YamlMapping):
        message = f"{name}: given {kind_of(resource)}, expected a mapping"
        yield Finding(*mark, RULE, message, f"{key}: {{name: {key}}}")
        return
    model = model_of(kind)
    for found in mismatches(model, resource, mark) if model else ():
        if not (kind == "alerts" and _comes_from_a_file(found, resource)):
            yield _finding(name, found)


def _comes_from_a_file(found: Mismatch, resource: YamlMapping) -> bool:
    """Whether a field is missing that the file at `file_path` has, such as an alert's query."""
    return not found.path and found.missing and "file_path" in resource


def _finding(name: str, found: Mismatch) -> Finding:
    where = f"{name}.{found.path}" if found.path else name
    return Finding(*found.mark, RULE, f"{where}: {found.message}", found.hint)


def _is_kind(kind: str) -> bool:
    return kind not in SUB_RESOURCES and (kind in KINDS or _has_module(kind))


@cache
def _has_module(kind: str) -> bool:
    is_name = kind.isidentifier() and kind not in _NO_KINDS
    return is_name and find_spec(f"{_BUNDLES}.{kind}") is not None


@cache
def model_of(kind: str) -> type | None:
    """The class of a kind; None if `databricks-bundles` has none."""
    if not _has_module(kind):
        return None
    models = importlib.import_module(f"{_BUNDLES}.{kind}")
    named = KINDS[kind].model if kind in KINDS else UNTRIED.get(kind, "")
    found: type | None = getattr(models, named, None)
    return found


def _unknown_kind(kind: str, mark: Mark) -> Finding:
    known = sorted({*KINDS, *UNTRIED} - {*SUB_RESOURCES})
    near = closest(kind, known)
    expected = near or f"one of {', '.join(known)}"
    hint = f"Rename it to {near}." if near else "Nothing below it would be deployed."
    return Finding(*mark, RULE, f"resources.{kind}: unknown kind, expected {expected}", hint)
