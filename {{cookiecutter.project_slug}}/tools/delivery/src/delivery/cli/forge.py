"""`delivery forge`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delivery.cli.options import Output, OutputOption
from delivery.cli.output import as_code_block, write_result
from delivery.errors import DeliveryError
from delivery.forge.base import Forge
from delivery.forge.detect import current_forge
from delivery.forge.environment import FORGE_TOKEN
from delivery.forge.github import GitHub

forges = typer.Typer(help="Comments and issues on GitHub and GitLab.", no_args_is_help=True)
AboutArgument = Annotated[str, typer.Argument(help="The subject, such as plan of staging.")]
FileArgument = Annotated[Path, typer.Argument(help="A file with the text, as Markdown.")]


@forges.command("comment")
def comment_command(
    about: AboutArgument,
    file: FileArgument,
    plain: Annotated[
        bool, typer.Option("--plain", help="Show the file as text, not as Markdown.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write or update one comment on this pull or merge request.

    Example: `delivery forge comment "plan of staging" plan.md`
    """
    forge = _forge("comment")
    text = as_code_block(escape(_text(file))) if plain else _text(file)
    address = forge.comment(about, text) if forge.has_token else ""
    write_result(output, {"about": about, "address": address}, escape(address or _SKIPPED))


@forges.command("issue")
def issue_command(
    about: AboutArgument, file: FileArgument, output: OutputOption = Output.TABLE
) -> None:
    """Write or update one issue; an empty file closes it.

    Example: `delivery forge issue "drift on prod" drift.md`
    """
    forge = _forge("issue")
    address = forge.issue(about, _text(file)) if forge.has_token else ""
    text = address or ("nothing to report" if forge.has_token else _SKIPPED)
    write_result(output, {"about": about, "address": address}, escape(text))


@forges.command("end-older")
def end_older_command(
    workflow: Annotated[str, typer.Argument(help="The workflow, such as deliver.yml.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Cancel older runs of a GitHub workflow that still wait for an approval.

    On GitLab the setting "Prevent outdated deployment jobs" does this.

    Example: `delivery forge end-older deliver.yml`
    """
    forge = _forge("end-older")
    if not isinstance(forge, GitHub):
        raise DeliveryError("forge end-older: expected a job of GitHub Actions")
    ended = forge.cancel_older(workflow)
    write_result(output, {"ended": ended}, escape("\n".join(ended) or "no older run is waiting"))


_SKIPPED = f"Skipped: no token to comment with (set GITHUB_TOKEN, or {FORGE_TOKEN} on GitLab)."


def _forge(command: str) -> Forge:
    forge = current_forge()
    if forge is None:
        raise DeliveryError(f"forge {command}: expected a job of GitHub Actions or GitLab CI")
    return forge


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise DeliveryError(f"file: given {file}, expected a readable file with Markdown") from None
