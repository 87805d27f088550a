"""Block releases on a target, and unblock them."""

from delivery.deploy.notify import notify
from delivery.errors import DeliveryError
from delivery.operations.operation import Operation
from delivery.plan.model import Plan
from delivery.release import RELEASE_NAME
from delivery.target.events import Event


def block(operation: Operation, release: str) -> Event:
    """Refuse to deploy a release from now on.

    Raises:
        DeliveryError: the text is not the name of a release.
    """
    if not RELEASE_NAME.fullmatch(release):
        raise DeliveryError(
            f"release: given {release!r}, expected a release such as 2026.11.23-g3f2a9c10"
        )
    with operation.locked(f"block {release}") as lock:
        event = operation.record(lock, "blocked", release)
    _notify(operation, release)
    return event


def block_abandoned(operation: Operation, plan: Plan) -> list[Event]:
    """Block every release that a rollback on another target abandons, before it arrives here.

    Args:
        plan: the plan of that rollback.

    Raises:
        DeliveryError: the plan is not that of a rollback of this project.
    """
    context = operation.context
    if not plan.is_rollback or plan.project != context.target.project:
        raise DeliveryError(
            f"--left-by: given a plan for {plan.release} on {plan.target}, expected the plan of a "
            "rollback of this project: delivery rollback TARGET --dry-run --save FILE"
        )
    with operation.locked(f"block releases abandoned on {plan.target}") as lock:
        blocked = context.ledger.history().blocked
        new = [release for release in plan.abandons if release not in blocked]
        events = [operation.record(lock, "blocked", release) for release in new]
    for release in new:
        _notify(operation, release)
    return events


def unblock(operation: Operation, release: str) -> Event:
    """Allow a blocked release to be deployed again.

    Raises:
        DeliveryError: the release is not blocked.
    """
    with operation.locked(f"unblock {release}") as lock:
        blocked = operation.context.ledger.history().blocked
        if release not in blocked:
            known = ", ".join(blocked) or "none"
            raise DeliveryError(f"release: given {release!r}, expected a blocked release: {known}")
        return operation.record(lock, "unblocked", release)


def _notify(operation: Operation, release: str) -> None:
    text = f"{release} is blocked: {operation.reason}"
    notify(operation.context.policy, operation.target, text)
