"""`delivery rollback`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from delivery.cli.deploy import carry_out
from delivery.cli.options import (
    BreakOption,
    DestroyOption,
    DryRunOption,
    Output,
    OutputOption,
    OutputsOption,
    PlanDigestOption,
    PlanOption,
    ReasonOption,
    TargetArgument,
    WaitOption,
    parse_duration,
    require_reason,
)
from delivery.cli.output import progress
from delivery.cli.project import target_context
from delivery.deploy.deploy import Deployment
from delivery.deploy.rollback import resolve_rollback_target
from delivery.errors import DeliveryError
from delivery.plan.approval import approvers
from delivery.plan.model import read_plan
from delivery.plan.request import PlanRequest, keys_to_destroy

_ReleaseArgument = Annotated[
    str,
    typer.Argument(
        help="The release to roll back to. Default: the newest earlier one that was verified."
    ),
]
_SaveOption = Annotated[
    Path | None, typer.Option(help="Save the plan of a --dry-run, for approval.")
]


def rollback_command(
    target: TargetArgument,
    release: _ReleaseArgument = "",
    allow_destroy: DestroyOption = None,
    reason: ReasonOption = "",
    plan: PlanOption = None,
    plan_digest: PlanDigestOption = "",
    save: _SaveOption = None,
    outputs: OutputsOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Roll back to an earlier release. Newer resources that hold data are retained.

    Example: `delivery rollback prod --reason "totals are wrong"`

    Exit codes: 0 done or nothing to do, 1 failed, 3 refused, 4 bad input or set-up.
    """
    if not reason.strip():
        raise DeliveryError("rollback: expected a reason, such as --reason 'totals are wrong'")
    context = target_context(target)
    context.require_visible()
    chosen = resolve_rollback_target(context, release)
    approved_by = "" if dry_run else approvers(context.policy, target)
    archive, _ = context.verified_release(chosen)
    deployment = Deployment(
        context=context,
        archive=archive,
        request=_request(release, allow_destroy or [], reason, approved_by),
        approved=read_plan(plan, datetime.now(UTC)) if plan else None,
        approved_digest=plan_digest,
        wait=parse_duration(wait),
        break_lock=require_reason(break_lock, reason),
        progress=progress,
    )
    carry_out(deployment, dry_run, output, save, outputs)


def _request(
    release: str, allow_destroy: Sequence[str], reason: str, approved_by: str
) -> PlanRequest:
    return PlanRequest(
        allow_destroy=keys_to_destroy(allow_destroy, reason),
        reason=reason,
        approved_by=approved_by,
        is_rollback=True,
        release=release,
    )
