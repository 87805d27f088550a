"""Break a stale lock, left by an interrupted run."""

from datetime import UTC, datetime

from delivery.errors import DeliveryError
from delivery.operations.operation import Operation
from delivery.target.events import NO_RELEASE, Event


def break_lock(operation: Operation) -> Event:
    """Break the lock of the target and that of the CLI; the interrupted deploy counts as failed.

    Raises:
        DeliveryError: neither lock is held.
    """
    context = operation.context
    context.require_visible()
    context.ledger.list_events()
    held = context.ledger.current_lock()
    holder = held.describe(datetime.now(UTC)) if held else context.store.cli_lock_holder()
    if not holder:
        raise DeliveryError(f"lock of {operation.target}: not held, so there is nothing to break")
    with operation.locked("break-lock", break_lock=True) as lock:
        interrupted = context.ledger.history().in_progress
        release = interrupted.release if interrupted else NO_RELEASE
        return operation.record(lock, "failed", release, {"lock": holder})
