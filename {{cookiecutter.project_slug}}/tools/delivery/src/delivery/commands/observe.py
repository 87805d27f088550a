"""Commands that look: status, history, drift, diff, doctor."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.markup import escape

from delivery.commands.common import (
    Output,
    OutputOption,
    ReportOption,
    TargetArgument,
    emit,
    fenced,
    here,
    is_release,
    named_archive,
    say,
    site,
)
from delivery.diff import diff, diff_releases
from delivery.doctor import examine
from delivery.drift import find_drift, of_resources, running_plan
from delivery.errors import DeliveryError, Exit
from delivery.files import write_whole
from delivery.ledger import TamperedError
from delivery.page import page
from delivery.policy import load_policy
from delivery.show import drift_as_text, history_as_text, status_as_text
from delivery.status import Status, history, read_status, unseen, with_drift

_STATUSES = TypeAdapter(list[Status])


def status_command(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Otherwise all of this workspace.")
    ] = None,
    merge: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Other targets' status: JSON files, or folders of them."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page.")] = None,
    drift: Annotated[
        bool | None,
        typer.Option(
            "--drift/--no-drift",
            help="Ask whether hands changed anything; by itself where it takes a moment only.",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what runs where, since when, by whom, whether it works, and how delivery goes.

    Example: `delivery status prod`, `delivery status --from a.json b.json --html status.html`

    Exit codes: 0 done, 3 the ledger was tampered with, 4 the target cannot be seen.
    """
    names, files = _told_apart(targets or [], merge or [])
    statuses = [_status(name, drift) for name in names]
    if not names and not files:
        statuses = _all_seen(drift)
    statuses = _newest([*statuses, *(one for file in _files(files) for one in _read(file))])
    if html:
        project = load_policy(here()).project.name
        write_whole(html, page(project, statuses, datetime.now(UTC)).encode())
    told = f"\n\npage {escape(str(html))}" if html else ""
    text = "\n\n".join(map(status_as_text, statuses)) + told
    emit(output, [status.model_dump(mode="json") for status in statuses], text)


def history_command(
    target: TargetArgument,
    limit: Annotated[int, typer.Option(min=1, help="How many events.")] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what happened on a target, the newest first.

    Example: `delivery history prod --limit 50`

    Exit codes: 0 done, 3 the ledger was tampered with, 4 the target cannot be seen.
    """
    events = history(site(target), limit)
    emit(output, [event.model_dump(mode="json") for event in events], history_as_text(events))


def drift_command(
    target: TargetArgument, report: ReportOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show what hands changed on a target, and the YAML that would adopt it.

    Merge the YAML into the project's: tasks, environments, clusters and parameters by their key;
    any other list takes the place of the project's own.

    Example: `delivery drift prod`

    Exit codes: 0 nothing, 2 something, 4 the target cannot be seen.
    """
    say(f"comparing {target} with what was delivered")
    found = find_drift(site(target))
    text = drift_as_text(target, found)
    if report:
        told = f"### Changed by hand on {target}\n\n{fenced(text)}" if found else ""
        write_whole(report, told.encode())
    emit(output, [drift.model_dump(mode="json") for drift in found], text)
    raise typer.Exit(Exit.FOUND if found else Exit.DONE)


def diff_command(
    first: Annotated[str, typer.Argument(help="A target of this project, or a release.")],
    second: Annotated[str, typer.Argument(help="Another one of the same.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Show where two targets, or two releases, differ once they are rendered; offline.

    A release is named as `delivery release` or `delivery fetch` named it, or by its file.

    Example: `delivery diff staging prod`, `delivery diff 2026.11.23-g3f2a9c10 2026.11.24-g0a1b2c3d`

    Exit codes: 0 they do not, 2 they do, 4 there is no such target or release.
    """
    releases = [name for name in (first, second) if is_release(name)]
    if len(releases) == 1:
        raise DeliveryError(
            f"diff: given {first} and {second}, expected two targets or two releases, such as "
            "staging prod"
        )
    found = (
        diff_releases(named_archive(first), named_archive(second))
        if releases
        else diff(here(), first, second)
    )
    text = "\n".join(f"{d.path}\n    {first}: {d.first}\n    {second}: {d.second}" for d in found)
    emit(output, [d._asdict() for d in found], escape(text) or "no difference")
    raise typer.Exit(Exit.FOUND if found else Exit.DONE)


def doctor_command(
    target: Annotated[str, typer.Argument(help="Look into this target's workspace, too.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what is missing, and how to mend it.

    Example: `delivery doctor staging`

    Exit codes: 0 all is well, 2 something is missing, 4 the target cannot be seen.
    """
    symptoms = list(examine(here(), target or None))
    text = "\n".join(f"{'✓' if s.well else '✗'} {s.name}: {s.told}" for s in symptoms)
    emit(output, [symptom.as_json() for symptom in symptoms], escape(text))
    if any(symptom.hidden for symptom in symptoms):
        raise typer.Exit(Exit.BAD_INPUT)
    raise typer.Exit(Exit.DONE if all(s.well for s in symptoms) else Exit.FOUND)


def _all_seen(drift: bool | None) -> list[Status]:
    """All targets; what cannot be seen is told as such, unless nothing can.

    Raises:
        TamperedError: somebody changed the ledger of one.
        DeliveryError: none of them can be seen.
    """
    statuses, errors = [], []
    for name in load_policy(here()).released:
        try:
            statuses.append(_status(name, drift))
        except TamperedError:
            raise
        except DeliveryError as error:
            errors.append(error)
            statuses.append(unseen(name, str(error).partition("\n")[0]))
    if len(errors) == len(statuses):
        raise errors[0]
    return statuses


_QUICK = 50  # entries of a state about which the CLI can be asked within a moment


def _status(target: str, drift: bool | None) -> Status:
    place = site(target)
    say(f"looking at {target}")
    status, entries = read_status(place)
    asked = entries <= _QUICK if drift is None else drift
    if not asked or not status.release:
        return status
    try:
        drifted = sorted({one.key for one in of_resources(place, running_plan(place))})
    except DeliveryError as error:
        if drift:
            raise
        say(f"whether hands changed anything is unknown: {error}")
        return status
    return with_drift(status, drifted)


def _told_apart(given: list[str], merge: list[Path]) -> tuple[list[str], list[Path]]:
    """Targets, and files: after `--from` every name that is no target is one more file."""
    released = load_policy(here()).released if given and merge else given
    files = [Path(name) for name in given if name not in released]
    return [name for name in given if name in released], [*merge, *files]


def _newest(statuses: list[Status]) -> list[Status]:
    """One status a target; whoever cannot see a target says nothing about it."""
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


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("status")(status_command)
    app.command("history")(history_command)
    app.command("drift")(drift_command)
    app.command("diff")(diff_command)
    app.command("doctor")(doctor_command)
