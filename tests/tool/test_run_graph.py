"""The tasks of a job as a graph."""

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from delivery.cli import app

Run = Callable[..., tuple[int, str, str]]
SVG = "{http://www.w3.org/2000/svg}"
JOB = """\
resources:
  jobs:
    other: {name: other, tasks: [{task_key: x, existing_cluster_id: c, dbt_task: {}}]}
    shop_daily:
      name: shop_daily
      job_clusters: [{job_cluster_key: c}]
      tasks:
        - task_key: end
          job_cluster_key: c
          depends_on: [{task_key: yes}, {task_key: check, outcome: "false"}]
          run_if: NONE_FAILED
          dbt_task: {}
        - task_key: yes
          depends_on: [{task_key: check, outcome: "true"}]
          for_each_task:
            inputs: "[1]"
            task:
              task_key: one
              job_cluster_key: c
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
        "fault": None,
    }


# --- faults ---

CYCLE = ('task_key: check, outcome: "true"', "task_key: end")
MISSPELT = ("task_key: end}", "task_key: edn}")


def test_tasks_that_wait_for_each_other_are_shown_and_named(graph: Run, project: Path) -> None:
    file = project / "resources/shop/job.yml"
    file.write_text(JOB.replace(*CYCLE), "utf-8")
    code, out, err = graph("shop_daily")
    shown = {line.strip("│├└─ ").split("  ")[0] for line in out.splitlines()[2:]}
    assert (code, shown) == (1, {"check", "yes", "end", "more", "third"})
    assert err == (
        "resources/shop/job.yml:8: tasks wait for each other: end → yes → end\n"
        "    Remove one of these depends_on.\n"
    )
    waiting = [line for line in out.splitlines() if "✗ waits for itself" in line]
    assert [line.strip("│├└─ ").split("  ")[0] for line in waiting] == ["end", "yes"]


def test_a_task_that_does_not_exist_is_shown_and_named(graph: Run, project: Path) -> None:
    file = project / "resources/shop/job.yml"
    file.write_text(JOB.replace(*MISSPELT), "utf-8")
    code, out, err = graph("shop_daily")
    assert code == 1
    assert "edn  ✗ no task of this job\n└─ more  job: other\n" in out
    assert "job.yml:27: task more depends_on: given edn, expected end or yes or check" in err
    tasks = json.loads(graph("shop_daily", "--output", "json")[1])["tasks"]
    assert {task["task"]: task["fault"] for task in tasks if task["fault"]} == {
        "edn": "no task of this job"
    }
    assert '["<b>edn</b><br/>no task of this job"]' in graph("shop_daily", "--output", "mermaid")[1]


# --- the picture ---


def drawn(
    file: Path,
) -> tuple[dict[str, tuple[float, float, float, str]], list[ElementTree.Element]]:
    """The left side, right side, middle and style of each task's box; the arrows."""
    tree, boxes = ElementTree.fromstring(file.read_text(encoding="utf-8")), {}
    for group in tree.iter(f"{SVG}g"):
        box, name = group.find(f"{SVG}rect"), group.find(f"{SVG}text")
        assert box is not None
        assert name is not None
        left, top, width, height = (float(box.get(k, "")) for k in ("x", "y", "width", "height"))
        assert left + width <= float(tree.get("width", ""))
        assert top + height <= float(tree.get("height", ""))
        boxes[str(name.text)] = (left, left + width, top + height / 2, str(box.get("class")))
    return boxes, [*tree.iter(f"{SVG}path")][1:]  # the first one is the tip of an arrow


def test_a_picture_has_every_task_and_an_arrow_for_each_dependency(graph: Run) -> None:
    code, out, err = graph("shop_daily", "--picture", "shop.svg")
    assert (code, out, err) == (0, "", "… wrote shop.svg\n")
    boxes, arrows = drawn(Path("shop.svg"))
    styles = {name: style for name, (*_, style) in boxes.items()}
    assert styles == {
        "check": "box",
        "yes": "box",
        "third": "box elsewhere",
        "end": "box elsewhere",
        "more": "box elsewhere",
    }
    ends = {
        (before, after)
        for arrow in arrows
        for before, (_, right, middle, _) in boxes.items()
        for after, (left, _, end, _) in boxes.items()
        if str(arrow.get("d")).startswith(f"M{right:.1f} {middle:.1f} ")
        and str(arrow.get("d")).endswith(f" {left:.1f} {end:.1f}")
    }
    assert len(arrows) == len(ends) == 5
    assert ends == {
        ("check", "yes"), ("check", "third"), ("check", "end"), ("yes", "end"), ("end", "more"),
    }  # fmt: skip
    text = Path("shop.svg").read_text(encoding="utf-8")
    assert text.count('class="label"') == 3
    assert "&lt;&quot;x|y#&quot;&gt;" in text


def test_a_picture_shows_faults(graph: Run, project: Path) -> None:
    file = project / "resources/shop/job.yml"
    file.write_text(JOB.replace(*MISSPELT).replace(*CYCLE), "utf-8")
    assert graph("shop_daily", "--picture", "shop.svg")[0] == 1
    boxes, arrows = drawn(Path("shop.svg"))
    assert {name for name, (*_, style) in boxes.items() if style == "box fault"} == {
        "end", "yes", "edn",
    }  # fmt: skip
    assert [arrow.get("class") for arrow in arrows].count("arrow fault") == 1


def test_boxes_of_a_large_job_do_not_overlap(graph: Run, project: Path) -> None:
    needs = {n: sorted({n // 2, n // 3, n - 7} & {*range(1, n)}) for n in range(1, 61)}
    tasks = "".join(
        f"        - task_key: t{n}\n          notebook_task: {{}}\n          depends_on: ["
        + ", ".join(f"{{task_key: t{need}}}" for need in needs[n])
        + "]\n"
        for n in needs
    )
    text = f"resources:\n  jobs:\n    big:\n      name: big\n      tasks:\n{tasks}"
    (project / "resources/shop/job.yml").write_text(text, encoding="utf-8")
    assert graph("big", "--picture", "big.svg")[0] == 0
    boxes, arrows = drawn(Path("big.svg"))
    assert len(boxes) == 60
    assert len(arrows) == sum(map(len, needs.values()))
    assert all(
        boxes[f"t{need}"][1] < boxes[f"t{n}"][0] for n, all_ in needs.items() for need in all_
    )
    places = sorted((left, middle) for left, _, middle, _ in boxes.values())
    for (left, middle), (other, below) in itertools.pairwise(places):
        assert left != other or below - middle > 60


def test_a_picture_has_the_suffix_of_one(graph: Run, project: Path) -> None:
    assert graph("shop_daily", "--picture", "shop.png") == (
        4,
        "",
        "--picture: given shop.png, expected a name such as shop_daily.svg\n",
    )


def test_an_unknown_job_is_answered_with_the_known_ones(graph: Run) -> None:
    assert graph("x") == (4, "", "job: given 'x', expected one of other, shop_daily\n")
