"""Dynamic values of a job run: `{{job.parameters.day}}`, `{{tasks.load.values.rows}}`, `{{input}}`.

They are known as Databricks documents them. A reference to anything else, such as `{{x}}`, is a
text like any other.
"""

import itertools
import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from delivery.local.conditions import State

_REFERENCE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_STEP = re.compile(r"`([^`]*)`|([^.`]+)")
_NAMESPACES = ("backfill", "input", "job", "task", "tasks", "workspace")
_OLD_NAMES = {  # their names before 2023
    "job_id": "job.id",
    "parent_run_id": "job.run_id",
    "run_id": "task.run_id",
    "start_date": "job.start_time.iso_date",
    "start_time": "job.start_time.timestamp_ms",
    "task_key": "task.name",
}
_RESULT_STATES = {State.SKIPPED: "upstream_failed"}  # others have the name that Databricks gives


_RUN_IDS = itertools.count(int(time.time() * 1000))


class UnknownValueError(ValueError):
    """A dynamic value that does not exist, or that only a workspace knows."""


@dataclass(frozen=True)
class Ended:
    """What later tasks may ask of a task that has ended."""

    state: State
    run_id: str
    values: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    notebook: str = ""


@dataclass
class JobRun:
    """One run of a job.

    Attributes:
        name: the name of the job.
        run_id: a number that no other run has.
        start: its start, in UTC.
        trigger: what started it: `one_time` or `run_job`.
        parameters: the parameters of the job, with the values of this run.
        ended: the tasks that have ended, by name.
    """

    name: str
    run_id: int = field(default_factory=lambda: next(_RUN_IDS))
    start: datetime = field(default_factory=lambda: datetime.now(UTC))
    trigger: str = "one_time"
    parameters: Mapping[str, str] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What one task can refer to while it runs.

    Attributes:
        task: its name.
        run_id: the number of its run.
        notebook: the path of its notebook, if it is one.
        item: the element that the task of a `for_each_task` works on, if it is one.
        values: what it passes to later tasks.
    """

    run: JobRun
    task: str
    run_id: str
    notebook: str = ""
    item: tuple[Any, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """The text with a value for each reference.

        Raises:
            UnknownValueError: a value does not exist.
        """
        return _REFERENCE.sub(lambda match: self._value(match), text)

    def _value(self, match: re.Match[str]) -> str:
        steps = steps_of(match[1])
        return text_of(_value_of(steps, self)) if steps else match[0]


@dataclass(frozen=True)
class Known:
    """What is known of a job before it runs.

    Attributes:
        parameters: the names of its parameters.
        tasks: the tasks that end before the one that refers to them.
        others: the tasks that are not part of this run.
        has_input: whether it is about the task of a `for_each_task`.
    """

    parameters: Collection[str] = ()
    tasks: Collection[str] = ()
    others: Collection[str] = ()
    has_input: bool = False


def text_of(value: Any) -> str:
    """A value as a task gets it: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def references_in(text: str) -> list[list[str]]:
    """The references in a text, each as its steps: `job`, `parameters`, `day`."""
    found = (steps_of(match[1]) for match in _REFERENCE.finditer(text))
    return [steps for steps in found if steps]


def steps_of(reference: str) -> list[str]:
    """The steps of a reference; none if it is a text that only looks like one."""
    reference = _OLD_NAMES.get(reference, reference)
    steps = [quoted or plain for quoted, plain in _STEP.findall(reference)]
    return steps if steps and steps[0] in _NAMESPACES else []


def problem_with(steps: Sequence[str], known: Known) -> str:
    """Why a value cannot be known here; empty if it can, as far as that is seen before the run."""
    given = f"given {{{{{'.'.join(steps)}}}}}, expected"
    match [*steps]:
        case ["job", "parameters", name]:
            declared = ", ".join(known.parameters) or "none: the job declares no parameters"
            return "" if name in known.parameters else f"{given} a parameter of the job: {declared}"
        case ["tasks", name, *rest]:
            if name in known.others:
                return f"{given} a task of this run; run {name} too, or all tasks"
            if name not in known.tasks:
                return (
                    f"{given} a task that it depends on: {', '.join(known.tasks) or 'it has none'}"
                )
            return "" if _is_of_a_task(rest) else f"{given} {_OF_TASKS}"
        case ["input", *_]:
            return "" if known.has_input else f"{given} it only in the task of a for_each_task"
        case _:
            return "" if tuple(steps) in _SIMPLE else f"{given} a value that is known here: {_LIST}"


