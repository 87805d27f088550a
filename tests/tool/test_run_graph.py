"""The tasks of a job as a graph."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from delivery.cli import app

Run = Callable[..., tuple[int, str, str]]
JOB = """\
resources:
  jobs:
    other: {name: other, tasks: [{task_key: x, dbt_task: {}}]}
    shop_daily:
      name: shop_daily
      tasks:
        - task_key: end
          depends_on: [{task_key: yes}, {task_key: check, outcome: "false"}]
          run_if: NONE_FAILED
          dbt_task: {}
        - task_key: yes
          depends_on: [{task_key: check, outcome: "true"}]
          for_each_task:
            inputs: "[1]"
            task:
              task_key: one
              python_wheel_task:
                package_name: app
                entry_point: app
                named_parameters: {task: shop.count, catalog: c}
        - task_key: check
          condition_task: {op: EQUAL_TO, left: "{{job.name}}", right: '<"x|y#">'}
        - task_key: more
          depends_on: [{task_key: end}]
          run_job_task: {job_id: "${resources.jobs.other.id}"}
        - task_key: third
          depends_on: [{task_key: check, outcome: "true"}]
          sql_task: {warehouse_id: x, query: {query_id: x}}
"""
TREE = """\
shop_daily as target dev

check  condition: {{job.name}} EQUAL_TO <"x|y#">
├─ yes  for each: one, wheel: shop.count  (if true)
│  └─ end  dbt  (also after check is false; NONE_FAILED; not here: dbt needs a SQL warehouse)
│     └─ more  job: other  (not here: it depends on end)
└─ third  SQL: query  (if true; not here: saved queries are in a workspace)
"""
MERMAID = """\
flowchart TD
    t1["<b>check</b><br/>condition: {{job.name}} EQUAL_TO #lt;#quot;x#124;y#35;#quot;#gt;"]
    t2["<b>yes</b><br/>for each: one, wheel: shop.count"]
    t3["<b>third</b><br/>SQL: query"]
    t4["<b>end</b><br/>dbt<br/>NONE_FAILED"]
    t5["<b>more</b><br/>job: other"]
    t1 -->|true| t2
    t1 -->|true| t3
    t2 --> t4
    t1 -->|false| t4
    t4 --> t5
    classDef elsewhere stroke-dasharray: 4
    class t3,t4,t5 elsewhere
"""


@pytest.fixture
def graph(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Call `delivery graph …`: its exit code, stdout and stderr."""
    (project / "resources/shop/job.yml").write_text(JOB, encoding="utf-8")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["delivery", "graph", *arguments])
        with pytest.raises(SystemExit) as left:
            app.main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


def test_a_graph_is_a_tree_with_kinds_and_conditions(graph: Run) -> None:
    assert graph("shop_daily") == (0, TREE, "")


def test_a_graph_is_a_diagram(graph: Run) -> None:
    assert graph("shop_daily", "--output", "mermaid") == (0, MERMAID, "")


def test_a_graph_for_machines_is_one_document(graph: Run) -> None:
    code, out, _ = graph("shop_daily", "--output", "json")
    document = json.loads(out)
    assert (code, document["job"], document["target"]) == (0, "shop_daily", "dev")
    assert [task["task"] for task in document["tasks"]] == ["check", "yes", "third", "end", "more"]
    assert document["tasks"][3] == {
        "task": "end",
        "kind": "dbt",
        "depends_on": [{"task": "yes", "outcome": None}, {"task": "check", "outcome": "false"}],
        "run_if": "NONE_FAILED",
        "left_out": "dbt needs a SQL warehouse",
    }


def test_tasks_that_wait_for_each_other_are_all_shown(graph: Run, project: Path) -> None:
    file = project / "resources/shop/job.yml"
    file.write_text(JOB.replace('task_key: check, outcome: "true"', "task_key: end"), "utf-8")
    code, out, _ = graph("shop_daily")
    assert code == 0
    shown = {line.strip("│├└─ ").split("  ")[0] for line in out.splitlines()[2:]}
    assert shown == {"check", "yes", "end", "more", "third"}


def test_an_unknown_job_is_answered_with_the_known_ones(graph: Run) -> None:
    assert graph("x") == (4, "", "job: given 'x', expected one of other, shop_daily\n")
