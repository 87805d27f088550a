"""Bring a verified release from a target's store, with the event that says so."""

from delivery.errors import DeliveryError, Exit
from delivery.ledger import Event, Name
from delivery.release import Archive
from delivery.site import Site


def fetch(site: Site, release: str = "", tree: str = "") -> tuple[Archive, Event]:
    """The archive and the receipt of a release.

    Args:
        release: empty for the one that runs.
        tree: the git tree that the release was built from.

    Raises:
        DeliveryError: there is no such release, it is blocked, or it was never verified.
    """
    site.store.check_marker()
    names = site.ledger.names()
    standing = site.ledger.standing(names)
    chosen = release or (_of_tree(site, standing.good, tree) if tree else standing.running)
    if chosen in standing.blocked:
        raise DeliveryError(f"{chosen} is blocked on {site.target.name}", Exit.REFUSED)
    receipts = [n for n in names if n.kind == "verified" and n.release == chosen]
    if not receipts or (chosen == standing.running and not standing.verified):
        raise DeliveryError(
            f"release: given {chosen or 'none'}, expected one that {site.target.name} verified: "
            f"{', '.join(standing.good) or 'none'}",
            Exit.REFUSED,
        )
    return _consistent(site, receipts[-1])


def _consistent(site: Site, name: Name) -> tuple[Archive, Event]:
    archive, receipt = site.store.get(name.release), site.ledger.read(name)
    if archive.manifest.digest != receipt.digest:
        raise DeliveryError(
            f"{name.release}: the archive is not the one that was verified on {site.target.name}",
            Exit.REFUSED,
        )
    return archive, receipt


def _of_tree(site: Site, good: list[str], tree: str) -> str:
    """The newest verified release of a git tree."""
    for release in reversed(good):
        if site.store.get(release).manifest.tree == tree:
            return release
    name = site.target.name
    raise DeliveryError(
        f"tree: given {tree}, expected one of which {name} verified a release\n    The merge to the "
        f"branch {site.policy.branches.targets[name]} is missing, or its delivery failed.",
        Exit.REFUSED,
    )
