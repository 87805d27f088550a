"""`task`: what a task of a job needs, whatever its kind of work is."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from delivery.checks.registry import CheckContext, rule
from delivery.config.closest import closest
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
_JOB_ID = re.compile(r"<resources\.jobs\.([\w-]+)\.id>")
_RUN_JOB = "https://docs.databricks.com/aws/en/jobs/run-job"
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
        yield from _repeated(job, "environments", "environment_key", "the CLI keeps both")
        yield from _repeated(job, "parameters", "name", "the CLI keeps the last")
        for task in tasks_of(job):
            yield from check_compute(task)
            yield from _refused_by_api(task)
            yield from _outcomes(task, job)
            yield from _called_job(task, key, jobs)


def check_compute(task: Task) -> Iterator[Finding]:
    """Work without the compute that it needs; notebooks and SQL may have none."""
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
    if task.outer is not None and key is not None and key == task.outer.get("task_key"):
        message = f"{task.name}: named like its loop, expected a name of its own"
        yield _warning(content.marks["task_key"], message)
    loop = content.section("for_each_task")
    if not _is_list(loop.get("inputs", "[]")):
        message = (
            f"{task.name}: inputs: given {loop['inputs']}, expected a JSON list or a reference"
        )
        yield _warning(loop.marks["inputs"], message)
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


def _is_list(text: Any) -> bool:
    """Whether the inputs of a loop are a list, or are not known yet."""
    if not isinstance(text, str) or any(part in text for part in ("{{", "${", "<")):
        return True
    try:
        return isinstance(json.loads(text), list)
    except json.JSONDecodeError:
        return False


def _called_job(task: Task, key: str, jobs: YamlMapping) -> Iterator[Finding]:
    """Jobs that call themselves, and parameters that the called job does not declare."""
    call = task.content.section("run_job_task")
    called = _JOB_ID.fullmatch(str(call.get("job_id")))
    if not called or called[1] not in jobs:
        return
    hint = f"See {_RUN_JOB}"
    if called[1] == key:
        message = f"{task.name}: job {key} runs itself, without an end"
        yield Finding(*call.marks["job_id"], RULE, message, hint, "warning")
    parameters = jobs.section(called[1]).items_of("parameters")
    declared = [str(parameter.get("name")) for parameter, _ in parameters.sections()]
    given = call.section("job_parameters")
    for name in (name for name in given if name not in declared):
        known = f"a parameter of job {called[1]}: {', '.join(declared) or 'it has none'}"
        expected = closest(name, declared) or known
        message = f"{task.name}: job_parameters: given {name}, expected {expected}"
        yield Finding(*given.marks[name], RULE, message, hint, "warning")


def _repeated(job: YamlMapping, field: str, key: str, what: str) -> Iterator[Finding]:
    """Entries of the same name, in one list or across targets."""
    seen: set[str] = set()
    for entry, mark in job.items_of(field).sections():
        name = str(entry.get(key))
        if name in seen:
            message = f"{field}: {name} is declared more than once; {what}"
            yield _warning(entry.marks.get(key, mark), message)
        seen.add(name)


def _warning(mark: Mark, message: str) -> Finding:
    hint = f"The Jobs API refuses it: {_API}"
    return Finding(*mark, RULE, message, hint, "warning")
