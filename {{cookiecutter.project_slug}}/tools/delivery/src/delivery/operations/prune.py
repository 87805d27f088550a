"""Remove old releases from a target."""

from delivery.operations.operation import Operation
from delivery.target.context import TargetContext
from delivery.target.events import NO_RELEASE


def prune(operation: Operation, keep: int, dry_run: bool) -> list[str]:
    """Remove releases that no rollback needs, and return their names.

    Args:
        keep: how many verified releases to keep.
    """
    with operation.locked("prune") as lock:
        releases = prunable(operation.context, keep)
        if releases and not dry_run:
            for release in releases:
                operation.progress(f"removing {release}")
                operation.context.store.remove(release)
            operation.record(lock, "pruned", NO_RELEASE, {"releases": releases})
    return releases


def prunable(context: TargetContext, keep: int) -> list[str]:
    """Stored releases that no rollback needs, the oldest first."""
    history = context.ledger.history()
    # After an interrupted deploy the state refers to more than one release.
    in_use = context.state(history).content.decode(errors="replace")
    verified = [release for release in history.verified_releases if release not in history.blocked]
    needed = {history.running, *verified[-keep:]}
    return [r for r in context.store.stored_releases() if r not in needed and r not in in_use]
