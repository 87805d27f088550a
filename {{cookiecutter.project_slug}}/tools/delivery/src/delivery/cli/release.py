"""`delivery release`."""

from pathlib import Path

from delivery.cli.options import IntoOption, Output, OutputOption, OutputsOption
from delivery.cli.output import progress, write_outputs, write_result
from delivery.cli.project import RELEASES_FOLDER, project_root
from delivery.release import Archive, build


def release_command(
    into: IntoOption = None,
    outputs: OutputsOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Build the release of the checked-out commit: the same bytes on every machine.

    Example: `delivery release`

    Exit codes: 0 done, 1 the build failed, 3 refused (uncommitted changes, no uv.lock, too large).
    """
    progress("building the wheel and its requirements")
    show_built(build(project_root()), into, outputs, output)


def show_built(archive: Archive, into: Path | None, outputs: Path | None, output: Output) -> None:
    """Write the archive of a new release, and show its name, digest and size."""
    file = archive.write(into or project_root() / RELEASES_FOLDER)
    manifest = archive.manifest
    document = {
        "release": manifest.release,
        "digest": manifest.digest,
        "archive": str(file),
        "bytes": len(archive.content),
        "files": len(manifest.files),
        "commit": manifest.commit,
        "branch": manifest.branch,
    }
    text = (
        f"[bold]{manifest.release}[/]  {len(manifest.files)} files, {len(archive.content):,} bytes"
        f"\ndigest   {manifest.digest}\narchive  {file}"
    )
    values = {"RELEASE": manifest.release, "DIGEST": manifest.digest, "ARCHIVE": file}
    write_outputs(outputs, values)
    write_result(output, document, text)
