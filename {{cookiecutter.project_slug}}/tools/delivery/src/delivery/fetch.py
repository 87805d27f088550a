"""Bring a verified release from a target's store, with the event that says so."""

from collections.abc import Sequence

from delivery.errors import DeliveryError, Exit
from delivery.ledger import Event
from delivery.release import Archive, commit_of, tree_of
from delivery.site import Site


def fetch(site: Site, release: str = "", tree: str = "") -> tuple[Archive, Event]:
    """The archive and the receipt of a release.

    Args:
        release: empty for the one that runs.
        tree: the git tree that the release was built from, or a commit that has it.

    Raises:
        DeliveryError: there is no such release, it is blocked, or it was never verified.
    """
    site.check_seen()
    names = site.ledger.names()
    standing = site.ledger.standing(names)
    chosen = release or (_of_tree(site, standing.good, tree) if tree else standing.running)
    if chosen in standing.blocked:
        raise DeliveryError(f"{chosen} is blocked on {site.target.name}", Exit.REFUSED)
    if chosen not in standing.good or (chosen == standing.running and not standing.verified):
        raise DeliveryError(
            f"release: given {chosen or 'none'}, expected one that {site.target.name} verified: "
            f"{', '.join(standing.good) or 'none'}",
            Exit.REFUSED,
        )
    return verified(site, chosen)


def verified(site: Site, release: str) -> tuple[Archive, Event]:
    """The kept archive of a release that was verified, and the newest event that says so.

    Raises:
        DeliveryError: it is not kept, or it is not the one that was verified.
    """
    names = [n for n in site.ledger.names() if (n.kind, n.release) == ("verified", release)]
    archive, receipts = site.store.get(release), [site.ledger.read(name) for name in names]
    if {archive.manifest.digest} != {receipt.digest for receipt in receipts}:
        raise DeliveryError(
            f"{release}: the archive is not the one that was verified on {site.target.name}",
            Exit.REFUSED,
        )
    return archive, receipts[-1]


def _of_tree(site: Site, good: Sequence[str], tree: str) -> str:
    """The release of that very commit, else the newest verified one of the same git tree.

    Git says which commit has it, no archive does.
    """
    wanted, kept = tree_of(site.root, tree), site.store.kept()
    own = _release_of(site, tree)
    known = [release for release in reversed(good) if release in kept]
    for release in sorted(known, key=lambda release: release != own):
        if _tree_of_release(site, release) == wanted:
            return release
    name = site.target.name
    raise DeliveryError(
        f"tree: given {wanted}, expected one of which {name} verified a release\n    The merge to "
        f"the branch {site.policy.branches.targets[name]} is missing, or its delivery failed.",
        Exit.REFUSED,
    )


def _release_of(site: Site, text: str) -> str:
    """What the release of a commit is called; empty where the text means a tree alone."""
    try:
        return commit_of(site.root, text).release
    except DeliveryError:
        return ""


def _tree_of_release(site: Site, release: str) -> str:
    """The tree of the commit that a release is named after; empty where git does not know it."""
    try:
        return tree_of(site.root, release.rpartition("-g")[2])
    except DeliveryError:
        return ""
