"""What the tasks of each kind do on this machine."""

import importlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from delivery.checks.wiring import task_key_of
from delivery.config.code import Signature
from delivery.config.scalars import as_text
from delivery.config.yaml import YamlMapping
from delivery.errors import DeliveryError, Finding
from delivery.local.conditions import OPERATORS, compare
from delivery.local.notebook import (
    OTHER_LANGUAGES,
    SUFFIXES,
    NotebookError,
    OtherLanguageError,
    check_notebook,
)
from delivery.local.problems import RULE, CannotRunError, mistake
from delivery.local.project import Project
from delivery.local.runtime import command_line, ends_well, names_of_wheel, runtime
from delivery.local.values import Scope

FULL_REFRESH = "full_refresh"  # the parameter of the entry point that `--full-refresh` sets
_MOST_ROWS = 1000  # of a query, that later tasks can refer to


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
    notes: Sequence[Finding] = field(default=())


def prepare_condition(task: YamlMapping) -> Prepared:
    """A `condition_task`."""
    section = task.section("condition_task")
    op = section.get("op")
    missing = [key for key in ("left", "op", "right") if key not in section]
    if missing or op not in OPERATORS:
        key = "op" if "op" in section else next(iter(section), "")
        mark = section.marks.get(key, task.marks["condition_task"])
        message = f"task {task_key_of(task)} condition_task: given {dict(section)}, expected op, "
        message += f"left and right, with an op of {', '.join(OPERATORS)}"
        raise mistake(
            mark, message, "op: GREATER_THAN, left: '{{tasks.load.values.rows}}', right: '0'"
        )
    left, right = as_text(section["left"]), as_text(section["right"])

    def run(scope: Scope) -> Report:
        outcome = compare(str(op), scope.fill(left), scope.fill(right))
        return Result(note=str(outcome).lower())

    return Prepared(run)


def prepare_wheel(
    task: YamlMapping, project: Project, parameters: Collection[str], extra: Mapping[str, str]
) -> Prepared:
    """A `python_wheel_task` with the package of this project.

    Args:
        parameters: the parameters of the job.
        extra: what the command line gives to each task.
    """
    wheel = task.section("python_wheel_task")
    module = project.code.module_of(wheel["entry_point"])
    run = project.code.functions(module).get("run")
    if run is None or "parameters" in wheel:
        return _script_of_wheel(wheel, project)
    unknown = [name for name in extra if name not in run.names]
    if unknown:
        raise DeliveryError(
            f"task {task_key_of(task)}: given {', '.join(unknown)}, expected a parameter of `run` "
            f"in {module}\nAdd it: def run(task: str, …, {unknown[0]}: str = 'false')"
        )
    named = _texts(wheel.section("named_parameters"))
    taken = _signature(wheel, project, run).names

    def call(scope: Scope) -> Report:
        values = {name: scope.fill(text) for name, text in named.items()}
        pushed = {name: v for name, v in scope.run.parameters.items() if name in taken}
        with runtime(names_of_wheel(project.package, scope)), ends_well():
            return _as_report(importlib.import_module(module).run(**{**values, **pushed, **extra}))
        return Result(note="done")

    return Prepared(call, notes=[*_not_taken(task, parameters, taken)])


def _signature(wheel: YamlMapping, project: Project, run: Signature) -> Signature:
    """The parameters of `run` and of the function that the task names."""
    domain, _, function = str(wheel.section("named_parameters").get("task", "")).partition(".")
    known = project.code.functions(f"{project.package}.{domain}.tasks") if domain else {}
    return run + known.get(function, Signature(()))


def _not_taken(
    task: YamlMapping, parameters: Collection[str], taken: Collection[str]
) -> Sequence[Finding]:
    others = [name for name in parameters if name not in taken]
    if not others:
        return []
    mark = task.marks["python_wheel_task"]
    message = f"task {task_key_of(task)}: a workspace also passes it {', '.join(others)}"
    hint = (
        "Jobs pass their parameters to each task with named parameters; add them to its function."
    )
    return [Finding(mark.file, mark.line, RULE, message, hint, "warning")]


def _script_of_wheel(wheel: YamlMapping, project: Project) -> Prepared:
    """An entry point that is called with a command line."""
    entry = str(wheel["entry_point"])
    module, _, function = str(project.code.project["scripts"][entry]).partition(":")
    named = _texts(wheel.section("named_parameters"))
    positional = [as_text(value) for value in wheel.items_of("parameters")]

    def call(scope: Scope) -> Report:
        pushed = {} if positional else {**named, **scope.run.parameters}
        values = {name: scope.fill(text) for name, text in pushed.items()}
        arguments = [*map(scope.fill, positional), *(f"--{k}={v}" for k, v in values.items())]
        names = names_of_wheel(project.package, scope)
        with command_line([entry, *arguments]), runtime(names), ends_well():
            getattr(importlib.import_module(module), function or "main")()
        return Result(note="done")

    return Prepared(call)


