"""Jobs with tasks of every kind, on this machine; the engine is a small stand-in."""

import json
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service.jobs import Task
from delivery.cli import app
from delivery.errors import DeliveryError
from delivery.local.job import FinishedTask
from delivery.local.kinds import NEED_A_WORKSPACE, RUN_HERE
from delivery.local.run import plan_run, run_tasks
from delivery.local.values import Known, problem_with, references_in
from harness.baking import TEMPLATE

Run = Callable[..., tuple[int, str, str]]
Edit = Callable[[str, str, str], None]
JOB = "resources/shop/job.yml"
ENGINE = """\
class Row(dict):
    asDict = dict.copy


class Rows:
    def limit(self, most):
        return self

    def collect(self):
        return [Row(n=3), Row(n=4)]

    def show(self):
        print("shown")


class Reader:
    def table(self, name):
        return name


class Session:
    read = Reader()
    ran = []

    def sql(self, query):
        self.ran.append(query)
        return Rows()


Tables = None
spark = Session()


def current_engine():
    return "other"


def session(engine):
    return spark
"""
NEED_COMPUTE = re.compile(r"^( *)((?:dbt|python_wheel|spark_\w+)_task:)", re.MULTILINE)
WHEEL = """\
python_wheel_task:
  package_name: app
  entry_point: app
  named_parameters: {task: shop.say, catalog: c, %s}
"""
SAY = """

said = []


def say(tables, text: str = "", more: str = ""):
    said.append((text, more))
    return Value(changes=[], text=text)


def fail(tables):
    raise OSError("full")
"""


@pytest.fixture(autouse=True)
def _code(project: Path) -> None:
    (project / "src/app/engine.py").write_text(ENGINE, encoding="utf-8")
    tasks = project / "src/app/shop/tasks.py"
    tasks.write_text(tasks.read_text(encoding="utf-8") + SAY, encoding="utf-8")


@pytest.fixture
def command(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Call `delivery …`: its exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["delivery", *arguments])
        with pytest.raises(SystemExit) as left:
            app.main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


