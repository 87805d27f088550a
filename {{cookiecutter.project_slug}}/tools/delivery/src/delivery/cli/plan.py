"""`delivery plan`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from delivery.cli.options import (
    ArchiveOption,
    DestroyOption,
    DigestOption,
    FirstOption,
    Output,
    OutputOption,
    OutputsOption,
    ReasonOption,
    ReceiptOption,
    ReportOption,
    TargetArgument,
)
from delivery.cli.output import progress, show_plan
from delivery.cli.project import find_archive, plan_request, target_context
from delivery.plan.planner import make_plan


def plan_command(
    target: TargetArgument,
    archive: ArchiveOption = None,
    digest: DigestOption = None,
    receipt: ReceiptOption = None,
    allow_destroy: DestroyOption = None,
    reason: ReasonOption = "",
    save: Annotated[Path | None, typer.Option(help="Save the plan, for approval.")] = None,
    report: ReportOption = None,
    outputs: OutputsOption = None,
    first: FirstOption = False,
    for_pull_request: Annotated[
        bool,
        typer.Option(
            "--for-pull-request",
            "--request",
            help="Plan for a pull or merge request: promotion rules only warn.",
        ),
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what a release would change on a target. Nothing is changed.

    Example: `delivery plan prod --receipt receipt.json --save plan.json`

    Exit codes: 0 done, 3 the archive has another digest, 4 the target is not visible.
    """
    release = find_archive(archive, digest)
    context = target_context(target, release)
    request = plan_request(allow_destroy, receipt, reason, first)
    request = replace(request, preview_only=for_pull_request)
    context.require_visible(may_be_new=first)
    progress(f"planning {release.manifest.release} on {target}")
    planned = make_plan(context, release, request)
    context.clear_workdir()
    if save:
        planned.plan.write(save)
    show_plan(planned.plan, planned.policy, report, outputs, output)
