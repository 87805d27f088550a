"""`delivery preview`."""

from typing import Annotated

import typer
from rich.markup import escape

from delivery.cli.options import BreakOption, Output, OutputOption, ReportOption
from delivery.cli.output import progress, write_result
from delivery.cli.project import project_root
from delivery.config.policy import load_policy
from delivery.errors import Exit
from delivery.files import write_atomic
from delivery.operations.preview import open_preview, sweep

previews = typer.Typer(
    help="Preview environments of pull and merge requests.", no_args_is_help=True
)
RequestArgument = Annotated[str, typer.Argument(help="The name of the preview, such as pr42.")]


@previews.command("up")
def preview_up(
    request: RequestArgument, report: ReportOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Deploy the working tree as a preview.

    Example: `delivery preview up pr42`
    """
    progress(f"deploying preview {request}")
    with open_preview(project_root(), request, build=True) as preview:
        address = preview.up()
    if report:
        write_atomic(report, f"### Preview\n\n`{request}` is up: {address}\n".encode())
    write_result(
        output,
        {"request": request, "address": address},
        f"[bold]{request}[/] is up: {escape(address)}",
    )


@previews.command("down")
def preview_down(
    request: RequestArgument, break_lock: BreakOption = False, output: OutputOption = Output.TABLE
) -> None:
    """Delete a preview and all of its resources.

    Example: `delivery preview down pr42`
    """
    progress(f"deleting preview {request}")
    with open_preview(project_root(), request) as preview:
        preview.down(break_lock)
    write_result(output, {"request": request, "removed": True}, f"[bold]{request}[/] is deleted")


@previews.command("sweep")
def preview_sweep(
    days: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Delete previews older than these days. Default: preview_days in delivery.yml.",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delete old previews.

    Example: `delivery preview sweep --days 7`
    """
    gone, failed = sweep(
        project_root(), load_policy(project_root()).preview_days if days is None else days
    )
    lines = [
        *(f"{name} is deleted" for name in gone),
        *(escape(f"not deleted: {reason}") for reason in failed),
    ]
    write_result(
        output, {"removed": gone, "failed": failed}, "\n".join(lines) or "nothing to delete"
    )
    raise typer.Exit(Exit.FAILED if failed else Exit.DONE)