def job(project: Path, tasks: dict[str, str], head: str = "", name: str = "shop_daily") -> None:
    """Write a job with these tasks: their YAML by name."""
    lines = ["resources:", "  jobs:", f"    {name}:", f"      name: {name} of shop"]
    lines += textwrap.indent(head, " " * 6).splitlines()
    lines += ["      tasks:"]
    for key, work in tasks.items():
        needs = NEED_COMPUTE.search(work)
        compute = textwrap.indent("environment_key: default\n", needs[1]) if needs else ""
        text = f"{work.rstrip()}\n{compute}"
        lines += [f"        - task_key: {key}", *textwrap.indent(text, " " * 10).splitlines()]
    lines += ["      environments: [{environment_key: default}]"]
    file = JOB if name == "shop_daily" else f"resources/shop/{name}.yml"
    (project / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write(project: Path, name: str, text: str) -> None:
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def run(project: Path, **options: Any) -> dict[str, FinishedTask]:
    return {
        done.name: done for done in run_tasks(plan_run(project, "shop_daily", "dev", **options))
    }


def states(done: dict[str, FinishedTask]) -> dict[str, str]:
    return {name: str(task.state) for name, task in done.items()}


def said() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = sys.modules["app.shop.tasks"].said
    return found


def refusal(project: Path, **options: Any) -> str:
    with pytest.raises(DeliveryError) as caught:
        plan_run(project, "shop_daily", "dev", **options)
    return str(caught.value)


def after(*names: str, outcome: str = "") -> str:
    extra = f', outcome: "{outcome}"' if outcome else ""
    return "depends_on: [" + ", ".join(f"{{task_key: {name}{extra}}}" for name in names) + "]\n"


PARAMETERS = "parameters: [{name: day, default: monday}, {name: size, default: 10}]"


# Parameters


def test_texts_are_those_that_the_cli_passes(project: Path) -> None:
    job(project, {"a": WHEEL % "text: true, more: 1e3"})
    run(project)
    assert said() == [("true", "1000")]


def test_a_parameter_without_a_value_is_left_out(project: Path) -> None:
    job(project, {"a": WHEEL % "text: null"})
    run(project)
    assert said() == [("", "")]


def test_parameters_of_the_job_have_defaults(project: Path) -> None:
    text = 'text: "{{job.parameters.day}}", more: "{{job.parameters.size}}"'
    job(project, {"a": WHEEL % text}, PARAMETERS)
    run(project)
    run(project, parameters={"day": "friday"})
    assert said() == [("monday", "10"), ("friday", "10")]


def test_a_parameter_of_the_job_replaces_that_of_the_task(project: Path) -> None:
    job(project, {"a": WHEEL % "text: mine"}, "parameters: [{name: text, default: theirs}]")
    run(project)
    assert said() == [("theirs", "")]


def test_a_parameter_that_a_workspace_also_passes_is_told(project: Path, command: Run) -> None:
    job(project, {"a": WHEEL % "text: x"}, PARAMETERS)
    (note,) = plan_run(project, "shop_daily", "dev").notes
    assert f"{JOB}:8: warning: task a: a workspace also passes it day, size" in str(note)
    assert str(note) in command("run", "shop_daily")[1]
    assert run(project)["a"].state == "success"


def test_a_reference_that_only_a_workspace_knows_is_told(project: Path) -> None:
    job(project, {"a": WHEEL % 'text: "x${resources.schemas.shop_gold.id}"'})
    (note,) = plan_run(project, "shop_daily", "dev").notes
    assert f"{JOB}:10: warning: task a text: ${{resources.schemas.shop_gold.id}} is known" in str(
        note
    )
    run(project)
    assert said() == [("x<resources.schemas.shop_gold.id>", "")]


def test_a_default_may_be_a_dynamic_value(project: Path) -> None:
    head = 'parameters: [{name: text, default: "{{job.name}}"}]'
    job(project, {"a": WHEEL % "more: x"}, head)
    run(project)
    assert said() == [("shop_daily of shop", "x")]
    job(project, {"a": WHEEL % "more: x"}, head.replace("job.name", "job.id"))
    assert "parameter text: given {{job.id}}" in refusal(project)
    run(project, parameters={"text": "7"})
    assert said()[1:] == [("7", "x")]


def test_an_unknown_parameter_is_answered_with_the_declared_ones(
    project: Path, command: Run
) -> None:
    job(project, {"a": WHEEL % "text: x"}, PARAMETERS)
    code, _, err = command("run", "shop_daily", "--param", "dya=x")
    assert (code, err) == (4, "--param: given 'dya', expected one of day, size\n")
    code, _, err = command("run", "shop_daily", "--param", "day")
    assert (code, err.split(",")[0]) == (4, "--param: given 'day'")
    job(project, {"a": WHEEL % "text: x"})
    assert "expected one of none, the job declares none" in refusal(project, parameters={"a": "1"})


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "{{job.parameters.dya}}",
            "task a text: given {{job.parameters.dya}}, expected a parameter",
        ),
        (
            "{{tasks.b.values.x}}",
            "task a text: given {{tasks.b.values.x}}, expected a task that it",
        ),
        ("{{input}}", "task a text: given {{input}}, expected it only in the task of a for_each"),
        ("{{job.id}}", "task a: text: {{job.id}} cannot be run on this machine: given {{job.id}}"),
    ],
)
def test_a_value_that_cannot_be_known_is_told_with_its_line(
    project: Path, reference: str, message: str
) -> None:
    job(project, {"a": WHEEL % f'text: "{reference}"', "b": WHEEL % "text: x"}, PARAMETERS)
    found = refusal(project)
    assert found.startswith(f"{JOB}:11: ")
    assert message in found


# Conditions


def test_a_condition_decides_which_tasks_run(project: Path) -> None:
    tasks = {
        "many": "condition_task: {op: GREATER_THAN, left: '{{job.parameters.size}}', right: '9'}",
        "yes": after("many", outcome="true") + WHEEL % "text: many",
        "no": after("many", outcome="false") + WHEEL % "text: few",
        "below": after("no") + WHEEL % "text: x",
        "end": after("yes", "no") + "run_if: NONE_FAILED\n" + WHEEL % "text: end",
    }
    job(project, tasks, PARAMETERS)
    done = run(project)
    assert states(done) == {
        "many": "success", "yes": "success", "no": "excluded", "below": "excluded",
        "end": "success",
    }  # fmt: skip
    assert done["no"].reason == "many is true"
    assert said() == [("many", ""), ("end", "")]
    assert states(run(project, parameters={"size": "9"}))["no"] == "success"


def test_a_condition_that_was_not_judged_has_no_outcome(project: Path) -> None:
    condition = "condition_task: {op: EQUAL_TO, left: a, right: a}"
    wrong = "condition_task: {op: LESS_THAN, left: a, right: '1'}"
    tasks = {
        "top": "condition_task: {op: EQUAL_TO, left: a, right: b}",
        "inner": after("top", outcome="true") + condition,
        "wrong": wrong,
        "first": WHEEL % "text: first",
        "yes": after("inner", outcome="true") + WHEEL % "text: x",
        "bad": after("wrong", outcome="true") + "run_if: ALL_DONE\n" + WHEEL % "text: x",
    }
    tasks["yes"] = tasks["yes"].replace("}]", "}, {task_key: first}]", 1)
    job(project, tasks)
    done = run(project)
    assert states(done) == {
        "top": "success", "inner": "excluded", "wrong": "failed", "first": "success",
        "yes": "excluded", "bad": "skipped",
    }  # fmt: skip
    assert (done["yes"].reason, done["bad"].reason) == ("inner is excluded", "wrong is failed")


