"""`delivery bootstrap`."""

import difflib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from delivery.bootstrap.needs import Needs
from delivery.bootstrap.targets import connect_needs
from delivery.bootstrap.thing import Thing
from delivery.cli.imports import check_imports, show_imports
from delivery.cli.options import Output, OutputOption
from delivery.cli.output import progress, write_result
from delivery.cli.project import project_root
from delivery.errors import DeliveryError, Exit, FailedError
from delivery.scaffold.changes import Change, apply
from delivery.scaffold.ids import changed_ids

_SIGNS = {"present": "✓", "missing": "✗", "made": "+", "hidden": "?"}
_AccountOption = Annotated[
    str, typer.Option(help="The account. Default: that of the profile or the workspace.")
]
_DevelopersOption = Annotated[
    str, typer.Option(help="The group that may create schemas in the catalog of dev.")
]
_StorageOption = Annotated[
    str, typer.Option(help="Where a new catalog keeps its tables, if the metastore has no place.")
]


def bootstrap_command(
    target: Annotated[str, typer.Argument(help="The target, such as staging, preview or dev.")],
    apply_all: Annotated[bool, typer.Option("--apply", help="Make what is missing.")] = False,
    commands: Annotated[
        bool, typer.Option("--commands", help="Print what is missing as commands of a shell.")
    ] = False,
    imports: Annotated[
        bool, typer.Option("--imports", help="Print what is there as import blocks of Terraform.")
    ] = False,
    account_id: _AccountOption = "",
    developers: _DevelopersOption = "",
    storage_root: _StorageOption = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Write ids into files without asking.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what a target needs before its first delivery, and make it: principals, catalog, rights.

    Nothing is changed without --apply. Needs an admin once; run it again after any failure.

    With --imports it prints an import block for each thing that is there: the stack of the target
    in infra/terraform takes it over.

    Example: `delivery bootstrap staging --apply`

    Exit codes: 0 nothing is missing, 1 a call failed, 2 something is missing, 4 this identity may
    not see or make something, or bad input.
    """
    if apply_all and commands:
        raise DeliveryError("--commands: expected without --apply, which makes the calls itself")
    root = project_root()
    if imports:
        check_imports(root, target, apply_all or commands)
    needs = connect_needs(root, target, account_id, developers, storage_root)
    if imports:
        raise typer.Exit(show_imports(needs, output))
    things = _made(needs) if apply_all else [step.examine() for step in needs.steps()]
    changes = changed_ids(root, target, needs.unwritten_ids)
    things += _ids(root, changes, apply_all, yes)
    if commands and output is Output.TABLE:
        _show_commands(things)
    else:
        document = {
            "target": target,
            "things": [thing.as_json() for thing in things],
            "environments": [*_environments(needs)],
        }
        write_result(output, document, _as_text(target, things, needs))
    raise typer.Exit(_code(things))


def _made(needs: Needs) -> list[Thing]:
    """Make everything that is missing, one after another.

    Raises:
        FailedError: a call fails.
    """
    things = []
    for step in needs.steps():
        try:
            things.append(step.make())
        except FailedError as error:
            raise FailedError(
                f"{step.name}: {error}\n    What was made stays. Run the same command again: it "
                "goes on from there."
            ) from error
        if things[-1].state == "made":
            progress(f"made: {step.name}")
    return things


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


# --- what is shown ---


def _as_text(target: str, things: Sequence[Thing], needs: Needs) -> str:
    lines = [line for thing in things for line in _lines(thing)]
    lines += ["", *_summary(target, things)]
    environments = list(_environments(needs))
    if environments and _code(things) is Exit.DONE:
        lines += ["", "Variables of the forge's environments:"]
        lines += [
            f"  {one['environment']}: "
            + " ".join(f"{name}={value}" for name, value in one["variables"].items())
            for one in environments
        ]
    return escape("\n".join(lines))


def _lines(thing: Thing) -> Iterator[str]:
    yield f"{_SIGNS[thing.state]} {thing.name}: {thing.message}"
    if thing.state == "missing" and (call := thing.call):
        yield f"    {call.method} {call.service.host}{call.path}"
        yield f"    {json.dumps(dict(call.body))}"
    for danger in thing.dangers:
        yield f"! {thing.name}: {danger}"


def _summary(target: str, things: Sequence[Thing]) -> Iterator[str]:
    states = Counter(thing.state for thing in things)
    if states["made"]:
        yield f"{states['made']} of {len(things)} were made."
    if not states["missing"] and not states["hidden"]:
        if not states["made"]:
            yield f"nothing to do: all {len(things)} are there."
        return
    for who, names in _by_whom(things).items():
        yield f"{', '.join(names)}: by {who}"
    if states["hidden"]:
        yield f"{states['hidden']} of {len(things)} this identity may not see or make."
    if states["missing"]:
        yield (
            f"{states['missing']} of {len(things)} are missing. To make them: delivery bootstrap "
            f"{target} --apply; as commands for an admin: --commands"
        )


def _by_whom(things: Sequence[Thing]) -> dict[str, list[str]]:
    """The things that are not there, by who may make them."""
    found: dict[str, list[str]] = {}
    for thing in things:
        if thing.state in ("missing", "hidden") and thing.call:
            found.setdefault(thing.call.by, []).append(thing.name)
    return found


def _environments(needs: Needs) -> Iterator[dict[str, Any]]:
    """What the pipelines need to know, by environment of the forge."""
    for trust in needs.trusts:
        yield {
            "environment": trust.environment,
            "variables": {
                "DATABRICKS_HOST": needs.workspace.host,
                "DATABRICKS_CLIENT_ID": trust.principal.application_id,
                "DATABRICKS_TOKEN_AUDIENCE": trust.audience,
            },
        }


def _show_commands(things: Sequence[Thing]) -> None:
    """The calls that are missing, as lines of a shell, in their order."""
    calls = [(t, t.call) for t in things if t.call and t.state in ("missing", "hidden")]
    if not calls:
        progress("nothing to do")
    if any(call.waits_for for _, call in calls):
        print("# Replace <…> by what earlier commands print; or run this again after each of them.")
    for thing, call in calls:
        skip = "; not visible here: leave it out if it is there" if thing.state == "hidden" else ""
        print(f"# {thing.name}: {call.by}{skip}")
        print(call.command)


def _code(things: Sequence[Thing]) -> Exit:
    states = {thing.state for thing in things}
    if "hidden" in states:
        return Exit.BAD_INPUT
    return Exit.FOUND if "missing" in states else Exit.DONE
