"""`delivery adopt`."""

from typing import Annotated

import typer
from rich.markup import escape

from delivery.cli.block import show_event
from delivery.cli.options import (
    ArchiveOption,
    BreakOption,
    DigestOption,
    Output,
    OutputOption,
    ReasonOption,
    TargetArgument,
    WaitOption,
)
from delivery.cli.output import write_result
from delivery.cli.project import find_archive, start_operation
from delivery.errors import DeliveryError
from delivery.operations.adopt import adopt, adopt_all, adopt_existing
from delivery.operations.operation import Operation
from delivery.release import Archive


def adopt_command(
    target: TargetArgument,
    key: Annotated[
        str, typer.Argument(help="The key in the release, such as jobs.flights_daily.")
    ] = "",
    reason: ReasonOption = "",
    resource_id: Annotated[str, typer.Option("--id", help="The id of the existing resource.")] = "",
    earlier: Annotated[
        str, typer.Option("--from", help="The key that owns the resource now.")
    ] = "",
    everything: Annotated[
        bool,
        typer.Option("--all", help="Adopt everything that interrupted deploys created."),
    ] = False,
    existing: Annotated[
        bool,
        typer.Option(
            "--existing",
            help="Adopt everything that people created under the names of the release.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what --all or --existing would adopt.")
    ] = False,
    archive: ArchiveOption = None,
    digest: DigestOption = None,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Adopt a resource that an interrupted deploy left, another key owns, or a person created.

    Example: `delivery adopt prod jobs.flights_daily --id 123 --reason "created manually"`,
    `delivery adopt prod --all --reason "the runner crashed"`, or
    `delivery adopt prod --existing --dry-run`

    Exit codes: 0 done, 1 the CLI failed, 3 the target is locked, 4 bad input or set-up.
    """
    if key in ("all", "existing"):  # for pipelines
        key, everything, existing = "", everything or key == "all", existing or key == "existing"
    _require_one_choice(key, [resource_id, earlier], [everything, existing], dry_run)
    release = find_archive(archive, digest)
    operation = start_operation(target, "dry run" if dry_run else reason, wait, break_lock, release)
    if existing:
        _adopt_existing(operation, release, dry_run, output)
    elif everything:
        _adopt_all(operation, release, dry_run, output)
    else:
        show_event(adopt(operation, release, key, resource_id, earlier), output)


def _require_one_choice(key: str, one: list[str], many: list[bool], dry_run: bool) -> None:
    if sum(map(bool, (*one, *many))) != 1 or any(many) == bool(key):
        example = "--all, --existing, or a key with either --id 123 or --from jobs.old_key"
        raise DeliveryError(f"adopt: expected {example}")
    if dry_run and not any(many):
        raise DeliveryError("--dry-run: expected with --all or --existing only")


def _adopt_all(operation: Operation, archive: Archive, dry_run: bool, output: Output) -> None:
    ours, others = adopt_all(operation, archive, dry_run)
    verb, target = "would be adopted" if dry_run else "adopted", operation.target
    lines = [f"{r.key} ({r.id}) {verb}" for r in ours] or ["nothing to adopt"]
    lines += [
        f"{r.key} ({r.id}) not adopted: no evidence that a deploy to {target} created it; to adopt "
        f"it anyway: delivery adopt {target} {r.key} --id {r.id} --reason …"
        for r in others
    ]
    document = {"adopted": {r.key: r.id for r in ours}, "stay": {r.key: r.id for r in others}}
    write_result(output, {**document, "dry_run": dry_run}, escape("\n".join(lines)))


def _adopt_existing(operation: Operation, archive: Archive, dry_run: bool, output: Output) -> None:
    found, shared = adopt_existing(operation, archive, dry_run)
    verb, target = "would be adopted" if dry_run else "adopted", operation.target
    lines = [f"{r.key} ({r.id}) {verb}" for r in found] or ["nothing to adopt"]
    lines += [
        f"{r.key} ({r.id}) not adopted: several jobs have its name; to adopt this one: "
        f"delivery adopt {target} {r.key} --id {r.id} --reason …"
        for r in shared
    ]
    stay: dict[str, list[str]] = {}
    for resource in shared:
        stay.setdefault(resource.key, []).append(resource.id)
    document = {"adopted": {r.key: r.id for r in found}, "stay": stay, "dry_run": dry_run}
    write_result(output, document, escape("\n".join(lines)))
