"""`wiring`: the jobs' YAML matches the code: entry points, tasks, parameters, order.

The code is parsed, never run, so the rule takes milliseconds and needs no Spark.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from delivery.checks.registry import CheckContext, rule
from delivery.checks.task import tasks_of
from delivery.config.closest import closest
from delivery.config.code import Code, Signature
from delivery.config.yaml import Mark, YamlMapping, kind_of, string_values
from delivery.errors import Finding, InvalidFileError

RULE = "wiring"


@rule("wiring", scope="target")
def check_wiring(context: CheckContext, target: str) -> Iterator[Finding]:
    """Jobs of a target that do not match the code."""
    jobs, code = context.targets[target].tree.section("resources").section("jobs"), context.code
    for key in jobs:
        yield from check_job(jobs.section(key), jobs.marks[key], code)


def check_job(job: YamlMapping, job_mark: Mark, code: Code) -> Iterator[Finding]:
    """Mismatches between one job, declared at `job_mark`, and the code."""
    entries = job.items_of("tasks")
    of_job = [str(entry.get("name")) for entry, _ in job.items_of("parameters").sections()]
    tasks = list(entries.sections())
    if not tasks:
        message, hint = "given no tasks, expected at least one", "tasks: [{task_key: load}]"
        yield replace(_finding(job_mark, message, hint), severity="warning")
    for entry, mark in zip(entries, entries.marks, strict=True):
        if not isinstance(entry, YamlMapping):
            yield _finding(mark, f"given {kind_of(entry)} as a task", "- task_key: load")
    yield from check_order(tasks)
    for every in tasks_of(job):
        yield from _check_compute(job, every.content)
        if "python_wheel_task" in every.content:
            try:
                if not _is_of_others(job, every.content, code):
                    yield from check_wheel_task(every.content, code, of_job)
            except InvalidFileError as error:  # still check the other tasks
                yield from error.findings


def check_order(tasks: list[tuple[YamlMapping, Mark]]) -> Iterator[Finding]:
    """Names that are given twice, and `depends_on` that has no order or names no task."""
    names = [task.get("task_key") for task, _ in tasks]
    for number, (task, mark) in enumerate(tasks):
        if task.get("task_key") in names[:number]:
            message = f"task {task_key_of(task)}: declared more than once"
            yield _finding(mark, message, "Give each task its own task_key.")
        for needed, needed_mark in task.items_of("depends_on").sections():
            if needed.get("task_key") not in names:
                message = _mismatch([task_key_of(needed)], [], list(map(str, names)))
                hint = "Name the task_key of a task of this job."
                yield _finding(needed_mark, f"task {task_key_of(task)} depends_on: {message}", hint)
    graph = {task_key_of(task): task_dependencies(task) for task, _ in tasks}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        message = f"tasks wait for each other: {' → '.join(map(str, error.args[1]))}"
        yield _finding(tasks[0][1], message, "Remove one of these depends_on.")


def task_key_of(task: YamlMapping) -> str:
    """The key of a task."""
    return str(task.get("task_key"))


def task_dependencies(task: YamlMapping) -> list[str]:
    """The keys of the tasks that a task depends on."""
    return [task_key_of(needed) for needed, _ in task.items_of("depends_on").sections()]


def _check_compute(job: YamlMapping, task: YamlMapping) -> Iterator[Finding]:
    for key, declared_in in (
        ("environment_key", "environments"),
        ("job_cluster_key", "job_clusters"),
    ):
        known = [str(entry.get(key)) for entry, _ in job.items_of(declared_in).sections()]
        if key in task and task[key] not in known:
            message = _mismatch([str(task[key])], [], known)
            hint = f"Declare it in the job: {declared_in}: [{{{key}: {task[key]}}}]"
            yield _finding(task.marks[key], f"task {task_key_of(task)} {key}: {message}", hint)


def check_wheel_task(
    task: YamlMapping, code: Code, of_job: Collection[str] = ()
) -> Iterator[Finding]:
    """Mismatches between a `python_wheel_task` and the code.

    Args:
        of_job: the parameters of the job, which it passes to each task with named parameters.
    """
    wheel = task.section("python_wheel_task")
    for key, known in (
        ("package_name", [str(code.project.get("name"))]),
        ("entry_point", list(code.project.get("scripts", {}))),
    ):
        if wheel.get(key) not in known:
            given = [str(wheel[key])] if key in wheel else []
            mark = wheel.marks.get(key, task.marks["python_wheel_task"])
            message = f"task {task_key_of(task)} {key}: {_mismatch(given, known, known)}"
            yield _finding(mark, message, f"Write {key}: {next(iter(known), 'NAME')}")
            return
    functions = code.functions(code.module_of(wheel["entry_point"]))
    takes_a_command_line = functions and "run" not in functions
    if not takes_a_command_line:
        yield from _check_parameters(task, wheel, code, of_job)


def _is_of_others(job: YamlMapping, task: YamlMapping, code: Code) -> bool:
    """Whether a task runs another package, which its libraries or its environment bring."""
    package, own = task.section("python_wheel_task").get("package_name"), code.project.get("name")
    if not isinstance(package, str) or _normal(package) == _normal(str(own)):
        return False
    texts = [text for _, text, _ in string_values(task.items_of("libraries"))]
    for environment, _ in job.items_of("environments").sections():
        if environment.get("environment_key") == task.get("environment_key"):
            texts += [text for _, text, _ in string_values(environment.section("spec"))]
    return any(
        _normal(package) in _normal(text)
        or (".whl" in text and _normal(str(own)) not in _normal(text))
        for text in texts
    )


def _normal(package: str) -> str:
    """The name of a package as pip compares it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _parameters_of(wheel: YamlMapping) -> YamlMapping | None:
    """The parameters by name; those of a list as `--name=value`, or None if it has others."""
    given, named = wheel.items_of("parameters"), wheel.get("named_parameters")
    if not given:
        is_other = named is not None and not isinstance(named, YamlMapping)
        return None if is_other else wheel.section("named_parameters")
    parameters = YamlMapping()
    for text, mark in zip(given, given.marks, strict=True):
        option = re.fullmatch(r"--([\w-]+)=(.*)", str(text), re.DOTALL)
        if not option:
            return None
        parameters.put(option[1], option[2], mark)
    return parameters


