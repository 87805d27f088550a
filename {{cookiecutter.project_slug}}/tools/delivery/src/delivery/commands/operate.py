"""Commands for exceptions: block, unblock, break-lock, prune, adopt, preview."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delivery.approval import approvers
from delivery.commands.common import (
    ArchiveOption,
    BreakOption,
    DigestOption,
    Output,
    OutputOption,
    PlanDigestOption,
    ReasonOption,
    ReleaseArgument,
    ReportOption,
    TargetArgument,
    WaitOption,
    emit,
    find_archive,
    here,
    say,
    seconds,
    site,
)
from delivery.errors import DeliveryError, Exit
from delivery.files import write_whole
from delivery.ledger import NO_RELEASE, Event
from delivery.operate import Operation
from delivery.plan import read_plan
from delivery.policy import load_policy
from delivery.preview import open_preview, sweep
from delivery.release import Archive

previews = typer.Typer(help="An environment for one pull or merge request.", no_args_is_help=True)
RequestArgument = Annotated[str, typer.Argument(help="What it is called after, such as pr42.")]


def block_command(
    target: TargetArgument,
    release: ReleaseArgument = "",
    reason: ReasonOption = "",
    left_by: Annotated[
        Path | None, typer.Option(help="What this saved plan of going back elsewhere leaves.")
    ] = None,
    plan_digest: PlanDigestOption = "",
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Refuse a release on a target from now on, or all that another target goes back from.

    Example: `delivery block prod 2026.11.23-g3f2a9c10 --reason "wrong totals"`, or
    `delivery block prod --left-by plan.json --reason "wrong totals"`

    Exit codes: 0 done, 3 somebody works on the target, 4 bad input or set-up.
    """
    if bool(release) == bool(left_by):
        raise DeliveryError(
            f"block: given {'both' if release else 'neither'}, expected a release, such as "
            "2026.11.23-g3f2a9c10, or --left-by plan.json"
        )
    operation = _operation(target, reason, wait, break_lock)
    if left_by is None:
        _show(operation.block(release), output)
        return
    plan = read_plan(left_by, datetime.now(UTC))
    if plan_digest and plan.digest != plan_digest:
        raise DeliveryError(
            f"{left_by}: given the plan {plan.digest}, expected {plan_digest}", Exit.REFUSED
        )
    events = operation.block_left(plan)
    text = "\n".join(escape(f"{e.release} blocked: {e.reason}") for e in events)
    emit(
        output, [e.model_dump(mode="json") for e in events], text or "all of it is blocked already"
    )


