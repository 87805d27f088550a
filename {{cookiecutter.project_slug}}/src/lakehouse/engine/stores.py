"""Where tables are stored, and how new files are ingested: everything that differs by engine."""

import functools
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Protocol

from pyspark.sql import Column, DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.readwriter import DataStreamReader

# Sail encodes other characters of a path twice, and then looks for a file that does not exist.
_PLAIN_PATH = re.compile(r"[\w./:\\-]+", re.ASCII)
_VOLUME = re.compile(r"/Volumes/[^/]+/(?P<domain>[^/]+)_[^/_]+/(?P<folder>.+)")


class Store(Protocol):
    """Tables of one catalog, by schema and name."""

    def address(self, schema: str, table: str) -> str:
        """The name of the table in SQL."""

    def exists(self, schema: str, table: str) -> bool:
        """Whether the table has been written before."""

    def write(self, rows: DataFrame, schema: str, table: str, mode: str) -> None:
        """Append to the table, or overwrite it with its schema."""

    def ingest(self, folder: str, schema: str, table: str) -> None:
        """Append the rows of those CSV files in `folder` that have not been ingested.

        Every column is a string; `_file` is the name of the file and `_loaded_at` the time.
        """


class Folders:
    """Delta tables in `.lakehouse/<catalog>/<schema>/<table>` under the project's root."""

    def __init__(self, spark: SparkSession, catalog: str) -> None:
        self._spark = spark
        self._catalog = catalog

    def address(self, schema: str, table: str) -> str:
        return f"delta.`{self._path(schema, table)}`"

    def exists(self, schema: str, table: str) -> bool:
        return (self._path(schema, table) / "_delta_log").is_dir()

    def write(self, rows: DataFrame, schema: str, table: str, mode: str) -> None:
        _writer(rows, mode).save(str(self._path(schema, table)))

    def ingest(self, folder: str, schema: str, table: str) -> None:
        files = [
            file for file in landed_files(folder) if file.name not in self._seen(schema, table)
        ]
        if not files:
            return
        try:
            self.write(_union([self._rows(file) for file in files]), schema, table, "append")
        except Exception as error:
            raise self._blamed(files) or error from None

    def _blamed(self, files: list[Path]) -> ValueError | None:
        """Find the file that cannot be read, because the engine does not name it."""
        for file in files:
            try:
                self._rows(file).collect()
            except Exception as error:
                reason = str(error).partition("\n")[0]
                return ValueError(
                    f"landing file: given {file}, expected CSV with a header: {reason}"
                )
        return None

    def _rows(self, file: Path) -> DataFrame:
        rows = self._spark.read.option("header", True).option("multiLine", True).csv(str(file))
        return _with_origin(rows, F.lit(file.name))

    def _seen(self, schema: str, table: str) -> set[str]:
        if not self.exists(schema, table):
            return set()
        names = self._spark.read.table(self.address(schema, table)).select("_file").distinct()
        return {row["_file"] for row in names.collect()}

    def _path(self, schema: str, table: str) -> Path:
        return plain(project_root()) / ".lakehouse" / self._catalog / schema / table


class JvmFolders(Folders):
    """The same folders on a JVM; a stream ingests the files, as on Databricks."""

    def ingest(self, folder: str, schema: str, table: str) -> None:
        landing = str(local_folder(folder))
        columns = self._spark.read.option("header", True).csv(landing).schema
        reader = self._spark.readStream.format("csv").schema(columns)
        rows = _with_origin(_files_of(reader, landing), F.col("_metadata.file_name"))
        path = self._path(schema, table)
        checkpoint = path.parent / "_checkpoints" / table
        writer = rows.writeStream.format("delta").option("checkpointLocation", str(checkpoint))
        writer.trigger(availableNow=True).start(str(path)).awaitTermination()


class UnityCatalog:
    """Tables governed by Unity Catalog; Auto Loader ingests the files."""

    def __init__(self, spark: SparkSession, catalog: str) -> None:
        self._spark = spark
        self._catalog = catalog

    def address(self, schema: str, table: str) -> str:
        return f"`{self._catalog}`.`{schema}`.`{table}`"

    def exists(self, schema: str, table: str) -> bool:
        return self._spark.catalog.tableExists(self.address(schema, table))

    def write(self, rows: DataFrame, schema: str, table: str, mode: str) -> None:
        _writer(rows, mode).saveAsTable(self.address(schema, table))

    def ingest(self, folder: str, schema: str, table: str) -> None:
        checkpoint = f"{folder.rsplit('/', 1)[0]}/_checkpoints/{table}"
        reader = (
            self._spark.readStream.format("cloudFiles")
            .option("cloudFiles.format", "csv")
            .option("cloudFiles.inferColumnTypes", False)  # every column stays a string
            .option("cloudFiles.schemaLocation", checkpoint)
        )
        rows = _with_origin(_files_of(reader, folder), F.col("_metadata.file_name"))
        writer = rows.writeStream.option("checkpointLocation", checkpoint)
        writer.trigger(availableNow=True).toTable(self.address(schema, table)).awaitTermination()


def project_root() -> Path:
    """The folder of `.lakehouse/` and `data/`: `LAKEHOUSE_ROOT`, otherwise the
    project that contains the working directory.

    Raises:
        FileNotFoundError: no folder above the working directory has a `databricks.yml`.
    """
    if named := os.environ.get("LAKEHOUSE_ROOT"):
        return Path(named).resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "databricks.yml").is_file():
            return folder
    raise FileNotFoundError(
        f"no databricks.yml in {here} or above: run inside the project, or set LAKEHOUSE_ROOT"
    )


def local_folder(folder: str) -> Path:
    """The folder of a volume's files on a laptop: `data/<domain>/<volume>`.

    Any other path is returned unchanged.
    """
    volume = _VOLUME.fullmatch(folder)
    if not volume:
        return Path(folder)
    return project_root() / "data" / volume["domain"] / volume["folder"]


def landed_files(folder: str) -> list[Path]:
    """The CSV files of a landing folder, by name.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    landing = local_folder(folder)
    if not landing.is_dir():
        raise FileNotFoundError(f"landing folder: given {landing}, expected a folder of CSV files")
    return sorted(landing.glob("*.csv"))


@functools.cache
def plain(folder: Path) -> Path:
    """`folder`, or a link to it in the temporary folder if its name is not plain ASCII."""
    if _PLAIN_PATH.fullmatch(str(folder)):
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    link = Path(tempfile.gettempdir()) / f"lakehouse-{digest}"
    if not link.is_symlink() or link.readlink() != folder:
        link.unlink(missing_ok=True)
        link.symlink_to(folder, target_is_directory=True)
    return link


def _writer(rows: DataFrame, mode: str) -> DataFrameWriter:
    """Overwriting a table also replaces its columns."""
    return rows.write.format("delta").mode(mode).option("overwriteSchema", mode == "overwrite")


def _files_of(reader: DataStreamReader, folder: str) -> DataFrame:
    return reader.option("header", True).option("multiLine", True).load(folder)


def _with_origin(rows: DataFrame, file: Column) -> DataFrame:
    return rows.select("*", file.alias("_file"), F.current_timestamp().alias("_loaded_at"))


def _union(frames: list[DataFrame]) -> DataFrame:
    """The union of all frames, as a balanced tree: a long chain overflows the engine's stack."""
    if len(frames) == 1:
        return frames[0]
    middle = len(frames) // 2
    left, right = _union(frames[:middle]), _union(frames[middle:])
    return left.unionByName(right, allowMissingColumns=True)
