"""Apply a plan: pass it to the CLI, recover from a failed try, record the outcome."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from delivery.deploy.verify import Verification, verify
from delivery.errors import DeliveryError, LockedError
from delivery.plan.existing import find_existing
from delivery.plan.guard import DESTRUCTIVE_ACTIONS
from delivery.plan.normalize import normalize
from delivery.plan.planner import PlannedDeploy
from delivery.plan.request import PlanRequest
from delivery.plan.wal import unsaved_state
from delivery.refusals import Refusal
from delivery.target.context import Progress, TargetContext
from delivery.target.events import Event, EventKind, EventName, StateVersion
from delivery.target.lock import Lock
from delivery.workspace.bundle_cli import CliError
from delivery.workspace.client import Job


@dataclass
class Attempt:
    """One attempt to apply a plan, under the lock of the target.

    Attributes:
        plan_digest: the digest of the plan that was approved, or of this plan.
        break_lock: break the CLI's own lock.
        asked_at: when the deploy was requested, by this machine's clock, as Unix time.
        progress: reports progress to people.
        serial: the highest serial of the CLI's state that our own calls can have written: each call
            writes it once. A higher serial means that another deploy ran.
    """

    context: TargetContext
    lock: Lock
    planned: PlannedDeploy
    request: PlanRequest
    plan_digest: str
    break_lock: bool
    asked_at: float
    progress: Progress
    started: float = field(default_factory=time.monotonic)
    serial: int = 0

    def record(self, kind: EventKind, **fields: Any) -> Event:
        """Write an event about this release."""
        manifest, plan = self.planned.archive.manifest, self.planned.plan
        state = self.context.store.state()
        common: Mapping[str, Any] = {
            "digest": plan.release_digest,
            "plan_digest": self.plan_digest,
            "commit": manifest.commit,
            "branch": manifest.branch,
            "approved_by": self.request.approved_by,
            "reason": self.request.reason,
            "cli_version": self.planned.cli_version,
            "state": StateVersion(lineage=state.lineage, serial=state.serial),
            "changes": plan.counts(),
            "seconds": round(max(0.0, time.monotonic() - self.started), 1),
        }
        return self.context.ledger.append(self.lock, kind, plan.release, **{**common, **fields})

    def block_abandoned(self) -> None:
        """Block the releases that this rollback abandons, so that pipelines do not deploy them."""
        history = self.context.ledger.history()
        for release in history.abandoned_by_rollback_to(self.planned.plan.release):
            if release not in history.blocked:
                self.context.ledger.append(
                    self.lock, "blocked", release, reason=self.request.reason
                )

    def apply(self) -> Event:
        """Deploy, with one retry; returns the event of the deploy.

        Raises:
            CliError: the CLI failed twice.
            LockedError: another run deploys with the CLI.
        """
        plan, store, delivered = (
            self.planned.plan,
            self.context.store,
            self.planned.history.delivered,
        )
        if self._only_verification_is_missing() and delivered:
            return self.context.ledger.read(delivered)
        ours = store.owns_cli_lock(self.context.workspace.me, self.asked_at)
        broken = store.require_cli_lock_free(self.break_lock or ours)
        store.save(self.planned.archive)
        if plan.is_rollback:
            self.block_abandoned()
        self.record("started")
        self.progress(f"deploying {plan.release}")
        try:
            self._run_cli(broken)
        except CliError:
            self._clean_up_orphans(deployed=False)
            raise
        self._clean_up_orphans(deployed=True)
        event = self.record(
            "rolled_back" if plan.is_rollback else "deployed", detail=self._detail()
        )
        store.save_state(EventName(event.seq, event.kind, event.release), store.state())
        return event

    def verify(self, deployed: Event) -> Verification:
        """Run the jobs that verify the deploy; a job that cannot be started counts as failed."""
        workspace = self.context.workspace
        try:
            state = self.context.store.state()
            return verify(workspace, self.planned.verification, state, deployed.id, self.progress)
        except DeliveryError as error:
            return Verification(failed=(f"verification: {error}",))

    def delete_jobs(self, jobs: Iterable[Job]) -> None:
        """Delete orphans: jobs that no state contains."""
        for job in jobs:
            self.progress(f"deleting orphaned job {job.id} ({job.name})")
            self.context.workspace.delete_job(job.id)

    def _only_verification_is_missing(self) -> bool:
        """A verification that failed is repeated after a new deploy, with a new event."""
        plan, history = self.planned.plan, self.planned.history
        return plan.running == plan.release and not plan.changes and not history.has_failed

    def _run_cli(self, force_lock: bool) -> None:
        """Deploy with one retry, which plans again: the first try may have made some changes."""
        self.serial = self.planned.state.serial + 1
        try:
            self.planned.cli.deploy(self.planned.raw, force_lock=force_lock)
        except CliError as error:
            ours = self._keeps_lock_of_cli()
            self.progress(f"failed, retrying: {error}")
            self._bind_unacknowledged()
            self.serial += 1
            self.planned.cli.deploy(remaining_plan(self.planned, error), force_lock=ours)

    def _keeps_lock_of_cli(self) -> bool:
        """Whether our own try left the CLI's lock held.

        Raises:
            LockedError: another run holds the lock; it is left alone.
        """
        store = self.context.store
        held = store.cli_lock_holder()
        if not held or store.owns_cli_lock(self.context.workspace.me, self.asked_at):
            return bool(held)
        reason = (
            f"CLI lock of {self.context.target.name}: held by {held}, who deploys outside delivery"
        )
        self.record("failed", reason=reason)
        raise LockedError(
            Refusal.CLI_LOCKED,
            f"{reason}\n    Wait until that deploy ends, then run the command again.",
        )

    def _bind_unacknowledged(self) -> None:
        """Bind new resources that the failed try created, but whose responses were lost."""
        known = self.context.store.state().entries
        plan, target = self.planned.plan, self.planned.target
        found = find_existing(self.context.workspace, target, plan.changes)
        for key, identity in found.items():
            if key not in known:
                self.progress(f"binding {key}: it was created, but the response was lost")
                self.serial += 1
                self.planned.cli.bind(key.partition(".")[2], identity)

    def _clean_up_orphans(self, deployed: bool) -> None:
        """Delete jobs of this target that no state contains, because a response was lost.

        Duplicates, and jobs of a failed deploy, are not in use yet, so they are deleted. Other
        orphans are paused.
        """
        store, workspace = self.context.store, self.context.workspace
        try:
            state = store.state()
            orphans = store.orphans(state)
            if orphans:
                useless = store.duplicate_jobs(state, orphans) if deployed else orphans
                unsaved = unsaved_state(self.context)
                lost = self.context.jobs_of_our_deploys(useless)
                ours = [job for job in lost if str(job.id).encode() not in unsaved]
                self.delete_jobs(ours)
                for job in orphans:
                    if job not in ours:
                        workspace.pause(job.id)
        except DeliveryError as error:
            if deployed:
                raise
            self.progress(f"orphaned jobs of the failed deploy could not be deleted: {error}")

    def _detail(self) -> dict[str, Any]:
        """The facts about this deploy that later deploys need."""
        planned = self.planned
        return {
            "retained": planned.plan.retained,
            "kept": list(planned.kept_columns),
            "used": list(planned.consumed_exceptions),
            "policy": planned.release_policy.terms.stored(),
            "irreversible": planned.release_policy.data.irreversible,
            "time": planned.archive.manifest.time,
            "before": planned.history.running,
        }


def remaining_plan(planned: PlannedDeploy, failure: CliError) -> Mapping[str, Any]:
    """The CLI's plan for the rest of a failed try.

    Raises:
        CliError: the plan would destroy a resource that the guard has not checked.
    """
    raw = planned.cli.plan()
    seen = {change.key for change in planned.plan.changes if change.action in DESTRUCTIVE_ACTIONS}
    for change in normalize(raw, frozenset()):
        if change.action in DESTRUCTIVE_ACTIONS and change.key not in seen:
            raise failure
    return raw
