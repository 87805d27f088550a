"""`delivery break-lock`."""

from rich.markup import escape

from delivery.cli.options import Output, OutputOption, ReasonOption, TargetArgument
from delivery.cli.output import write_result
from delivery.cli.project import start_operation
from delivery.operations.lock import break_lock
from delivery.target.events import NO_RELEASE


def break_lock_command(
    target: TargetArgument, reason: ReasonOption, output: OutputOption = Output.TABLE
) -> None:
    """Break a stale lock, left by an interrupted run. Its deploy counts as failed.

    Example: `delivery break-lock prod --reason "the runner crashed"`

    Exit codes: 0 done, 4 no lock is held.
    """
    event = break_lock(start_operation(target, reason, "0", False))
    text = f"lock of {target} broken, {event.release} failed: {event.reason}"
    if event.release == NO_RELEASE:
        text = f"lock of {target} broken: {event.reason}"
    write_result(output, event.model_dump(mode="json"), escape(text))
