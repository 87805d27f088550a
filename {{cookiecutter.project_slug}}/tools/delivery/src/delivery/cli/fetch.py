"""`delivery fetch`."""

from pathlib import Path
from typing import Annotated

import typer

from delivery.cli.options import DigestOption, Output, OutputOption, OutputsOption, TargetArgument
from delivery.cli.output import write_outputs, write_result
from delivery.cli.project import RELEASES_FOLDER, project_root, target_context
from delivery.files import write_atomic
from delivery.operations.fetch import fetch


def fetch_command(
    target: TargetArgument,
    release: Annotated[
        str, typer.Option(help="Fetch this release instead of the running one.")
    ] = "",
    tree: Annotated[
        str,
        typer.Option(
            help="Fetch the release that was built from this git tree, or the tree of this commit."
        ),
    ] = "",
    digest: DigestOption = None,
    into: Annotated[Path | None, typer.Option(help="Folder for the files.")] = None,
    outputs: OutputsOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Download a release that a target verified, with its receipt, to deploy it to the next one.

    Example: `delivery fetch staging`

    Exit codes: 0 done, 3 the release is blocked, was never verified or has another digest, 4 it
    does not exist.
    """
    archive, receipt = fetch(target_context(target), release, tree)
    archive.require(digest)
    folder = into or project_root() / RELEASES_FOLDER
    file = archive.write(folder)
    receipt_file = folder / f"receipt-{target}-{archive.manifest.release}.json"
    write_atomic(receipt_file, receipt.content())
    document = {
        "release": archive.manifest.release,
        "digest": archive.manifest.digest,
        "archive": str(file),
        "receipt": str(receipt_file),
    }
    text = f"[bold]{archive.manifest.release}[/]\narchive  {file}\nreceipt  {receipt_file}"
    write_outputs(
        outputs, {"RELEASE": archive.manifest.release, "ARCHIVE": file, "RECEIPT": receipt_file}
    )
    write_result(output, document, text)