def test_tasks_run_after_failures_as_run_if_says(project: Path) -> None:
    tasks = {
        "fail": WHEEL.replace("shop.say", "shop.fail") % "",
        "other": WHEEL % "text: other",
        "next": after("fail") + WHEEL % "text: x",
        "later": after("next") + WHEEL % "text: x",
        "clean": after("fail", "other") + "run_if: ALL_DONE\n" + WHEEL % "text: clean",
        "mend": after("fail") + "run_if: AT_LEAST_ONE_FAILED\n" + WHEEL % "text: mend",
        "none": after("other") + "run_if: ALL_FAILED\n" + WHEEL % "text: x",
    }
    job(project, tasks)
    done = run(project)
    assert states(done) == {
        "fail": "failed", "other": "success", "next": "skipped", "later": "skipped",
        "clean": "success", "mend": "success", "none": "excluded",
    }  # fmt: skip
    assert (done["next"].reason, done["later"].reason) == ("fail failed", "next was skipped")
    assert done["none"].reason == "run_if is ALL_FAILED"


def test_a_disabled_task_does_not_run(project: Path) -> None:
    job(project, {"a": "disabled: true\n" + WHEEL % "text: x", "b": after("a") + WHEEL % "text: b"})
    assert states(run(project)) == {"a": "excluded", "b": "excluded"}


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (
            {"a": "condition_task: {op: MORE, left: a, right: b}"},
            "op: given MORE, expected one of EQUAL_TO, NOT_EQUAL",
        ),
        (
            {"a": "condition_task: {op: EQUAL_TO, left: a}"},
            "given op, left, expected op, left and right",
        ),
        (
            {"a": WHEEL % "", "b": after("a", outcome="true") + WHEEL % ""},
            "a is not a condition_task",
        ),
        (
            {
                "a": "condition_task: {op: EQUAL_TO, left: a, right: b}",
                "b": after("a", outcome="yes") + WHEEL % "",
            },
            "outcome: given yes, expected true or false",
        ),
    ],
)
def test_a_wrong_condition_is_told(project: Path, tasks: dict[str, str], message: str) -> None:
    job(project, tasks)
    assert message in refusal(project, skip_unsupported=True)


# Loops and other jobs


def loop(inputs: str, text: str) -> str:
    inner = textwrap.indent("task_key: one\n" + WHEEL % text, "    ")
    return f"for_each_task:\n  inputs: {inputs}\n  concurrency: 5\n  task:\n{inner}"


def test_a_loop_runs_its_task_for_each_input(project: Path) -> None:
    text = 'text: "{{input.name}}", more: "{{job.parameters.day}}"'
    job(project, {"a": loop("""'[{"name": "x"}, {"name": 2}]'""", text)}, PARAMETERS)
    done = run(project)
    assert said() == [("x", "monday"), ("2", "monday")]
    assert done["a"].report.text == "x\n2"


def test_a_loop_takes_its_inputs_from_a_parameter(project: Path) -> None:
    head = """parameters: [{name: days, default: '["a", "b"]'}]"""
    job(project, {"a": loop('"{{job.parameters.days}}"', 'text: "{{input}}"')}, head)
    run(project)
    assert said() == [("a", ""), ("b", "")]
    done = run(project, parameters={"days": "a,b"})["a"]
    assert "inputs of a: given 'a,b', expected a list in JSON" in str(done.error)


def test_a_loop_goes_on_after_a_failure(project: Path) -> None:
    text = 'text: "{{input.x}}"'
    job(project, {"a": loop("""'[{"x": "1"}, {}, {"x": "3"}]'""", text)})
    done = run(project)["a"]
    assert said() == [("1", ""), ("3", "")]
    assert str(done.error).startswith("1 of 3 inputs failed; {}: input.x: given {}, expected")


def test_a_loop_without_inputs_is_told(project: Path) -> None:
    job(project, {"a": "for_each_task: {task: {task_key: one}}"})
    assert "task a: given no inputs or no task in for_each_task" in refusal(project)


def test_the_task_of_a_loop_fits_the_code(project: Path) -> None:
    job(project, {"a": loop("'[]'", "txet: x")})
    assert "task one: given txet, expected" in refusal(project)


