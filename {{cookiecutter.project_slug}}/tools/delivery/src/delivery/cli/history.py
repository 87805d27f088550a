"""`delivery history`."""

from typing import Annotated

import typer

from delivery.cli.options import Output, OutputOption, TargetArgument
from delivery.cli.output import write_result
from delivery.cli.project import target_context
from delivery.render.text import history_as_text
from delivery.status.status import read_history


def history_command(
    target: TargetArgument,
    limit: Annotated[int, typer.Option(min=1, help="Number of events to show.")] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the events of a target, the newest first.

    Example: `delivery history prod --limit 50`

    Exit codes: 0 done, 3 the ledger was edited, 4 the target is not visible.
    """
    events = read_history(target_context(target), limit)
    write_result(
        output, [event.model_dump(mode="json") for event in events], history_as_text(events)
    )
