"""Whether the jobs' YAML fits the code: entry points, tasks, parameters, order.

The code is read, never run: this answers in milliseconds and needs no Spark.
"""

import ast
import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from delivery.bundle import Mark, Section
from delivery.bundle.document import kind_of
from delivery.errors import Finding, InvalidFileError

RULE = "wiring"
_PROJECT = "pyproject.toml"


@dataclass(frozen=True)
class Signature:
    """What a function takes by name."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of the code."""
        return self.required + self.optional

    def __add__(self, other: "Signature") -> "Signature":
        return Signature(self.required + other.required, self.optional + other.optional)


class Code:
    """The project's Python code, as far as jobs refer to it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._functions: dict[str, dict[str, Signature]] = {}

    @cached_property
    def project(self) -> dict[str, Any]:
        """The `[project]` table of `pyproject.toml`."""
        text = self._text(_PROJECT)
        try:
            table = tomllib.loads(text).get("project")
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"line (\d+)", str(error))
            raise _unreadable(_PROJECT, int(place[1]) if place else 0, str(error)) from None
        if not isinstance(table, dict) or not isinstance(table.get("scripts", {}), dict):
            raise _unreadable(_PROJECT, 0, "expected [project], and its scripts as a table")
        return table

    def module_of(self, entry_point: str) -> str:
        """The module that a declared entry point starts in."""
        return str(self.project["scripts"][entry_point]).partition(":")[0]

    def _text(self, file: str) -> str:
        try:
            return (self._root / file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(file, 0, str(error)) from None

    def functions(self, module: str) -> dict[str, Signature]:
        """The public functions of a module, without `tables`: the entry point hands them over."""
        if module not in self._functions:
            self._functions[module] = self._read(module)
        return self._functions[module]

    def _read(self, module: str) -> dict[str, Signature]:
        file = f"src/{module.replace('.', '/')}.py"
        if not os.path.isfile(self._root / file):
            return {}
        try:
            body = ast.parse(self._text(file), file).body
        except SyntaxError as error:
            raise _unreadable(file, error.lineno or 0, error.msg) from None
        except (ValueError, RecursionError, MemoryError) as error:  # what no compiler takes
            raise _unreadable(file, 0, str(error)) from None
        functions = [node for node in body if isinstance(node, ast.FunctionDef)]
        return {f.name: _signature(f) for f in functions if not f.name.startswith("_")}


def check_wiring(tree: Section, code: Code) -> Iterator[Finding]:
    """Everything in the jobs of a resolved tree that does not fit the code."""
    jobs = tree.section("resources").section("jobs")
    for key in jobs:
        yield from check_job(jobs.section(key), jobs.marks[key], code)


def check_job(job: Section, home: Mark, code: Code) -> Iterator[Finding]:
    """Everything in one job, which is declared at `home`, that does not fit the code."""
    entries = job.items_of("tasks")
    tasks = list(entries.sections())
    if not tasks:
        yield _finding(home, "given no tasks, expected at least one", "tasks: [{task_key: load}]")
    for entry, mark in zip(entries, entries.marks, strict=True):
        if not isinstance(entry, Section):
            yield _finding(mark, f"given {kind_of(entry)} as a task", "- task_key: load")
    yield from _check_order(tasks)
    for task, mark in tasks:
        yield from _check_compute(job, task, mark)
        if "python_wheel_task" in task:
            yield from _check_code(task, code)


def _check_code(task: Section, code: Code) -> Iterator[Finding]:
    """A task's call; code that cannot be read is told once, and the other tasks are judged."""
    try:
        yield from _check_wheel_task(task, code)
    except InvalidFileError as error:
        yield from error.findings


def _check_order(tasks: list[tuple[Section, Mark]]) -> Iterator[Finding]:
    names = [task.get("task_key") for task, _ in tasks]
    for task, mark in tasks:
        if names.count(task.get("task_key")) > 1:
            message = f"task {task.get('task_key')}: stands more than once"
            yield _finding(mark, message, "Give each task a task_key of its own.")
        for needed, place in task.items_of("depends_on").sections():
            if needed.get("task_key") not in names:
                message = _mismatch([str(needed.get("task_key"))], [], list(map(str, names)))
                mend = "Name the task_key of a task of this job."
                yield _finding(place, f"task {task.get('task_key')} depends_on: {message}", mend)
    graph = {name_of(task): dependencies(task) for task, _ in tasks}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " → ".join(map(str, error.args[1]))
        message = f"tasks wait for each other: {circle}"
        yield _finding(tasks[0][1], message, "Remove one of these depends_on.")


