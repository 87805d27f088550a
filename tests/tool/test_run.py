"""A job run on this machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from delivery.errors import DeliveryError
from delivery.local.run import plan_run, run_tasks

Edit = Callable[[str, str, str], None]
JOB = "resources/shop/job.yml"


def test_tasks_run_in_the_order_of_their_dependencies(project: Path) -> None:
    done = list(run_tasks(plan_run(project, "shop_daily", "dev")))
    assert [result.name for result in done] == ["load", "count"]
    assert done[0].report.text == "loaded [into] demo_dev.shop_gold"
    assert done[0].seconds >= 0


def test_the_target_gives_the_parameters(project: Path) -> None:
    done = list(run_tasks(plan_run(project, "shop_daily", "prod")))
    assert done[0].report.text == "loaded [into] demo_prod.shop_gold"


def test_an_unknown_job_is_answered_with_the_known_ones(project: Path) -> None:
    with pytest.raises(DeliveryError, match="job: given 'x', expected one of shop_daily"):
        plan_run(project, "x", "dev")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("python_wheel_task:", "notebook_task:", "task count: notebook_task cannot be run"),
        ("          environment_key: default\n", "          run_if: ALL_DONE\n", "count: run_if"),
        ("task: shop.load", "task: '{{tasks.x.values.y}}'", "given {{tasks.x.values.y}}"),
        (
            "schema: ${resources.schemas.shop_gold.name}",
            "schema: '{{job.id}}'",
            "schema: {{job.id}}",
        ),
        ("      name: shop_daily\n", "      parameters: []\n", ":4: parameters of the job"),
        ("${var.catalog}", "${var.catalgo}", "given catalgo, expected a variable"),
    ],
)
def test_what_only_a_workspace_can_do_is_refused_before_the_first_task(
    project: Path, edit: Edit, old: str, new: str, message: str
) -> None:
    edit(JOB, old, new)
    with pytest.raises(DeliveryError) as caught:
        plan_run(project, "shop_daily", "dev")
    assert message in str(caught.value)
    assert JOB in str(caught.value)


def test_the_first_failure_ends_the_run(project: Path, edit: Edit) -> None:
    edit("src/app/shop/tasks.py", '    print("loading", schema)', "    raise OSError('full')")
    running = run_tasks(plan_run(project, "shop_daily", "dev"))
    with pytest.raises(OSError, match="full"):
        next(running)
    assert list(running) == []
