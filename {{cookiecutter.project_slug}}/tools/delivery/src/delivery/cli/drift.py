"""`delivery drift`."""

import typer

from delivery.cli.options import Output, OutputOption, ReportOption, TargetArgument
from delivery.cli.output import as_code_block, progress, write_result
from delivery.cli.project import target_context
from delivery.errors import Exit
from delivery.files import write_atomic
from delivery.render.text import drift_as_text
from delivery.status.drift import find_drift


def drift_command(
    target: TargetArgument, report: ReportOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show every change outside delivery, and the YAML that keeps it in the project.

    Merge this YAML into the project's own: tasks, environments, clusters and parameters by key.
    Other lists replace those of the project.

    Example: `delivery drift prod`

    Exit codes: 0 no drift, 2 drift, 4 the target is not visible.
    """
    progress(f"comparing {target} with its running release")
    found = find_drift(target_context(target))
    text = drift_as_text(target, found)
    if report:
        markdown = (
            f"### Changed outside delivery on {target}\n\n{as_code_block(text)}" if found else ""
        )
        write_atomic(report, markdown.encode())
    write_result(output, [drift.model_dump(mode="json") for drift in found], text)
    raise typer.Exit(Exit.FOUND if found else Exit.DONE)