OTHER = 'run_job_task: {job_id: "${resources.jobs.other.id}", job_parameters: {size: 5}}'


def test_another_job_runs_with_its_parameters(project: Path) -> None:
    text = 'text: "{{job.parameters.day}}", more: "{{job.parameters.size}}"'
    job(project, {"one": WHEEL % text}, PARAMETERS.replace("monday", "sunday"), "other")
    job(project, {"a": OTHER}, PARAMETERS.replace(", {name: size, default: 10}", ""))
    done = run(project)
    assert said() == [("monday", "5")]
    assert done["a"].report.text == "one: success"


def test_a_failure_of_another_job_is_one_of_the_task(project: Path) -> None:
    job(project, {"one": WHEEL.replace("shop.say", "shop.fail") % ""}, PARAMETERS, "other")
    job(project, {"a": OTHER})
    assert str(run(project)["a"].error) == "job other: task one failed: full"


def test_jobs_do_not_run_each_other(project: Path) -> None:
    job(project, {"one": OTHER.replace("other", "shop_daily")}, PARAMETERS, "other")
    job(project, {"a": OTHER}, PARAMETERS)
    assert "jobs run each other: shop_daily → other → shop_daily" in refusal(project)


def test_what_another_job_cannot_do_here_is_told(project: Path) -> None:
    job(project, {"one": "dbt_task: {}"}, PARAMETERS, "other")
    job(project, {"a": OTHER})
    assert "resources/shop/other.yml:8: job other: task one: dbt_task cannot" in refusal(project)
    assert states(run(project, skip_unsupported=True)) == {"a": "success"}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            OTHER.replace("size", "sise"),
            "job_parameters: given sise, expected a parameter of other",
        ),
        (
            "run_job_task: {job_id: 7}",
            "task a: job 7 cannot be run on this machine: it is not a job",
        ),
    ],
)
def test_a_wrong_job_is_told(project: Path, task: str, message: str) -> None:
    job(project, {"one": WHEEL % ""}, PARAMETERS, "other")
    job(project, {"a": task})
    assert message in refusal(project)


# Wheels and files of Python


def test_a_wheel_may_take_a_command_line(project: Path) -> None:
    entry = project / "src/app/entry.py"
    main = (
        "\n\nimport sys\nlines = []\n\n\ndef main():\n    lines.append(sys.argv)\n    sys.exit(0)\n"
    )
    entry.write_text(entry.read_text(encoding="utf-8") + main, encoding="utf-8")
    wheel = "python_wheel_task: {package_name: app, entry_point: app, parameters: %s}"
    job(project, {"a": wheel % '[-v, 010x, true, "{{job.parameters.day}}"]'}, PARAMETERS)
    assert states(run(project)) == {"a": "success"}
    assert sys.modules["app.entry"].lines == [["app", "-v", "010x", "true", "monday"]]


def test_an_entry_point_without_run_takes_a_command_line(project: Path, edit: Edit) -> None:
    edit("pyproject.toml", '"app.entry:main"', '"app.entry:main", x = "app.other:go"')
    write(
        project,
        "src/app/other.py",
        "import sys\n\n\ndef go():\n    print(sys.argv)\n    sys.exit(3)\n",
    )
    wheel = "python_wheel_task: {package_name: app, entry_point: x, named_parameters: {a: 1}}"
    job(project, {"a": wheel}, PARAMETERS)
    done = run(project)["a"]
    assert str(done.error) == "it ended with exit code 3"


def test_a_wheel_finds_what_databricks_gives_it(project: Path, edit: Edit) -> None:
    edit(
        "src/app/shop/tasks.py",
        "    said.append((text, more))",
        "    from databricks.sdk.runtime import dbutils, spark\n"
        "    spark.sql(text)\n"
        "    dbutils.jobs.taskValues.set('rows', 3)\n"
        "    said.append((text, more))",
    )
    tasks = {"a": WHEEL % "text: x", "b": after("a") + WHEEL % "text: '{{tasks.a.values.rows}}'"}
    job(project, tasks)
    assert "databricks.sdk.runtime" not in sys.modules
    run(project)
    assert "databricks.sdk.runtime" not in sys.modules
    assert said() == [("x", ""), ("3", "")]
    assert sys.modules["app.engine"].Session.ran == ["x", "3"]


