"""Makes a plan: opens the release, reads the target, runs the CLI and decides on the changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from delivery import git
from delivery.config.policy import Policy, Terms, Verify
from delivery.config.target import Target
from delivery.errors import RefusedError
from delivery.plan import guard
from delivery.plan.candidate import Candidate, open_candidate
from delivery.plan.conflicts import ConflictFinder, ExistingResource
from delivery.plan.decisions import (
    DecisionInput,
    cli_decisions,
    existing_resource_decisions,
    identity_decisions,
    release_decisions,
    unused_destroy_decisions,
)
from delivery.plan.guard import GuardInput
from delivery.plan.model import Decision, Plan, ResourceChange, expiry
from delivery.plan.normalize import normalize
from delivery.plan.own_rights import add_permission_changes
from delivery.plan.receipt import receipt_age
from delivery.plan.request import PlanRequest
from delivery.plan.retention import write_overlay
from delivery.plan.snapshot import TargetSnapshot, read_snapshot
from delivery.plan.tables import TablePlan, plan_tables
from delivery.plan.wal import recover_wal
from delivery.refusals import Refusal
from delivery.release import Archive
from delivery.resources import properties_of
from delivery.target.context import TargetContext
from delivery.target.history import ReleaseHistory
from delivery.target.store import State
from delivery.workspace.bundle_cli import BundleCli, usable_version
from delivery.workspace.client import Job


@dataclass(frozen=True)
class PlannedDeploy:
    """A plan with everything that is needed to apply it.

    Attributes:
        raw: the CLI's own plan.
        release_policy: the release's own policy.
        policy: the stricter of the release's own policy and the running release's.
        verification: the jobs that verify the deploy.
        consumed_exceptions: exceptions of the policy that this deploy uses up.
        adopted: keys to unbind, and the key that the release has for each; see `adopted_keys`.
        kept_columns: see `TablePlan.kept`.
        orphans: jobs of an interrupted deploy, which this deploy deletes.
        existing: resources that exist already and that the plan would create.
    """

    plan: Plan
    raw: Mapping[str, Any]
    archive: Archive
    cli: BundleCli
    cli_version: str
    target: Target
    release_policy: Policy
    policy: Policy
    verification: Verify
    consumed_exceptions: tuple[str, ...]
    kept_columns: tuple[str, ...]
    adopted: Mapping[str, str]
    orphans: tuple[Job, ...]
    existing: tuple[ExistingResource, ...]
    state: State
    history: ReleaseHistory


def make_plan(context: TargetContext, archive: Archive, request: PlanRequest) -> PlannedDeploy:
    """Plan a deploy with the CLI and decide on its changes; changes nothing.

    Raises:
        DeliveryError: the release or the target is invalid.
    """
    wal = recover_wal(context)
    candidate = open_candidate(context, archive, wal)
    target = candidate.target
    snapshot = read_snapshot(context, archive.manifest.release, b"".join(wal.values()))
    guarded = _guard_input(candidate, snapshot, request)
    retained = retained_keys(snapshot, target, request, guarded)
    write_overlay(candidate.folder, snapshot.state.entries, retained)
    cli, cli_version = BundleCli(candidate.folder, target.name, context.workspace), usable_version()
    raw = cli.plan()
    _refuse_other_state(raw, target, snapshot.state)
    changes = _changes(raw, target, snapshot)
    tables = plan_tables(context.store, candidate, snapshot, request.is_rollback)
    inputs = _decision_input(context, candidate, snapshot, request, guarded, changes)
    existing = list(inputs.conflicts.find(changes)) if _creates(changes) else []
    decisions = [*_decisions(inputs, cli_version, raw, changes, tables, existing)]
    return PlannedDeploy(
        plan=_plan(inputs, raw, changes, tables, retained, decisions),
        raw=raw,
        archive=archive,
        cli=cli,
        cli_version=cli_version,
        target=target,
        release_policy=candidate.policy,
        policy=inputs.policy,
        verification=inputs.verification,
        consumed_exceptions=_consumed(decisions, inputs.guard),
        kept_columns=tables.kept,
        adopted=inputs.adopted,
        orphans=tuple(inputs.to_delete),
        existing=tuple(existing),
        state=snapshot.state,
        history=snapshot.history,
    )


def find_conflicts(
    context: TargetContext, candidate: Candidate, snapshot: TargetSnapshot
) -> ConflictFinder:
    """A finder of the resources that interrupted deploys left in the workspace."""
    orphans = context.store.orphans(snapshot.state, snapshot.jobs)
    return ConflictFinder(
        workspace=context.workspace,
        target=candidate.target,
        state=snapshot.state,
        jobs=snapshot.jobs,
        orphans=[job for job in orphans if str(job.id).encode() not in snapshot.unsaved],
        was_deploying=context.ledger.was_deploying_predicate(),
        adopted=[(adoption.key, adoption.id) for adoption in snapshot.adoptions],
    )


def adopted_keys(
    snapshot: TargetSnapshot, target: Target, request: PlanRequest, release: str
) -> Mapping[str, str]:
    """Keys that were adopted since the last deploy and that the release does not declare.

    A rollback counts from the last deploy of its own release. The value of each key is the key
    under which the release declares the same resource; empty if it does not.
    """
    entries, declared = snapshot.state.entries, target.declared
    delivered = [n for n in snapshot.events if n.kind in ("deployed", "rolled_back")]
    counted = [n.seq for n in delivered if n.release == release or not request.is_rollback]
    since = max(counted, default=0)
    made_by_people = {adoption.id for adoption in snapshot.adoptions if not adoption.earlier}
    found: dict[str, str] = {}
    for adoption in snapshot.adoptions:
        if adoption.seq > since and adoption.key in entries and adoption.key not in declared:
            found[adoption.key] = adoption.earlier if adoption.earlier in declared else ""
    return {
        key: earlier
        for key, earlier in found.items()
        if earlier
        or not request.is_rollback
        or str(entries[key].get("__id__")) in made_by_people  # otherwise a release renamed the key
    }


def retained_keys(
    snapshot: TargetSnapshot, target: Target, request: PlanRequest, guarded: GuardInput
) -> list[str]:
    """Keys to retain: the release does not declare them, and their destruction is not allowed."""
    entries = snapshot.state.entries
    retained = {*snapshot.detail("retained")}
    if request.is_rollback:
        retained |= {
            key for key in entries if key.count(".") == 1 and properties_of(key).holds_data
        }
    allowed = {allow.key for allow in guarded.policy.allow if guarded.exception(allow.key)}
    return sorted((retained & {*entries}) - target.declared - {*request.allow_destroy} - allowed)


def _verification(own: Policy, terms: Terms, target: Target) -> Verify:
    """The jobs that verify the deploy; a release cannot drop one that it still declares."""
    required = {d: job for d, job in terms.verify.jobs.items() if f"jobs.{job}" in target.declared}
    return own.verify.model_copy(update={"jobs": {**required, **own.verify.jobs}})


def _guard_input(
    candidate: Candidate, snapshot: TargetSnapshot, request: PlanRequest
) -> GuardInput:
    own = candidate.policy
    return GuardInput(
        target=candidate.target.name,
        policy=own.stricter(snapshot.terms or own.terms),
        state=snapshot.state.entries,
        tree=candidate.target.tree,
        allow_destroy=request.allow_destroy,
        consumed=frozenset(snapshot.detail("used")),
        is_rollback=request.is_rollback,
        identities=candidate.target.identities,
    )


def _refuse_other_state(raw: Mapping[str, Any], target: Target, state: State) -> None:
    """Refuse a plan of another state, which would create existing resources again.

    Raises:
        RefusedError: the CLI found another state than the target's.
    """
    given, expected = raw.get("lineage", ""), state.lineage
    if expected and given != expected:
        found = f"the state with lineage {given}" if given else "no state"
        raise RefusedError(
            Refusal.OTHER_STATE,
            f"plan of {target.name}: the CLI found {found}, expected the state with lineage "
            f"{expected}\n    Ask for the right to read {target.root}/state.",
        )


def _changes(
    raw: Mapping[str, Any], target: Target, snapshot: TargetSnapshot
) -> list[ResourceChange]:
    known, me = target.identities, snapshot.me
    changes = normalize(raw, {known.deployer, known.planner, me})
    return add_permission_changes(changes, raw, target.tree, snapshot.state.entries, known, me)


def _decision_input(
    context: TargetContext,
    candidate: Candidate,
    snapshot: TargetSnapshot,
    request: PlanRequest,
    guarded: GuardInput,
    changes: Sequence[ResourceChange],
) -> DecisionInput:
    target, own, state = candidate.target, candidate.policy, snapshot.state
    terms = snapshot.terms or own.terms
    guarded = replace(guarded, active_jobs=_active_jobs(context, state, changes))
    conflicts = find_conflicts(context, candidate, snapshot)
    duplicates = context.store.duplicate_jobs(state, conflicts.orphans)
    return DecisionInput(
        context=context,
        candidate=candidate,
        snapshot=snapshot,
        request=request,
        policy=guarded.policy,
        terms=terms,
        guard=guarded,
        conflicts=conflicts,
        adopted=adopted_keys(snapshot, target, request, candidate.archive.manifest.release),
        duplicates=duplicates,
        to_delete=_orphans_to_delete(context, conflicts, duplicates, request),
        verification=_verification(own, terms, target),
    )


def _decisions(
    inputs: DecisionInput,
    cli_version: str,
    raw: Mapping[str, Any],
    changes: Sequence[ResourceChange],
    tables: TablePlan,
    existing: Sequence[ExistingResource],
) -> Iterator[Decision]:
    target = inputs.candidate.target
    yield from cli_decisions(cli_version)
    yield from release_decisions(inputs)
    yield from existing_resource_decisions(target.name, existing)
    yield from guard.evaluate(changes, inputs.guard)
    yield from tables.problems
    yield from guard.table_decisions(tables.changes, inputs.guard)
    yield from identity_decisions(target, raw)
    yield from unused_destroy_decisions(inputs.request, changes, tables.changes)


def _consumed(decisions: Sequence[Decision], guarded: GuardInput) -> tuple[str, ...]:
    return tuple(sorted({*guarded.consumed, *guard.consumed_exceptions(decisions, guarded)}))


def _active_jobs(
    context: TargetContext, state: State, changes: Sequence[ResourceChange]
) -> frozenset[str]:
    """The keys of changed jobs that are running now."""
    ids = state.ids("jobs")
    keys = [change.key for change in changes if change.key.startswith("jobs.")]
    jobs = {key: ids.get(key.partition(".")[2]) for key in keys}
    runs = context.workspace.runs
    return frozenset(key for key, job in jobs.items() if job and runs(int(job), active=True))


def _creates(changes: Sequence[ResourceChange]) -> bool:
    return any(change.action == "create" and change.key.count(".") == 1 for change in changes)


def _orphans_to_delete(
    context: TargetContext,
    conflicts: ConflictFinder,
    duplicates: Sequence[Job],
    request: PlanRequest,
) -> list[Job]:
    """Orphans of our deploys that are not needed: duplicates, or all of them in a rollback."""
    unneeded = conflicts.orphans if request.is_rollback else duplicates
    if not unneeded:
        return []
    adopted = {identity for _, identity in conflicts.adopted}
    return [job for job in context.jobs_of_our_deploys(unneeded) if str(job.id) not in adopted]


def _plan(
    inputs: DecisionInput,
    raw: Mapping[str, Any],
    changes: list[ResourceChange],
    tables: TablePlan,
    retained: list[str],
    decisions: list[Decision],
) -> Plan:
    now = datetime.now(UTC)
    manifest, target = inputs.candidate.archive.manifest, inputs.candidate.target
    history, request = inputs.snapshot.history, inputs.request
    return Plan(
        target=target.name,
        host=target.host,
        project=target.project,
        release=manifest.release,
        release_digest=manifest.digest,
        running=history.running,
        is_rollback=request.is_rollback,
        lineage=raw.get("lineage", ""),
        serial=raw.get("serial", 0),
        changes=changes,
        tables=[*tables.changes],
        abandons=history.abandoned_by_rollback_to(manifest.release) if request.is_rollback else [],
        retained=retained,
        allow_destroy=sorted(request.allow_destroy),
        decisions=decisions,
        commits=_commits(inputs),
        receipt_age=receipt_age(request.receipt, now),
        created_at=now,
        expires_at=expiry(now, inputs.policy.plan_hours),
    )


def _commits(inputs: DecisionInput) -> list[str]:
    """The commits between the running release and this one, if the checkout has both."""
    before = inputs.snapshot.running.commit if inputs.snapshot.running else ""
    after = inputs.candidate.archive.manifest.commit
    if not before or before == after:
        return []
    options = ("--oneline", "--no-decorate", "-20")
    found = git.output_or_none(inputs.context.root, "log", *options, f"{before}..{after}")
    return (found or "").splitlines()
