"""Notebooks as they are read: their cells, languages and lines."""

import json
from pathlib import Path

import pytest
from delivery.local.conditions import State
from delivery.local.dbutils import Dbutils, NotebookExit, Widgets, no_notebooks
from delivery.local.notebook import (
    Cell,
    NotebookError,
    OtherLanguageError,
    check_notebook,
    parse_run,
    read_notebook,
)
from delivery.local.values import Ended, JobRun, Scope

SOURCE = """\
# Databricks notebook source
# MAGIC %md
# MAGIC # Title

# COMMAND ----------

# DBTITLE 1,Parameters
x = 1
y = 2

# COMMAND ----------

# MAGIC %pip install
# MAGIC requests

# COMMAND ----------

# MAGIC %run ./other $day="2026-01-01"

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT 1;
# MAGIC SELECT 2

# COMMAND ----------

# MAGIC %python
# MAGIC z = 3
"""


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def ipynb(*cells: str, language: str = "python") -> str:
    sources = [{"cell_type": "code", "source": text.splitlines(keepends=True)} for text in cells]
    metadata = {"application/vnd.databricks.v1+notebook": {"language": language}}
    prose = {"cell_type": "markdown", "source": ["# Title"]}
    return json.dumps({"cells": [prose, *sources], "metadata": metadata})


def test_the_source_format_of_python(tmp_path: Path) -> None:
    cells = read_notebook(written(tmp_path, "n.py", SOURCE))
    assert [(cell.language, cell.line) for cell in cells] == [
        ("python", 6), ("ignored", 13), ("python", 14), ("run", 18), ("sql", 23), ("python", 29),
    ]  # fmt: skip
    assert cells[0].text == "\n# DBTITLE 1,Parameters\nx = 1\ny = 2\n"
    assert cells[4].text == "SELECT 1;\nSELECT 2"
    assert cells[5].text == "z = 3"


def test_lines_of_code_are_those_of_the_file(tmp_path: Path) -> None:
    lines = SOURCE.splitlines()
    for cell in read_notebook(written(tmp_path, "n.py", SOURCE)):
        first = cell.text.splitlines()[0] if cell.text.splitlines() else ""
        assert first in lines[cell.line - 1]


def test_the_source_format_of_sql(tmp_path: Path) -> None:
    text = (
        "-- Databricks notebook source\nSELECT 1\n\n-- COMMAND ----------\n\n"
        "-- MAGIC %python\n-- MAGIC x = 1\n"
    )
    cells = read_notebook(written(tmp_path, "n.sql", text))
    assert cells == [Cell("sql", "SELECT 1\n", 2, 1), Cell("python", "x = 1", 7, 2)]


def test_notebooks_of_jupyter(tmp_path: Path) -> None:
    text = ipynb("x = 1", "%sql SELECT 1", "%pip install a\nx = 2", "%%x", "")
    file = written(tmp_path, "n.ipynb", text.replace("%%x", "%run ./o"))
    assert read_notebook(file) == [
        Cell("python", "x = 1", 0, 1),
        Cell("sql", "SELECT 1", 0, 2),
        Cell("ignored", "%pip install a", 0, 3),
        Cell("python", "x = 2", 0, 3),
        Cell("run", "./o", 0, 4),
    ]


def test_a_notebook_of_jupyter_may_be_in_sql(tmp_path: Path) -> None:
    file = written(tmp_path, "n.ipynb", ipynb("SELECT 1", "%python\nx = 1", language="sql"))
    assert [cell.language for cell in read_notebook(file)] == ["sql", "python"]


def test_lines_that_only_ipython_knows_keep_their_place(tmp_path: Path) -> None:
    text = "# Databricks notebook source\nimport os\n%load_ext autoreload\nx = 5 \\\n% 3\n"
    cells = read_notebook(written(tmp_path, "n.py", text))
    assert cells[0] == Cell("ignored", "%load_ext autoreload", 3, 1)
    assert cells[1].text == "import os\n\nx = 5 \\\n% 3"


