"""`delivery status`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.markup import escape

from delivery.cli.options import Output, OutputOption
from delivery.cli.output import progress, write_result
from delivery.cli.project import project_root, target_context
from delivery.config.policy import load_policy
from delivery.errors import DeliveryError, TamperedError
from delivery.files import write_atomic
from delivery.render.html import status_page
from delivery.render.text import status_as_text
from delivery.status.drift import find_resource_drift, running_plan
from delivery.status.status import Status, read_status, unreachable_status

_STATUSES = TypeAdapter(list[Status])
_QUICK = 50  # resources that the CLI compares within seconds


def status_command(
    targets: Annotated[list[str] | None, typer.Argument(help="The targets. Default: all.")] = None,
    merge: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Status of other targets: JSON files, or folders of them."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write the status as an HTML page.")
    ] = None,
    drift: Annotated[
        bool | None,
        typer.Option(
            "--drift/--no-drift",
            help="Detect drift. Default: only for targets with at most 50 resources.",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the running release of each target, its health, its jobs, and delivery metrics.

    Example: `delivery status prod`, `delivery status --from a.json b.json --html status.html`

    Exit codes: 0 done, 3 the ledger was edited, 4 the target is not visible.
    """
    names, files = _split_arguments(targets or [], merge or [])
    statuses = [_status(name, drift) for name in names]
    if not names and not files:
        statuses = _all_statuses(drift)
    statuses = _newest([*statuses, *(status for file in _files(files) for status in _read(file))])
    if html:
        project = load_policy(project_root()).project.name
        write_atomic(html, status_page(project, statuses, datetime.now(UTC)).encode())
    texts = [
        *map(status_as_text, statuses),
        *([f"page written to {escape(str(html))}"] if html else []),
    ]
    write_result(output, [s.model_dump(mode="json") for s in statuses], "\n\n".join(texts))


def _all_statuses(drift: bool | None) -> list[Status]:
    """The statuses of all targets; a target that is not visible has one with the reason.

    Raises:
        TamperedError: the ledger of a target was edited.
        DeliveryError: no target is visible to this identity.
    """
    statuses, errors = [], []
    for name in load_policy(project_root()).released:
        try:
            statuses.append(_status(name, drift))
        except TamperedError:
            raise
        except DeliveryError as error:
            errors.append(error)
            statuses.append(unreachable_status(name, str(error).partition("\n")[0]))
    if len(errors) == len(statuses):
        raise errors[0]
    return statuses


def _status(target: str, drift: bool | None) -> Status:
    context = target_context(target)
    progress(f"reading the status of {target}")
    status, entries = read_status(context)
    detect = entries <= _QUICK if drift is None else drift
    if not detect or not status.release:
        return status
    try:
        found = find_resource_drift(context, running_plan(context))
        drifted = sorted({entry.key for entry in found})
    except DeliveryError as error:
        if drift:
            raise
        progress(f"drift is unknown: {error}")
        return status
    return status.with_drift(drifted)


def _split_arguments(given: list[str], merge: list[Path]) -> tuple[list[str], list[Path]]:
    """Targets and files: with `--from`, every name that is not a target is another file."""
    released = load_policy(project_root()).released if given and merge else given
    files = [Path(name) for name in given if name not in released]
    return [name for name in given if name in released], [*merge, *files]


def _newest(statuses: list[Status]) -> list[Status]:
    """The newest status of each target; one without access to the target never wins."""
    ordered = sorted(statuses, key=lambda status: (bool(status.host), status.at))
    newest = {status.target: status for status in ordered}
    return [newest[target] for target in dict.fromkeys(status.target for status in statuses)]


def _files(given: list[Path]) -> Iterator[Path]:
    for path in given:
        yield from sorted(path.glob("*.json")) if path.is_dir() else [path]


def _read(file: Path) -> list[Status]:
    try:
        return _STATUSES.validate_python(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError, ValidationError):
        raise DeliveryError(
            f"--from: given {file}, expected the JSON of: delivery status prod --output json"
        ) from None
