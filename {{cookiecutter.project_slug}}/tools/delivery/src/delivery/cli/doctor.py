"""`delivery doctor`."""

from typing import Annotated

import typer
from rich.markup import escape

from delivery.cli.options import Output, OutputOption
from delivery.cli.output import write_result
from delivery.cli.project import project_root
from delivery.errors import Exit
from delivery.status.doctor import run_checks


def doctor_command(
    target: Annotated[str, typer.Argument(help="Also check the workspace of this target.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Check the set-up: CLI, lock, targets, forge and workspace; show how to fix what is missing.

    Example: `delivery doctor staging`

    Exit codes: 0 nothing is missing, 2 something is missing, 4 the target is not visible.
    """
    checks = list(run_checks(project_root(), target or None))
    text = "\n".join(f"{c.sign} {c.name}: {c.message}" for c in checks)
    write_result(output, [check.as_json() for check in checks], escape(text))
    if any(check.is_hidden for check in checks):
        raise typer.Exit(Exit.BAD_INPUT)
    raise typer.Exit(Exit.DONE if all(c.ok for c in checks) else Exit.FOUND)
