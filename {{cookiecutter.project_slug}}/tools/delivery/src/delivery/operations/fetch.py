"""Download a verified release from a target, with its receipt."""

from collections.abc import Sequence

from delivery.errors import DeliveryError, RefusedError
from delivery.refusals import Refusal
from delivery.release import Archive, commit_of, tree_of
from delivery.target.context import TargetContext
from delivery.target.events import Event


def fetch(context: TargetContext, release: str = "", tree: str = "") -> tuple[Archive, Event]:
    """The archive of a release, and the event by which the target verified it.

    Args:
        release: empty for the running one.
        tree: a git tree or a commit; fetches the verified release that was built from that tree.

    Raises:
        RefusedError: the release is blocked, or was never verified.
    """
    context.require_visible()
    history, target = context.ledger.history(context.ledger.list_events()), context.target.name
    verified = history.verified_releases
    chosen = release or (_built_from(context, verified, tree) if tree else history.running)
    if chosen in history.blocked:
        raise RefusedError(Refusal.BLOCKED, f"{chosen} is blocked on {target}")
    if chosen not in verified or (chosen == history.running and not history.is_verified):
        raise RefusedError(
            Refusal.NOT_VERIFIED,
            f"release: given {chosen or 'none'}, expected one that {target} verified: "
            f"{', '.join(verified) or 'none'}",
        )
    return context.verified_release(chosen)


def _built_from(context: TargetContext, verified: Sequence[str], tree: str) -> str:
    """The release of this very commit, or the newest verified one with the same git tree.

    The tree comes from git, because the claim in an archive's manifest is not evidence.
    """
    wanted, kept = tree_of(context.root, tree), context.store.stored_releases()
    own = _release_of_commit(context, tree)
    known = [release for release in reversed(verified) if release in kept]
    for release in sorted(known, key=lambda release: release != own):
        if _tree_of(context, release) == wanted:
            return release
    target = context.target.name
    raise RefusedError(
        Refusal.NOT_VERIFIED,
        f"tree: given {wanted}, expected the tree of a release that {target} verified\n    Merge "
        f"it to {context.policy.branches.targets[target]} first, or see why its deploy failed: "
        f"delivery history {target}",
    )


def _release_of_commit(context: TargetContext, text: str) -> str:
    """The name of a commit's release; empty if the text is the hash of a tree."""
    try:
        return commit_of(context.root, text).release
    except DeliveryError:
        return ""


def _tree_of(context: TargetContext, release: str) -> str:
    """The git tree of a release's commit; empty if git does not have the commit."""
    try:
        return tree_of(context.root, release.rpartition("-g")[2])
    except DeliveryError:
        return ""
