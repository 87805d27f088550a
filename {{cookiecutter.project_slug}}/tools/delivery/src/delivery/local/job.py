"""A job as it is planned, and how its tasks run one after the other."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from delivery.errors import Finding
from delivery.local.conditions import State, state_without_running
from delivery.local.tasks import Action, Report
from delivery.local.values import Ended, JobRun, Scope


@dataclass(frozen=True)
class Need:
    """A task that must end first; `outcome` is the one that a condition must have."""

    task: str
    outcome: str = ""


@dataclass(frozen=True)
class Task:
    """A task of a planned run.

    Attributes:
        kind: the key of what it does.
        action: runs it; None if it is skipped.
        skipped: why it is not run.
        notebook: the path of its notebook, if it is one.
    """

    name: str
    kind: str
    needs: tuple[Need, ...] = ()
    run_if: str = "ALL_SUCCESS"
    action: Action | None = None
    skipped: str = ""
    notebook: str = ""
    disabled: bool = False


@dataclass(frozen=True)
class JobPlan:
    """A run of a job.

    Attributes:
        key, name: its key in the bundle, and its name.
        parameters: its parameters, with dynamic values unfilled.
        tasks: its tasks in the order in which they start.
        notes: what a workspace does otherwise.
    """

    key: str
    name: str
    parameters: Mapping[str, str]
    tasks: tuple[Task, ...]
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class FinishedTask:
    """A task that has ended.

    Attributes:
        reason: why it did not run, if it did not.
        error: why it failed, if it failed.
        result: what it did, if it succeeded.
    """

    name: str
    seconds: float = 0.0
    state: State = State.SUCCESS
    reason: str = ""
    error: Exception | None = None
    result: Report | None = None

    @property
    def report(self) -> Report:
        """What the task did; if it failed, its error is raised."""
        if self.error:
            raise self.error
        if self.result is None:
            raise ValueError(f"task {self.name} did not run: {self.reason}")
        return self.result


def run_job_plan(plan: JobPlan, run: JobRun) -> Iterator[FinishedTask]:
    """Run the tasks one after the other, as far as `run_if` and conditions let them."""
    of_job = Scope(run, "", str(run.run_id))
    run.parameters = {name: of_job.fill(text) for name, text in plan.parameters.items()}
    outcomes: dict[str, str] = {}
    for number, task in enumerate(plan.tasks, 1):
        scope = Scope(run, task.name, f"{run.run_id}{number:02}", task.notebook)
        done = _without_running(task, run, outcomes) or _run_task(task, scope)
        rows = getattr(done.result, "rows", ())
        if task.kind == "condition_task":
            outcomes[task.name] = getattr(done.result, "note", "")
        run.ended[task.name] = Ended(done.state, scope.run_id, scope.values, rows, task.notebook)
        yield done


def _without_running(task: Task, run: JobRun, outcomes: Mapping[str, str]) -> FinishedTask | None:
    """How a task ends that does not run; None if it runs."""
    if task.skipped:
        return FinishedTask(task.name, state=State.SKIPPED, reason=task.skipped)
    if task.disabled:
        return FinishedTask(task.name, state=State.EXCLUDED, reason="it is disabled")
    states = {need.task: run.ended[need.task].state for need in task.needs}
    for need in task.needs:
        outcome = outcomes.get(need.task) or f"{states[need.task]}"
        if need.outcome and outcome != need.outcome.lower():
            ran_well = states[need.task] in (State.SUCCESS, State.EXCLUDED)
            state = State.EXCLUDED if ran_well else State.SKIPPED
            return FinishedTask(task.name, state=state, reason=f"{need.task} is {outcome}")
    decided = state_without_running(task.run_if, [*states.values()])
    if decided is None:
        return None
    return FinishedTask(task.name, state=decided, reason=_reason(task, decided, states))


def _reason(task: Task, state: State, states: Mapping[str, State]) -> str:
    if state is State.SKIPPED:
        name = next(name for name, s in states.items() if s in (State.FAILED, State.SKIPPED))
        return f"{name} {states[name]}" if states[name] is State.FAILED else f"{name} was skipped"
    if {*states.values()} == {State.EXCLUDED}:
        return f"{', '.join(states)} excluded"
    return f"run_if is {task.run_if}"


def _run_task(task: Task, scope: Scope) -> FinishedTask:
    if task.action is None:
        raise ValueError(f"task {task.name}: planned without an action")
    start = time.perf_counter()
    try:
        report = task.action(scope)
    except Exception as error:  # others that do not depend on it still run
        seconds = time.perf_counter() - start
        return FinishedTask(task.name, seconds, State.FAILED, error=error)
    return FinishedTask(task.name, time.perf_counter() - start, result=report)