def _value_of(steps: Sequence[str], scope: Scope) -> Any:
    match [*steps]:
        case ["job", "parameters", name] if name in scope.run.parameters:
            return scope.run.parameters[name]
        case ["tasks", name, *rest] if name in scope.run.ended:
            return _of_task(name, scope.run.ended[name], rest)
        case ["input", *rest] if scope.item:
            return _of_input(scope.item[0], rest)
    simple = _SIMPLE.get(tuple(steps))
    if simple is None:
        raise UnknownValueError(f"{{{{{'.'.join(steps)}}}}}: not known on this machine")
    return simple(scope)


def _is_of_a_task(rest: Sequence[str]) -> bool:
    is_value = len(rest) == 2 and rest[0] == "values"
    is_row = len(rest) == 3 and [*rest[:2]] == ["output", "first_row"]
    return is_value or is_row or tuple(rest) in _TASK_FACTS


def _of_task(name: str, ended: Ended, rest: Sequence[str]) -> Any:
    if tuple(rest) in _TASK_FACTS:
        return _TASK_FACTS[tuple(rest)](ended)
    if rest[0] == "values":
        known, what = ended.values, f"the task {name} has set"
    else:
        known, what = (ended.rows[0] if ended.rows else {}), f"the first row of {name} has"
    if rest[-1] not in known:
        listed = ", ".join(known) or "nothing"
        raise UnknownValueError(f"tasks.{name}.{'.'.join(rest)}: {what} {listed}")
    return known[rest[-1]]


def _of_input(item: Any, path: Sequence[str]) -> Any:
    for step in path:
        if not isinstance(item, Mapping) or step not in item:
            shown = text_of(item)
            raise UnknownValueError(
                f"input.{'.'.join(path)}: given {shown}, expected an object with {step}, such as "
                f'{{"{step}": "x"}}'
            )
        item = item[step]
    return item


_TASK_FACTS: dict[tuple[str, ...], Callable[[Ended], Any]] = {
    ("result_state",): lambda ended: _RESULT_STATES.get(ended.state, str(ended.state)),
    ("run_id",): lambda ended: ended.run_id,
    ("execution_count",): lambda ended: 1,  # noqa: ARG005 - nothing is tried again here
    ("notebook_path",): lambda ended: ended.notebook,
    ("output", "rows"): lambda ended: [*ended.rows],
}
_OF_TASKS = "one of values.KEY, output.first_row.COLUMN, " + ", ".join(map(".".join, _TASK_FACTS))

_OF_TIMES: dict[str, Callable[[datetime], Any]] = {
    "iso_date": lambda t: f"{t:%Y-%m-%d}",
    "iso_datetime": lambda t: f"{t:%Y-%m-%dT%H:%M:%S}",
    "iso_weekday": lambda t: t.isoweekday(),
    "is_weekday": lambda t: t.isoweekday() <= 5,
    "year": lambda t: t.year,
    "month": lambda t: t.month,
    "day": lambda t: t.day,
    "hour": lambda t: t.hour,
    "minute": lambda t: t.minute,
    "second": lambda t: t.second,
    "timestamp_ms": lambda t: int(t.timestamp() * 1000),
}


def _of_start(part: str) -> Callable[[Scope], Any]:
    return lambda scope: _OF_TIMES[part](scope.run.start)


_SIMPLE: dict[tuple[str, ...], Callable[[Scope], Any]] = {
    ("job", "name"): lambda scope: scope.run.name,
    ("job", "run_id"): lambda scope: scope.run.run_id,
    ("job", "repair_count"): lambda scope: 0,  # noqa: ARG005 - a run here is never repaired
    ("job", "trigger", "type"): lambda scope: scope.run.trigger,
    ("task", "name"): lambda scope: scope.task,
    ("task", "run_id"): lambda scope: scope.run_id,
    ("task", "execution_count"): lambda scope: 1,  # noqa: ARG005 - nothing is tried again here
    ("task", "notebook_path"): lambda scope: scope.notebook,
    **{("job", "start_time", part): _of_start(part) for part in _OF_TIMES},
    **{("job", "trigger", "time", part): _of_start(part) for part in _OF_TIMES},
}
_LIST = "job.parameters.NAME, tasks.NAME.values.KEY, job.start_time.iso_date, " + ", ".join(
    ".".join(steps) for steps in _SIMPLE if not {"time", "start_time"} & {*steps}
)
