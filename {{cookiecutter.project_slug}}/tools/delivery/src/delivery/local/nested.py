"""Tasks that run others: `for_each_task` and `run_job_task`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from delivery.config.scalars import as_text
from delivery.local.conditions import State
from delivery.local.job import JobPlan, run_job_plan
from delivery.local.tasks import Prepared, Report, Result, inputs_of
from delivery.local.values import JobRun, Scope, text_of


class NestedError(RuntimeError):
    """A task that this task runs failed."""


def for_each(name: str, inputs: Any, inner: Prepared) -> Prepared:
    """Run a task for each input, one after the other; all of them run, even if one fails."""
    text = as_text(inputs)

    def run(scope: Scope) -> Report:
        items = inputs_of(scope.fill(text), name)
        changes: list[Any] = []
        texts: list[str] = []
        failures: list[tuple[Any, Exception]] = []
        for number, item in enumerate(items, 1):
            one = dataclasses.replace(scope, item=(item,), run_id=f"{scope.run_id}{number:03}")
            try:
                report = inner.action(one)
                changes += report.changes
                texts += [report.text] if report.text else []
            except Exception as error:
                failures.append((item, error))
        if failures:
            first, reason = failures[0]
            raise NestedError(
                f"{len(failures)} of {len(items)} inputs failed; {text_of(first)}: {reason}"
            ) from reason
        return Result(changes, "\n".join(texts), "" if changes else f"{len(items)} inputs")

    return dataclasses.replace(inner, action=run)


def run_job(plan: JobPlan, given: Mapping[str, str]) -> Prepared:
    """Run another job of the project. The parameters of this job go to those of the same name."""

    def run(scope: Scope) -> Report:
        values = {name: scope.fill(text) for name, text in given.items()}
        pushed = {name: v for name, v in scope.run.parameters.items() if name in plan.parameters}
        child = dataclasses.replace(plan, parameters={**plan.parameters, **values, **pushed})
        run = JobRun(plan.name, trigger="run_job")
        ended = list(run_job_plan(child, run))
        lines = [
            f"{task.name}: {task.state}" + (f", {task.reason}" if task.reason else "")
            for task in ended
        ]
        for task in ended:
            if task.error:
                raise NestedError(
                    f"job {plan.key}: task {task.name} failed: {task.error}"
                ) from task.error
        done = [task for task in ended if task.state is State.SUCCESS]
        changes = [change for task in done for change in task.report.changes]
        return Result(changes, "\n".join(lines), "" if changes else f"job {plan.key}: done")

    return Prepared(run, notes=plan.notes)
