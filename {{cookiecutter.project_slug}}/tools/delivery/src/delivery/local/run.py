"""Run a job on this machine, as its YAML declares it."""

import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Protocol

from delivery.checks.wiring import check_job, task_dependencies, task_key_of
from delivery.config.bundle import load_bundle
from delivery.config.code import Code
from delivery.config.references import resolve
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import DeliveryError, Finding

RULE = "run"
FULL_REFRESH = "full_refresh"  # the parameter of the entry point that `--full-refresh` sets

# Keys of a task that a local run can ignore, or carry out. All others are refused: they are another
# kind of work, or change the order of tasks.
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


class TableChange(Protocol):
    """A task's changes to a table."""

    table: str
    rows: int
    inserted: int
    updated: int
    deleted: int
    changed: bool


class Report(Protocol):
    """What the entry point's `run` returns."""

    changes: Sequence[TableChange]
    text: str


@dataclass(frozen=True)
class Task:
    """A task that is ready to run."""

    name: str
    call: Callable[[], Report]


@dataclass(frozen=True)
class FinishedTask:
    """A task that has ended."""

    name: str
    seconds: float
    report: Report


def plan_run(root: Path, job: str, target: str, *, full_refresh: bool = False) -> list[Task]:
    """The job's tasks in the order of their dependencies.

    Args:
        full_refresh: pass `full_refresh=true` to each task.

    Raises:
        DeliveryError: there is no such job or target, its YAML does not fit the code, or it needs a
            workspace. All problems are found before the first task starts.
    """
    resolved = resolve(load_bundle(root), target)
    code = Code(root)
    declared = _job(resolved.tree, job)
    mark = resolved.tree.section("resources").section("jobs").marks[job]
    problems = [*resolved.findings, *check_job(declared, mark, code), *_needs_workspace(declared)]
    if problems:
        raise DeliveryError("\n".join(map(str, sorted(set(problems)))))
    tasks = {task_key_of(task): task for task, _ in declared.items_of("tasks").sections()}
    order = TopologicalSorter({name: task_dependencies(task) for name, task in tasks.items()})
    extra = {FULL_REFRESH: "true"} if full_refresh else {}
    return [_task(tasks[name], code, extra) for name in order.static_order()]


def run_tasks(tasks: Sequence[Task]) -> Iterator[FinishedTask]:
    """Run tasks one after the other; the first failure ends it."""
    for task in tasks:
        start = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to the result
            report = task.call()
        yield FinishedTask(task.name, time.perf_counter() - start, report)


def _job(tree: YamlMapping, name: str) -> YamlMapping:
    jobs = tree.section("resources").section("jobs")
    if not jobs:
        raise DeliveryError(
            f"job: given {name!r}, but the project has no job\n"
            "    Create a domain with one: delivery new domain orders"
        )
    if name not in jobs:
        raise DeliveryError(f"job: given {name!r}, expected one of {', '.join(jobs)}")
    return jobs.section(name)


def _needs_workspace(job: YamlMapping) -> Iterator[Finding]:
    for key in _JOB_KEYS_REFUSED & set(job):
        yield _finding(job.marks[key], f"{key} of the job")
    for task, _ in job.items_of("tasks").sections():
        for key in set(task) - _TASK_KEYS:
            yield _finding(task.marks[key], f"task {task_key_of(task)}: {key}")
        parameters = task.section("python_wheel_task").section("named_parameters")
        for key, value in parameters.items():
            if "{{" in str(value):
                yield _finding(parameters.marks[key], f"task {task_key_of(task)}: {key}: {value}")


def _finding(mark: Mark, what: str) -> Finding:
    hint = "Run it in a workspace: databricks bundle run."
    return Finding(mark.file, mark.line, RULE, f"{what} cannot be run on this machine", hint)


def _task(task: YamlMapping, code: Code, extra: Mapping[str, str]) -> Task:
    wheel = task.section("python_wheel_task")
    module = code.module_of(wheel["entry_point"])
    parameters = {name: str(value) for name, value in wheel.section("named_parameters").items()}
    unknown = [name for name in extra if name not in _parameters(code, module)]
    if unknown:
        name = task_key_of(task)
        raise DeliveryError(
            f"task {name}: given {', '.join(unknown)}, expected a parameter of `run` in {module}\n"
            f"Add it: def run(task: str, …, {unknown[0]}: str = 'false')"
        )

    def call() -> Report:
        report: Report = importlib.import_module(module).run(**{**parameters, **extra})
        return report

    return Task(task_key_of(task), call)


def _parameters(code: Code, module: str) -> Sequence[str]:
    run = code.functions(module).get("run")
    return list(run.names) if run else []