def prepare_python_file(task: YamlMapping, project: Project) -> Prepared:
    """A `spark_python_task`."""
    section = task.section("spark_python_task")
    _require_here(section)
    path = _file(task, "spark_python_task", "python_file", project)
    if path.suffix != ".py":
        message = f"python_file: given {path.name}, expected a file of Python"
        raise mistake(section.marks["python_file"], message, "python_file: ../../src/load.py")
    project.require_engine(task.marks["spark_python_task"], "spark_python_task")
    texts = [as_text(value) for value in section.items_of("parameters")]

    def run(scope: Scope) -> Report:
        from delivery.local.engine import open_engine
        from delivery.local.python import run_file

        engine = open_engine(project.package)
        run_file(path, engine, scope, [scope.fill(text) for text in texts])
        return Result(engine.changes, note="" if engine.changes else "done")

    return Prepared(run)


def prepare_notebook(task: YamlMapping, project: Project) -> Prepared:
    """A `notebook_task`."""
    section = task.section("notebook_task")
    _require_here(section)
    mark = section.marks.get("notebook_path", task.marks["notebook_task"])
    suffixes = ("", *SUFFIXES, *OTHER_LANGUAGES)
    path = _file(task, "notebook_task", "notebook_path", project, suffixes)
    if path.suffix in OTHER_LANGUAGES:
        raise CannotRunError(mark, f"notebook {path.name}", "it is not in Python or SQL")
    try:
        check_notebook(path)
    except OtherLanguageError as error:
        raise CannotRunError(mark, "notebook_task", str(error)) from None
    except NotebookError as error:
        message = f"task {task_key_of(task)} notebook_path: {error}"
        raise mistake(mark, message, "A plain file of Python is a spark_python_task.") from None
    project.require_engine(task.marks["notebook_task"], "notebook_task")
    named = _texts(section.section("base_parameters"))

    def run(scope: Scope) -> Report:
        from delivery.local.engine import open_engine
        from delivery.local.python import run_notebook

        widgets = {name: scope.fill(text) for name, text in named.items()}
        engine = open_engine(project.package)
        value = run_notebook(path, engine, scope, {**widgets, **scope.run.parameters})
        note = f"exit: {value}" if value else "" if engine.changes else "done"
        return Result(engine.changes, note=note)

    return Prepared(run, notebook=str(path.relative_to(project.root)))


def prepare_sql(task: YamlMapping, project: Project) -> Prepared:
    """A `sql_task` with a file."""
    section = task.section("sql_task")
    for key, why in (
        ("query", "saved queries are in a workspace"),
        ("alert", "alerts are in a workspace"),
        ("dashboard", "dashboards are in a workspace"),
    ):
        if key in section:
            raise CannotRunError(section.marks[key], f"sql_task.{key}", why)
    _require_here(section.section("file"))
    path = _file(task, "sql_task", "path", project, below="file")
    project.require_engine(task.marks["sql_task"], "sql_task")
    named = _texts(section.section("parameters"))

    def run(scope: Scope) -> Report:
        from delivery.local.engine import open_engine

        values = {name: scope.fill(text) for name, text in named.items()}
        engine = open_engine(project.package)
        with engine.active():
            text = path.read_text(encoding="utf-8-sig")
            found = engine.run_sql(text, {**values, **scope.run.parameters})
            rows = found.limit(_MOST_ROWS).collect() if found is not None else []
        dicts = [row.asDict() for row in rows]
        return Result(engine.changes, _table(dicts), "" if engine.changes else "done", dicts)

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


def _file(
    task: YamlMapping,
    kind: str,
    key: str,
    project: Project,
    suffixes: tuple[str, ...] = ("",),
    below: str = "",
) -> Path:
    section = task.section(kind).section(below) if below else task.section(kind)
    if key not in section:
        named = f"{kind}.{below}.{key}" if below else f"{kind}.{key}"
        message = f"task {task_key_of(task)}: given no {named}"
        raise mistake(task.marks[kind], message, f"Name a file: {key}: ../../src/NAME.")
    return project.file(section, key, suffixes)


def _require_here(section: YamlMapping) -> None:
    if str(section.get("source", "")).upper() == "GIT":
        why = "the file is in another repository"
        raise CannotRunError(section.marks["source"], "source: GIT", why)


def _texts(section: YamlMapping) -> dict[str, str]:
    """Parameters as the Databricks CLI passes them; those without a value are left out."""
    return {name: as_text(value) for name, value in section.items() if value is not None}


def _as_report(value: Any) -> Report:
    is_report = hasattr(value, "changes") and hasattr(value, "text")
    report: Report = value if is_report else Result(note="done")
    return report


def _table(rows: Sequence[Mapping[str, Any]], most: int = 20) -> str:
    """The first rows as text."""
    if not rows:
        return ""
    lines = [[*rows[0]], *([str(v) for v in row.values()] for row in rows[:most])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    more = [f"… and {len(rows) - most} more rows"] if len(rows) > most else []
    return "\n".join([*shown, *more])
