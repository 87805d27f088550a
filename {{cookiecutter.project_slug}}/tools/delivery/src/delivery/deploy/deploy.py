"""Deploy a release to a target: lock, plan again, apply, verify, and roll back if that fails."""

import time
from dataclasses import dataclass, field

from delivery.config.policy import Policy
from delivery.deploy.apply import Attempt
from delivery.deploy.notify import notify
from delivery.deploy.rollback import refuse_moved_target, roll_back_after_failure, unbind_adopted
from delivery.deploy.verify import Verification
from delivery.errors import FailedError, RefusedError
from delivery.plan.approval import check_plan
from delivery.plan.model import Plan
from delivery.plan.planner import PlannedDeploy, make_plan
from delivery.plan.request import PlanRequest
from delivery.refusals import Refusal
from delivery.release import Archive
from delivery.target.context import Progress, TargetContext
from delivery.target.events import Event
from delivery.target.lock import Lock
from delivery.workspace.bundle_cli import CliError


@dataclass(frozen=True)
class Result:
    """How a deploy ended.

    Attributes:
        release: the running release.
        event: the last event that was written; None if there was nothing to do.
    """

    release: str
    event: Event | None
    message: str


@dataclass(frozen=True)
class Deployment:
    """The deploy of one release to one target. A rollback is also a deploy.

    Attributes:
        approved: the plan that was approved; None if none is required.
        approved_digest: the digest of the approved plan; empty if it was not given.
        wait: how long to wait for the target's lock, in seconds.
        break_lock: break the lock of another run.
        progress: reports progress to people.
        asked_at: when the deploy was requested, by this machine's clock, as Unix time.
    """

    context: TargetContext
    archive: Archive
    request: PlanRequest
    approved: Plan | None = None
    approved_digest: str = ""
    wait: float = 0
    break_lock: bool = False
    progress: Progress = field(default=lambda _: None)
    asked_at: float = field(default_factory=time.time)

    def dry_run(self) -> Plan:
        """Plan the deploy and run all checks, but change nothing.

        Raises:
            DeliveryError: the deploy would be refused.
        """
        self.context.require_visible(may_be_new=self.request.first)
        return self._plan_or_refuse().plan

    def run(self) -> Result:
        """Deploy the release.

        Raises:
            RefusedError: nothing was changed.
            FailedError: the deploy failed; the message names the running release.
        """
        context, request, release = self.context, self.request, self.archive.manifest.release
        if request.first:
            context.store.make_marker()
        context.require_visible()
        context.ledger.list_events()  # by now even a new target has a ledger
        context.ledger.may_be_missing = request.first
        operation = f"{'rollback to' if request.is_rollback else 'deploy'} {release}"
        with context.locked(operation, self.wait, self.break_lock, self.progress) as lock:
            if request.is_rollback:
                refuse_moved_target(context, release, request.release)
            self.progress("planning again")
            planned = self._plan_or_refuse()
            if request.is_rollback:
                planned = unbind_adopted(context, planned, request, self.progress)
            self._refuse_short_token(planned.release_policy)
            attempt = self._attempt(lock, planned)
            attempt.delete_jobs(planned.orphans)
            if _is_done(planned):
                if request.is_rollback:
                    attempt.block_abandoned()
                return Result(
                    release, None, "nothing to do: this release is already running and verified"
                )
            result = self._deploy_and_verify(attempt)
        if request.is_rollback:
            message = f"rolled back to {release}: {request.reason}"
            notify(context.policy, context.target.name, message)
        return result

    def _plan_or_refuse(self) -> PlannedDeploy:
        """The plan as it is now.

        Raises:
            RefusedError: the plan is refused, or is not the approved one.
        """
        planned = make_plan(self.context, self.archive, self.request)
        approved_by = self.request.approved_by
        check_plan(self.context, planned, self.approved, self.approved_digest, approved_by)
        return planned

    def _attempt(self, lock: Lock, planned: PlannedDeploy) -> Attempt:
        return Attempt(
            context=self.context,
            lock=lock,
            planned=planned,
            request=self.request,
            plan_digest=self.approved.digest if self.approved else planned.plan.digest,
            break_lock=self.break_lock,
            asked_at=self.asked_at,
            progress=self.progress,
        )

    def _deploy_and_verify(self, attempt: Attempt) -> Result:
        """Apply the plan and verify it; roll back if either fails."""
        try:
            deployed = attempt.apply()
        except CliError as error:
            roll_back_after_failure(attempt, str(error), attempt.serial)
        seen = attempt.verify(deployed)
        if seen.failed:
            roll_back_after_failure(attempt, "; ".join(seen.failed), deployed.state.serial)
        if seen.unverified:
            self._leave_unverified(seen)
        event = attempt.record("verified")
        self.context.remove_workdirs()
        return Result(event.release, event, "deployed and verified")

    def _leave_unverified(self, seen: Verification) -> None:
        """End a deploy whose verification did not run: it is neither verified nor failed.

        Raises:
            FailedError: always; the message says how to verify it later.
        """
        release, target = self.archive.manifest.release, self.context.target.name
        message = (
            f"{release} is running on {target} and is not verified yet: "
            f"{'; '.join(seen.unverified)}\n"
            "    It is not blocked. To verify it, run the same command again."
        )
        notify(self.context.policy, target, message)
        raise FailedError(message)

    def _refuse_short_token(self, policy: Policy) -> None:
        """Require a token that outlives deploy, verification and rollback; waiting takes time, too.

        Raises:
            RefusedError: the token expires too early, and cannot be renewed.
        """
        need = policy.delivery_minutes
        if self._minutes_left(need) < need:
            self.context.workspace.renew_token()
        left = self._minutes_left(need)
        if left < need:
            raise RefusedError(
                Refusal.TOKEN_EXPIRES,
                f"token: expires in {left:.0f} minutes, expected at least {need}, because deploy, "
                "verification and rollback may take that long\n    Start the job again, or lower "
                "verify.minutes in delivery.yml.",
            )

    def _minutes_left(self, otherwise: float) -> float:
        expires = self.context.workspace.expires
        return (expires - time.time()) / 60 if expires else otherwise


def _is_done(planned: PlannedDeploy) -> bool:
    plan = planned.plan
    return plan.running == plan.release and not plan.changes and planned.history.is_verified
