"""Commands that tell people on the forge: a comment of a request, an issue."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delivery.commands.common import Output, OutputOption, emit, fenced
from delivery.errors import DeliveryError
from delivery.forge import FORGE_TOKEN, Forge, GitHub, forge

forges = typer.Typer(help="Tell people on GitHub or GitLab.", no_args_is_help=True)
AboutArgument = Annotated[str, typer.Argument(help="What it is about, such as plan of staging.")]
FileArgument = Annotated[Path, typer.Argument(help="What it says, as Markdown.")]


@forges.command("comment")
def comment_command(
    about: AboutArgument,
    file: FileArgument,
    plain: Annotated[
        bool, typer.Option("--plain", help="Show it as text: the code of a request wrote it.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Keep one comment of this pull or merge request up to date.

    Example: `delivery forge comment "plan of staging" plan.md`
    """
    here = _forge("comment")
    text = fenced(escape(_text(file))) if plain else _text(file)
    address = here.comment(about, text) if here.may_write else ""
    emit(output, {"about": about, "address": address}, escape(address or _SILENT))


@forges.command("issue")
def issue_command(
    about: AboutArgument, file: FileArgument, output: OutputOption = Output.TABLE
) -> None:
    """Keep one issue up to date; an empty file closes it.

    Example: `delivery forge issue "drift on prod" drift.md`
    """
    here = _forge("issue")
    address = here.issue(about, _text(file)) if here.may_write else ""
    told = address or ("nothing to tell" if here.may_write else _SILENT)
    emit(output, {"about": about, "address": address}, escape(told))


@forges.command("end-older")
def end_older_command(
    workflow: Annotated[str, typer.Argument(help="Whose runs, such as deliver.yml.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """End older runs of a workflow of GitHub that wait for an approval: another was delivered.

    GitLab keeps older jobs from deploying by itself: Prevent outdated deployment jobs.

    Example: `delivery forge end-older deliver.yml`
    """
    here = _forge("end-older")
    if not isinstance(here, GitHub):
        raise DeliveryError("forge end-older: expected a job of GitHub Actions")
    ended = here.end_older(workflow)
    emit(output, {"ended": ended}, escape("\n".join(ended) or "none waits"))


_SILENT = f"nobody is told: this job has no token (GITHUB_TOKEN, or {FORGE_TOKEN} on GitLab)"


def _forge(command: str) -> Forge:
    here = forge()
    if here is None:
        raise DeliveryError(f"forge {command}: expected a job of GitHub Actions or GitLab CI")
    return here


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise DeliveryError(f"given {file}, expected a file with Markdown") from None


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(forges, name="forge")
