"""The lock of a target: only its holder deploys, and writes events."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Lock:
    """A lock that a run holds on a target.

    Attributes:
        id: a UUID; one process may hold several locks one after the other.
        operation: the purpose, such as `deploy 2026.11.23-g3f2a9c10`.
    """

    id: str
    actor: str
    run_url: str
    since: datetime
    operation: str

    def content(self) -> bytes:
        """The lock as it is stored; the names of its fields there never change."""
        stored = {
            "id": self.id,
            "actor": self.actor,
            "run_url": self.run_url,
            "at": self.since.isoformat(),
            "what": self.operation,
        }
        return json.dumps(stored, indent=1, sort_keys=True).encode()

    @classmethod
    def parse(cls, content: bytes) -> "Lock":
        """Read a stored lock. An unreadable lock counts as held."""
        try:
            stored = json.loads(content)
            since = datetime.fromisoformat(stored["at"])
            since = since if since.tzinfo else since.replace(tzinfo=UTC)
            return cls(stored["id"], stored["actor"], stored["run_url"], since, stored["what"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls("", "unknown holder", "", datetime.fromtimestamp(0, UTC), "unreadable lock")

    def describe(self, now: datetime) -> str:
        """Its holder, purpose and time, such as `ana (deploy R) since T`."""
        minutes = max(0, int((now - self.since).total_seconds() // 60))
        where = f", {self.run_url}" if self.run_url else ""
        since = f"since {self.since:%Y-%m-%d %H:%M} UTC ({minutes} min)"
        return f"{self.actor} ({self.operation}) {since}{where}"
