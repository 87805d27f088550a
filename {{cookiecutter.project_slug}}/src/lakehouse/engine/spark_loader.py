"""Landing files on Spark: a stream notes which files arrive, and workers read them.

The stream only appends names, sizes and times to `ops.arrivals`. The files themselves are read in
batches, because a file may have to be read more than once: it was rejected and the contract has
changed since, or a run was interrupted.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyspark import cloudpickle
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType, TimestampType

import lakehouse.contract
from lakehouse.contract import Contract
from lakehouse.engine import arrivals, files, landing, workers
from lakehouse.engine.arrivals import Arrival, is_hidden, list_folder, moment
from lakehouse.engine.files import ROW
from lakehouse.engine.landing import ARRIVED, FILE, LOADED, Inspected
from lakehouse.engine.loaders import Found, Landed

if TYPE_CHECKING:
    from lakehouse.engine.stores import Location

_FILES = "path string, modificationTime timestamp, length bigint, content binary"
_BY_VALUE = (lakehouse.contract, arrivals, files, landing, workers)


class SparkStore(Protocol):
    """What the loaders need of a store."""

    def exists(self, at: "Location") -> bool:
        """Whether the table has been written before."""

    def read(self, at: "Location") -> DataFrame:
        """The rows of the table."""

    def write(self, rows: DataFrame, at: "Location", mode: str) -> None:
        """Append to the table, adding new columns."""

    def append_stream(self, rows: DataFrame, at: "Location", checkpoint: str) -> None:
        """Append what a stream has now, and wait for the end."""


@dataclass(frozen=True)
class SparkLoader:
    """Reads the files of `folder` in the workers; `arrivals` depends on the kind of stream."""

    spark: SparkSession
    store: SparkStore
    landed: Landed
    folder: str
    checkpoint: str

    def arrivals(self) -> list[Arrival]:
        raise NotImplementedError

    def existing(self, files: Sequence[Arrival]) -> list[Arrival]:
        if not files:
            return []
        try:
            _ = self._contents(files).schema  # resolves the paths
        except AnalysisException as error:
            _raise_unless_removed(error)
            return self._listed(files)
        return list(files)

    def batches(self, files: Sequence[Arrival]) -> Iterator[Sequence[Arrival]]:
        if files:
            yield files

    def inspect(self, files: Sequence[Arrival]) -> list[Found]:
        # Spark does not read a file without a byte.
        empty = [_empty(file, self.landed.contract) for file in files if not file.bytes]
        files = [file for file in files if file.bytes]
        try:
            return [*self._inspected(files), *empty]
        except AnalysisException as error:
            _raise_unless_removed(error)
            return [*self._inspected(self._listed(files)), *empty]

    def append(self, files: Sequence[Found], loaded_at: datetime) -> None:
        added = dict.fromkeys(name for found in files for name in found.inspected.added)
        schema = _bronze_schema(self.landed.contract, list(added))
        by_name = {found.file.name: (found.file, found.digest) for found in files}
        read = workers.reader(self.landed.contract, self.folder, by_name, schema.names, loaded_at)
        contents = self._contents([found.file for found in files])
        with_code()
        self.store.write(contents.mapInArrow(read, schema), self.landed.bronze, "append")

    def _inspected(self, files: Sequence[Arrival]) -> list[Found]:
        if not files:
            return []
        with_code()
        inspect = workers.inspector(self.landed.contract, self.folder)
        rows = self._contents(files).mapInArrow(inspect, workers.INSPECTED).collect()
        found = {
            row.file: Inspected(row.rows, tuple(row.added), tuple(row.missing), row.refused)
            for row in rows
        }
        digests = {row.file: row.digest for row in rows}
        # A file that has become empty since has no row.
        return [Found(f, digests[f.name], found[f.name]) for f in files if f.name in digests]

    def _contents(self, files: Sequence[Arrival]) -> DataFrame:
        paths = [_literal_path(file.path) for file in files]
        return self._binary_files(paths).select("path", "content")

    def _listed(self, files: Sequence[Arrival]) -> list[Arrival]:
        """Those of `files` that a listing of the folder has."""
        rows = self._binary_files([_literal_path(self.folder)]).select("path").collect()
        paths = {arrivals.relative(row.path, self.folder) for row in rows}
        return [file for file in files if file.name in paths]

    def _binary_files(self, paths: list[str]) -> DataFrame:
        # Without `recursiveFileLookup`, a folder such as `year=2013` would add a column.
        return self.spark.read.format("binaryFile").option("recursiveFileLookup", True).load(paths)

    def _log_new(self, stream: DataFrame) -> None:
        """Append the files that have arrived since the last time to `ops.arrivals`."""
        inside = f"{self.folder}/"
        start = F.instr("path", inside) + len(inside)
        rows = stream.select(
            F.lit(self.landed.source).alias("source"),
            "path",
            F.substr("path", start).alias("file"),
            F.col("length").alias("bytes"),
            F.col("modificationTime").alias("modified_at"),
        )
        self.store.append_stream(rows, self.landed.log, self.checkpoint)

    def _logged(self) -> list[Arrival]:
        """The newest arrival of each file that is in the folder, by name."""
        if not self.store.exists(self.landed.log):
            return []
        inside = F.col("path").contains(f"{self.folder}/")
        rows = self.store.read(self.landed.log).where(
            (F.col("source") == self.landed.source) & inside
        )
        newest = F.max(F.struct(F.unix_micros("modified_at").alias("at"), "bytes", "path"))
        found = rows.groupBy("file").agg(newest.alias("newest")).collect()
        files = [(row.file, row.newest) for row in found if not is_hidden(row.file)]
        return sorted(
            (Arrival(name, new.path, new.bytes, moment(new.at)) for name, new in files),
            key=lambda arrival: arrival.name,  # as in a folder on a laptop
        )


class AutoLoader(SparkLoader):
    """Auto Loader of Databricks finds the files."""

    def arrivals(self) -> list[Arrival]:
        self._log_new(self._stream())
        return self._logged()

    def _stream(self) -> DataFrame:
        reader = self.spark.readStream.format("cloudFiles")
        options: dict[str, str | bool] = {
            "cloudFiles.format": "binaryFile",  # every file, whatever its name and content
            "cloudFiles.allowOverwrites": True,  # a file that changed arrives again
            "cloudFiles.partitionColumns": "",  # a folder such as `year=2013` is no column
        }
        for name, value in options.items():
            reader = reader.option(name, value)
        # Without its content: it is not read until the file is.
        return reader.load(self.folder).select("path", "modificationTime", "length")


class FileStreamLoader(SparkLoader):
    """The file stream of open-source Spark finds the files, of which it delivers each name once."""

    def arrivals(self) -> list[Arrival]:
        present = list_folder(Path(self.folder))
        self._log_new(self._stream())
        # The folder as it is now: the stream does not deliver a file again that has changed, or was
        # empty, and does not tell of removed ones.
        return present

    def _stream(self) -> DataFrame:
        reader = self.spark.readStream.format("binaryFile").schema(_FILES)
        reader = reader.option("recursiveFileLookup", True)
        # Otherwise files a week older than the newest would be ignored.
        reader = reader.option("maxFileAge", "36500d")
        stream = reader.load(_literal_path(self.folder))
        return stream.select("path", "modificationTime", "length")


def _empty(file: Arrival, contract: Contract) -> Found:
    inspected, _ = landing.inspect(file.name, b"", contract)
    return Found(file, hashlib.sha256(b"").hexdigest(), inspected)


def with_code() -> None:
    """Send the code that reads files to the workers with each query.

    They may not have this project's wheel: with databricks-connect, the code is on a laptop.
    """
    for module in _BY_VALUE:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]


def _bronze_schema(contract: Contract, added: Sequence[str]) -> StructType:
    """Bronze's columns in their order: new ones come last, as Delta adds them to a table."""
    types = dict.fromkeys(contract.types, StringType()) | {
        ROW: LongType(),
        FILE: StringType(),
        ARRIVED: TimestampType(),
        LOADED: TimestampType(),
    }
    types |= dict.fromkeys(added, StringType())
    return StructType([StructField(name, type_) for name, type_ in types.items()])


def _literal_path(path: str) -> str:
    """The path for `load`, which otherwise takes some characters as a pattern."""
    return "".join(f"\\{char}" if char in "{}[]*?\\" else char for char in path)


def _raise_unless_removed(error: AnalysisException) -> None:
    if error.getCondition() != "PATH_NOT_FOUND":
        raise error
