"""`delivery deploy`."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delivery.cli.options import (
    ArchiveOption,
    BreakOption,
    DestroyOption,
    DigestOption,
    DryRunOption,
    FirstOption,
    Output,
    OutputOption,
    PlanDigestOption,
    PlanOption,
    ReasonOption,
    ReceiptOption,
    TargetArgument,
    WaitOption,
    parse_duration,
    require_reason,
)
from delivery.cli.output import progress, show_plan, write_result
from delivery.cli.project import find_archive, plan_request, target_context
from delivery.deploy.deploy import Deployment
from delivery.plan.approval import approvers
from delivery.plan.model import read_plan


def deploy_command(
    target: TargetArgument,
    archive: ArchiveOption = None,
    digest: DigestOption = None,
    plan: PlanOption = None,
    plan_digest: PlanDigestOption = "",
    approved_by: Annotated[
        str, typer.Option(help="The approvers, to be recorded in the ledger.")
    ] = "",
    receipt: ReceiptOption = None,
    allow_destroy: DestroyOption = None,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    first: FirstOption = False,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Deploy a release and verify it; roll back automatically if either fails.

    Example: `delivery deploy prod --plan plan.json --receipt receipt.json --approved-by ana`

    Exit codes: 0 done or nothing to do, 1 failed, 3 refused, 4 bad input or set-up.
    """
    release = find_archive(archive, digest)
    context = target_context(target, release)
    approved = read_plan(plan, datetime.now(UTC)) if plan else None
    request = plan_request(allow_destroy, receipt, reason, first)
    request = replace(request, approved_by=approved_by or approvers(context.policy, target))
    deployment = Deployment(
        context=context,
        archive=release,
        request=request,
        approved=approved,
        approved_digest=plan_digest,
        wait=parse_duration(wait),
        break_lock=require_reason(break_lock, reason),
        progress=progress,
    )
    carry_out(deployment, dry_run, output)


def carry_out(
    deployment: Deployment,
    dry_run: bool,
    output: Output,
    save: Path | None = None,
    outputs: Path | None = None,
) -> None:
    """Plan or run a deploy or a rollback; `save` and `outputs` take the plan of a dry run."""
    if dry_run:
        _show_dry_run(deployment, output, save, outputs)
    else:
        _show_deployed(deployment, output)


def _show_dry_run(
    deployment: Deployment, output: Output, save: Path | None, outputs: Path | None
) -> None:
    """Plan a deploy or a rollback, and show the plan."""
    plan, context = deployment.dry_run(), deployment.context
    if save:
        plan.write(save)
    context.clear_workdir()
    show_plan(plan, context.policy, None, outputs, output)


def _show_deployed(deployment: Deployment, output: Output) -> None:
    """Run a deploy or a rollback, and show how it ended."""
    result, target = deployment.run(), deployment.context.target.name
    document = {
        "target": target,
        "release": result.release,
        "message": result.message,
        "event": result.event and result.event.model_dump(mode="json"),
    }
    text = f"[bold]{result.release}[/] on {target}: {escape(result.message)}"
    write_result(output, document, text)