def test_a_wheel_may_get_a_parameter_from_the_job_alone(project: Path) -> None:
    job(
        project,
        {"a": WHEEL.replace("shop.say", "shop.load") % ""},
        "parameters: [{name: schema, default: gold}]",
    )
    assert run(project)["a"].report.text == "loaded [into] c.gold"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("import sys; sys.exit(0)", "None"),
        ("import sys; sys.exit(5)", "it ended with exit code 5"),
        ("from databricks.sdk.runtime import dbutils; dbutils.notebook.exit('x')", "None"),
    ],
)
def test_an_exit_ends_a_task_of_a_wheel(project: Path, edit: Edit, line: str, error: str) -> None:
    edit("src/app/shop/tasks.py", "    raise OSError", f"    {line}\n    raise OSError")
    job(project, {"a": WHEEL.replace("shop.say", "shop.fail") % ""})
    assert str(run(project)["a"].error) == error


def test_the_wheel_of_another_package_is_skipped_by_name(project: Path) -> None:
    other = (WHEEL % "text: x").replace("package_name: app", "package_name: sales")
    job(project, {"a": other, "b": after("a") + WHEEL % "text: x", "c": WHEEL % "text: c"})
    found = refusal(project)
    assert f"{JOB}:8: task a: the wheel of sales cannot be run on this machine" in found
    assert found.endswith("delivery run shop_daily --skip-unsupported")
    done = run(project, skip_unsupported=True)
    assert states(done) == {"a": "skipped", "b": "skipped", "c": "success"}
    assert done["b"].reason == "it depends on a"


SCRIPT = """\
import helper
import os
import sys

from databricks.sdk.runtime import spark as same

assert __name__ == "__main__"
assert spark is same
with open("out.txt", "w") as file:
    file.write(" ".join([helper.WORD, *sys.argv[1:]]))
sys.exit(int(sys.argv[2]))
"""


def test_a_file_of_python_runs_as_a_script(project: Path) -> None:
    write(project, "src/jobs/load.py", SCRIPT)
    write(project, "src/jobs/helper.py", "WORD = 'word'\n")
    task = "spark_python_task: {python_file: ../../src/jobs/load.py, parameters: [%s]}"
    job(project, {"a": task % '"{{job.parameters.day}}", 0', "b": task % "x, 2"}, PARAMETERS)
    before = [*sys.path], sys.argv, Path.cwd()
    done = run(project)
    assert ([*sys.path], sys.argv, Path.cwd()) == before
    sys.modules.pop("helper")
    assert states(done) == {"a": "success", "b": "failed"}
    assert str(done["b"].error) == "it ended with exit code 2"
    assert (project / "src/jobs/out.txt").read_text(encoding="utf-8") == "word x 2"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../../src/nope.py", f"{JOB}:8: python_file: given ../../src/nope.py, expected a file"),
        ("../../src/query.sql", "python_file: given query.sql, expected a file of Python"),
        ("/Workspace/Shared/x.py", "python_file: /Workspace/Shared/x.py cannot be run on this"),
        ("dbfs:/x.py", "it is not a file of this project"),
        ("../../../x.py", "it is not a file of this project"),
    ],
)
def test_a_file_must_be_one_of_the_project(project: Path, path: str, message: str) -> None:
    write(project, "src/query.sql", "SELECT 1")
    write(project.parent, "x.py", "")
    job(project, {"a": f"spark_python_task:\n  python_file: {path}"})
    assert message in refusal(project)


def test_a_file_may_be_named_by_its_place_in_a_workspace(project: Path) -> None:
    write(project, "src/a.py", "")
    path = "${workspace.file_path}/src/a.py"
    job(project, {"a": f"spark_python_task:\n  python_file: {path}"})
    assert states(run(project)) == {"a": "success"}


def test_files_need_the_session_of_the_project(project: Path) -> None:
    write(project, "src/a.py", "")
    job(project, {"a": "spark_python_task:\n  python_file: ../../src/a.py"})
    (project / "src/app/engine.py").unlink()
    assert "there is no src/app/engine, which has the Spark session" in refusal(project)


LOOP_OVER_NOTEBOOK = """\
for_each_task:
  inputs: "[]"
  task: {task_key: one, notebook_task: {notebook_path: a}}
"""


@pytest.mark.parametrize(
    ("head", "task"),
    [
        ("git_source: {git_url: x}", "spark_python_task:\n  python_file: a.py"),
        ("git_source: {git_url: x}", "notebook_task: {notebook_path: a}"),
        ("git_source: {git_url: x}", "sql_task: {warehouse_id: x, file: {path: a.sql}}"),
        ("git_source: {git_url: x}", LOOP_OVER_NOTEBOOK),
        ("", "notebook_task: {notebook_path: a, source: GIT}"),
        ("", "sql_task: {warehouse_id: x, file: {path: a.sql, source: GIT}}"),
    ],
)
def test_files_of_another_repository_are_not_here(project: Path, head: str, task: str) -> None:
    job(project, {"a": task, "b": WHEEL % "text: b"}, head)
    assert "another repository" in refusal(project)
    assert states(run(project, skip_unsupported=True)) == {"a": "skipped", "b": "success"}


