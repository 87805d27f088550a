"""Adopt existing resources: the bundle owns them from then on."""

from collections.abc import Sequence
from typing import Any

from delivery.errors import DeliveryError, RefusedError
from delivery.operations.operation import Operation
from delivery.plan.candidate import open_candidate
from delivery.plan.conflicts import ExistingResource
from delivery.plan.planner import PlannedDeploy, find_conflicts, make_plan
from delivery.plan.request import PlanRequest
from delivery.plan.snapshot import read_snapshot
from delivery.plan.wal import recover_wal
from delivery.refusals import Refusal
from delivery.release import Archive
from delivery.target.context import TargetContext
from delivery.target.events import Event
from delivery.workspace.binding import rebind
from delivery.workspace.bundle_cli import BundleCli

_REQUEST = PlanRequest(first=True)
_Resources = list[ExistingResource]


def adopt(
    operation: Operation, archive: Archive, key: str, resource_id: str, earlier: str
) -> Event:
    """Adopt one resource; nothing is created, nothing is deleted.

    Args:
        key: the key in the release, such as `jobs.flights_daily`.
        resource_id: the id of the resource; empty if it is the one of `earlier`.
        earlier: the key that owns the resource now; empty if none does.

    Raises:
        DeliveryError: the key is unknown, or the resource belongs to another key or project.
    """
    context = operation.context
    with operation.locked(f"adopt {key}") as lock:
        wal, release = recover_wal(context), archive.manifest.release
        candidate = open_candidate(context, archive, wal)
        _refuse_key(context, key, candidate.target.declared, earlier)
        identity = resource_id or _id_from_state(context, earlier)
        _refuse_foreign(context, key, identity)
        _refuse_known(context, key, identity, earlier)
        detail: dict[str, Any] = {"key": key, "id": identity, "from": earlier}
        snapshot = read_snapshot(context, release, b"".join(wal.values()))
        if not earlier and find_conflicts(context, candidate, snapshot).was_created_by_deploy(
            key, identity
        ):
            detail["ours"] = True
        cli = BundleCli(candidate.folder, context.target.name, context.workspace)
        context.store.require_cli_lock_free(may_break=False)
        rebind(cli, key, identity, earlier)
        context.remove_workdirs()
        return operation.record(lock, "adopted", release, detail)


def adopt_all(
    operation: Operation, archive: Archive, dry_run: bool
) -> tuple[_Resources, _Resources]:
    """Adopt everything that interrupted deploys of this target created and that no state has.

    Returns:
        The adopted resources, and those that are left alone because they may have another owner.
    """
    context = operation.context
    if dry_run:
        return _split(make_plan(context, archive, _REQUEST).existing)
    with operation.locked("adopt --all") as lock:
        context.store.require_cli_lock_free(may_break=False)
        planned = make_plan(context, archive, _REQUEST)
        ours, others = _split(planned.existing)
        bound: dict[str, str] = {}
        try:
            for resource in ours:
                operation.progress(f"adopting {resource.key} ({resource.id})")
                planned.cli.bind(resource.key.partition(".")[2], resource.id)
                bound[resource.key] = resource.id
        finally:
            if bound:
                detail = {"all": bound, "ours": True}
                operation.record(lock, "adopted", archive.manifest.release, detail)
        context.remove_workdirs()
    return ours, others


def adopt_existing(
    operation: Operation, archive: Archive, dry_run: bool
) -> tuple[_Resources, _Resources]:
    """Adopt what people created and the release declares by the same name; see `_made_by_people`.

    Returns:
        The adopted resources, and jobs that are left alone because their name is not unique.
    """
    if dry_run:
        return _made_by_people(make_plan(operation.context, archive, _REQUEST), operation.context)
    with operation.locked("adopt --existing") as lock:
        context = operation.context
        context.store.require_cli_lock_free(may_break=False)
        planned = make_plan(context, archive, _REQUEST)
        found, others = _made_by_people(planned, context)
        for resource in found:
            operation.progress(f"adopting {resource.key} ({resource.id})")
            planned.cli.bind(resource.key.partition(".")[2], resource.id)
            detail = {"key": resource.key, "id": resource.id, "from": ""}
            operation.record(lock, "adopted", archive.manifest.release, detail)
        context.remove_workdirs()
    return found, others


def _made_by_people(
    planned: PlannedDeploy, context: TargetContext
) -> tuple[_Resources, _Resources]:
    """Existing resources that no deploy created, and jobs that share their name.

    A job is found by its name, if one job alone has it; a job of any deployment is left alone.
    """
    found = [r for r in planned.existing if not r.created_by_deploy]
    known = {r.key for r in planned.existing}
    shared: _Resources = []
    jobs = planned.target.tree.section("resources").section("jobs")
    for change in planned.plan.changes:
        if change.kind != "jobs" or change.action != "create" or change.key in known:
            continue
        name = jobs.section(change.key.partition(".")[2]).get("name")
        free = [
            job.id for job in context.workspace.jobs() if (job.name, job.deployment) == (name, "")
        ]
        same = [ExistingResource(change.key, str(number)) for number in sorted(free)]
        (found if len(same) == 1 else shared).extend(same)
    return found, shared


def _split(found: Sequence[ExistingResource]) -> tuple[_Resources, _Resources]:
    return [r for r in found if r.created_by_deploy], [r for r in found if not r.created_by_deploy]


def _refuse_key(context: TargetContext, key: str, declared: set[str], earlier: str) -> None:
    if key not in declared:
        known = ", ".join(sorted(declared))
        raise DeliveryError(f"key: given {key!r}, expected one of {known}")
    if earlier and earlier.partition(".")[0] != key.partition(".")[0]:
        raise DeliveryError(f"--from: given {earlier!r}, expected a key of the same kind as {key}")
    if key in context.state(context.ledger.history()).entries:
        raise DeliveryError(f"key: {key} owns a resource on {context.target.name} already")


def _refuse_foreign(context: TargetContext, key: str, resource_id: str) -> None:
    """Refuse a job that another target or project deploys."""
    root = context.target.root
    for job in context.workspace.jobs() if key.startswith("jobs.") else ():
        if str(job.id) == resource_id and not f"{job.deployment}/".startswith(f"{root}/"):
            owner = job.deployment.partition("/state/")[0]
            if owner:
                raise RefusedError(
                    Refusal.OTHER_OWNER, f"--id: job {resource_id} ({job.name}) belongs to {owner}"
                )


def _refuse_known(context: TargetContext, key: str, resource_id: str, earlier: str) -> None:
    """Refuse a resource that another key owns: both keys would overwrite or delete it."""
    kind, entries = key.partition(".")[0], context.store.state().entries
    for known, entry in entries.items():
        same = known.count(".") == 1 and known.startswith(f"{kind}.")
        if same and str(entry["__id__"]) == resource_id and known not in (key, earlier):
            raise RefusedError(
                Refusal.OTHER_KEY,
                f"--id: {resource_id} is owned by {known} already\n    To move it to {key}: "
                f"--from {known} instead of --id",
            )


def _id_from_state(context: TargetContext, key: str) -> str:
    entries = context.store.state().entries
    if key not in entries:
        known = ", ".join(k for k in entries if k.count(".") == 1)
        raise DeliveryError(f"--from: given {key!r}, expected a key in the state: {known}")
    return str(entries[key]["__id__"])
