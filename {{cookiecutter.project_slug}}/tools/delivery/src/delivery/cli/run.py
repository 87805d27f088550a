"""`delivery run`."""

import contextlib
import json
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from delivery.cli.options import Output, OutputOption
from delivery.config.root import find_root
from delivery.errors import DeliveryError, FailedError
from delivery.local.conditions import State
from delivery.local.job import FinishedTask, JobPlan
from delivery.local.problems import place_of
from delivery.local.run import plan_run, run_tasks
from delivery.local.tasks import TableChange

_FAILURE = Path(".lakehouse", "last-failure.txt")


_JobArgument = Annotated[str, typer.Argument(help="The key of the job, such as flights_daily.")]
_TargetOption = Annotated[str, typer.Option(help="The target whose names and parameters to use.")]
_ParamOption = Annotated[
    list[str] | None,
    typer.Option(help="A parameter of the job, as NAME=VALUE. Can be repeated."),
]
_TaskOption = Annotated[
    list[str] | None,
    typer.Option(help="Run only this task, with its inputs as they are. Can be repeated."),
]
_SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-unsupported",
        help="Leave out the tasks that need a workspace, and those that depend on them.",
    ),
]
_RefreshOption = Annotated[
    bool, typer.Option("--full-refresh", help="Compute all tables anew, not only what is new.")
]


def run_command(
    job: _JobArgument,
    target: _TargetOption = "dev",
    param: _ParamOption = None,
    task: _TaskOption = None,
    skip_unsupported: _SkipOption = False,
    full_refresh: _RefreshOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run a job on this machine, as its YAML declares it.

    Example: `delivery run flights_daily`

    Exit codes: 0 done, 1 a task failed, 4 the job cannot be run here.
    """
    root = find_root(Path.cwd())
    plan = plan_run(
        root,
        job,
        target,
        full_refresh=full_refresh,
        parameters=_parameters(param or []),
        only=task or [],
        skip_unsupported=skip_unsupported,
    )
    console = Console(stderr=output is Output.JSON, highlight=False, soft_wrap=True)
    console.print(f"[bold]{job}[/] as target {target}, on this machine\n")
    start = time.perf_counter()
    done = _run_tasks(plan, console, output)
    seconds = time.perf_counter() - start
    changed = sum(change.changed for result in done for change in _changes(result))
    if output is Output.JSON:
        print(json.dumps(_run_as_json(root, job, target, done, seconds, changed), indent=2))
    _raise_failures(done, root)
    news = f"{changed} tables changed" if changed else "nothing new, 0 tables changed"
    console.print(f"[green]done[/] in {seconds:.1f} s: {news}")


def _run_tasks(plan: JobPlan, console: Console, output: Output) -> list[FinishedTask]:
    for note in plan.notes:
        console.print(str(note), markup=False)
    done: list[FinishedTask] = []
    running = run_tasks(plan)
    for planned in plan.tasks:
        with console.status(f"{planned.name} …"), _printing(output):
            result = next(running)
        done.append(result)
        _show_task(console, result)
    return done


@contextlib.contextmanager
def _printing(output: Output) -> Iterator[None]:
    """Let tasks print to stdout, unless that belongs to the document."""
    with contextlib.redirect_stdout(sys.stderr if output is Output.JSON else sys.stdout):
        yield


def _parameters(given: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for text, (name, equals, _) in zip(given, pairs, strict=True):
        if not (name and equals):
            raise DeliveryError(
                f"--param: given {text!r}, expected NAME=VALUE, such as --param day=2026-01-31"
            )
    return {name: value for name, _, value in pairs}


def _raise_failures(done: list[FinishedTask], root: Path) -> None:
    """Report failures, each in one line; the tracebacks go to a file."""
    failed = [(result.name, result.error) for result in done if result.error]
    if not failed:
        return
    trace = root / _FAILURE
    trace.parent.mkdir(exist_ok=True)
    texts = ["".join(traceback.format_exception(error)) for _, error in failed]
    trace.write_text("\n".join(texts), encoding="utf-8")
    lines = [f"task {name} failed: {_reason(error, root)}" for name, error in failed]
    what = "The traceback is" if len(failed) == 1 else "The tracebacks are"
    raise FailedError("\n".join([*lines, f"{what} in {_FAILURE}."])) from failed[0][1]


def _reason(error: Exception, root: Path) -> str:
    """The first line of an error, after the line of the project that it comes from."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    place = place_of(error, root)
    return text if text.startswith(place) else f"{place}: {text}"


def _changes(done: FinishedTask) -> Sequence[TableChange]:
    return done.result.changes if done.result else ()


def _show_task(console: Console, done: FinishedTask) -> None:
    if done.state is State.FAILED:
        console.print(f"[red]✗[/] [bold]{done.name}[/] [dim]{done.seconds:.1f} s[/]\n")
        return
    if done.result is None:
        console.print(f"[dim]–[/] [bold]{done.name}[/] {done.state}: {escape(done.reason)}\n")
        return
    changes = [change for change in _changes(done) if change.changed]
    counted = ", ".join(f"{change.table} {_counts(change)}" for change in changes)
    summary = counted or escape(getattr(done.result, "note", "")) or "nothing new"
    console.print(f"[green]✓[/] [bold]{done.name}[/] [dim]{done.seconds:.1f} s[/]  {summary}")
    if done.result.text:
        text = "\n".join(f"    {line}" for line in done.result.text.splitlines())
        console.print(text, markup=False)
    console.print()


def _counts(change: TableChange) -> str:
    signs = {"+": change.inserted, "~": change.updated, "−": change.deleted}
    return " ".join(f"{sign}{count:,}" for sign, count in signs.items() if count)


def _run_as_json(
    root: Path, job: str, target: str, done: list[FinishedTask], seconds: float, changed: int
) -> dict[str, Any]:
    return {
        "job": job,
        "target": target,
        "seconds": round(seconds, 3),
        "tables_changed": changed,
        "tasks": [_task_as_json(root, result) for result in done],
    }


def _task_as_json(root: Path, done: FinishedTask) -> dict[str, Any]:
    reason = _reason(done.error, root) if done.error else done.reason
    return {
        "task": done.name,
        "state": done.state,
        "reason": reason or None,
        "seconds": round(done.seconds, 3),
        "text": done.result.text if done.result else "",
        "changes": [_change_as_json(change) for change in _changes(done)],
    }


def _change_as_json(change: TableChange) -> dict[str, Any]:
    names = ("table", "rows", "inserted", "updated", "deleted")
    return {name: getattr(change, name) for name in names}