# Notebooks and SQL

NOTEBOOK = """\
# Databricks notebook source
# MAGIC %run ./other $size="big"

# COMMAND ----------

dbutils.widgets.text("day", "none")
dbutils.widgets.text("colour", "red")
answer = [twice(3), dbutils.widgets.get("day"), dbutils.widgets.get("colour"), size]
dbutils.jobs.taskValues.set("answer", answer)

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT :day

# COMMAND ----------

display(_sqldf)
displayHTML("<b>")
dbutils.notebook.exit(dbutils.notebook.run("other", 60, {"size": 7}))
raise ValueError("not reached")
"""
OTHER_NOTEBOOK = """\
# Databricks notebook source
size = dbutils.widgets.get("size")


def twice(n):
    return 2 * n


if size == "7":
    dbutils.notebook.exit("exit " + size)
"""


def test_a_notebook_runs_with_its_widgets(project: Path) -> None:
    write(project, "src/jobs/look.py", NOTEBOOK)
    write(project, "src/jobs/other.py", OTHER_NOTEBOOK)
    notebook = (
        "notebook_task: {notebook_path: ../../src/jobs/look.py, "
        "base_parameters: {day: x, colour: blue}}"
    )
    tasks = {"a": notebook, "b": after("a") + WHEEL % "text: '{{tasks.a.values.answer}}'"}
    job(project, tasks, PARAMETERS)
    done = run(project)
    assert said() == [('[6, "monday", "blue", "big"]', "")]
    assert getattr(done["a"].result, "note", "") == "exit: exit 7"
    assert sys.modules["app.engine"].Session.ran == ["SELECT 'monday'"]


def test_a_failure_in_a_notebook_has_its_line(project: Path, command: Run) -> None:
    text = "# Databricks notebook source\nx = 1\n# COMMAND ----------\n\nx / 0\n"
    write(project, "src/jobs/look.py", text)
    job(project, {"a": "notebook_task: {notebook_path: ../../src/jobs/look.py}"})
    code, _, err = command("run", "shop_daily")
    assert (code, err.splitlines()[0]) == (
        1,
        "task a failed: src/jobs/look.py:5: division by zero",
    )
    trace = (project / ".lakehouse/last-failure.txt").read_text(encoding="utf-8")
    assert 'look.py", line 5' in trace


def test_what_a_task_prints_is_on_stdout_beside_no_document(project: Path, command: Run) -> None:
    write(project, "src/look.py", "# Databricks notebook source\ndisplay('rows'); print('more')\n")
    job(project, {"a": "notebook_task: {notebook_path: ../../src/look.py}"})
    code, out, err = command("run", "shop_daily")
    assert (code, "rows\nmore\n" in out, err) == (0, True, "")
    code, out, err = command("run", "shop_daily", "--output", "json")
    assert (code, "rows\nmore\n" in err) == (0, True)
    assert json.loads(out)["tasks"]


def test_a_notebook_is_named_with_its_suffix(project: Path) -> None:
    write(project, "src/look.py", "# Databricks notebook source\n")
    job(project, {"a": "notebook_task: {notebook_path: ../../src/look}"})
    assert "notebook_path: given ../../src/look, expected a file" in refusal(project)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("look.py", "x = 1", "task a notebook_path: look.py:1: the first line is not"),
        ("look.scala", "", "it is not in Python or SQL"),
        (
            "look.py",
            "# Databricks notebook source\n# MAGIC %scala",
            "a cell of %scala does not run",
        ),
    ],
)
def test_a_notebook_that_does_not_run_here_is_told(
    project: Path, name: str, text: str, message: str
) -> None:
    write(project, f"src/jobs/{name}", text)
    job(project, {"a": f"notebook_task: {{notebook_path: ../../src/jobs/{name}}}"})
    assert message in refusal(project)


def test_a_file_of_sql_runs_its_statements(project: Path) -> None:
    write(project, "src/q.sql", "-- day\nSELECT :day; SELECT '{{size}}', :more;\n")
    sql = "sql_task: {warehouse_id: x, file: {path: ../../src/q.sql}, parameters: {more: true}}"
    text = "text: '{{tasks.a.output.first_row.n}}', more: '{{tasks.a.output.rows}}'"
    job(project, {"a": sql, "b": after("a") + WHEEL % text}, PARAMETERS)
    done = run(project)
    assert sys.modules["app.engine"].Session.ran == ["SELECT 'monday'", "SELECT '10', 'true'"]
    assert done["a"].report.text == "n\n3\n4"
    assert said() == [("3", '[{"n": 3}, {"n": 4}]')]


