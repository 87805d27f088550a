"""The files of a workspace, in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field

from delivery.workspace.client import Entry


@dataclass
class Memory:
    """What the ledger needs of a workspace; one identity, no rights.

    Attributes:
        before: what happens before a file is created, by the end of its path.
        hidden: folders that are answered as if they were not there.
        reads: how many files were read, and listings: how many folders were listed.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    me: str = "deployer"
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    host: str = "https://example.com"
    reads: int = 0
    listings: int = 0

    def read(self, path: str) -> bytes | None:
        self.reads += 1
        return self.files.get(path)

    def create(self, path: str, content: bytes) -> bool:
        for end in [end for end in self.before if path.endswith(end)]:
            self.before.pop(end)()
        return self.files.setdefault(path, content) == content

    def delete(self, path: str, recursive: bool = False) -> None:
        self.files.pop(path, None)

    def list_dir(self, path: str) -> list[Entry]:
        return self.list_dir_or_none(path) or []

    def list_dir_or_none(self, path: str) -> list[Entry] | None:
        self.listings += 1
        if path in self.hidden:
            return None
        inside = [n.removeprefix(f"{path}/") for n in self.files if n.startswith(f"{path}/")]
        names = dict.fromkeys(name.partition("/")[0] for name in inside)
        return [Entry(f"{path}/{name}", 0, 0) for name in names]
