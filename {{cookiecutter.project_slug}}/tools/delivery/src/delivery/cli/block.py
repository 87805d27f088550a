"""`delivery block` and `delivery unblock`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delivery.cli.options import (
    BreakOption,
    Output,
    OutputOption,
    PlanDigestOption,
    ReasonOption,
    ReleaseArgument,
    TargetArgument,
    WaitOption,
)
from delivery.cli.output import write_result
from delivery.cli.project import start_operation
from delivery.errors import DeliveryError, RefusedError
from delivery.operations.block import block, block_abandoned, unblock
from delivery.plan.model import read_plan
from delivery.refusals import Refusal
from delivery.target.events import Event

_LeftByOption = Annotated[
    Path | None,
    typer.Option(
        help="Block the releases that this saved plan of a rollback on another target abandons."
    ),
]


def block_command(
    target: TargetArgument,
    release: ReleaseArgument = "",
    reason: ReasonOption = "",
    left_by: _LeftByOption = None,
    plan_digest: PlanDigestOption = "",
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Block a release on a target, or every release that a rollback on another target abandons.

    Example: `delivery block prod 2026.11.23-g3f2a9c10 --reason "wrong totals"`, or
    `delivery block prod --left-by plan.json --reason "wrong totals"`

    Exit codes: 0 done, 3 the target is locked, 4 bad input or set-up.
    """
    if bool(release) == bool(left_by):
        raise DeliveryError(
            f"block: given {'both' if release else 'neither'}, expected a release, such as "
            "2026.11.23-g3f2a9c10, or --left-by plan.json"
        )
    operation = start_operation(target, reason, wait, break_lock)
    if left_by is None:
        show_event(block(operation, release), output)
        return
    plan = read_plan(left_by, datetime.now(UTC))
    if plan_digest and plan.digest != plan_digest:
        raise RefusedError(
            Refusal.PLAN_DIGEST, f"{left_by}: given the plan {plan.digest}, expected {plan_digest}"
        )
    events = block_abandoned(operation, plan)
    text = "\n".join(escape(f"{e.release} blocked: {e.reason}") for e in events)
    write_result(
        output,
        [e.model_dump(mode="json") for e in events],
        text or "nothing to do: these releases are blocked already",
    )


def unblock_command(
    target: TargetArgument,
    release: ReleaseArgument,
    reason: ReasonOption,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Allow a blocked release to be deployed again.

    Example: `delivery unblock prod 2026.11.23-g3f2a9c10 --reason "it was the source"`

    Exit codes: 0 done, 3 the target is locked, 4 the release is not blocked.
    """
    operation = start_operation(target, reason, wait, break_lock)
    show_event(unblock(operation, release), output)


def show_event(event: Event, output: Output) -> None:
    """Show the event that an operation wrote."""
    text = escape(f"{event.release} {event.kind}: {event.reason}")
    write_result(output, event.model_dump(mode="json"), text)
