"""The history of a target's releases, folded from its events."""

from collections.abc import Container
from dataclasses import dataclass, field

from delivery.target.events import NO_RELEASE, EventName


@dataclass
class ReleaseHistory:
    """The release history, derived from the names of all events.

    Attributes:
        is_empty: there are no events.
        running: the release that was deployed last; empty if none was.
        delivered: the event that deployed it.
        is_verified: it has been verified since then.
        in_progress: a deploy that was started and has not ended.
        attempted: the release of the last deploy that was started, unless it was verified.
        has_failed: a deploy has failed, and no release has been verified since then.
        verified_releases: in the order in which they were verified first.
        rollback_path: the verified releases that lead to the running one; a rollback removes those
            that it abandons.
        managed_by_us: this tool created resources here.
        blocked: releases that may not be deployed, and the event that blocked each.
    """

    is_empty: bool = True
    running: str = ""
    delivered: EventName | None = None
    is_verified: bool = False
    in_progress: EventName | None = None
    attempted: str = ""
    has_failed: bool = False
    verified_releases: list[str] = field(default_factory=list)
    rollback_path: list[str] = field(default_factory=list)
    blocked: dict[str, EventName] = field(default_factory=dict)
    managed_by_us: bool = False

    def apply(self, name: EventName) -> None:
        """Fold one more event into the history."""
        self.is_empty = False
        self.managed_by_us |= name.kind in ("started", "deployed", "rolled_back", "adopted")
        if name.kind == "started":
            self.in_progress, self.attempted = name, name.release
        elif name.kind in ("deployed", "rolled_back"):
            self.running, self.delivered, self.is_verified = name.release, name, False
            self.in_progress = None
        elif name.kind == "verified" and name.release == self.running:
            self._verify(name.release)
        elif name.kind == "failed":
            self.in_progress, self.has_failed = None, name.release != NO_RELEASE or self.has_failed
        elif name.kind == "blocked":
            self.blocked[name.release] = name
            self._abandon(name.release)
        elif name.kind == "unblocked":
            self.blocked.pop(name.release, None)

    def _verify(self, release: str) -> None:
        """Append to the rollback path, without the releases after an earlier place of this one."""
        self.is_verified, self.attempted, self.has_failed = True, "", False
        self.verified_releases = [*dict.fromkeys([*self.verified_releases, release])]
        self.rollback_path = [*self.path_before(release), release]

    def _abandon(self, release: str) -> None:
        """Forget the attempt to deploy a release that is blocked before it was deployed."""
        if self.attempted == release != self.running:
            self.in_progress, self.attempted = None, ""

    def path_before(self, release: str) -> list[str]:
        """The rollback path before a release; all of it if the release is not on it."""
        path = self.rollback_path
        return path[: path.index(release)] if release in path else path

    def abandoned_by_rollback_to(self, release: str) -> list[str]:
        """The releases that a rollback abandons: those that came later, and the attempted one."""
        later = self.rollback_path[len(self.path_before(release)) + 1 :]
        abandoned = dict.fromkeys([*later, self.running, self.attempted])
        return [r for r in abandoned if r and r != release]

    def rollback_target(self, kept: Container[str]) -> str:
        """The release that a rollback returns to; empty if there is none.

        That is the running release itself if a newer deploy was started and failed, or if a
        rollback to it was interrupted before verification.

        Args:
            kept: the releases that the target still has.
        """
        newer_failed = self.has_failed or self.attempted not in ("", self.running)
        rolled_back = self.delivered and self.delivered.kind == "rolled_back"
        again = newer_failed if self.is_verified else rolled_back
        candidates = [*self.path_before(self.running), *([self.running] if again else [])]
        usable = (r for r in reversed(candidates) if r not in self.blocked and r in kept)
        return next(usable, "")
