"""`delivery remove`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delivery import git
from delivery.cli.new import DryRunOption, as_json, listed
from delivery.cli.options import Output, OutputOption
from delivery.cli.output import progress, write_result
from delivery.cli.project import project_root
from delivery.errors import RefusedError
from delivery.refusals import Refusal
from delivery.scaffold.changes import Change, apply
from delivery.scaffold.removal import is_listed, remove_domain

removals = typer.Typer(help="Remove a domain with its files and lines.", no_args_is_help=True)
_MOST_MENTIONS = 12  # files


@removals.command("domain")
def domain_command(
    name: Annotated[str, typer.Argument(help="The name of the domain, such as flights.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Remove a domain: its code, resources, tests, page, lines in shared files, and last its data.

    Tables in workspaces are not touched: the next plan shows what its deploy would delete.

    Example: `delivery remove domain flights --dry-run`

    Exit codes: 0 done, 3 refused: the domain is used elsewhere, or not confirmed; 4 bad input.
    """
    root = project_root()
    removal = remove_domain(root, name)
    changes = [change for change in removal.changes if is_listed(change)]
    if dry_run:
        progress("dry run: nothing is removed")
    else:
        if not yes:
            _confirm(name, len(changes), len(unsaved(root, changes)))
        apply(root, removal.changes)
    mentions = removal.mentions
    next_step = "delivery check, then make test"
    document = {"domain": name, "dry_run": dry_run, "next": next_step, "mentions": mentions}
    lines = [listed(changes), *_mentioned(mentions), f"Next: {next_step}"]
    write_result(output, {**document, "files": as_json(changes)}, "\n".join(lines))


def unsaved(root: Path, changes: list[Change]) -> list[str]:
    """The deleted files that git cannot bring back: new, changed or ignored ones."""
    deleted = [change.path for change in changes if change.action == "delete"]
    tracked = git.output_or_none(root, "ls-files", "-z", "--", *deleted)
    changed = git.output_or_none(root, "diff", "--name-only", "-z", "HEAD", "--", *deleted)
    if tracked is None or changed is None:
        return deleted
    safe = {*tracked.split("\0")} - {*changed.split("\0")}
    return [path for path in deleted if path not in safe]


def _confirm(name: str, files: int, lost: int) -> None:
    """Ask before anything is removed.

    Raises:
        RefusedError: there is no terminal to ask at, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise RefusedError(
            Refusal.NOT_CONFIRMED,
            f"remove: expected a confirmation, but there is no terminal to ask at\n"
            f"    Confirm it: delivery remove domain {name} --yes",
        )
    warned = f" Git cannot bring back {lost} of them: commit them first." if lost else ""
    question = f"Remove the domain {name}: {files} files are deleted or edited.{warned} Continue?"
    if not typer.confirm(question, err=True):
        raise RefusedError(Refusal.NOT_CONFIRMED, f"remove: not confirmed, so {name} is as before")


def _mentioned(mentions: dict[str, int]) -> list[str]:
    """The line about other files that name the domain."""
    if not mentions:
        return []
    named = [f"{escape(path)} ({count})" for path, count in mentions.items()]
    more = f", and {len(named) - _MOST_MENTIONS} more" if len(named) > _MOST_MENTIONS else ""
    return [f"Still named in: {', '.join(named[:_MOST_MENTIONS])}{more}"]