HEADER = "# Databricks notebook source\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("n.py", "x = 1\n", "the first line is not `# Databricks notebook source`"),
        ("n.py", "", "the first line is not"),
        ("n.sql", "SELECT 1", "the first line is not `-- Databricks"),
        ("n.ipynb", "[]", "not a notebook of Jupyter"),
        ("n.ipynb", "{", "not a notebook of Jupyter"),
    ],
)
def test_what_is_no_notebook_is_told(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(NotebookError) as caught:
        check_notebook(written(tmp_path, name, text))
    assert not isinstance(caught.value, OtherLanguageError)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("n.py", f"{HEADER}# MAGIC %scala\n# MAGIC val x", "n.py:2: a cell of %scala does not run"),
        ("n.py", f"{HEADER}# MAGIC %sh ls", "a cell of %sh"),
        ("n.py", f"{HEADER}x = 1\n!ls\n", "n.py:3: !ls does not"),
        ("n.ipynb", ipynb("x <- 1", language="r"), "a cell of r does not run here (cell 1)"),
    ],
)
def test_what_does_not_run_here_is_told_with_its_place(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(OtherLanguageError) as caught:
        check_notebook(written(tmp_path, name, text))
    assert message in str(caught.value)


def test_notebooks_that_are_run_are_checked_too(tmp_path: Path) -> None:
    first = written(tmp_path, "a.py", "# Databricks notebook source\n# MAGIC %run ./b")
    with pytest.raises(NotebookError, match=r"given ./b, expected a notebook beside it"):
        check_notebook(first)
    written(tmp_path, "b.py", "# Databricks notebook source\n# MAGIC %run ./a")
    with pytest.raises(NotebookError, match=r"run each other: a.py → b.py → a.py"):
        check_notebook(first)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("./a", ("./a", {})),
        ('"./a b" $x=1', ("./a b", {"x": "1"})),
        ("./a $x=\"1 2\" $y='z' $n=3", ("./a", {"x": "1 2", "y": "z", "n": "3"})),
    ],
)
def test_run_has_a_path_and_arguments(text: str, expected: object) -> None:
    assert parse_run(text) == expected


def dbutils(**given: str) -> Dbutils:
    run = JobRun("j", 1)
    run.ended["load"] = Ended(State.SUCCESS, "1", {"rows": 3, "none": None})
    return Dbutils(Scope(run, "t", "2"), Widgets(given), no_notebooks)


def test_widgets_take_the_parameters_of_the_task() -> None:
    widgets = dbutils(day="2026-01-01", more="x").widgets
    widgets.text("day", "none")
    widgets.dropdown("size", "small", ["small", "big"], "Size")
    assert (widgets.get("day"), widgets.get("size"), widgets.get("more")) == (
        "2026-01-01",
        "small",
        "x",
    )
    assert widgets.getAll() == {"day": "2026-01-01", "size": "small", "more": "x"}
    with pytest.raises(
        ValueError, match="given 'dya', expected a parameter or a widget: day, size"
    ):
        widgets.get("dya")


def test_task_values_are_those_of_ended_tasks() -> None:
    values = dbutils().jobs.taskValues
    assert values.get("load", "rows") == 3
    assert values.get("load", "x", default=7, debugValue=8) == 7
    assert values.get(taskKey="later", key="x", default="d") == "d"
    with pytest.raises(ValueError, match="task value x: the task load has set rows, none"):
        values.get("load", "x", debugValue=8)
    with pytest.raises(ValueError, match="the task later has not run"):
        values.get("later", "x")


def test_task_values_are_json() -> None:
    of_task = dbutils()
    of_task.jobs.taskValues.set("rows", [1, {"a": None}])
    with pytest.raises(TypeError, match="not JSON serializable"):
        of_task.jobs.taskValues.set("rows", {1, 2})


def test_what_needs_a_workspace_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"dbutils.secrets needs a workspace"):
        dbutils().secrets.get("scope", "key")


def test_an_exit_is_not_stopped_by_except() -> None:
    assert not issubclass(NotebookExit, Exception)
    with pytest.raises(NotebookExit) as left:
        dbutils().notebook.exit(7)
    assert left.value.value == "7"
