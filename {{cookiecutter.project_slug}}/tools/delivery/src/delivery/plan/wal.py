"""Carries the write-ahead log of an interrupted CLI over to the next deploy."""

from collections.abc import Mapping
from pathlib import Path

from delivery.target.context import TargetContext


def recover_wal(context: TargetContext) -> dict[str, bytes]:
    """The newest log on this machine and the state beside it, by file name; empty if none."""
    name = f"*/.databricks/bundle/{context.target.name}/resources.json.wal"
    logs = [
        log
        for work in (context.workdir(), *context.abandoned_workdirs())
        for log in work.glob(name)
    ]
    if not logs:
        return {}
    newest = max(logs, key=lambda log: log.stat().st_mtime)
    return {file.name: file.read_bytes() for file in newest.parent.glob("resources.json*")}


def unsaved_state(context: TargetContext) -> bytes:
    """The content of that log. Its ids may be missing from the saved state."""
    return b"".join(recover_wal(context).values())


def restore_wal(folder: Path, target: str, files: Mapping[str, bytes]) -> None:
    """Put the log into an opened release; the CLI itself discards a stale one."""
    for name, content in files.items():
        file = folder / ".databricks" / "bundle" / target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
