"""Requires the approvals that the policy demands, and the plan that was approved."""

from delivery.config.policy import Policy
from delivery.errors import RefusedError
from delivery.forge.base import Forge
from delivery.forge.detect import current_forge
from delivery.plan.model import Plan, plan_differences
from delivery.plan.planner import PlannedDeploy
from delivery.refusals import Refusal
from delivery.target.context import TargetContext


def check_approval(
    policy: Policy, target: str, plan: Plan | None, digest: str, approved_by: str
) -> None:
    """Require the approval that `approval` of the policy demands for a target.

    Raises:
        RefusedError: the approval is missing, or the forge requires no reviewers.
    """
    mode = policy.approval_of(target)
    if mode == "dispatch" and not digest:
        raise _refused(target, mode, "--plan-digest with the digest of the plan")
    if mode == "environment":
        if plan is None:
            raise _refused(target, mode, "the approved plan, such as --plan plan.json")
        forge = current_forge()
        if forge:
            _require_reviewers(forge, target)
        if not approved_by:
            raise _refused(target, mode, "the approver, such as --approved-by ana")


def check_plan(
    context: TargetContext,
    planned: PlannedDeploy,
    approved: Plan | None,
    approved_digest: str,
    approved_by: str,
) -> None:
    """Refuse a plan that is not approved, that a decision refuses, or that has changed since.

    Raises:
        RefusedError: the plan is refused.
    """
    plan, target = planned.plan, context.target.name
    if not plan.is_rollback:
        check_approval(planned.policy, target, approved, approved_digest, approved_by)
    require_allowed(plan)
    started = approved is not None and _was_started(context, approved)
    differences = plan_differences(approved, plan, started) if approved else []
    if differences:
        lines = "\n".join(f"  {difference}" for difference in differences)
        raise RefusedError(
            Refusal.PLAN_CHANGED, f"the target or the release changed since the approval:\n{lines}"
        )
    expected = approved.digest if approved and started else plan.digest
    if approved_digest and approved_digest != expected:
        raise RefusedError(
            Refusal.PLAN_DIGEST,
            f"plan digest: given {approved_digest}, expected {expected}, the digest of this "
            f"plan\n    Show the current plan: delivery plan {target}",
        )


def require_allowed(plan: Plan) -> None:
    """Refuse a plan if any decision refuses it.

    Raises:
        RefusedError: a decision refuses the plan; the message lists all of them.
    """
    if plan.refusals:
        lines = "\n".join(f"  {decision.key}: {decision.reason}" for decision in plan.refusals)
        raise RefusedError(plan.refusal_names, f"refused on {plan.target}:\n{lines}")


def _was_started(context: TargetContext, approved: Plan) -> bool:
    """Whether the last deploy applied the approved plan, at least in part."""
    for name in reversed(context.ledger.list_events()):
        event = context.ledger.read(name)
        if not (name.kind == "failed" and "lock" in event.detail):  # the event of a broken lock
            started = name.kind in ("started", "deployed")
            return started and event.plan_digest == approved.digest
    return False


def approvers(policy: Policy, target: str) -> str:
    """The reviewers who approved this job on the forge; empty if the policy requires none.

    Raises:
        RefusedError: the forge does not require reviewers, or no reviewer approved this job.
    """
    forge = _approving_forge(policy, target)
    if forge is None:
        return ""
    _require_reviewers(forge, target)
    found = forge.approvers(target)
    if not found:
        raise RefusedError(
            Refusal.NOT_APPROVED,
            f"approval of {target}: no reviewer has approved this job, but at least one approval "
            "is required\n    Start the job again and let a reviewer approve it. A bypassed "
            "protection rule does not count as an approval.",
        )
    return ", ".join(found)


def earlier_approvers(policy: Policy, target: str) -> list[str]:
    """The reviewers of an earlier plan in this run; a new plan needs a new approval."""
    forge = _approving_forge(policy, target)
    return forge.reviews(target) if forge else []


def _approving_forge(policy: Policy, target: str) -> Forge | None:
    return current_forge() if policy.approval_of(target) == "environment" else None


def _require_reviewers(forge: Forge, target: str) -> None:
    """Require an environment whose jobs start only after an approval.

    Raises:
        RefusedError: the environment has no required reviewers.
    """
    if not forge.requires_approval(target):
        raise RefusedError(
            Refusal.NO_REVIEWERS,
            f"approval of {target}: the environment {target} has no required reviewers\n"
            f"    Add them: {forge.approval_hint(target)}; or set approval: dispatch in "
            "delivery.yml if your GitHub or GitLab subscription has no required reviewers.",
        )


def _refused(target: str, mode: str, expected: str) -> RefusedError:
    return RefusedError(
        Refusal.NOT_APPROVED,
        f"approval of {target}: given none, expected {expected} (approval: {mode} in delivery.yml)",
    )