def test_a_parameter_that_sql_lacks_is_told_with_its_line(project: Path) -> None:
    write(project, "src/q.sql", "SELECT 1;\n\nSELECT :nope;\n")
    job(project, {"a": "sql_task: {warehouse_id: x, file: {path: ../../src/q.sql}}"})
    error = run(project)["a"].error
    assert str(error) == "src/q.sql:3: given :nope, expected a parameter of the task: none"


# What does not run here

ELSEWHERE = {
    "query": "sql_task: {warehouse_id: x, query: {query_id: x}}",
    "alert": "sql_task: {warehouse_id: x, alert: {alert_id: x}}",
    "old": "sql_task: {warehouse_id: x, dashboard: {dashboard_id: x}}",
    **{
        name: f"{name}_task: {{}}"
        for name in (
            "ai_runtime", "clean_rooms_notebook", "dashboard", "dbt", "dbt_cloud", "gen_ai_compute",
            "pipeline", "power_bi", "spark_jar", "spark_submit",
        )
    },
}  # fmt: skip


def test_what_needs_a_workspace_is_listed_before_the_first_task(
    project: Path, command: Run
) -> None:
    job(project, {"first": WHEEL % "text: first", **ELSEWHERE})
    code, out, err = command("run", "shop_daily")
    assert (code, out) == (4, "")
    assert "app.shop.tasks" not in sys.modules
    lines = err.splitlines()
    for name in ELSEWHERE:
        (found,) = [line for line in lines if f"task {name}: " in line]
        number = int(found.split(":")[1])
        assert (project / JOB).read_text(encoding="utf-8").splitlines()[number - 1]
        assert "cannot be run on this machine: " in found
    assert lines[-1] == "To run the other tasks here: delivery run shop_daily --skip-unsupported"


def test_what_needs_a_workspace_is_skipped_by_name_and_reason(project: Path, command: Run) -> None:
    tasks = {
        "first": WHEEL % "text: first",
        "dbt": after("first") + "dbt_task: {}",
        "next": after("dbt") + "run_if: ALL_DONE\n" + WHEEL % "text: next",
        "last": after("next", "first") + WHEEL % "text: last",
    }
    job(project, tasks)
    code, out, _ = command("run", "shop_daily", "--skip-unsupported")
    assert code == 0
    assert "– dbt skipped: dbt needs a SQL warehouse" in out
    assert "– next skipped: it depends on dbt" in out
    assert said() == [("first", "")]
    code, out, _ = command("run", "shop_daily", "--skip-unsupported", "--output", "json")
    found = json.loads(out)["tasks"]
    assert [(task["task"], task["state"], task["reason"]) for task in found] == [
        ("first", "success", None),
        ("dbt", "skipped", "dbt needs a SQL warehouse"),
        ("next", "skipped", "it depends on dbt"),
        ("last", "skipped", "it depends on next"),
    ]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("description: x", f"{JOB}:6: task a: given no kind of task, expected one kind"),
        ("sql_task: {file: {}}\ncondition_task: {}", "given sql_task and condition_task, expected"),
        ("sql_task: {file: {}}", "task a: given no sql_task.file.path"),
        ("notebook_task: {}", "task a: given no notebook_task.notebook_path"),
    ],
)
def test_a_task_that_does_nothing_is_told(project: Path, task: str, message: str) -> None:
    job(project, {"a": task})
    assert message in refusal(project)


def test_each_failure_is_told_and_the_document_is_whole(project: Path, command: Run) -> None:
    fail = WHEEL.replace("shop.say", "shop.fail") % ""
    job(
        project, {"a": fail, "b": fail, "c": after("b") + WHEEL % "text: x", "d": WHEEL % "text: d"}
    )
    code, out, err = command("run", "shop_daily", "--output", "json")
    assert code == 1
    found = json.loads(out)["tasks"]
    assert {task["task"]: (task["state"], task["reason"]) for task in found} == {
        "a": ("failed", "src/app/shop/tasks.py:28: full"),
        "b": ("failed", "src/app/shop/tasks.py:28: full"),
        "c": ("skipped", "b failed"),
        "d": ("success", None),
    }
    assert err.endswith(
        "task a failed: src/app/shop/tasks.py:28: full\n"
        "task b failed: src/app/shop/tasks.py:28: full\n"
        "The tracebacks are in .lakehouse/last-failure.txt.\n"
    )
    trace = (project / ".lakehouse/last-failure.txt").read_text(encoding="utf-8")
    assert trace.count("Traceback") == 2


