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
        ("python_wheel_task:", "dbt_task:", "task count: dbt_task cannot be run on this machine"),
        (
            "          python_wheel_task:",
            "          run_if: OFTEN\n          python_wheel_task:",
            "given OFTEN",
        ),
        (
            "          python_wheel_task:",
            "          colour: red\n          python_wheel_task:",
            "count: colour cannot",
        ),
        ("          environment_key: default\n", "", "python_wheel_task without compute"),
        ("task: shop.load", "task: '{{tasks.x.values.y}}'", "given {{tasks.x.values.y}}"),
        (
            "schema: ${resources.schemas.shop_gold.name}",
            "schema: '{{job.id}}'",
            "schema: {{job.id}}",
        ),
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


def test_a_failure_skips_the_tasks_that_depend_on_it(project: Path, edit: Edit) -> None:
    edit("src/app/shop/tasks.py", '    print("loading", schema)', "    raise OSError('full')")
    first, second = run_tasks(plan_run(project, "shop_daily", "dev"))
    assert (first.name, first.state) == ("load", "failed")
    assert (second.name, second.state, second.reason) == ("count", "skipped", "load failed")
    with pytest.raises(OSError, match="full"):
        print(first.report)
