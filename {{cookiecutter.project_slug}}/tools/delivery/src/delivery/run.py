"""Run a job on this machine, as its YAML declares it."""

import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Protocol

from delivery.bundle import Mark, Section, load, resolve
from delivery.errors import DeliveryError, Finding
from delivery.rules.wiring import Code, check_job, dependencies, name_of

RULE = "run"

# What a task may say without changing what a local run does. Any other key is refused: it is
# another kind of work, or it changes the order of things.
_TASK_KEYS = {
    "depends_on",
    "description",
    "email_notifications",
    "environment_key",
    "health",
    "job_cluster_key",
    "libraries",
    "max_retries",
    "min_retry_interval_millis",
    "notification_settings",
    "python_wheel_task",
    "retry_on_timeout",
    "task_key",
    "timeout_seconds",
}
_JOB_KEYS_REFUSED = {"parameters", "git_source"}


class Change(Protocol):
    """What a task did to a table."""

    table: str
    rows: int
    inserted: int
    updated: int
    deleted: int
    changed: bool


class Report(Protocol):
    """What the entry point's `run` returns."""

    changes: Sequence[Change]
    text: str


@dataclass(frozen=True)
class Step:
    """One task, ready to run: its name, and the call that does it."""

    name: str
    call: Callable[[], Report]


@dataclass(frozen=True)
class Done:
    """One task that ran."""

    name: str
    seconds: float
    report: Report


def plan_run(root: Path, job: str, target: str) -> list[Step]:
    """The job's tasks in the order of their dependencies.

    Raises:
        DeliveryError: there is no such job or target, the YAML does not fit the code, or the job
            needs what only a workspace has. Everything is found before the first task starts.
    """
    resolved = resolve(load(root), target)
    code = Code(root)
    declared = _job(resolved.tree, job)
    home = resolved.tree.section("resources").section("jobs").marks[job]
    problems = [*resolved.findings, *check_job(declared, home, code), *_refused(declared)]
    if problems:
        raise DeliveryError("\n".join(map(str, sorted(set(problems)))))
    tasks = {name_of(task): task for task, _ in declared.items_of("tasks").sections()}
    order = TopologicalSorter({name: dependencies(task) for name, task in tasks.items()})
    return [_step(tasks[name], code) for name in order.static_order()]


def run_steps(steps: Sequence[Step]) -> Iterator[Done]:
    """Run the steps, one after the other; the first failure ends it."""
    for step in steps:
        start = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to the result
            report = step.call()
        yield Done(step.name, time.perf_counter() - start, report)


def _job(tree: Section, name: str) -> Section:
    jobs = tree.section("resources").section("jobs")
    if name not in jobs:
        raise DeliveryError(f"job: given {name!r}, expected one of {', '.join(jobs)}")
    return jobs.section(name)


def _refused(job: Section) -> Iterator[Finding]:
    for key in _JOB_KEYS_REFUSED & set(job):
        yield _only_there(job.marks[key], f"{key} of the job")
    for task, _ in job.items_of("tasks").sections():
        for key in set(task) - _TASK_KEYS:
            yield _only_there(task.marks[key], f"task {name_of(task)}: {key}")
        parameters = task.section("python_wheel_task").section("named_parameters")
        for key, value in parameters.items():
            if "{{" in str(value):
                yield _only_there(parameters.marks[key], f"task {name_of(task)}: {key}: {value}")


def _only_there(mark: Mark, what: str) -> Finding:
    mend = "Run it in a workspace: databricks bundle run."
    return Finding(mark.file, mark.line, RULE, f"{what} cannot be run on this machine", mend)


def _step(task: Section, code: Code) -> Step:
    wheel = task.section("python_wheel_task")
    module = code.module_of(wheel["entry_point"])
    parameters = {name: str(value) for name, value in wheel.section("named_parameters").items()}

    def call() -> Report:
        report: Report = importlib.import_module(module).run(**parameters)
        return report

    return Step(name_of(task), call)
