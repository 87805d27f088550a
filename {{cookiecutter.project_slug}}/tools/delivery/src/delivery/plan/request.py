"""The options of a command that makes a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from delivery.errors import DeliveryError
from delivery.target.events import Event


@dataclass(frozen=True)
class PlanRequest:
    """What a plan should do.

    Attributes:
        allow_destroy: the keys that may be destroyed, each with the reason.
        receipt: the event by which the previous target verified this release.
        reason, approved_by: recorded in the ledger.
        is_rollback: deploy an earlier release again.
        release: the release to roll back to; empty for the rollback target.
        first: this is the first deploy to the target.
        preview_only: the plan of a pull or merge request, which is deployed only after the merge.
    """

    allow_destroy: Mapping[str, str] = field(default_factory=dict)
    receipt: Event | None = None
    reason: str = ""
    approved_by: str = ""
    is_rollback: bool = False
    release: str = ""
    first: bool = False
    preview_only: bool = False


def keys_to_destroy(keys: Sequence[str], reason: str) -> Mapping[str, str]:
    """The keys of `--allow-destroy`, each with the reason.

    Raises:
        DeliveryError: there is no reason.
    """
    if keys and not reason.strip():
        raise DeliveryError(
            "--allow-destroy: expected a reason, such as --reason 'moved to volumes.raw'"
        )
    return {key.removeprefix("resources."): reason for key in keys}
