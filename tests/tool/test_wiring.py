"""Whether the jobs' YAML fits the code."""

from collections.abc import Callable
from pathlib import Path

import pytest
from delivery.checks.registry import CheckContext, check
from delivery.checks.wiring import check_wiring

Edit = Callable[[str, str, str], None]
JOB = "resources/shop/job.yml"


def findings(project: Path) -> list[str]:
    return [str(finding) for finding in check_wiring(CheckContext(project), "dev")]


def test_a_job_that_fits_has_no_findings(project: Path) -> None:
    assert findings(project) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "              schema:",
            "              shcema:",
            f"{JOB}:26: task load: given shcema, expected schema\n    Rename shcema to schema.",
        ),
        (
            "              schema: ${resources.schemas.shop_gold.name}\n",
            "",
            f"{JOB}:23: task load: given nothing, expected schema",
        ),
        (
            "              schema:",
            "              x: 1\n              schema:",
            f"{JOB}:26: task load: given x, expected task or catalog or schema or speed",
        ),
        (
            "task: shop.load",
            "task: shop.laod",
            f"{JOB}:24: task load: given shop.laod, expected shop.load or shop.count",
        ),
        (
            "task: shop.load",
            "task: shpo.load",
            f"{JOB}:24: task load: given shpo.load, expected a folder of src/app with tasks.py",
        ),
        (
            "task: shop.load",
            "task: shop._helper",
            f"{JOB}:24: task load: given shop._helper, expected shop.load or shop.count",
        ),
        (
            "            - task_key: load\n",
            "            - task_key: laod\n",
            f"{JOB}:11: task count depends_on: given laod, expected count or load",
        ),
        (
            "        - task_key: load\n",
            "        - task_key: count\n",
            f"{JOB}:18: task count: declared more than once",
        ),
        (
            "        - environment_key: default",
            "        - environment_key: other",
            f"{JOB}:9: task count environment_key: given default, expected other",
        ),
    ],
)
def test_a_slip_is_told_with_its_place_and_mend(
    project: Path, edit: Edit, old: str, new: str, expected: str
) -> None:
    edit(JOB, old, new)
    assert any(finding.startswith(expected) for finding in findings(project))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("entry_point: app", "entry_point: ap", "task count entry_point: given ap, expected app"),
        (
            "package_name: app",
            "package_name: ap",
            "task count package_name: given ap, expected app",
        ),
        (
            "            entry_point: app\n",
            "",
            "task count entry_point: given nothing, expected app",
        ),
    ],
)
def test_an_entry_that_is_not_declared_is_found(
    project: Path, edit: Edit, old: str, new: str, expected: str
) -> None:
    edit(JOB, old, new)
    assert any(expected in finding for finding in findings(project))


def test_an_optional_parameter_may_be_given(project: Path, edit: Edit) -> None:
    edit(JOB, "              schema:", "              speed: slow\n              schema:")
    assert findings(project) == []


def test_tasks_that_wait_for_each_other_are_found(project: Path, edit: Edit) -> None:
    old = "        - task_key: load\n          environment_key: default\n"
    edit(JOB, old, f"{old}          depends_on: [{{task_key: count}}]\n")
    assert any("wait for each other: " in finding for finding in findings(project))


def test_a_job_without_tasks_is_found(project: Path, edit: Edit) -> None:
    edit(JOB, "      tasks:", "      taks:")
    assert findings(project) == [
        f"{JOB}:3: warning: given no tasks, expected at least one\n    tasks: [{{task_key: load}}]"
    ]


def test_a_task_without_a_name_is_found(project: Path, edit: Edit) -> None:
    edit(JOB, "        - task_key: count\n          environment", "        - environment")
    (finding,) = check(CheckContext(project), ["model", "wiring"])
    assert finding.message.endswith("missing task_key")


def test_other_kinds_of_tasks_are_not_judged(project: Path, edit: Edit) -> None:
    edit(JOB, "python_wheel_task:", "notebook_task:")
    assert findings(project) == []
