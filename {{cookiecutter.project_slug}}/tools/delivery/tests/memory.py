"""The files of a workspace, in memory."""

from dataclasses import dataclass, field

from delivery.workspace import Entry


@dataclass
class Memory:
    """What the ledger needs of a workspace; one identity, no rights."""

    files: dict[str, bytes] = field(default_factory=dict)
    me: str = "deployer"

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def create(self, path: str, content: bytes) -> bool:
        return self.files.setdefault(path, content) == content

    def delete(self, path: str, recursive: bool = False) -> None:
        self.files.pop(path, None)

    def entries(self, path: str) -> list[Entry]:
        inside = [name for name in self.files if name.startswith(f"{path}/")]
        return [Entry(name, 0, 0) for name in inside]
