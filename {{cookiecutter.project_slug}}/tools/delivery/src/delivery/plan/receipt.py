"""Checks the receipt that the previous target verified the release of a plan."""

from collections.abc import Iterator
from datetime import UTC, datetime

from delivery.config.target import UNKNOWN_RELEASE, read_target
from delivery.errors import DeliveryError, RefusedError
from delivery.plan.candidate import Candidate
from delivery.target.context import TargetContext
from delivery.target.events import Event
from delivery.target.ledger import Ledger


def receipt_problems(
    context: TargetContext, candidate: Candidate, source: str, receipt: Event | None
) -> Iterator[str]:
    """Why a receipt does not prove that `source` verified the release; empty if it does."""
    manifest = candidate.archive.manifest
    expected = ("verified", source, candidate.target.project)
    if receipt is None:
        yield (
            f"no receipt of {source}; fetch one: delivery fetch {source} --release "
            f"{manifest.release}, then pass it: --receipt FILE"
        )
    elif (receipt.kind, receipt.target, receipt.project) != expected:
        yield (
            f'the receipt records "{receipt.kind}" on {receipt.target}, expected "verified" on '
            f"{source}"
        )
    elif (receipt.release, receipt.digest) != (manifest.release, manifest.digest):
        yield f"the receipt has another release or digest than {manifest.release}"
    else:
        yield from _ledger_problems(context, candidate, source, receipt)


def _ledger_problems(
    context: TargetContext, candidate: Candidate, source: str, receipt: Event
) -> Iterator[str]:
    """Why the ledger of the source contradicts a receipt, if it is visible to this identity."""
    target = read_target(context.root, source, UNKNOWN_RELEASE)
    if target.host != candidate.target.host:
        return
    ledger = Ledger(context.workspace, target)
    try:
        names = ledger.list_events()
        if not names:
            return  # not visible: the ledger contains at least the receipt
        known = [ledger.read(n) for n in names if (n.seq, n.kind) == (receipt.seq, "verified")]
    except RefusedError as error:
        yield str(error).partition("\n")[0]
        return
    except DeliveryError:
        return
    if receipt not in known:
        yield f"the receipt is not in the ledger of {source}; fetch it again"
    elif receipt.release in ledger.history(names).blocked:
        yield f"{receipt.release} was blocked on {source} after the receipt was written"


def receipt_age(receipt: Event | None, now: datetime) -> str:
    """When the previous target verified the release, for the approver; empty if none did."""
    if receipt is None:
        return ""
    at = receipt.at.astimezone(UTC)
    hours = max(0, int((now - at).total_seconds() // 3600))
    return f"verified on {receipt.target} {at:%Y-%m-%d %H:%M} UTC, {hours} h before this plan"
