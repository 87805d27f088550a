"""How landing files are found and read: the part of the ingest that differs by engine."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lakehouse.contract import Contract
from lakehouse.engine import landing
from lakehouse.engine.arrivals import START, Arrival, list_folder
from lakehouse.engine.landing import Inspected

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.engine.stores import Folders, Location

CHUNK = 256 * 1024 * 1024  # bytes of files that are in memory at once


@dataclass(frozen=True)
class Landed:
    """What is ingested.

    Attributes:
        contract: the contract of its files.
        source: the name of the source.
        folder: its landing folder, a volume.
        bronze: the table that has the rows.
        log: the table in which a stream notes the files that arrive.
    """

    contract: Contract
    source: str
    folder: str
    bronze: "Location"
    log: "Location"


@dataclass(frozen=True)
class Found:
    """A file that was read: its digest, empty if it could not be read, and what was found in it."""

    file: Arrival
    digest: str
    inspected: Inspected


class Loader(Protocol):
    """Finds and reads the landing files of one source."""

    def arrivals(self) -> list[Arrival]:
        """The newest version of each file that has arrived, by name."""

    def existing(self, files: Sequence[Arrival]) -> list[Arrival]:
        """Those of `files` that have not been removed."""

    def batches(self, files: Sequence[Arrival]) -> Iterator[Sequence[Arrival]]:
        """The files in parts, each of which is inspected and appended in one step."""

    def inspect(self, files: Sequence[Arrival]) -> list[Found]:
        """Read the files; those that have been removed are left out."""

    def append(self, files: Sequence[Found], loaded_at: datetime) -> None:
        """Append the rows of files that were just inspected to bronze, in one commit."""


@dataclass
class EmbeddedLoader:
    """Reads files in this process; delta-rs appends their rows."""

    store: "Folders"
    landed: Landed
    folder: Path
    _rows: "dict[str, pa.Table]" = field(init=False, default_factory=dict)

    def arrivals(self) -> list[Arrival]:
        return list_folder(self.folder)

    def existing(self, files: Sequence[Arrival]) -> list[Arrival]:
        return list(files)  # `arrivals` has just listed them

    def batches(self, files: Sequence[Arrival]) -> Iterator[Sequence[Arrival]]:
        batch: list[Arrival] = []
        for file in files:
            if batch and sum(other.bytes for other in batch) + file.bytes > CHUNK:
                yield batch
                batch = []
            batch.append(file)
        if batch:
            yield batch

    def inspect(self, files: Sequence[Arrival]) -> list[Found]:
        self._rows.clear()
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # reading leaves Python's lock free
            return [found for found in threads.map(self._inspected, files) if found]

    def append(self, files: Sequence[Found], loaded_at: datetime) -> None:
        import pyarrow as pa

        tables = [
            landing.bronze_rows(self._rows[f.file.name], self.landed.contract, f.file, loaded_at)
            for f in files
        ]
        rows = pa.concat_tables(tables, promote_options="default")
        self.store.append_arrow(rows, self.landed.bronze)

    def _inspected(self, file: Arrival) -> Found | None:
        try:
            content = Path(file.path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror or error}"
            # With another time than its own, so that the next run tries again.
            return Found(replace(file, modified_at=START), "", Inspected(refused=reason))
        inspected, rows = landing.inspect(file.name, content, self.landed.contract)
        if rows is not None:
            self._rows[file.name] = rows
        return Found(file, hashlib.sha256(content).hexdigest(), inspected)
