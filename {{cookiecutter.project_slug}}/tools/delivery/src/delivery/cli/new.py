"""`delivery new`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delivery.cli.options import Output, OutputOption
from delivery.cli.output import progress, write_result
from delivery.cli.project import project_root
from delivery.scaffold.changes import Change, apply
from delivery.scaffold.domain import Kind, new_domain
from delivery.scaffold.parts import Part, new_part

new = typer.Typer(
    help="Create a domain with its code, data, resources and tests, or a part of one.",
    no_args_is_help=True,
)
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the same result, but write nothing.")
]
NameArgument = Annotated[str, typer.Argument(help="Its name in the domain, such as export.")]
DomainOption = Annotated[str, typer.Option(help="The domain that it belongs to, such as orders.")]
_WAREHOUSE = "see that warehouse_id in databricks.yml names your SQL warehouse"
_SIGNS = {"create": "+", "edit": "~", "delete": "−"}


@new.command("domain")
def domain_command(
    name: Annotated[str, typer.Argument(help="The name of the domain, such as orders.")],
    kind: Annotated[
        Kind,
        typer.Option(
            help="What computes gold: functions of a job, SQL files, or a Lakeflow pipeline."
        ),
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
    steps = "make test" if kind is Kind.PIPELINE else f"make run DOMAIN={name}, then make test"
    next_step = f"{steps}; describe your columns in src/lakehouse/{name}/contracts"
    _finish(root, changes, {"domain": name, "kind": str(kind)}, next_step, dry_run, output)


@new.command("job")
def job_command(
    name: NameArgument,
    domain: DomainOption,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a job of a domain: a task that counts rows until you change it, and its test.

    Example: `delivery new job export --domain orders` creates the job orders_export

    Exit codes: 0 done, 4 the name is malformed or taken, or a file cannot be written.
    """
    step = f"make run JOB={domain}_{name}; change `{name}` in src/lakehouse/{domain}/tasks.py"
    _create(Part.JOB, name, domain, step, dry_run, output)


@new.command("notebook")
def notebook_command(
    name: NameArgument,
    domain: DomainOption,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a notebook of a domain, and the job that runs it in a workspace.

    Example: `delivery new notebook export --domain orders`

    Exit codes: 0 done, 4 the name is malformed or taken, or a file cannot be written.
    """
    step = f"delivery check; change src/lakehouse/{domain}/notebooks/{name}.py"
    _create(Part.NOTEBOOK, name, domain, step, dry_run, output)


@new.command("sql")
def sql_command(
    name: NameArgument,
    domain: DomainOption,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a statement of SQL, and the job that runs it on a SQL warehouse.

    Example: `delivery new sql export --domain orders`

    Exit codes: 0 done, 4 the name is malformed or taken, or a file cannot be written.
    """
    step = f"{_WAREHOUSE}; change src/lakehouse/{domain}/sql/{name}.sql"
    _create(Part.SQL, name, domain, step, dry_run, output)


@new.command("dashboard")
def dashboard_command(
    name: NameArgument,
    domain: DomainOption,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a dashboard of a domain, with one number.

    Example: `delivery new dashboard overview --domain orders`

    Exit codes: 0 done, 4 the name is malformed or taken, or a file cannot be written.
    """
    step = f"{_WAREHOUSE}; change src/lakehouse/{domain}/dashboards/{name}.lvdash.json"
    _create(Part.DASHBOARD, name, domain, step, dry_run, output)


def _create(
    part: Part, name: str, domain: str, next_step: str, dry_run: bool, output: Output
) -> None:
    """Create a part of a domain."""
    root = project_root()
    created = {"domain": domain, str(part): f"{domain}_{name}"}
    _finish(root, new_part(root, part, name, domain), created, next_step, dry_run, output)


def _finish(
    root: Path,
    changes: list[Change],
    created: dict[str, str],
    next_step: str,
    dry_run: bool,
    output: Output,
) -> None:
    """Make the changes, unless it is a dry run, and show them."""
    if dry_run:
        progress("dry run: nothing is written")
    else:
        apply(root, changes)
    document = {**created, "dry_run": dry_run, "next": next_step, "files": as_json(changes)}
    write_result(output, document, f"{listed(changes)}\nNext: {escape(next_step)}")


def listed(changes: list[Change]) -> str:
    """One line for each file."""
    return "\n".join(f"{_SIGNS[change.action]} {escape(change.path)}" for change in changes)


def as_json(changes: list[Change]) -> list[dict[str, str]]:
    """The files for machines."""
    return [{"action": change.action, "path": change.path} for change in changes]