def name_of(task: Section) -> str:
    """The task's key."""
    return str(task.get("task_key"))


def dependencies(task: Section) -> list[str]:
    """The keys of the tasks that come before this one."""
    return [name_of(needed) for needed, _ in task.items_of("depends_on").sections()]


def _check_compute(job: Section, task: Section, mark: Mark) -> Iterator[Finding]:
    for key, declared_in in (
        ("environment_key", "environments"),
        ("job_cluster_key", "job_clusters"),
    ):
        known = [str(entry.get(key)) for entry, _ in job.items_of(declared_in).sections()]
        if key in task and task[key] not in known:
            message = _mismatch([str(task[key])], [], known)
            mend = f"Name one that the job declares: {declared_in}: [{{{key}: {task[key]}}}]"
            yield _finding(task.marks[key], f"task {name_of(task)} {key}: {message}", mend)
    if "task_key" not in task:
        mend = "- task_key: load"
        yield _finding(mark, "given a task without a name, expected task_key", mend)


def _check_wheel_task(task: Section, code: Code) -> Iterator[Finding]:
    wheel = task.section("python_wheel_task")
    for key, known in (
        ("package_name", [str(code.project.get("name"))]),
        ("entry_point", list(code.project.get("scripts", {}))),
    ):
        if wheel.get(key) not in known:
            given = [str(wheel[key])] if key in wheel else []
            mark = wheel.marks.get(key, task.marks["python_wheel_task"])
            message = f"task {name_of(task)} {key}: {_mismatch(given, known, known)}"
            yield _finding(mark, message, f"Write {key}: {next(iter(known), 'NAME')}")
            return
    yield from _check_parameters(task, wheel, code)


def _check_parameters(task: Section, wheel: Section, code: Code) -> Iterator[Finding]:
    parameters = wheel.section("named_parameters")
    whole = wheel.marks.get("named_parameters", task.marks["python_wheel_task"])
    entry = code.functions(code.module_of(wheel["entry_point"])).get("run", Signature(()))
    package = code.module_of(wheel["entry_point"]).partition(".")[0]
    domain, _, function = str(parameters.get("task", "")).partition(".")
    known = code.functions(f"{package}.{domain}.tasks") if domain else {}
    if "task" in parameters and function not in known:
        named = [f"{domain}.{name}" for name in known] or [
            f"a folder of src/{package} with tasks.py"
        ]
        message = _mismatch([str(parameters["task"])], [], named)
        mend = f"Write task: DOMAIN.FUNCTION, of src/{package}/DOMAIN/tasks.py."
        yield _finding(parameters.marks["task"], f"task {name_of(task)}: {message}", mend)
        return
    expected = entry + known.get(function, Signature(()))
    extra = [name for name in parameters if name not in expected.names]
    missing = [name for name in expected.required if name not in parameters]
    if extra or missing:
        mark = parameters.marks[extra[0]] if extra else whole
        message = _mismatch(extra, missing, missing or list(expected.names))
        yield _finding(mark, f"task {name_of(task)}: {message}", _mend(extra, missing))


def _signature(function: ast.FunctionDef) -> Signature:
    """What the function takes by name; `tables`, which the entry point makes, left out."""
    arguments = function.args
    named = [a.arg for a in [*arguments.posonlyargs, *arguments.args] if a.arg != "tables"]
    optional = named[len(named) - len(arguments.defaults) :] if arguments.defaults else []
    required = named[: len(named) - len(optional)]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        (required if default is None else optional).append(argument.arg)
    return Signature(tuple(required), tuple(optional))


def _mismatch(given: Iterable[str], missing: Iterable[str], known: list[str]) -> str:
    expected = ", ".join(missing) or " or ".join(known) or "nothing"
    return f"given {', '.join(given) or 'nothing'}, expected {expected}"


def _mend(extra: list[str], missing: list[str]) -> str:
    """The likeliest slip of the keyboard."""
    pairs = [(name, difflib.get_close_matches(name, missing, 1)) for name in extra]
    renamed = [f"{name} to {close[0]}" for name, close in pairs if close]
    if renamed:
        return f"Rename {' and '.join(renamed)}."
    return "Parameters of a task are those of its function, and those of `run` in the entry point."


def _unreadable(file: str, line: int, reason: str) -> InvalidFileError:
    mend = "Mend it: until then nobody knows whether the jobs fit the code."
    return InvalidFileError(Finding(file, line, RULE, f"cannot be read: {reason}", mend))


def _finding(mark: Mark, message: str, mend: str) -> Finding:
    return Finding(mark.file, mark.line, RULE, message, mend)
