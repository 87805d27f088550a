"""What is deployed: the state in the workspace, its local copy, and the write-ahead log."""

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_cli import VERSION
from fake_cli.api import Files, Json
from fake_cli.errors import CommandError

STATE_VERSION = 2
NAME = "resources.json"


@dataclass
class State:
    """The state of one target, in the project's `.databricks` folder.

    Attributes:
        data: the state as the command found it, with what a killed command left in the log.
        ids: the id of each node, kept up to date while the command writes.
    """

    folder: Path
    data: Json = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def entries(self) -> Json:
        """The entries by node key."""
        found: Json = self.data.setdefault("state", {})
        return found

    @property
    def lineage(self) -> str:
        """Which history of states this is; empty before the first deploy."""
        return str(self.data.get("lineage", ""))

    @property
    def serial(self) -> int:
        """How many deploys changed the state."""
        return int(self.data.get("serial", 0))

    @property
    def _file(self) -> Path:
        return self.folder / NAME

    @property
    def _log(self) -> Path:
        return self.folder / f"{NAME}.wal"

    def pull(self, files: Files, remote: str, always: bool = True) -> None:
        """Take the newer one of the local and the workspace's state, then replay the log."""
        local = json.loads(self._file.read_bytes()) if self._file.exists() else None
        found = None
        if local is None or always:
            files.read(f"{remote}/terraform.tfstate")  # as the real one: it may fail
            content = files.read(f"{remote}/{NAME}")
            found = json.loads(content) if content else None
        if local and found and local["lineage"] != found["lineage"]:
            raise CommandError("lineage mismatch in state files")
        if found and (local is None or found["serial"] > local["serial"]):
            self._keep(found)
        else:
            self.data = local or {}
        self._replay()

    def push(self, files: Files, remote: str) -> None:
        """Put the local state into the workspace; nothing when there is none."""
        if self._file.exists():
            files.write(f"{remote}/{NAME}", self._file.read_bytes())

    def begin(self) -> None:
        """Start the log."""
        self.data.setdefault("lineage", str(uuid.uuid4()))
        header = self._header(self.serial + 1)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._append(header)

    def save(self, key: str, identity: str, state: Json, depends_on: list[Json]) -> None:
        """Log that a node is deployed."""
        entry: Json = {"__id__": identity, "state": state}
        if depends_on:
            entry["depends_on"] = depends_on
        self._append({"k": key, "v": entry})
        self.ids[key] = identity

    def forget(self, key: str) -> None:
        """Log that a node is gone."""
        self._append({"k": key})
        self.ids.pop(key, None)

    def finish(self) -> None:
        """Move what was logged into the local state; without any the serial stays."""
        self._replay()

    def _header(self, serial: int) -> Json:
        return {
            "state_version": STATE_VERSION,
            "cli_version": VERSION,
            "lineage": self.lineage,
            "serial": serial,
        }

    def _replay(self) -> None:
        if self._log.exists():
            header, *lines = map(json.loads, self._log.read_text("utf-8").splitlines())
            self._check(header)
            if lines and header["serial"] == self.serial + 1:
                self._merge(header, lines)
            self._log.unlink()
        self.ids = {key: entry["__id__"] for key, entry in self.entries.items()}

    def _check(self, header: Json) -> None:
        if self.lineage and self.lineage != header["lineage"]:
            raise CommandError(
                f"reading state from {self._file}: WAL recovery failed: WAL lineage "
                f'("{header["lineage"]}") does not match state lineage ("{self.lineage}")'
            )

    def _merge(self, header: Json, lines: list[Json]) -> None:
        entries = dict(self.entries)
        for line in lines:
            entries.pop(line["k"], None)
            if "v" in line:
                entries[line["k"]] = line["v"]
        self._keep({**header, "state": dict(sorted(entries.items()))})

    def _keep(self, data: Json) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".tmp")
        draft.write_text(json.dumps(data, indent=1), encoding="utf-8")
        draft.replace(self._file)
        self.data = data

    def _append(self, line: Any) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
