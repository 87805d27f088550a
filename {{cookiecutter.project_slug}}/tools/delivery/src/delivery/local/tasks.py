"""Tasks that are ready to run, and what they report."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from delivery.checks.wiring import task_key_of
from delivery.config.scalars import as_text
from delivery.config.yaml import YamlMapping
from delivery.errors import Finding
from delivery.local.conditions import OPERATORS, compare
from delivery.local.problems import mistake
from delivery.local.values import Scope


class TableChange(Protocol):
    """A task's changes to a table."""

    table: str
    rows: int
    inserted: int
    updated: int
    deleted: int
    changed: bool


class Report(Protocol):
    """What the entry point's `run` returns."""

    @property
    def changes(self) -> Sequence[TableChange]:
        """Its changes, a table each."""

    @property
    def text(self) -> str:
        """What it has to say."""


@dataclass(frozen=True)
class Result:
    """What a task did that has no report of its own.

    Attributes:
        note: what it did, in a few words.
        rows: the rows of its query.
    """

    changes: Sequence[TableChange] = ()
    text: str = ""
    note: str = ""
    rows: Sequence[Mapping[str, Any]] = ()


Action = Callable[[Scope], Report]


@dataclass(frozen=True)
class Prepared:
    """A task that is ready to run.

    Attributes:
        notebook: the path of its notebook, if it is one.
        notes: what a workspace does otherwise.
    """

    action: Action
    notebook: str = ""
    notes: Sequence[Finding] = ()


def prepare_condition(task: YamlMapping) -> Prepared:
    """A `condition_task`."""
    section, op = task.section("condition_task"), task.section("condition_task").get("op")
    name, example = f"task {task_key_of(task)} condition_task", "{op: EQUAL_TO, left: a, right: b}"
    if not {"left", "op", "right"} <= {*section}:
        given = ", ".join(section) or "nothing"
        message = f"{name}: given {given}, expected op, left and right"
        raise mistake(task.marks["condition_task"], message, f"condition_task: {example}")
    if op not in OPERATORS:
        message = f"{name} op: given {op}, expected one of {', '.join(OPERATORS)}"
        raise mistake(section.marks["op"], message, f"condition_task: {example}")
    left, right = as_text(section["left"]), as_text(section["right"])

    def run(scope: Scope) -> Report:
        outcome = compare(str(op), scope.fill(left), scope.fill(right))
        return Result(note=str(outcome).lower())

    return Prepared(run)


def inputs_of(text: str, task: str) -> list[Any]:
    """The inputs of a `for_each_task`.

    Raises:
        ValueError: they are no list in JSON.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ValueError(
            f'inputs of {task}: given {text!r}, expected a list in JSON, such as ["a", "b"]'
        )
    return found


def texts_of(section: YamlMapping) -> dict[str, str]:
    """Parameters as the Databricks CLI passes them; those without a value are left out."""
    return {name: as_text(value) for name, value in section.items() if value is not None}
