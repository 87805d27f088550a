"""`delivery rebuild`."""

from pathlib import Path
from typing import Annotated

import typer

from delivery.cli.options import IntoOption, Output, OutputOption, OutputsOption
from delivery.cli.output import progress
from delivery.cli.project import project_root, read_receipt
from delivery.cli.release import show_built
from delivery.operations.rebuild import rebuild


def rebuild_command(
    receipt: Annotated[
        Path, typer.Argument(help="The receipt of a target that verified the release.")
    ],
    tree: Annotated[
        str, typer.Option(help="Require the git tree of this commit, such as HEAD.")
    ] = "",
    into: IntoOption = None,
    outputs: OutputsOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Rebuild, from git, a release that another target verified, and compare the digests.

    Needs no access to a workspace: git is the reference for what a target stores.

    Example: `delivery rebuild receipt.json --into rebuilt`

    Exit codes: 0 done, 1 the build failed, 3 the commit is not on that target's branch, has
    another tree, or gives another digest.
    """
    event = read_receipt(receipt)
    progress(f"rebuilding {event.release} from its commit")
    show_built(rebuild(project_root(), event, tree), into, outputs, output)
