"""`delivery new`."""

from typing import Annotated

import typer
from rich.markup import escape

from delivery.cli.options import Output, OutputOption
from delivery.cli.output import progress, write_result
from delivery.cli.project import project_root
from delivery.scaffold.changes import Change, apply
from delivery.scaffold.domain import Kind, new_domain

new = typer.Typer(
    help="Create a domain with its code, data, resources and tests.", no_args_is_help=True
)
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the same result, but write nothing.")
]
_SIGNS = {"create": "+", "edit": "~", "delete": "−"}


@new.command("domain")
def domain_command(
    name: Annotated[str, typer.Argument(help="The name of the domain, such as orders.")],
    kind: Annotated[
        Kind, typer.Option(help="What computes gold: functions of a job, or SQL files.")
    ] = Kind.JOB,
    owner: Annotated[
        str,
        typer.Option(help="Its code owner, such as @example/sales. Default: the owner of all."),
    ] = "",
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a domain that runs and passes all checks at once: change it from there.

    Example: `delivery new domain orders --kind sql --owner @example/sales`

    Exit codes: 0 done, 4 the name is malformed or taken, or a file cannot be written.
    """
    root = project_root()
    changes = new_domain(root, name, kind, owner)
    if dry_run:
        progress("dry run: nothing is written")
    else:
        apply(root, changes)
    next_step = (
        f"make run DOMAIN={name}, then make test; describe your columns in "
        f"src/lakehouse/{name}/contracts"
    )
    document = {"domain": name, "kind": str(kind), "dry_run": dry_run, "next": next_step}
    text = f"{listed(changes)}\nNext: {escape(next_step)}"
    write_result(output, {**document, "files": as_json(changes)}, text)


def listed(changes: list[Change]) -> str:
    """One line for each file."""
    return "\n".join(f"{_SIGNS[change.action]} {escape(change.path)}" for change in changes)


def as_json(changes: list[Change]) -> list[dict[str, str]]:
    """The files for machines."""
    return [{"action": change.action, "path": change.path} for change in changes]