def test_compute_and_retries_do_not_matter_here(project: Path) -> None:
    keys = """\
new_cluster: {num_workers: 2}
libraries: [{pypi: {package: x}}]
max_retries: 3
min_retry_interval_millis: 1
retry_on_timeout: true
webhook_notifications: {on_failure: []}
disable_auto_optimization: true
existing_cluster_id: x
compute: {hardware_accelerator: GPU_1xA10}
"""
    job(project, {"a": keys + WHEEL % "text: x"})
    assert states(run(project)) == {"a": "success"}


# Only some tasks


def test_one_task_runs_with_its_inputs_as_they_are(project: Path) -> None:
    tasks = {
        "a": WHEEL % "text: a",
        "b": after("a") + WHEEL % "text: b",
        "c": after("b") + WHEEL % "text: c",
        "d": after("c") + "dbt_task: {}",
    }
    job(project, tasks)
    assert states(run(project, only=["b"])) == {"b": "success"}
    assert states(run(project, only=["c", "b"])) == {"b": "success", "c": "success"}
    assert said() == [("b", ""), ("b", ""), ("c", "")]


def test_an_unknown_task_is_answered_with_the_known_ones(project: Path, command: Run) -> None:
    job(project, {"a": WHEEL % "text: a"})
    code, _, err = command("run", "shop_daily", "--task", "b")
    assert (code, err) == (4, "--task: given 'b', expected one of a\n")


def test_a_value_of_a_task_that_is_left_out_is_told(project: Path) -> None:
    job(project, {"a": WHEEL % "text: a", "b": after("a") + WHEEL % "text: '{{tasks.a.values.x}}'"})
    assert "expected a task of this run; run a too, or all tasks" in refusal(project, only=["b"])


# The list of kinds

RUNS = {
    "condition_task": "condition_task: {left: a, op: EQUAL_TO, right: a}",
    "for_each_task": "for_each_task:\n  inputs: '[1]'\n  task:\n    task_key: one\n"
    + textwrap.indent(WHEEL % "text: x", "    "),
    "notebook_task": "notebook_task: {notebook_path: ../../src/note.py}",
    "python_wheel_task": WHEEL % "text: x",
    "run_job_task": 'run_job_task: {job_id: "${resources.jobs.other.id}"}',
    "spark_python_task": "spark_python_task: {python_file: ../../src/file.py}",
    "sql_task": "sql_task: {warehouse_id: x, file: {path: ../../src/q.sql}}",
}


@pytest.mark.parametrize("kind", RUN_HERE)
def test_every_kind_that_runs_here_runs(project: Path, kind: str) -> None:
    write(project, "src/note.py", "# Databricks notebook source\nx = 1\n")
    write(project, "src/file.py", "x = 1\n")
    write(project, "src/q.sql", "SELECT 1\n")
    job(project, {"x": WHEEL % "text: y"}, name="other")
    job(project, {"a": RUNS[kind]})
    assert states(run(project)) == {"a": "success"}


@pytest.mark.parametrize("kind", NEED_A_WORKSPACE)
def test_every_kind_that_needs_a_workspace_is_skipped_by_name(project: Path, kind: str) -> None:
    job(project, {"a": f"{kind}: {{}}", "b": WHEEL % "text: x"})
    reason = NEED_A_WORKSPACE[kind][1]
    assert f"task a: {kind} cannot be run on this machine: {reason}" in refusal(project)
    done = run(project, skip_unsupported=True)
    assert states(done) == {"a": "skipped", "b": "success"}
    assert done["a"].reason == reason


def test_every_kind_of_task_is_known_and_in_the_guide() -> None:
    known = {*RUN_HERE, *NEED_A_WORKSPACE}
    assert known == {name for name in Task.__annotations__ if name.endswith("_task")}
    guide = (TEMPLATE / "docs/delivery.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (`\w+_task`.*?) \| (runs|skipped) \|", guide, re.M))
    for kind in known:
        listed = {here for names, here in rows.items() if f"`{kind}`" in names}
        expected = {"skipped"} if kind in NEED_A_WORKSPACE else {"runs"}
        assert listed == expected | ({"skipped"} if kind == "sql_task" else set()), kind


def test_every_dynamic_value_of_the_guide_is_known() -> None:
    guide = (TEMPLATE / "docs/delivery.md").read_text(encoding="utf-8")
    known = Known(["NAME"], ["NAME"], has_input=True)
    rows = re.findall(r"^\| (`\{\{.*?) \| (.*?) \|$", guide, re.M)
    assert len(rows) > 5
    for names, here in rows:
        for steps in references_in(names):
            assert bool(problem_with(steps, known)) is here.startswith("unknown"), steps
