"""Commands that bring releases to targets: release, fetch, plan, deploy, rollback."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delivery.approval import approvers, known_approvals
from delivery.commands.common import (
    RELEASES,
    ArchiveOption,
    BreakOption,
    DigestOption,
    Output,
    OutputOption,
    OutputsOption,
    PlanDigestOption,
    ReasonOption,
    ReportOption,
    TargetArgument,
    WaitOption,
    emit,
    fenced,
    find_archive,
    here,
    read_receipt,
    say,
    seconds,
    site,
    write_outputs,
)
from delivery.deploy import Delivery, crossing
from delivery.errors import DeliveryError
from delivery.fetch import fetch, verified
from delivery.files import write_whole
from delivery.plan import Plan, read_plan
from delivery.policy import Policy
from delivery.prepare import Preparation, Wishes
from delivery.rebuild import rebuild
from delivery.release import Archive, build
from delivery.show import plan_as_text
from delivery.site import named_keys

ReceiptOption = Annotated[
    Path | None, typer.Option(help="The word of the target before that it verified this release.")
]
DestroyOption = Annotated[
    list[str] | None, typer.Option(help="A key that may be destroyed; may be repeated.")
]
PlanOption = Annotated[
    Path | None, typer.Option(help="The saved plan that was approved; exactly it is carried out.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="All but the changes.")]
FirstOption = Annotated[
    bool,
    typer.Option(
        "--first", envvar="DELIVERY_FIRST", help="Nothing was ever delivered to this target."
    ),
]


def release_command(
    into: Annotated[Path | None, typer.Option(help="The folder for the archive.")] = None,
    outputs: OutputsOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Build the release of the checked-out commit: the same bytes on any machine.

    Example: `delivery release`

    Exit codes: 0 done, 1 the build failed, 3 refused (changes, no lock, too large).
    """
    say("building the wheel and its requirements")
    _built(build(here()), into, outputs, output)


def _built(archive: Archive, into: Path | None, outputs: Path | None, output: Output) -> None:
    """Keep a release that was built, and say what it is."""
    file = archive.write(into or here() / RELEASES)
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
    told = {"RELEASE": manifest.release, "DIGEST": manifest.digest, "ARCHIVE": file}
    write_outputs(outputs, told)
    emit(output, document, text)


