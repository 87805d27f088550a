"""Tasks with a file of the project: `spark_python_task`, `notebook_task` and `sql_task`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from delivery.checks.wiring import task_key_of
from delivery.config.scalars import as_text
from delivery.config.yaml import YamlMapping
from delivery.local.notebook import (
    OTHER_LANGUAGES,
    NotebookError,
    OtherLanguageError,
    check_notebook,
)
from delivery.local.problems import CannotRunError, mistake
from delivery.local.project import Project
from delivery.local.tasks import Prepared, Report, Result, texts_of
from delivery.local.values import Scope

_MOST_ROWS = 1000  # of a query, that later tasks can refer to


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
    path = _file(task, "notebook_task", "notebook_path", project)
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
    named = texts_of(section.section("base_parameters"))

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
    named = texts_of(section.section("parameters"))

    def run(scope: Scope) -> Report:
        from delivery.local.engine import open_engine

        values = {name: scope.fill(text) for name, text in named.items()}
        engine = open_engine(project.package)
        with engine.active():
            rows = engine.run_sql(
                path.read_text(encoding="utf-8-sig"),
                {**values, **scope.run.parameters},
                path.relative_to(project.root).as_posix(),
                use=lambda found: found.limit(_MOST_ROWS).collect(),
            )
        dicts = [row.asDict() for row in rows or []]
        return Result(engine.changes, _table(dicts), "" if engine.changes else "done", dicts)

    return Prepared(run)


def _file(
    task: YamlMapping,
    kind: str,
    key: str,
    project: Project,
    below: str = "",
) -> Path:
    section = task.section(kind).section(below) if below else task.section(kind)
    if key not in section:
        named = f"{kind}.{below}.{key}" if below else f"{kind}.{key}"
        message = f"task {task_key_of(task)}: given no {named}"
        raise mistake(task.marks[kind], message, f"Name a file: {key}: ../../src/NAME.")
    return project.file(section, key)


def _require_here(section: YamlMapping) -> None:
    if str(section.get("source", "")).upper() == "GIT":
        why = "the file is in another repository"
        raise CannotRunError(section.marks["source"], "source: GIT", why)


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
