"""`task`: what a task of a job needs, whatever its kind of work is."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from delivery.checks.registry import CheckContext, rule
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding

RULE = "task"
COMPUTE = ("environment_key", "job_cluster_key", "existing_cluster_id", "new_cluster")
# These run on compute that the task names; a notebook may run on serverless compute of its own.
_NEED_COMPUTE = (
    *("dbt_task", "python_wheel_task"),
    *("spark_jar_task", "spark_python_task", "spark_submit_task"),
)
_KEY = re.compile(r"[\w-]{1,100}")
_RETRIES = ("max_retries", "min_retry_interval_millis", "retry_on_timeout")
_API = "https://docs.databricks.com/api/workspace/jobs/create"


class Task(NamedTuple):
    """A task, and the task whose `for_each_task` it is inside of, if it is."""

    content: YamlMapping
    mark: Mark
    outer: YamlMapping | None = None

    @property
    def name(self) -> str:
        """How findings name it."""
        return f"task {self.content.get('task_key')}"

    @property
    def work(self) -> list[str]:
        """The fields that say what it does; exactly one is right."""
        return [key for key in self.content if key.endswith("_task")]


def tasks_of(job: YamlMapping) -> Iterator[Task]:
    """The tasks of a job, and those inside of `for_each_task`."""
    for content, mark in job.items_of("tasks").sections():
        yield Task(content, mark)
        loop = content.section("for_each_task")
        if "task" in loop:
            yield Task(loop.section("task"), loop.marks["task"], content)


@rule(RULE, scope="target")
def check_task(context: CheckContext, target: str) -> Iterator[Finding]:
    """Tasks without compute or work, and settings that the Jobs API refuses."""
    jobs = context.targets[target].tree.section("resources").section("jobs")
    for key in jobs:
        job = jobs.section(key)
        yield from _repeated_environments(job)
        for task in tasks_of(job):
            yield from _compute(task)
            yield from _refused_by_api(task)
            yield from _outcomes(task, job)


def _compute(task: Task) -> Iterator[Finding]:
    needs = [work for work in task.work if work in _NEED_COMPUTE]
    if needs and not any(task.content.get(key) for key in COMPUTE):
        message = f"{task.name}: {needs[0]} without compute, expected one of {', '.join(COMPUTE)}"
        yield Finding(*task.mark, RULE, message, "environment_key: default")


def _refused_by_api(task: Task) -> Iterator[Finding]:
    """What the CLI deploys, and the Jobs API refuses."""
    content, key = task.content, task.content.get("task_key")
    if len(task.work) != 1:
        given = ", ".join(task.work) or "none"
        message = f"{task.name}: given the work {given}, expected one, such as notebook_task"
        mark = content.marks[task.work[1]] if task.work else task.mark
        yield _warning(mark, message)
    if isinstance(key, str) and not _KEY.fullmatch(key):
        message = f"{task.name}: expected 1 to 100 letters, digits, - and _"
        yield _warning(content.marks["task_key"], message)
    if "for_each_task" in content and task.outer is not None:
        message = f"{task.name}: a loop inside of a loop"
        yield _warning(content.marks["for_each_task"], message)
    if "for_each_task" in content and task.outer is None:
        for name in (name for name in _RETRIES if name in content):
            message = f"{task.name}: {name} of the loop, expected it in for_each_task.task"
            yield _warning(content.marks[name], message)


def _outcomes(task: Task, job: YamlMapping) -> Iterator[Finding]:
    """Outcomes of conditions: only conditions have one, and it is true or false."""
    others = {str(one.content.get("task_key")): one for one in tasks_of(job) if one.outer is None}
    for needed, _ in task.content.items_of("depends_on").sections():
        other = others.get(str(needed.get("task_key")))
        if "outcome" not in needed or other is None:
            continue
        given = str(needed["outcome"]).lower() if needed["outcome"] in (True, False) else None
        given = given or str(needed["outcome"])
        mark = needed.marks["outcome"]
        if "condition_task" not in other.content:
            message = f"{task.name}: given an outcome of {other.name}, which is no condition_task"
            yield _warning(mark, message)
        elif given not in ("true", "false"):
            message = f"{task.name}: outcome: given {given}, expected true or false"
            yield _warning(mark, message)


def _repeated_environments(job: YamlMapping) -> Iterator[Finding]:
    """Keys that stand twice: the CLI does not merge environments across targets."""
    seen: set[str] = set()
    for environment, mark in job.items_of("environments").sections():
        key = str(environment.get("environment_key"))
        if key in seen:
            message = f"environment_key {key}: declared more than once; the CLI does not merge them"
            yield _warning(environment.marks.get("environment_key", mark), message)
        seen.add(key)


def _warning(mark: Mark, message: str) -> Finding:
    hint = f"The Jobs API refuses it: {_API}"
    return Finding(*mark, RULE, message, hint, "warning")