def fetch_command(
    target: TargetArgument,
    release: Annotated[str, typer.Option(help="This release, not the one that runs.")] = "",
    tree: Annotated[
        str, typer.Option(help="The release of this git tree, or of a commit's, such as HEAD.")
    ] = "",
    digest: DigestOption = None,
    into: Annotated[Path | None, typer.Option(help="The folder for the files.")] = None,
    outputs: OutputsOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Bring a release that a target verified, with its receipt, to deliver it on the next.

    Example: `delivery fetch staging`

    Exit codes: 0 done, 3 it is blocked, was never verified or is not what was built, 4 there is no
    such release.
    """
    archive, receipt = fetch(site(target), release, tree)
    archive.require(digest)
    folder = into or here() / RELEASES
    file = archive.write(folder)
    paper = folder / f"receipt-{target}-{archive.manifest.release}.json"
    write_whole(paper, receipt.content())
    document = {
        "release": archive.manifest.release,
        "digest": archive.manifest.digest,
        "archive": str(file),
        "receipt": str(paper),
    }
    text = f"[bold]{archive.manifest.release}[/]\narchive  {file}\nreceipt  {paper}"
    write_outputs(outputs, {"RELEASE": archive.manifest.release, "ARCHIVE": file, "RECEIPT": paper})
    emit(output, document, text)


def rebuild_command(
    receipt: Annotated[Path, typer.Argument(help="What the target before says it verified.")],
    tree: Annotated[
        str, typer.Option(help="Its commit must have the tree of this one, such as HEAD.")
    ] = "",
    into: Annotated[Path | None, typer.Option(help="The folder for the archive.")] = None,
    outputs: OutputsOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Build a release that another target verified once more, from git, and compare its digest.

    It needs no workspace: what git has is the measure for what a target kept.

    Example: `delivery rebuild receipt.json --into rebuilt`

    Exit codes: 0 done, 1 the build failed, 3 the commit is not of that target's branch, has another
    tree, or gives other bytes.
    """
    event = read_receipt(receipt)
    say(f"building {event.release} once more, from its commit")
    _built(rebuild(here(), event, tree), into, outputs, output)


def plan_command(
    target: TargetArgument,
    archive: ArchiveOption = None,
    digest: DigestOption = None,
    receipt: ReceiptOption = None,
    allow_destroy: DestroyOption = None,
    reason: ReasonOption = "",
    save: Annotated[Path | None, typer.Option(help="Save the plan, to be approved.")] = None,
    report: ReportOption = None,
    outputs: OutputsOption = None,
    first: FirstOption = False,
    request: Annotated[
        bool,
        typer.Option("--request", help="Of a request: branch and order matter once it is merged."),
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what a release would change on a target; nothing is changed, nothing is refused.

    Example: `delivery plan prod --receipt receipt.json --save plan.json`

    Exit codes: 0 done, 3 the archive is not what was built, 4 the target cannot be seen.
    """
    release = find_archive(archive, digest)
    place = site(target, release)
    wishes = Wishes(
        named_keys(allow_destroy or [], reason),
        read_receipt(receipt) if receipt else None,
        reason,
        first=first,
        request=request,
    )
    place.check_seen(may_be_new=first)
    say(f"planning {release.manifest.release} on {target}")
    prepared = Preparation(place, release, wishes).plan()
    shutil.rmtree(place.work, ignore_errors=True)
    if save:
        prepared.plan.write(save)
    _tell(prepared.plan, prepared.policy, report, outputs, output)


def _tell(
    plan: Plan, policy: Policy, report: Path | None, outputs: Path | None, output: Output
) -> None:
    """Show a plan to whoever wants to see it: people, a request, the next job."""
    text = plan_as_text(plan)
    if report:
        write_whole(report, f"### Plan for {plan.target}\n\n{fenced(text)}".encode())
    if outputs:
        told = {
            "RELEASE": plan.release,
            "PLAN_DIGEST": plan.digest,
            "APPROVAL": policy.approval_of(plan.target),
            "APPROVED_BEFORE": ",".join(known_approvals(policy, plan.target)),
        }
        write_outputs(outputs, told)
    emit(output, {"digest": plan.digest, **plan.model_dump(mode="json")}, text)


def deploy_command(
    target: TargetArgument,
    archive: ArchiveOption = None,
    digest: DigestOption = None,
    plan: PlanOption = None,
    plan_digest: PlanDigestOption = "",
    approved_by: Annotated[str, typer.Option(help="Who approved it.")] = "",
    receipt: ReceiptOption = None,
    allow_destroy: DestroyOption = None,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    first: FirstOption = False,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Deliver a release to a target and verify it there; if it fails, what was before comes back.

    Example: `delivery deploy prod --plan plan.json --receipt receipt.json --approved-by ana`

    Exit codes: 0 done or nothing to do, 1 failed, 3 refused, 4 bad input or set-up.
    """
    release = find_archive(archive, digest)
    place = site(target, release)
    approved = read_plan(plan, datetime.now(UTC)) if plan else None
    wishes = Wishes(
        named_keys(allow_destroy or [], reason),
        read_receipt(receipt) if receipt else None,
        reason,
        approved_by or approvers(place.policy, target),
        first=first,
    )
    delivery = Delivery(
        place,
        release,
        wishes,
        approved,
        plan_digest,
        seconds(wait),
        _broken(break_lock, reason),
        say,
    )
    _deliver(delivery, dry_run, output)


def rollback_command(
    target: TargetArgument,
    release: Annotated[
        str, typer.Argument(help="The release to go back to; otherwise the last verified one.")
    ] = "",
    allow_destroy: DestroyOption = None,
    reason: ReasonOption = "",
    plan: PlanOption = None,
    plan_digest: PlanDigestOption = "",
    save: Annotated[Path | None, typer.Option(help="Save the plan of a --dry-run.")] = None,
    outputs: OutputsOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = "0",
    break_lock: BreakOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Go back to an earlier release; what holds data and came later is kept.

    Example: `delivery rollback prod --reason "totals are wrong"`

    Exit codes: 0 done or nothing to do, 1 failed, 3 refused, 4 bad input or set-up.
    """
    if not reason.strip():
        raise DeliveryError("rollback: expected a reason, such as --reason 'totals are wrong'")
    place = site(target)
    place.check_seen()
    chosen = crossing(place, release)
    named = named_keys(allow_destroy or [], reason)
    approved = "" if dry_run else approvers(place.policy, target)
    wishes = Wishes(named, reason=reason, approved_by=approved, back=True, release=release)
    archive, _ = verified(place, chosen)
    broken = _broken(break_lock, reason)
    seen = read_plan(plan, datetime.now(UTC)) if plan else None
    delivery = Delivery(place, archive, wishes, seen, plan_digest, seconds(wait), broken, say)
    _deliver(delivery, dry_run, output, save, outputs)


def _deliver(
    delivery: Delivery,
    dry_run: bool,
    output: Output,
    save: Path | None = None,
    outputs: Path | None = None,
) -> None:
    if dry_run:
        plan = delivery.dry_run()
        if save:
            plan.write(save)
        shutil.rmtree(delivery.site.work, ignore_errors=True)
        _tell(plan, delivery.site.policy, None, outputs, output)
        return
    result = delivery.carry_out()
    document = {
        "target": delivery.site.target.name,
        "release": result.release,
        "message": result.message,
        "event": result.event and result.event.model_dump(mode="json"),
    }
    emit(
        output,
        document,
        f"[bold]{result.release}[/] on {delivery.site.target.name}: {escape(result.message)}",
    )


def _broken(break_lock: bool, reason: str) -> bool:
    if break_lock and not reason.strip():
        raise DeliveryError("--break-lock: expected a reason, such as --reason 'the runner died'")
    return break_lock


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("release")(release_command)
    app.command("fetch")(fetch_command)
    app.command("rebuild")(rebuild_command)
    app.command("plan")(plan_command)
    app.command("deploy")(deploy_command)
    app.command("rollback")(rollback_command)
