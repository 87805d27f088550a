"""`delivery diff`."""

from typing import Annotated

import typer
from rich.markup import escape

from delivery.cli.options import Output, OutputOption
from delivery.cli.output import write_result
from delivery.cli.project import named_archive, names_release, project_root
from delivery.errors import DeliveryError, Exit
from delivery.release.diff import diff_releases, diff_targets


def diff_command(
    first: Annotated[str, typer.Argument(help="A target, or a release.")],
    second: Annotated[str, typer.Argument(help="Another target, or another release.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the differences between two rendered targets, or two releases; offline.

    A release is given by its name, or by the file that `delivery release` or `fetch` wrote.

    Example: `delivery diff staging prod`, `delivery diff 2026.11.23-g3f2a9c10 2026.11.24-g0a1b2c3d`

    Exit codes: 0 no difference, 2 differences, 4 the target or release does not exist.
    """
    releases = [name for name in (first, second) if names_release(name)]
    if len(releases) == 1:
        raise DeliveryError(
            f"diff: given {first} and {second}, expected two targets or two releases, such as "
            "staging prod"
        )
    found = (
        diff_releases(named_archive(first), named_archive(second))
        if releases
        else diff_targets(project_root(), first, second)
    )
    text = "\n".join(f"{d.path}\n    {first}: {d.first}\n    {second}: {d.second}" for d in found)
    write_result(output, [d._asdict() for d in found], escape(text) or "no difference")
    raise typer.Exit(Exit.FOUND if found else Exit.DONE)
