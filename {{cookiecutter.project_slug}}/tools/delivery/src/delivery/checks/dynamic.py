"""`dynamic`: values such as `{{job.parameters.day}}` refer to what the job has."""

import re
from collections.abc import Collection, Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.checks.task import Task, tasks_of
from delivery.config.closest import closest
from delivery.config.yaml import Mark, YamlMapping, string_values
from delivery.errors import Finding

RULE = "dynamic"
_VALUE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
# Single braces, such as `{job.parameters.day}`, which Python's formats have, too.
_SINGLE = re.compile(r"(?<![{$])\{(?:job|tasks?)\.[\w.-]+\}(?!\})")
_HEADS = ("job", "task", "tasks", "workspace")
_ALMOST = 0.75  # how alike a word and its misspelling are
_SOURCE = "https://docs.databricks.com/aws/en/jobs/dynamic-value-references"
_KNOWN = re.compile(
    r"job\.(?:id|name|run_id|repair_count|start_time\.\w+|parameters\.[\w.-]+"
    r"|trigger\.(?:type|file_arrival\.\w+|table_update\.\w+|time\.\w+|model\.\w+))"
    r"|task\.(?:name|run_id|execution_count|notebook_path)"
    r"|tasks\.[\w-]+\.(?:run_id|result_state|error_code|execution_count|notebook_path"
    r"|values\.[\w.`-]+|output\.(?:rows|first_row\..+|alert_state))"
    r"|workspace\.(?:id|url)|input(?:\..+)?|backfill\.iso_\w+|secrets/.+|parent_run_id|run_id|job_id"
    r"|start_date|start_time|task_retry_count|task_key"
)


@rule(RULE, scope="target")
def check_dynamic(context: CheckContext, target: str) -> Iterator[Finding]:
    """Dynamic values of parameters and tasks that the job does not have."""
    if not any("{" in text for _, text, _ in context.targets[target].texts):
        return
    jobs = context.targets[target].tree.section("resources").section("jobs")
    for key in jobs:
        job = jobs.section(key)
        parameters = [str(p.get("name")) for p, _ in job.items_of("parameters").sections()]
        names = [str(task.content.get("task_key")) for task in tasks_of(job)]
        for task in tasks_of(job):
            for text, mark in _values(task):
                yield from _check(task, text, mark, parameters, names)


def _values(task: Task) -> Iterator[tuple[str, Mark]]:
    content = YamlMapping()
    for key, value in task.content.items():
        if key != "for_each_task":
            content.put(key, value, task.content.marks[key])
    loop = task.content.section("for_each_task")
    if "inputs" in loop:
        content.put("inputs", loop["inputs"], loop.marks["inputs"])
    for _, text, mark in string_values(content):
        for found in _VALUE.finditer(text):
            yield found[1], mark
        for found in _SINGLE.finditer(text):
            yield found[0], mark


def _check(
    task: Task, text: str, mark: Mark, parameters: Collection[str], names: Collection[str]
) -> Iterator[Finding]:
    head, _, rest = text.partition(".")
    near = closest(head, _HEADS, _ALMOST) if rest and head not in _HEADS else ""
    if text.startswith("{") or near:
        right = text.strip("{}") if text.startswith("{") else f"{near}.{rest}"
        given = text if text.startswith("{") else f"{{{{{text}}}}}"
        message = f"{task.name}: given {given}, expected {{{{{right}}}}}; it stays as it is"
        yield Finding(*mark, RULE, message, f"The values: {_SOURCE}", "warning")
    elif text.startswith("job.parameters."):
        name = text.removeprefix("job.parameters.").strip("[]")
        if name not in parameters:
            yield _missing(task, text, name, parameters, "parameter of the job", mark)
    elif head == "tasks" and rest:
        name = rest.partition(".")[0]
        if name not in names:
            yield _missing(task, text, name, names, "task of the job", mark)
        elif not _KNOWN.fullmatch(text):
            yield _unknown(task, text, mark)
    elif text.startswith("input") and task.outer is None and _KNOWN.fullmatch(text):
        message = f"{task.name}: {{{{{text}}}}} outside of for_each_task, which has the inputs"
        yield Finding(*mark, RULE, message, f"The values: {_SOURCE}", "warning")
    elif head in _HEADS and not _KNOWN.fullmatch(text):
        yield _unknown(task, text, mark)


def _unknown(task: Task, text: str, mark: Mark) -> Finding:
    message = f"{task.name}: {{{{{text}}}}} is no dynamic value"
    return Finding(*mark, RULE, message, f"The values: {_SOURCE}", "warning")


def _missing(
    task: Task, text: str, name: str, known: Collection[str], what: str, mark: Mark
) -> Finding:
    near = closest(name, known)
    expected = near or f"a {what}: {', '.join(known) or 'it has none'}"
    message = f"{task.name}: {{{{{text}}}}}: given {name}, expected {expected}"
    hint = f"Write {near} for {name}." if near else f"Declare it, or name a {what}."
    return Finding(*mark, RULE, message, hint)
