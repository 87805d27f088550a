"""Rollback: choose the release, check that a rollback to it is allowed, and deploy it."""

import time
from dataclasses import replace
from typing import NoReturn

from delivery.deploy.apply import Attempt
from delivery.deploy.notify import notify
from delivery.errors import DeliveryError, FailedError, RefusedError
from delivery.plan.approval import require_allowed
from delivery.plan.planner import PlannedDeploy, make_plan
from delivery.plan.request import PlanRequest
from delivery.refusals import Refusal
from delivery.target.context import Progress, TargetContext
from delivery.target.store import jobs_on_other_releases
from delivery.workspace.binding import unbind


def resolve_rollback_target(context: TargetContext, release: str) -> str:
    """The release to roll back to, if nothing that came after it changed data irreversibly.

    Args:
        release: empty for the newest earlier one that was verified.

    Raises:
        DeliveryError: there is no such release, or a rollback to it is refused.
    """
    names = context.ledger.list_events()
    history = context.ledger.history(names)
    chosen = release or history.rollback_target(context.store.stored_releases())
    behind = [
        *history.path_before(history.running),
        *({history.running} & {*history.verified_releases}),
    ]
    if chosen not in behind:
        target, known = context.target.name, ", ".join(behind) or "none"
        problem = f"{target} stores no earlier release that was verified and is not blocked"
        if chosen:
            problem = f"given {chosen}, expected an earlier release that {target} verified: {known}"
        raise DeliveryError(
            f"release: {problem}\n    For a later release: delivery deploy {target} --archive FILE"
        )
    for name in reversed([n for n in names if n.kind in ("deployed", "rolled_back")]):
        if name.release == chosen:
            break
        reason = context.ledger.read(name).detail.get("irreversible", "")
        refuse_irreversible(context, reason, name.release)
    return chosen


def refuse_irreversible(context: TargetContext, reason: str, release: str) -> None:
    """Refuse to roll back past a release that changed data irreversibly.

    Raises:
        RefusedError: the release gives such a reason.
    """
    if reason:
        raise RefusedError(
            Refusal.IRREVERSIBLE,
            f"Cannot roll back past {release} on {context.target.name}: it changed data "
            f"irreversibly: {reason}\n    Deploy a release that fixes the problem instead.",
        )


def refuse_moved_target(context: TargetContext, release: str, named: str) -> None:
    """Refuse a rollback if another release became its target while it waited for the lock.

    Args:
        release: what was chosen before; `named` is what the person asked for.

    Raises:
        RefusedError: the rollback target has changed.
    """
    if resolve_rollback_target(context, named) != release:
        raise RefusedError(
            Refusal.TARGET_MOVED,
            f"rollback to {release}: another deploy ended in the meantime\n    Check the target, "
            f"then run the command again: delivery status {context.target.name}",
        )


def unbind_adopted(
    context: TargetContext, planned: PlannedDeploy, request: PlanRequest, progress: Progress
) -> PlannedDeploy:
    """Unbind resources that a later release adopted, so that the rollback does not delete them.

    Returns:
        A new plan, made after the unbinding.
    """
    if not planned.adopted:
        return planned
    for key, earlier in planned.adopted.items():
        progress(f"unbinding {key}, which was adopted after this release")
        unbind(planned.cli, key, earlier, str(planned.state.entries[key]["__id__"]))
    replanned = make_plan(context, planned.archive, request)
    require_allowed(replanned.plan)
    return replanned


def roll_back_after_failure(failed: Attempt, reason: str, serial: int) -> NoReturn:
    """Block a release that failed, and return to the one before.

    Args:
        serial: the serial of the CLI's state that this deploy can have written at most.

    Raises:
        FailedError: always; the message names the running release.
    """
    context, plan = failed.context, failed.planned.plan
    release, target = plan.release, context.target.name
    failed.progress(f"failed: {reason}")
    state = context.store.state()
    failed.record("failed", reason=reason, detail={"back": plan.is_rollback})
    if plan.is_rollback:
        message = f"rollback to {release} failed on {target}: {reason}\n    Run the command again."
        notify(context.policy, target, message)
        raise FailedError(message)
    context.ledger.append(
        failed.lock, "blocked", release, digest=plan.release_digest, reason=reason
    )
    try:
        previous = _previous_release(failed, others_deployed=state.serial > serial)
        outcome = _roll_back_to(failed, previous)
    except DeliveryError as error:
        outcome = f"Automatic rollback failed: {error}\n    {_pause_jobs(context)}"
        other = jobs_on_other_releases(context.store.state(), context.ledger.history())
        outcome += f"\n    Jobs on other releases: {other}." if other else ""
    message = f"{release} failed on {target}: {reason}\n    {outcome}\n    {release} is blocked."
    notify(context.policy, target, message)
    raise FailedError(message)


def _previous_release(failed: Attempt, others_deployed: bool) -> str:
    if others_deployed:
        target = failed.context.target.name
        raise DeliveryError(f"{target} was changed outside delivery; see delivery status {target}")
    irreversible = failed.planned.release_policy.data.irreversible
    refuse_irreversible(failed.context, irreversible, failed.planned.plan.release)
    return resolve_rollback_target(failed.context, "")


def _roll_back_to(failed: Attempt, release: str) -> str:
    """Deploy and verify an earlier release; returns the outcome."""
    context = failed.context
    failed.progress(f"rolling back to {release}")
    archive, _ = context.verified_release(release)
    abandoned = failed.planned.plan.release
    request = PlanRequest(is_rollback=True, reason=f"automatic rollback: {abandoned} failed")
    planned = make_plan(context, archive, request)
    require_allowed(planned.plan)
    planned = unbind_adopted(context, planned, request, failed.progress)
    attempt = replace(
        failed,
        planned=planned,
        request=request,
        plan_digest=planned.plan.digest,
        started=time.monotonic(),
        serial=0,
    )
    attempt.delete_jobs(planned.orphans)
    deployed = attempt.apply()
    seen = attempt.verify(deployed)
    if seen.failed:
        failures = "; ".join(seen.failed)
        raise DeliveryError(
            f"{release} is running again, but its verification failed, too: {failures}"
        )
    if seen.unverified:
        again = f"to verify it: delivery rollback {context.target.name} --reason …"
        reasons = "; ".join(seen.unverified)
        return f"{release} is running again, but is not verified yet: {reasons}; {again}"
    attempt.record("verified")
    return f"{release} is running again, and verified."


def _pause_jobs(context: TargetContext) -> str:
    """Pause all jobs, and return the outcome."""
    unpaused = []
    for job in context.store.jobs():
        try:
            context.workspace.pause(job.id)
        except DeliveryError as error:
            unpaused.append(f"{job.name} ({error})")
    if unpaused:
        return f"Not all jobs could be paused: {', '.join(unpaused)}"
    return "All jobs are paused."