def unblock_command(
    target: TargetArgument,
    release: ReleaseArgument,
    reason: ReasonOption,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let a blocked release be delivered again.

    Example: `delivery unblock prod 2026.11.23-g3f2a9c10 --reason "it was the source"`

    Exit codes: 0 done, 3 somebody works on the target, 4 it is not blocked.
    """
    _show(_operation(target, reason, wait, break_lock).unblock(release), output)


def break_lock_command(
    target: TargetArgument, reason: ReasonOption, output: OutputOption = Output.TABLE
) -> None:
    """Take a target's lock from a run that is gone for good; what it began counts as failed.

    Example: `delivery break-lock prod --reason "the runner died"`

    Exit codes: 0 done, 4 nobody has the lock.
    """
    event = _operation(target, reason, "0", False).free()
    text = f"the lock of {target} is free; {event.release} failed: {event.reason}"
    if event.release == NO_RELEASE:
        text = f"the lock of {target} is free: {event.reason}"
    emit(output, event.model_dump(mode="json"), escape(text))


def prune_command(
    target: TargetArgument,
    keep: Annotated[int | None, typer.Option(min=2, help="How many good releases stay.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    reason: ReasonOption = "older than what is kept",
    output: OutputOption = Output.TABLE,
) -> None:
    """Remove releases that nobody needs to go back to.

    Example: `delivery prune staging --keep 5 --dry-run`

    Exit codes: 0 done, 3 somebody works on the target, 4 bad input or set-up.
    """
    operation = _operation(target, reason, wait, break_lock)
    gone = operation.prune(keep or operation.site.policy.release.keep, dry_run)
    verb = "would be removed" if dry_run else "removed"
    text = "\n".join(f"{release} {verb}" for release in gone) or "nothing to remove"
    emit(output, {"removed": gone, "dry_run": dry_run}, text)


def adopt_command(
    target: TargetArgument,
    key: Annotated[
        str, typer.Argument(help="The key in the release, such as jobs.flights_daily.")
    ] = "",
    reason: ReasonOption = "",
    resource_id: Annotated[str, typer.Option("--id", help="The id of what is there.")] = "",
    instead_of: Annotated[str, typer.Option("--from", help="The key it was known by.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="All that deliveries to this target made and lost.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what --all binds.")] = False,
    archive: ArchiveOption = None,
    digest: DigestOption = None,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Own what is there: what a cut-off deploy left, a job made by hand, or one of another key.

    Example: `delivery adopt prod jobs.flights_daily --id 123 --reason "was made by hand"`, or
    `delivery adopt prod --all --reason "the runner died"`

    Exit codes: 0 done, 1 the CLI failed, 3 somebody works on the target, 4 bad input or set-up.
    """
    key, everything = ("", True) if key == "all" else (key, everything)  # as pipelines say it
    if sum(map(bool, (resource_id, instead_of, everything))) != 1 or everything == bool(key):
        example = "--all, or a key with either --id 123 or --from jobs.old_key"
        raise DeliveryError(f"adopt: expected {example}")
    if dry_run and not everything:
        raise DeliveryError("--dry-run: expected with --all only")
    release = find_archive(archive, digest)
    operation = _operation(target, "dry run" if dry_run else reason, wait, break_lock, release)
    if everything:
        _adopt_all(operation, release, dry_run, output)
    else:
        _show(operation.adopt(release, key, resource_id, instead_of), output)


def _adopt_all(operation: Operation, archive: Archive, dry_run: bool, output: Output) -> None:
    ours, others = operation.adopt_all(archive, dry_run)
    verb, target = "would be adopted" if dry_run else "adopted", operation.site.target.name
    lines = [f"{one.key} ({one.id}) {verb}" for one in ours] or ["nothing to adopt"]
    lines += [
        f"{one.key} ({one.id}) stays: nothing shows that a delivery to {target} made it; if it is "
        f"yours: delivery adopt {target} {one.key} --id {one.id} --reason …"
        for one in others
    ]
    document = {"adopted": {f.key: f.id for f in ours}, "stay": {f.key: f.id for f in others}}
    emit(output, {**document, "dry_run": dry_run}, escape("\n".join(lines)))


@previews.command("up")
def preview_up(
    request: RequestArgument, report: ReportOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Deploy the working tree as a preview.

    Example: `delivery preview up pr42`
    """
    say(f"deploying preview {request}")
    with open_preview(here(), request, build=True) as preview:
        address = preview.up()
    if report:
        write_whole(report, f"### Preview\n\n`{request}` is up: {address}\n".encode())
    emit(
        output,
        {"request": request, "address": address},
        f"[bold]{request}[/] is up: {escape(address)}",
    )


@previews.command("down")
def preview_down(
    request: RequestArgument, break_lock: BreakOption = False, output: OutputOption = Output.TABLE
) -> None:
    """Remove a preview and everything it made.

    Example: `delivery preview down pr42`
    """
    say(f"removing preview {request}")
    with open_preview(here(), request) as preview:
        preview.down(break_lock)
    emit(output, {"request": request, "removed": True}, f"[bold]{request}[/] is gone")


@previews.command("sweep")
def preview_sweep(
    days: Annotated[int | None, typer.Option(min=0, help="Older than so many days.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Remove previews that nobody took down.

    Example: `delivery preview sweep --days 7`
    """
    gone, stay = sweep(here(), load_policy(here()).preview_days if days is None else days)
    lines = [*(f"{r} is gone" for r in gone), *(escape(f"stays: {told}") for told in stay)]
    emit(output, {"removed": gone, "stay": stay}, "\n".join(lines) or "nothing to remove")
    raise typer.Exit(Exit.FAILED if stay else Exit.DONE)


def _operation(
    target: str, reason: str, wait: str, break_lock: bool, release: Archive | None = None
) -> Operation:
    if not reason.strip():
        raise DeliveryError("--reason: given nothing, expected why, for the ledger")
    place = site(target, release)
    approved = approvers(place.policy, target)
    return Operation(place, reason, approved, seconds(wait), break_lock, say)


def _show(event: Event, output: Output) -> None:
    text = escape(f"{event.release} {event.kind}: {event.reason}")
    emit(output, event.model_dump(mode="json"), text)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("block")(block_command)
    app.command("unblock")(unblock_command)
    app.command("break-lock")(break_lock_command)
    app.command("prune")(prune_command)
    app.command("adopt")(adopt_command)
    app.add_typer(previews, name="preview")
