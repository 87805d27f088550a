"""The command line: its commands, and their exit codes on errors."""

import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_group

from delivery import __version__
from delivery.cli.commands import COMMANDS, load
from delivery.errors import DeliveryError, Exit
from delivery.forge.environment import escape_workflow_commands

_INTERRUPTED = 130  # the option parser's own code; whatever the CLI did is finished by then


class _Index(TyperGroup):
    """All commands by their help lines; one that is called, or completed, is imported."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the arguments name."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, get_group(build_app(name)).commands[name] if name else command, rest


def build_app(command: str = "") -> typer.Typer:
    """The command line with one command, or with all of them if there is no such command."""
    app = _empty_app(TyperGroup)
    for name in [command] if command in COMMANDS else COMMANDS:
        found = load(name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def build_index() -> typer.Typer:
    """The command line with the help lines of all commands, for `delivery --help`."""
    app = _empty_app(_Index)
    for name, entry in COMMANDS.items():
        app.command(name, help=entry.help)(_unloaded)
    return app


def _empty_app(group: type[TyperGroup]) -> typer.Typer:
    app = typer.Typer(
        cls=group,
        add_completion=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    return app


def _unloaded() -> None:
    """Never called: `_Index` puts the command itself in its place."""


def main() -> None:
    """Run the command line; errors go to stderr, with the exit codes of `Exit`."""
    arguments = sys.argv[1:] or ["--help"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # pipelines end jobs with it
    try:
        app = build_app(arguments[0]) if arguments[0] in COMMANDS else build_index()
        code = app(arguments, prog_name="delivery", standalone_mode=False)
        if code == _INTERRUPTED:
            _exit("Interrupted. Run the same command again to resume.", Exit.FAILED)
        sys.exit(code)
    except DeliveryError as error:
        _exit(error.explained, error.code)
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
