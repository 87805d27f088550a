"""Runs a job on this machine, as its YAML declares it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from delivery.local.job import FinishedTask, JobPlan, run_job_plan
from delivery.local.plan import Options, plan_job
from delivery.local.values import JobRun


def plan_run(
    root: Path,
    job: str,
    target: str,
    *,
    full_refresh: bool = False,
    parameters: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    skip_unsupported: bool = False,
) -> JobPlan:
    """Plan a run of a job; see `Options` for the arguments.

    Raises:
        DeliveryError: it cannot be run here. All problems are found before the first task starts.
    """
    options = Options(full_refresh, parameters or {}, only, skip_unsupported)
    return plan_job(root, job, target, options)


def run_tasks(plan: JobPlan) -> Iterator[FinishedTask]:
    """Run the tasks of a job one after the other, as far as `run_if` lets them."""
    return run_job_plan(plan, JobRun(plan.name))
