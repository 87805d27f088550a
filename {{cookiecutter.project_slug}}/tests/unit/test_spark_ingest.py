"""The ingest on Spark: what finds the files, what the workers do, and how tables are written.

The parity tests run it on a JVM; here is what needs no JVM, and what only Databricks has.
"""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from lakehouse.contract import Column, Contract
from lakehouse.engine import spark_loader, workers
from lakehouse.engine.arrivals import Arrival, is_hidden, list_folder, relative
from lakehouse.engine.landing import Inspected
from lakehouse.engine.loaders import Found, Landed
from lakehouse.engine.spark_loader import AutoLoader, FileStreamLoader
from lakehouse.engine.stores import JvmFolders, Location, UnityCatalog

CONTRACT = Contract(
    "landing.people", (Column("id", "bigint", required=True), Column("n", "string"))
)
FOLDER = "/Volumes/c/x_bronze/landing/people"
BRONZE, LOG = Location("x_bronze", "people"), Location("x_ops", "arrivals")
LANDED = Landed(CONTRACT, "people", FOLDER, BRONZE, LOG)
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
OBJECTS = {"read", "write", "readStream", "writeStream", "catalog"}


class Recorder:
    """A fake Spark session: records every call and returns itself; it has no rows."""

    def __init__(self, exists: bool = False) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.has_table = exists

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, (*arguments, *named.values())))
            return {"tableExists": self.has_table, "collect": []}.get(name, self)

        return self if name in OBJECTS else call

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of each call of a method."""
        return [arguments for called, arguments in self.calls if called == name]


def test_unity_catalog_is_addressed_by_name() -> None:
    spark: Any = Recorder(exists=True)
    store = UnityCatalog(spark, "acme_prod")
    at = Location("flights_gold", "routes")
    assert store.identifier(at) == "`acme_prod`.`flights_gold`.`routes`"
    assert store.exists(at)
    assert spark.calls == [("tableExists", ("`acme_prod`.`flights_gold`.`routes`",))]


@pytest.mark.parametrize(
    ("mode", "exists", "clustered"),
    [
        ("append", False, [("day",)]),
        ("append", True, []),
        ("replace", False, [("day",)]),
        ("replace", True, [("day",)]),
    ],
)
def test_a_table_stays_clustered(mode: str, exists: bool, clustered: list[Any]) -> None:
    spark: Any = Recorder(exists)
    UnityCatalog(spark, "c").write(spark, Location("s", "t", "day"), mode)
    assert spark.named("clusterBy") == clustered
    schema = "overwriteSchema" if mode == "replace" else "mergeSchema"
    assert spark.named("option") == [(schema, True)]
    assert spark.calls[-1] == ("saveAsTable", ("`c`.`s`.`t`",))


@pytest.mark.parametrize("exists", [True, False])
def test_a_primary_key_does_not_stop_other_columns(exists: bool) -> None:
    spark: Any = Recorder(exists)
    UnityCatalog(spark, "c").write(spark, Location("s", "t"), "replace")
    statements = [("ALTER TABLE `c`.`s`.`t` DROP PRIMARY KEY IF EXISTS",)] if exists else []
    assert spark.named("sql") == statements


def test_rows_are_replaced_without_the_metadata_of_their_table() -> None:
    spark: Any = Recorder(exists=True)
    rows = mock.Mock()
    UnityCatalog(spark, "c").write(rows, Location("s", "t", "day"), "overwrite")
    rows.writeTo.assert_called_once_with("`c`.`s`.`t`")
    assert [call[0] for call in rows.method_calls] == ["writeTo"]
    assert rows.writeTo.return_value.method_calls == [mock.call.overwrite(mock.ANY)]


def test_every_statement_reaches_a_catalog_and_only_comments_of_columns_a_folder() -> None:
    statements = ["COMMENT ON TABLE t IS 'x'", "ALTER TABLE t ALTER COLUMN `c` COMMENT 'x'"]
    spark: Any = Recorder()
    UnityCatalog(spark, "c").alter(statements)
    assert spark.named("sql") == [(statement,) for statement in statements]
    spark.calls.clear()
    JvmFolders(spark, "c").alter(statements)
    assert spark.named("sql") == [(statements[1],)]


def test_rows_are_held_in_a_table() -> None:
    spark: Any = Recorder(exists=True)
    held = UnityCatalog(spark, "c").hold(spark, Location("s", "held_t"))
    assert held is spark
    assert [name for name, _ in spark.calls][-2:] == ["saveAsTable", "table"]
    assert spark.named("option") == [("overwriteSchema", True)]


def test_only_the_given_values_are_replaced() -> None:
    spark: Any = Recorder(exists=True)
    days = [NOON.date(), "it's"]
    UnityCatalog(spark, "c").replace_where(spark, Location("s", "t"), "day", days)
    assert spark.named("option") == [("replaceWhere", "`day` IN (DATE '2013-01-01', 'it''s')")]


def test_auto_loader_notes_arrivals() -> None:
    spark: Any = Recorder()
    loader = UnityCatalog(spark, "c").loader(LANDED)
    assert isinstance(loader, AutoLoader)
    assert loader.arrivals() == []
    assert ("format", ("cloudFiles",)) in spark.calls
    assert dict(spark.named("option")) == {
        "cloudFiles.format": "binaryFile",
        "cloudFiles.allowOverwrites": True,
        "cloudFiles.partitionColumns": "",
        "checkpointLocation": "/Volumes/c/x_bronze/landing/_checkpoints/people",
    }
    assert spark.named("load") == [(FOLDER,)]
    assert spark.named("select")[0] == ("path", "modificationTime", "length")  # no content
    assert spark.named("trigger") == [(True,)]
    assert spark.named("toTable") == [("`c`.`x_ops`.`arrivals`",)]
    assert "awaitTermination" in [name for name, _ in spark.calls]


def test_a_jvm_notes_arrivals_by_a_stream(root: Path) -> None:
    folder = root / "data/x/landing/people"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("id\n1\n")
    spark: Any = Recorder()
    loader = JvmFolders(spark, "c").loader(LANDED)
    assert isinstance(loader, FileStreamLoader)
    assert [arrival.name for arrival in loader.arrivals()] == ["a.csv"]
    tables = root / ".lakehouse/c/x_ops"
    assert spark.named("load") == [(str(folder),)]
    assert ("checkpointLocation", str(tables / "_checkpoints/people")) in spark.named("option")
    assert spark.named("start") == [(str(tables / "arrivals"),)]


class Rows:
    """A store with one table."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def exists(self, at: Location) -> bool:
        return at == LOG

    def read(self, at: Location) -> Any:
        return self.rows

    def write(self, rows: Any, at: Location, mode: str) -> None:
        self.written = (rows, at, mode)


