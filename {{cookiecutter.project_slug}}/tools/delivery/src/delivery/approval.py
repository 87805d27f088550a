"""Whether somebody approved what is about to happen; a forge that asks nobody does not count."""

from delivery.errors import DeliveryError, Exit
from delivery.forge import forge
from delivery.plan import Plan
from delivery.policy import Policy


def check_approval(
    policy: Policy, target: str, plan: Plan | None, digest: str, approved_by: str
) -> None:
    """Hold a delivery to `approval` of the policy.

    Raises:
        DeliveryError: the target asks for an approval, and there is none.
    """
    mode = policy.approval_of(target)
    if mode == "dispatch" and not digest:
        raise _refused(target, mode, "the digest of the plan: --plan-digest …")
    if mode == "environment":
        if plan is None:
            raise _refused(target, mode, "the plan that was approved: --plan plan.json")
        _forge_asks(target)
        if not approved_by:
            raise _refused(target, mode, "who approved it: --approved-by ana")


def approvers(policy: Policy, target: str) -> str:
    """Who let this job start, by the word of the forge; empty where nobody is asked.

    Raises:
        DeliveryError: the policy wants the forge to ask, and it asks or names nobody.
    """
    here = forge() if policy.approval_of(target) == "environment" else None
    if here is None or not _forge_asks(target):
        return ""
    found = here.approvers(target)
    if not found:
        raise DeliveryError(
            f"approval of {target}: the forge names nobody who approved this job, expected one\n"
            "    Start it again and let a reviewer approve it; a rule that was bypassed is none.",
            Exit.REFUSED,
        )
    return ", ".join(found)


def known_approvals(policy: Policy, target: str) -> list[str]:
    """Who agreed in this run before a plan was made: that was about another plan."""
    here = forge() if policy.approval_of(target) == "environment" else None
    return here.reviews(target) if here else []


def _forge_asks(target: str) -> bool:
    """Whether the forge let this job start only after somebody agreed.

    Raises:
        DeliveryError: the forge asks nobody before it starts jobs of this environment.
    """
    here = forge()
    if here is None:
        return False
    if not here.asks(target):
        raise DeliveryError(
            f"approval of {target}: the environment {target} of the forge asks nobody, expected "
            f"required reviewers\n    {here.mend(target)}; or approval: dispatch in delivery.yml "
            "where the plan of the forge has no reviewers.",
            Exit.REFUSED,
        )
    return True


def _refused(target: str, mode: str, expected: str) -> DeliveryError:
    return DeliveryError(
        f"approval of {target}: given none, expected {expected} (approval: {mode} in delivery.yml)",
        Exit.REFUSED,
    )
