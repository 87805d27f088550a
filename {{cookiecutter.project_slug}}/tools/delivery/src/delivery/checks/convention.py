"""`convention`: what the policy expects of every job, such as a time limit and retries."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from delivery.checks.registry import CheckContext, rule
from delivery.checks.task import Task, tasks_of
from delivery.config.closest import closest
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding

if TYPE_CHECKING:
    from delivery.config.policy import Conventions

RULE = "convention"
_ALMOST = 0.8  # how alike a field and its misspelling are
_DURATION = "RUN_DURATION_SECONDS"
# Work that may fail for reasons that pass. Conditions, loops and other jobs are not repeated.
_RETRIED = (
    *("dbt_task", "notebook_task", "pipeline_task", "python_wheel_task"),
    *("spark_jar_task", "spark_python_task", "spark_submit_task", "sql_task"),
)


@rule(RULE, scope="released", needs="root")
def check_convention(context: CheckContext, target: str) -> Iterator[Finding]:
    """Jobs that do not follow `conventions` of the policy."""
    expected = context.policy.conventions
    jobs = context.targets[target].tree.section("resources").section("jobs")
    for key in jobs:
        job, mark = jobs.section(key), jobs.marks[key]
        for place, message, hint in _of_job(job, mark, expected):
            yield Finding(*place, RULE, f"jobs.{key}: {message}", hint)
        for task in tasks_of(job):
            for place, message, hint in _of_task(task, expected):
                yield Finding(*place, RULE, f"jobs.{key}: {task.name}: {message}", hint)


_Problem = tuple[Mark, str, str]


def _of_job(job: YamlMapping, mark: Mark, expected: "Conventions") -> Iterator[_Problem]:
    timeout = job.get("timeout_seconds", 0)
    if expected.timeout and not timeout and not _is_misspelt("timeout_seconds", job):
        yield mark, "no timeout_seconds, expected a time limit", "timeout_seconds: 3600"
    runs = job.get("max_concurrent_runs", 1)
    most = expected.max_concurrent_runs
    if most is not None and isinstance(runs, int) and runs > most:
        message = f"max_concurrent_runs: given {runs}, expected at most {most}"
        yield job.marks["max_concurrent_runs"], message, f"max_concurrent_runs: {most}"
    if expected.queue and job.section("queue").get("enabled") is not True:
        yield mark, "no queue, so a run that meets another one is skipped", "queue: {enabled: true}"
    schedule = job.section("schedule")
    zone = schedule.get("timezone_id")
    if expected.timezone and zone and zone != expected.timezone:
        place = schedule.marks["timezone_id"]
        message = f"schedule.timezone_id: given {zone}, expected {expected.timezone}"
        yield place, message, f"timezone_id: {expected.timezone}"
    rules = [one for one, _ in job.section("health").items_of("rules").sections()]
    warned = [one.get("value") for one in rules if one.get("metric") == _DURATION]
    if expected.duration_warning and not warned:
        message = "no warning about long runs"
        hint = f"health: {{rules: [{{metric: {_DURATION}, op: GREATER_THAN, value: 900}}]}}"
        yield mark, message, hint
    for value in warned:
        if isinstance(value, int) and isinstance(timeout, int) and 0 < timeout <= value:
            message = f"health: given a warning after {value} s, expected less than the time limit"
            yield job.marks["health"], message, f"value: {timeout * 3 // 4}"


def _is_misspelt(field: str, section: YamlMapping) -> bool:
    """Whether a field is missing because of a typing error, which the rule `model` tells."""
    return field not in section and bool(closest(field, section, _ALMOST))


def _of_task(task: Task, expected: "Conventions") -> Iterator[_Problem]:
    given = task.content.get("max_retries", 0)
    can_retry = any(work in _RETRIED for work in task.work)
    if _is_misspelt("max_retries", task.content):
        return
    if can_retry and isinstance(given, int) and 0 <= given < expected.retries:
        place = task.content.marks.get("max_retries", task.mark)
        shown = given if "max_retries" in task.content else "none"
        message = f"max_retries: given {shown}, expected at least {expected.retries}"
        yield place, message, f"max_retries: {expected.retries}"