def test_the_newest_arrival_of_a_file_counts(spark: SparkSession) -> None:
    later = NOON + timedelta(milliseconds=1)
    log = [
        ("people", f"dbfs:{FOLDER}/a.csv", "a.csv", 5, NOON),
        ("people", f"dbfs:{FOLDER}/a.csv", "a.csv", 4, later),
        ("people", f"dbfs:{FOLDER}/B/c.csv", "B/c.csv", 7, NOON),
        ("people", f"dbfs:{FOLDER}/_tmp/a.csv", "_tmp/a.csv", 7, NOON),
        ("people", "dbfs:/Volumes/c/old/people/a.csv", "a.csv", 9, later),
        ("places", f"dbfs:{FOLDER}/d.csv", "d.csv", 7, NOON),
    ]
    columns = "source string, path string, file string, bytes bigint, modified_at timestamp"
    store: Any = Rows(spark.createDataFrame(log, columns))
    assert AutoLoader(spark, store, LANDED, FOLDER, "")._logged() == [
        Arrival("B/c.csv", f"dbfs:{FOLDER}/B/c.csv", 7, NOON),
        Arrival("a.csv", f"dbfs:{FOLDER}/a.csv", 4, later),
    ]


class Removed:
    """A fake reader: the folder has one file, and all others are missing."""

    def __init__(self, present: str) -> None:
        self.present = present
        self.paths: list[str] = []

    read = property(lambda self: self)

    def format(self, name: str) -> "Removed":
        return self

    def option(self, name: str, value: Any) -> "Removed":
        return self

    def load(self, paths: list[str]) -> "Removed":
        self.paths = paths
        return self

    def select(self, *columns: str) -> "Removed":
        return self

    @property
    def schema(self) -> str:
        if self.paths != [FOLDER]:
            raise AnalysisException("gone", errorClass="PATH_NOT_FOUND", messageParameters={})
        return ""

    def collect(self) -> list[Any]:
        return [type("Row", (), {"path": f"dbfs:{FOLDER}/{self.present}"})]


def test_removed_files_do_not_block_the_others() -> None:
    spark: Any = Removed("b.csv")
    store: Any = None
    loader = AutoLoader(spark, store, LANDED, FOLDER, "")
    a, b = (Arrival(name, f"{FOLDER}/{name}", 1, NOON) for name in ("a.csv", "b.csv"))
    assert loader.existing([a, b]) == [b]
    assert loader.existing([]) == []


def test_other_errors_are_not_taken_for_removed_files() -> None:
    error = AnalysisException("no", errorClass="UNRESOLVED_COLUMN", messageParameters={})
    with pytest.raises(AnalysisException):
        spark_loader._raise_unless_removed(error)


