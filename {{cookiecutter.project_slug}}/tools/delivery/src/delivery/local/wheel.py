"""`python_wheel_task` with the package of this project."""

import importlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from delivery.checks.wiring import task_key_of
from delivery.config.code import Signature
from delivery.config.scalars import as_text
from delivery.config.yaml import YamlMapping
from delivery.errors import DeliveryError, Finding
from delivery.local.problems import RULE
from delivery.local.project import Project
from delivery.local.runtime import command_line, ends_well, names_of_wheel, runtime
from delivery.local.tasks import Prepared, Report, Result, texts_of
from delivery.local.values import Scope

FULL_REFRESH = "full_refresh"  # the parameter of the entry point that `--full-refresh` sets


def prepare_wheel(
    task: YamlMapping, project: Project, parameters: Collection[str], extra: Mapping[str, str]
) -> Prepared:
    """A `python_wheel_task` with the package of this project.

    Args:
        parameters: the parameters of the job.
        extra: what the command line gives to each task.
    """
    wheel = task.section("python_wheel_task")
    module = project.code.module_of(wheel["entry_point"])
    run = project.code.functions(module).get("run")
    if run is None or "parameters" in wheel:
        return _script_of_wheel(wheel, project)
    unknown = [name for name in extra if name not in run.names]
    if unknown:
        raise DeliveryError(
            f"task {task_key_of(task)}: given {', '.join(unknown)}, expected a parameter of `run` "
            f"in {module}\nAdd it: def run(task: str, …, {unknown[0]}: str = 'false')"
        )
    named = texts_of(wheel.section("named_parameters"))
    taken = _signature(wheel, project, run).names

    def call(scope: Scope) -> Report:
        values = {name: scope.fill(text) for name, text in named.items()}
        pushed = {name: v for name, v in scope.run.parameters.items() if name in taken}
        with runtime(names_of_wheel(project.package, scope)), ends_well():
            return _as_report(importlib.import_module(module).run(**{**values, **pushed, **extra}))
        return Result(note="done")

    return Prepared(call, notes=[*_not_taken(task, parameters, taken)])


def _signature(wheel: YamlMapping, project: Project, run: Signature) -> Signature:
    """The parameters of `run` and of the function that the task names."""
    domain, _, function = str(wheel.section("named_parameters").get("task", "")).partition(".")
    known = project.code.functions(f"{project.package}.{domain}.tasks") if domain else {}
    return run + known.get(function, Signature(()))


def _not_taken(
    task: YamlMapping, parameters: Collection[str], taken: Collection[str]
) -> Sequence[Finding]:
    others = [name for name in parameters if name not in taken]
    if not others:
        return []
    mark = task.marks["python_wheel_task"]
    message = f"task {task_key_of(task)}: a workspace also passes it {', '.join(others)}"
    hint = (
        "Jobs pass their parameters to each task with named parameters; add them to its function."
    )
    return [Finding(mark.file, mark.line, RULE, message, hint, "warning")]


def _script_of_wheel(wheel: YamlMapping, project: Project) -> Prepared:
    """An entry point that is called with a command line."""
    entry = str(wheel["entry_point"])
    module, _, function = str(project.code.project["scripts"][entry]).partition(":")
    named = texts_of(wheel.section("named_parameters"))
    takes_names = "named_parameters" in wheel
    positional = [as_text(value) for value in wheel.items_of("parameters")]

    def call(scope: Scope) -> Report:
        pushed = {**named, **scope.run.parameters} if takes_names else {}
        values = {name: scope.fill(text) for name, text in pushed.items()}
        arguments = [*map(scope.fill, positional), *(f"--{k}={v}" for k, v in values.items())]
        names = names_of_wheel(project.package, scope)
        with command_line([entry, *arguments]), runtime(names), ends_well():
            getattr(importlib.import_module(module), function or "main")()
        return Result(note="done")

    return Prepared(call)


def _as_report(value: Any) -> Report:
    is_report = hasattr(value, "changes") and hasattr(value, "text")
    report: Report = value if is_report else Result(note="done")
    return report
