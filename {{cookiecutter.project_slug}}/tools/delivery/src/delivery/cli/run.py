"""`delivery run`."""

import contextlib
import json
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from delivery.cli.options import Output, OutputOption
from delivery.config.root import find_root
from delivery.errors import FailedError
from delivery.local.run import FinishedTask, TableChange, plan_run, run_tasks


def run_command(
    job: Annotated[str, typer.Argument(help="The key of the job, such as flights_daily.")],
    target: Annotated[
        str, typer.Option(help="The target whose names and parameters to use.")
    ] = "dev",
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Compute all tables anew, not only what is new.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run a job on this machine, as its YAML declares it.

    Example: `delivery run flights_daily`

    Exit codes: 0 done, 1 a task failed, 4 the job cannot be run here.
    """
    root = find_root(Path.cwd())
    tasks = plan_run(root, job, target, full_refresh=full_refresh)
    console = Console(stderr=output is Output.JSON, highlight=False, soft_wrap=True)
    start = time.perf_counter()
    console.print(f"[bold]{job}[/] as target {target}, on this machine\n")
    done: list[FinishedTask] = []
    running = run_tasks(tasks)
    for task in tasks:
        with console.status(f"{task.name} …"), _failure_of(task.name, root):
            result = next(running)
        done.append(result)
        _show_task(console, result)
    seconds = time.perf_counter() - start
    changed = sum(change.changed for result in done for change in result.report.changes)
    news = f"{changed} tables changed" if changed else "nothing new, 0 tables changed"
    console.print(f"[green]done[/] in {seconds:.1f} s: {news}")
    if output is Output.JSON:
        print(json.dumps(_run_as_json(job, target, done, seconds, changed), indent=2))


@contextlib.contextmanager
def _failure_of(task: str, root: Path) -> Iterator[None]:
    """Report a task's failure in two lines; the traceback goes to a file."""
    try:
        yield
    except Exception as error:
        trace = root / ".lakehouse" / "last-failure.txt"
        trace.parent.mkdir(exist_ok=True)
        trace.write_text(traceback.format_exc(), encoding="utf-8")
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise FailedError(
            f"task {task} failed: {reason}\nThe traceback is in {trace.relative_to(root)}.",
        ) from error


def _show_task(console: Console, done: FinishedTask) -> None:
    changes = [change for change in done.report.changes if change.changed]
    summary = ", ".join(f"{change.table} {_counts(change)}" for change in changes) or "nothing new"
    console.print(f"[green]✓[/] [bold]{done.name}[/] [dim]{done.seconds:.1f} s[/]  {summary}")
    if done.report.text:
        text = "\n".join(f"    {line}" for line in done.report.text.splitlines())
        console.print(text, markup=False)
    console.print()


def _counts(change: TableChange) -> str:
    signs = {"+": change.inserted, "~": change.updated, "−": change.deleted}
    return " ".join(f"{sign}{count:,}" for sign, count in signs.items() if count)


def _run_as_json(
    job: str, target: str, done: list[FinishedTask], seconds: float, changed: int
) -> dict[str, Any]:
    return {
        "job": job,
        "target": target,
        "seconds": round(seconds, 3),
        "tables_changed": changed,
        "tasks": [
            {
                "task": result.name,
                "seconds": round(result.seconds, 3),
                "text": result.report.text,
                "changes": [_change_as_json(change) for change in result.report.changes],
            }
            for result in done
        ],
    }


def _change_as_json(change: TableChange) -> dict[str, Any]:
    names = ("table", "rows", "inserted", "updated", "deleted")
    return {name: getattr(change, name) for name in names}
