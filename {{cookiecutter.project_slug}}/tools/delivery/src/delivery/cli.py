"""The command line."""

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.exceptions import TyperException

from delivery import __version__
from delivery.annotations import Form, formatted
from delivery.check import FINDINGS, RULES, Project, check
from delivery.commands import deliver, observe, operate, tell
from delivery.commands.common import Output, OutputOption
from delivery.errors import DeliveryError, Exit, harmless
from delivery.policy import find_root
from delivery.run import Change, Done, plan_run, run_steps

app = typer.Typer(
    help="Check, run and deliver the lakehouse.",
    add_completion=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"delivery {__version__}")
        raise typer.Exit


@app.callback()
def _project(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Check, run and deliver the lakehouse."""


for commands in (deliver, observe, operate, tell):
    commands.register(app)


@app.command("check")
def check_command(
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this rule, or findings of this name; may be repeated."),
    ] = None,
    list_rules: Annotated[
        bool, typer.Option("--list-rules", help="Only list the names that --only takes.")
    ] = False,
    committing: Annotated[
        bool, typer.Option("--committing", help="Also refuse commits to protected branches.")
    ] = False,
    with_cli: Annotated[
        bool, typer.Option("--cli", help="Also ask the Databricks CLI, where it is installed.")
    ] = False,
    output: Annotated[
        Form, typer.Option(help="For people, machines, or the annotations of a forge.")
    ] = Form.TABLE,
) -> None:
    """Hold the project's files to its rules, offline.

    Example: `delivery check --only wiring`

    Exit codes: 0 all is well, 1 there are findings, 4 the command cannot be carried out.
    """
    if list_rules:
        print("\n".join((*RULES, *FINDINGS)))
        return
    findings = check(Project(find_root(Path.cwd()), committing, with_cli), only or ())
    print(formatted(findings, output))
    failed = any(finding.severity == "error" for finding in findings)
    raise typer.Exit(Exit.FAILED if failed else Exit.DONE)


@app.command("run")
def run_command(
    job: Annotated[str, typer.Argument(help="The key of the job, such as flights_daily.")],
    target: Annotated[str, typer.Option(help="Whose names and parameters to use.")] = "dev",
    output: OutputOption = Output.TABLE,
) -> None:
    """Run a job on this machine, as its YAML declares it.

    Example: `delivery run flights_daily`

    Exit codes: 0 done, 1 a task failed, 4 the job cannot be run here.
    """
    root = find_root(Path.cwd())
    steps = plan_run(root, job, target)
    console = Console(stderr=output is Output.JSON, highlight=False, soft_wrap=True)
    start = time.perf_counter()
    console.print(f"[bold]{job}[/] as target {target}, on this machine\n")
    done: list[Done] = []
    running = run_steps(steps)
    for step in steps:
        with console.status(f"{step.name} …"), _failure_of(step.name, root):
            result = next(running)
        done.append(result)
        _show_task(console, result)
    seconds = time.perf_counter() - start
    changed = sum(change.changed for result in done for change in result.report.changes)
    news = f"{changed} tables changed" if changed else "nothing new, 0 tables changed"
    console.print(f"[green]done[/] in {seconds:.1f} s: {news}")
    if output is Output.JSON:
        print(json.dumps(_run_as_json(job, target, done, seconds, changed), indent=2))


def main() -> None:
    """Run the command line; errors go to stderr, with the exit codes of `Exit`."""
    arguments = sys.argv[1:] or ["--help"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # pipelines end jobs with it
    try:
        code = app(arguments, prog_name="delivery", standalone_mode=False)
        if code == _INTERRUPTED:
            _leave("interrupted: type it again, it goes on where it was", Exit.FAILED)
        sys.exit(code)
    except DeliveryError as error:
        _leave(str(error), error.code)
    except BrokenPipeError:  # whoever read the output has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except TyperException as error:
        _leave(f"{error.format_message()}\nSee: delivery --help", Exit.BAD_INPUT)


_INTERRUPTED = 130  # the option parser's own code; whatever the CLI did is finished by then


def _leave(message: str, code: Exit) -> None:
    print(harmless(message), file=sys.stderr)
    sys.exit(code)


@contextlib.contextmanager
def _failure_of(task: str, root: Path) -> Iterator[None]:
    """Tell a task's failure in two lines; the whole trace is kept in a file."""
    try:
        yield
    except Exception as error:
        trace = root / ".lakehouse" / "last-failure.txt"
        trace.parent.mkdir(exist_ok=True)
        trace.write_text(traceback.format_exc(), encoding="utf-8")
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DeliveryError(
            f"task {task} failed: {reason}\nThe whole trace is in {trace.relative_to(root)}.",
            Exit.FAILED,
        ) from error


def _show_task(console: Console, done: Done) -> None:
    changes = [change for change in done.report.changes if change.changed]
    summary = ", ".join(f"{change.table} {_counts(change)}" for change in changes) or "nothing new"
    console.print(f"[green]✓[/] [bold]{done.name}[/] [dim]{done.seconds:.1f} s[/]  {summary}")
    if done.report.text:
        text = "\n".join(f"    {line}" for line in done.report.text.splitlines())
        console.print(text, markup=False)
    console.print()


def _counts(change: Change) -> str:
    signs = {"+": change.inserted, "~": change.updated, "−": change.deleted}
    return " ".join(f"{sign}{count:,}" for sign, count in signs.items() if count)


def _run_as_json(
    job: str, target: str, done: list[Done], seconds: float, changed: int
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


def _change_as_json(change: Change) -> dict[str, Any]:
    names = ("table", "rows", "inserted", "updated", "deleted")
    return {name: getattr(change, name) for name in names}
