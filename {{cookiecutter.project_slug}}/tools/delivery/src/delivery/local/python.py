"""Runs notebooks and Python files, with `spark`, `dbutils` and `display` as Databricks has them."""

import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from delivery.local.dbutils import Dbutils, NotebookExit, Widgets, no_notebooks
from delivery.local.engine import Engine
from delivery.local.notebook import Cell, notebook_at, parse_run, read_notebook
from delivery.local.runtime import command_line, display, ends_well, runtime
from delivery.local.values import Scope


def run_notebook(path: Path, engine: Engine, scope: Scope, widgets: Mapping[str, str]) -> str:
    """Run a notebook; the result is what it gives to `dbutils.notebook.exit`."""

    def run_other(name: str, arguments: Mapping[str, str]) -> str:
        return run_notebook(notebook_at(path.parent, name), engine, scope, arguments)

    dbutils = Dbutils(scope, Widgets(widgets), run_other)
    names = {"__name__": "__main__", **_globals(engine, dbutils)}
    with command_line([str(path)], path.parent), engine.active(), runtime(names), ends_well():
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
    names = _globals(engine, Dbutils(scope, Widgets({}), no_notebooks))
    line = [str(path), *arguments]
    with command_line(line, path.parent), engine.active(), runtime(names), ends_well():
        runpy.run_path(str(path), init_globals=names, run_name="__main__")


def _run_cells(path: Path, names: dict[str, Any], engine: Engine) -> None:
    for cell in read_notebook(path):
        if cell.language == "ignored":
            print(f"{path.name}: ignored here: {cell.text}")
        elif cell.language == "run":
            other, arguments = parse_run(cell.text)
            names["dbutils"].widgets.set(arguments)
            _run_cells(notebook_at(path.parent, other), names, engine)
        elif cell.language == "sql":
            _run_sql(path, cell, names, engine)
        else:
            exec(_compiled(path, cell), names)  # noqa: S102 - the notebook is the project's code


def _run_sql(path: Path, cell: Cell, names: dict[str, Any], engine: Engine) -> None:
    def show(rows: Any) -> Any:
        display(rows)
        return rows

    file = path.name if cell.line else f"{path.name}, cell {cell.number}"
    widgets = names["dbutils"].widgets.getAll()
    names["_sqldf"] = engine.run_sql(cell.text, widgets, file, cell.line or 1, show)


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


def _display_html(html: str) -> None:
    print(f"(HTML of {len(html)} characters)")
