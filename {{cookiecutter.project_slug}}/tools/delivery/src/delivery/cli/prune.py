"""`delivery prune`."""

from typing import Annotated

import typer

from delivery.cli.options import (
    BreakOption,
    Output,
    OutputOption,
    ReasonOption,
    TargetArgument,
    WaitOption,
)
from delivery.cli.output import write_result
from delivery.cli.project import start_operation
from delivery.operations.prune import prune


def prune_command(
    target: TargetArgument,
    keep: Annotated[
        int | None, typer.Option(min=2, help="How many verified releases to keep.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be removed.")
    ] = False,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    reason: ReasonOption = "not needed for a rollback",
    output: OutputOption = Output.TABLE,
) -> None:
    """Remove old releases; keep the running one and the newest verified ones.

    Example: `delivery prune staging --keep 5 --dry-run`

    Exit codes: 0 done, 3 the target is locked, 4 bad input or set-up.
    """
    operation = start_operation(target, reason, wait, break_lock)
    removed = prune(operation, keep or operation.context.policy.release.keep, dry_run)
    verb = "would be removed" if dry_run else "removed"
    text = "\n".join(f"{release} {verb}" for release in removed) or "nothing to remove"
    write_result(output, {"removed": removed, "dry_run": dry_run}, text)
