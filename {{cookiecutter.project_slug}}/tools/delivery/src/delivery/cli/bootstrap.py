"""`delivery bootstrap`."""

import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from delivery.bootstrap.environments import variables_of
from delivery.bootstrap.forges import FORGES, connect_settings
from delivery.bootstrap.needs import Needs
from delivery.bootstrap.targets import connect_needs
from delivery.bootstrap.thing import Thing
from delivery.cli.imports import check_imports, show_imports
from delivery.cli.options import Output, OutputOption
from delivery.cli.output import progress, write_result
from delivery.cli.project import project_root
from delivery.cli.things import (
    examined,
    exit_code,
    lines_of,
    require_one_way,
    show_commands,
    summary_of,
)
from delivery.config.policy import load_policy
from delivery.errors import DeliveryError, Exit
from delivery.scaffold.changes import Change, apply
from delivery.scaffold.ids import changed_ids

_OF_TARGET = ("account-id", "developers", "storage-root")
_TargetArgument = Annotated[
    str, typer.Argument(help="A target, such as staging, preview or dev; or github, or gitlab.")
]
_ApplyOption = Annotated[bool, typer.Option("--apply", help="Make what is missing.")]
_CommandsOption = Annotated[
    bool, typer.Option("--commands", help="Print what is missing as commands of a shell.")
]
_ImportsOption = Annotated[
    bool, typer.Option("--imports", help="Print what is there as import blocks of Terraform.")
]
_YesOption = Annotated[bool, typer.Option("--yes", help="Write ids into files without asking.")]
_AccountOption = Annotated[
    str, typer.Option(help="The account. Default: that of the profile or the workspace.")
]
_DevelopersOption = Annotated[
    str, typer.Option(help="The group that may create schemas in the catalog of dev.")
]
_StorageOption = Annotated[
    str, typer.Option(help="Where a new catalog keeps its tables, if the metastore has no place.")
]
_ApproverOption = Annotated[
    list[str] | None,
    typer.Option(help="github, gitlab: who approves plans. Default: the owners of all files."),
]
_PreviewsOption = Annotated[
    str, typer.Option(help="github, gitlab: the id that `delivery bootstrap preview` prints.")
]


def bootstrap_command(
    target: _TargetArgument,
    apply_all: _ApplyOption = False,
    commands: _CommandsOption = False,
    imports: _ImportsOption = False,
    account_id: _AccountOption = "",
    developers: _DevelopersOption = "",
    storage_root: _StorageOption = "",
    approver: _ApproverOption = None,
    previews: _PreviewsOption = "",
    yes: _YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what a target or its forge needs before the first delivery, and make it.

    Of a target: principals, catalog, rights. Of the forge: branch rules, environments, variables.
    Nothing is changed without --apply. Needs an admin once; run it again after any failure.

    With --imports it prints an import block for each thing that is there: the stack of the target
    in infra/terraform takes it over.

    Example: `delivery bootstrap staging --apply`, then `delivery bootstrap github --apply`

    Exit codes: 0 nothing is missing, 1 a call failed, 2 something is missing, 4 this identity may
    not see or make something, or bad input.
    """
    require_one_way(apply_all, commands)
    of_target = (account_id, developers, storage_root)
    if imports:
        _only("github or gitlab", {"approver": approver, "previews": previews})
        check_imports(project_root(), target, apply_all or commands)
        needs = connect_needs(project_root(), target, *of_target)
        raise typer.Exit(show_imports(needs, output))
    if target in FORGES:
        _only("a target", dict(zip(_OF_TARGET, of_target, strict=True)))
        shown = _forge(target, previews, approver or [], apply_all)
    else:
        _only("github or gitlab", {"approver": approver, "previews": previews})
        shown = _target(target, of_target, apply_all, yes)
    things, document, text = shown
    if commands and output is Output.TABLE:
        show_commands(things)
    else:
        write_result(output, document, escape(text))
    raise typer.Exit(exit_code(things))


_Shown = tuple[list[Thing], dict[str, Any], str]


def _only(what: str, options: dict[str, Any]) -> None:
    """Refuse options that mean nothing here."""
    given = next((name for name, value in options.items() if value), "")
    if given:
        raise DeliveryError(f"--{given}: expected for {what} only")


# --- a forge ---


def _forge(kind: str, previews: str, approvers: Sequence[str], is_applied: bool) -> _Shown:
    root = project_root()
    settings = connect_settings(root, load_policy(root), kind, previews, approvers)
    things = examined(settings.steps(), is_applied)
    document = {"forge": kind, "things": [thing.as_json() for thing in things]}
    lines = [line for thing in things for line in lines_of(thing)]
    by_hand = [thing.name for thing in things if thing.state == "missing" and not thing.calls]
    last = [f"{', '.join(by_hand)}: no call makes it, so read above what to do"] if by_hand else []
    return things, document, "\n".join([*lines, "", *summary_of(kind, things), *last])


# --- a target ---


def _target(name: str, options: tuple[str, str, str], is_applied: bool, yes: bool) -> _Shown:
    root = project_root()
    needs = connect_needs(root, name, *options)
    things = examined(needs.steps(), is_applied)
    changes = changed_ids(root, name, needs.unwritten_ids)
    things += _ids(root, changes, is_applied, yes)
    document = {
        "target": name,
        "things": [thing.as_json() for thing in things],
        "environments": [*_environments(needs)],
    }
    return things, document, _as_text(name, things, needs)


def _ids(root: Path, changes: Sequence[Change], is_applied: bool, yes: bool) -> Iterator[Thing]:
    """The files that still lack the ids of principals; they are written if somebody agrees."""
    for change in changes:
        message = "has placeholders instead of the ids above"
        if not is_applied or not _agreed(change, yes):
            yield Thing(change.path, "missing", message)
            continue
        apply(root, [change])
        yield Thing(change.path, "made", "has the ids now: commit it")


def _agreed(change: Change, yes: bool) -> bool:
    """Show a change of a file, and ask."""
    old, new = (text.decode().splitlines() for text in (change.before, change.content))
    for line in difflib.unified_diff(old, new, change.path, change.path, n=0, lineterm=""):
        typer.echo(line, err=True)
    if yes:
        return True
    if not sys.stdin.isatty():
        progress(f"{change.path} is not written: nobody can be asked; add --yes")
        return False
    return typer.confirm(f"Write this into {change.path}?", err=True)


def _as_text(target: str, things: Sequence[Thing], needs: Needs) -> str:
    lines = [line for thing in things for line in lines_of(thing)]
    lines += ["", *summary_of(target, things)]
    environments = list(_environments(needs))
    if environments and exit_code(things) is Exit.DONE:
        lines += ["", "Variables of the forge's environments:"]
        lines += [
            f"  {one['environment']}: "
            + " ".join(f"{name}={value}" for name, value in one["variables"].items())
            for one in environments
        ]
    return "\n".join(lines)


def _environments(needs: Needs) -> Iterator[dict[str, Any]]:
    """What the pipelines need to know, by environment of the forge."""
    for trust in needs.trusts:
        host, client = needs.workspace.host, trust.principal.application_id
        variables = variables_of(host, client, trust.audience)
        yield {"environment": trust.environment, "variables": variables}
