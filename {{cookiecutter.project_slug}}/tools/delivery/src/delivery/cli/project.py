"""The project, a target, a release or an operation, from the arguments of a command."""

from pathlib import Path

from delivery.cli.options import parse_duration
from delivery.cli.output import progress
from delivery.config.root import find_root
from delivery.errors import DeliveryError
from delivery.files import read
from delivery.operations.operation import Operation
from delivery.plan.approval import approvers
from delivery.plan.request import PlanRequest, keys_to_destroy
from delivery.release import RELEASE_NAME, Archive, checked_out_commit, read_archive
from delivery.target.context import TargetContext, open_target
from delivery.target.events import Event

RELEASES_FOLDER = Path(".delivery", "releases")  # where `delivery release` writes its archives


def project_root() -> Path:
    """The project of the current folder."""
    return find_root(Path.cwd())


def target_context(target: str, archive: Archive | None = None) -> TargetContext:
    """A target of the current project; see `open_target`."""
    return open_target(project_root(), target, archive)


def find_archive(given: Path | None, digest: str | None = None) -> Archive:
    """The given archive, or that of the checked-out commit.

    Raises:
        DeliveryError: the archive does not exist, is damaged, or has another digest.
    """
    file = (
        given
        or project_root() / RELEASES_FOLDER / f"{checked_out_commit(project_root()).release}.tar.gz"
    )
    if not file.is_file():
        raise DeliveryError(
            f"archive: given {file}, expected a release\n"
            "    Build it: delivery release. Fetch it: delivery fetch TARGET. Or name its file: "
            "2026.11.23-g3f2a9c10.tar.gz"
        )
    archive = read_archive(read(file), file.name)[0]
    archive.require(digest)
    return archive


def names_release(text: str) -> bool:
    """Whether a text is the name or the file of a release, not a target."""
    return bool(RELEASE_NAME.fullmatch(text)) or text.endswith(".tar.gz")


def named_archive(text: str) -> Archive:
    """A release by its file, or by its name in the folder of `release` and `fetch`."""
    return find_archive(
        project_root() / RELEASES_FOLDER / f"{text}.tar.gz"
        if RELEASE_NAME.fullmatch(text)
        else Path(text)
    )


def read_receipt(file: Path) -> Event:
    """The receipt of another target.

    Raises:
        DeliveryError: the file is not a receipt.
    """
    try:
        return Event.parse(file.read_bytes())
    except (OSError, ValueError):
        raise DeliveryError(
            f"receipt: given {file}, expected a file written by: delivery fetch staging"
        ) from None


def plan_request(
    allow_destroy: list[str] | None, receipt: Path | None, reason: str, first: bool
) -> PlanRequest:
    """What a plan should do, from the options that `plan` and `deploy` share.

    Raises:
        DeliveryError: a key to destroy has no reason, or the file is not a receipt.
    """
    return PlanRequest(
        allow_destroy=keys_to_destroy(allow_destroy or [], reason),
        receipt=read_receipt(receipt) if receipt else None,
        reason=reason,
        first=first,
    )


def start_operation(
    target: str, reason: str, wait: str, break_lock: bool, release: Archive | None = None
) -> Operation:
    """An operation on a target, with its approvers.

    Raises:
        DeliveryError: there is no reason.
    """
    if not reason.strip():
        raise DeliveryError(
            "--reason: given nothing, expected a reason for the ledger, such as 'totals are wrong'"
        )
    context = target_context(target, release)
    approved_by = approvers(context.policy, target)
    return Operation(context, reason, approved_by, parse_duration(wait), break_lock, progress)
