"""Runs notebooks and Python files, with what Databricks gives them: `spark` and `dbutils`."""

import contextlib
import os
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from delivery.local.dbutils import Dbutils, NotebookExit, Widgets, no_notebooks
from delivery.local.engine import Engine
from delivery.local.notebook import Cell, notebook_at, parse_run, read_notebook
from delivery.local.values import Scope

_RUNTIME = "databricks.sdk.runtime"  # code imports `spark` and `dbutils` from it


def run_notebook(path: Path, engine: Engine, scope: Scope, widgets: Mapping[str, str]) -> str:
    """Run a notebook; the result is what it gives to `dbutils.notebook.exit`."""

    def run_other(name: str, arguments: Mapping[str, str]) -> str:
        return run_notebook(notebook_at(path.parent, name), engine, scope, arguments)

    dbutils = Dbutils(scope, Widgets(widgets), run_other)
    names = {"__name__": "__main__", "__file__": str(path), **_globals(engine, dbutils)}
    with _as_script(path, [str(path)]), engine.named_tables(), runtime(names):
        try:
            _run_cells(path, names, engine)
        except NotebookExit as end:
            return end.value
    return ""


def run_file(path: Path, engine: Engine, scope: Scope, arguments: Sequence[str]) -> None:
    """Run a Python file as a script.

    Raises:
        RuntimeError: it ends with an exit code other than 0.
    """
    os.environ.setdefault("SPARK_REMOTE", "sc://localhost")  # `getOrCreate` then takes the session
    names = _globals(engine, Dbutils(scope, Widgets({}), no_notebooks))
    with (
        _as_script(path, [str(path), *arguments]),
        engine.named_tables(),
        runtime(names),
        ends_well(),
    ):
        runpy.run_path(str(path), init_globals=names, run_name="__main__")


@contextlib.contextmanager
def ends_well() -> Iterator[None]:
    """Let `sys.exit()` end a script; another exit code is a failure.

    Raises:
        RuntimeError: the exit code is not 0.
    """
    try:
        yield
    except SystemExit as end:
        if end.code not in (None, 0):
            raise RuntimeError(f"it ended with exit code {end.code}") from None


@contextlib.contextmanager
def runtime(names: Mapping[str, Any]) -> Iterator[None]:
    """Give `names` to code that imports them from `databricks.sdk.runtime`."""
    module = ModuleType(_RUNTIME)
    module.__dict__.update(names)
    before = sys.modules.get(_RUNTIME)
    sys.modules[_RUNTIME] = module
    try:
        yield
    finally:
        sys.modules.pop(_RUNTIME)
        if before is not None:
            sys.modules[_RUNTIME] = before


def _run_cells(path: Path, names: dict[str, Any], engine: Engine) -> None:
    for cell in read_notebook(path):
        if cell.language == "ignored":
            print(f"{path.name}: ignored here: {cell.text}")
        elif cell.language == "run":
            other, arguments = parse_run(cell.text)
            names["dbutils"].widgets.set(arguments)
            _run_cells(notebook_at(path.parent, other), names, engine)
        elif cell.language == "sql":
            names["_sqldf"] = engine.run_sql(cell.text, names["dbutils"].widgets.getAll())
            display(names["_sqldf"])
        else:
            exec(_compiled(path, cell), names)  # noqa: S102 - the notebook is the project's code


def _compiled(path: Path, cell: Cell) -> Any:
    """The code of a cell; its lines are those of the file, or of the cell if the file has none."""
    if not cell.line:
        return compile(cell.text, f"{path}, cell {cell.number}", "exec", dont_inherit=True)
    return compile("\n" * (cell.line - 1) + cell.text, str(path), "exec", dont_inherit=True)


def _globals(engine: Engine, dbutils: Dbutils) -> dict[str, Any]:
    return {
        "spark": engine.spark,
        "sql": lambda query: engine.spark.sql(query),
        "dbutils": dbutils,
        "display": display,
        "displayHTML": _display_html,
        "getArgument": dbutils.widgets.get,
    }


def display(value: Any = None, *_: Any, **__: Any) -> None:
    """Print a value; of rows, the first ones."""
    show: Callable[[], None] | None = getattr(value, "show", None)
    if show:
        show()
    elif value is not None:
        print(value)


def _display_html(html: str) -> None:
    print(f"(HTML of {len(html)} characters)")


@contextlib.contextmanager
def _as_script(path: Path, arguments: list[str]) -> Iterator[None]:
    """Arguments, working directory and import path of a script."""
    before, import_path = sys.argv, [*sys.path]
    sys.argv = arguments
    sys.path.insert(0, str(path.parent))
    try:
        with contextlib.chdir(path.parent):
            yield
    finally:
        sys.argv, sys.path[:] = before, import_path
