"""The command line: its commands, and their exit codes on errors."""

import importlib
import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from delivery import __version__
from delivery.errors import DeliveryError, Exit
from delivery.forge.environment import escape_workflow_commands

# The module and function of each command. Only the called command is imported; --help needs all.
COMMANDS = {
    "check": "check:check_command",
    "run": "run:run_command",
    "release": "release:release_command",
    "fetch": "fetch:fetch_command",
    "rebuild": "rebuild:rebuild_command",
    "plan": "plan:plan_command",
    "deploy": "deploy:deploy_command",
    "rollback": "rollback:rollback_command",
    "status": "status:status_command",
    "history": "history:history_command",
    "drift": "drift:drift_command",
    "diff": "diff:diff_command",
    "doctor": "doctor:doctor_command",
    "block": "block:block_command",
    "unblock": "block:unblock_command",
    "break-lock": "break_lock:break_lock_command",
    "prune": "prune:prune_command",
    "adopt": "adopt:adopt_command",
    "preview": "preview:previews",
    "forge": "forge:forges",
}
_INTERRUPTED = 130  # the option parser's own code; whatever the CLI did is finished by then


def build_app(command: str = "") -> typer.Typer:
    """The command line with one command, or with all of them if there is no such command."""
    app = typer.Typer(
        add_completion=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    everything = [] if command == "--version" else [*COMMANDS]
    for name in [command] if command in COMMANDS else everything:
        module, _, attribute = COMMANDS[name].partition(":")
        found: Any = getattr(importlib.import_module(f"delivery.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def main() -> None:
    """Run the command line; errors go to stderr, with the exit codes of `Exit`."""
    arguments = sys.argv[1:] or ["--help"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # pipelines end jobs with it
    try:
        code = build_app(arguments[0])(arguments, prog_name="delivery", standalone_mode=False)
        if code == _INTERRUPTED:
            _exit("Interrupted. Run the same command again to resume.", Exit.FAILED)
        sys.exit(code)
    except DeliveryError as error:
        _exit(str(error), error.code)
    except BrokenPipeError:  # the reader closed the pipe, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except TyperException as error:
        _exit(f"{error.format_message()}\nSee: delivery --help", Exit.BAD_INPUT)


def _version(requested: bool) -> None:
    if requested:
        print(f"delivery {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Check, run and deliver the lakehouse."""


def _exit(message: str, code: Exit) -> NoReturn:
    print(escape_workflow_commands(message), file=sys.stderr)
    sys.exit(code)