def test_paths_are_no_patterns() -> None:
    assert spark_loader._literal_path(r"/a/[b]{c}*?\d é") == r"/a/\[b\]\{c\}\*\?\\d é"


def batches(**files: bytes) -> Iterator[pa.RecordBatch]:
    """Files as Spark gives them to a worker."""
    paths = [f"dbfs:{FOLDER}/{name}.csv" for name in files]
    yield pa.RecordBatch.from_pydict({"path": paths, "content": list(files.values())})


def test_a_worker_inspects_files() -> None:
    found = workers.inspector(CONTRACT, FOLDER)(batches(a=b"id,x\n1,2\n", b=b"n\n1\n"))
    rows = [row for batch in found for row in batch.to_pylist()]
    assert [(row["file"], row["rows"], row["added"], row["missing"]) for row in rows] == [
        ("a.csv", 1, ["x"], ["n"]),
        ("b.csv", 1, [], ["id"]),
    ]
    assert [row["refused"] for row in rows] == ["", "given the columns n, expected also id"]
    assert len(rows[0]["digest"]) == 64


def read(content: bytes, inspected: bytes) -> pa.Table:
    """The rows of a file that had the content `inspected` when it was inspected."""
    (batch,) = workers.inspector(CONTRACT, FOLDER)(batches(a=inspected))
    file = Arrival("a.csv", "", 1, NOON)
    schema = spark_loader._bronze_schema(CONTRACT, ["x", "y"])
    digest = batch.to_pylist()[0]["digest"]
    reader = workers.reader(CONTRACT, FOLDER, {"a.csv": (file, digest)}, schema.names, NOON)
    return pa.Table.from_batches(reader(batches(a=content)))


def test_a_worker_reads_rows_in_the_columns_of_bronze() -> None:
    table = read(b"y,id\n2,1\n", b"y,id\n2,1\n")
    own = ["_row", "_file", "_arrived_at", "_loaded_at"]
    assert table.column_names == ["id", "n", *own, "x", "y"]
    assert table.to_pylist() == [
        {
            "id": "1",
            "n": None,
            "_row": 1,
            "_file": "a.csv",
            "_arrived_at": NOON,
            "_loaded_at": NOON,
            "x": None,
            "y": "2",
        }
    ]


def test_a_file_that_changes_while_it_is_read_is_not_written() -> None:
    with pytest.raises(ValueError, match=r"a\.csv: changed while it was read"):
        read(b"id\n1\n", b"id\n2\n")


def test_new_columns_come_last_in_bronze() -> None:
    rows: Any = Recorder()
    store: Any = Rows(None)
    loader = AutoLoader(rows, store, LANDED, FOLDER, "")
    files = [
        Found(Arrival(name, f"{FOLDER}/{name}", 1, NOON), "", Inspected(1, added))
        for name, added in (("[a].csv", ("z", "y")), ("b.csv", ("x", "y")))
    ]
    loader.append(files, NOON)
    assert rows.named("load") == [([f"{FOLDER}/\\[a\\].csv", f"{FOLDER}/b.csv"],)]
    ((_, schema),) = rows.named("mapInArrow")
    assert schema.names[-4:] == ["_loaded_at", "z", "y", "x"]
    assert store.written == (rows, BRONZE, "append")


WORKER = """
import pickle, sys
sys.modules["lakehouse"] = None  # importing it fails
import pyarrow as pa
inspect = pickle.load(sys.stdin.buffer)
batch = pa.RecordBatch.from_pydict({"path": ["file:/f/a.csv"], "content": [b"id\\n1\\n"]})
(found,) = inspect([batch])
print(found.to_pylist()[0]["file"], found.to_pylist()[0]["missing"])
"""


def test_workers_do_not_need_the_wheel(tmp_path: Path) -> None:
    spark_loader.with_code()
    pickled = cloudpickle.dumps(workers.inspector(CONTRACT, "/f"))
    command = [sys.executable, "-c", WORKER]
    result = subprocess.run(command, input=pickled, cwd=tmp_path, capture_output=True, check=False)
    assert result.stdout.decode() == "a.csv ['n']\n", result.stderr.decode()


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("a.csv", False),
        ("b/a_.csv", False),
        ("_a.csv", True),
        (".a.csv", True),
        ("_b/a.csv", True),
        ("b/_c=1/a.csv", True),
        ("a.csv._COPYING_", True),
    ],
)
def test_the_same_files_are_hidden_on_every_engine(name: str, hidden: bool) -> None:
    assert is_hidden(name) is hidden


def test_a_path_of_spark_is_a_name_in_the_folder() -> None:
    assert relative(f"dbfs:{FOLDER}/b/a.csv", f"{FOLDER}/") == "b/a.csv"


def test_a_missing_landing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="landing folder: given"):
        list_folder(tmp_path / "none")