def _check_parameters(
    task: YamlMapping, wheel: YamlMapping, code: Code, of_job: Collection[str]
) -> Iterator[Finding]:
    parameters = _parameters_of(wheel)
    if parameters is None:
        return
    mark = task.marks["python_wheel_task"]
    mark = wheel.marks.get("named_parameters", wheel.marks.get("parameters", mark))
    entry = code.functions(code.module_of(wheel["entry_point"])).get("run", Signature(()))
    package = code.module_of(wheel["entry_point"]).partition(".")[0]
    domain, _, function = str(parameters.get("task", "")).partition(".")
    known = code.functions(f"{package}.{domain}.tasks") if domain else {}
    if "task" in parameters and function not in known:
        named = [f"{domain}.{name}" for name in known] or [
            f"a folder of src/{package} with tasks.py"
        ]
        message = _mismatch([str(parameters["task"])], [], named)
        hint = f"Write task: DOMAIN.FUNCTION, of src/{package}/DOMAIN/tasks.py."
        yield _finding(parameters.marks["task"], f"task {task_key_of(task)}: {message}", hint)
        return
    expected = entry + known.get(function, Signature(()))
    extra = [name for name in parameters if name not in expected.names]
    missing = [name for name in expected.required if name not in {*parameters, *of_job}]
    if extra or missing:
        mark = parameters.marks[extra[0]] if extra else mark
        message = _mismatch(extra, missing, missing or list(expected.names))
        yield _finding(
            mark,
            f"task {task_key_of(task)}: {message}",
            _parameter_hint(extra, missing or expected.names),
        )


def _mismatch(given: Iterable[str], missing: Iterable[str], known: list[str]) -> str:
    expected = ", ".join(missing) or " or ".join(known) or "nothing"
    return f"given {', '.join(given) or 'nothing'}, expected {expected}"


def _parameter_hint(extra: list[str], known: Iterable[str]) -> str:
    """A hint to rename parameters with likely typing errors, else a general one."""
    names = list(known)
    pairs = [(name, closest(name, names)) for name in extra]
    renamed = [f"{name} to {near}" for name, near in pairs if near]
    if renamed:
        return f"Rename {' and '.join(renamed)}."
    return "A task takes the parameters of its function, and of `run` in the entry point."


def _finding(mark: Mark, message: str, hint: str) -> Finding:
    return Finding(mark.file, mark.line, RULE, message, hint)
