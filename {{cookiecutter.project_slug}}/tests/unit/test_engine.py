"""The choice of the engine, the location of its files, and that transformations are pure."""

import ast
import importlib
import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyspark.sql import SparkSession

from lakehouse.engine import Engine, current_engine, stores, tables
from lakehouse.engine import session as start
from lakehouse.engine.stores import local_folder, project_root

session = importlib.import_module("lakehouse.engine.session")  # the function has the same name

SOURCE = Path(__file__).parents[2] / "src" / "lakehouse"
EFFECTS = {
    "append",
    "collect",
    "conf",
    "insertInto",
    "merge",
    "mergeInto",
    "overwrite",
    "read",
    "readStream",
    "replace",
    "save",
    "saveAsTable",
    "sql",
    "sync",
    "table",
    "write",
    "writeStream",
    "writeTo",
}


def test_the_named_engine_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "17.3")
    monkeypatch.setenv("LAKEHOUSE_ENGINE", "jvm")
    assert current_engine() is Engine.JVM


def test_an_unknown_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_ENGINE", "sparc")
    with pytest.raises(ValueError, match="given 'sparc', expected one of embedded, jvm"):
        current_engine()


@pytest.mark.parametrize(
    ("runtime", "connect", "expected"),
    [
        ("17.3", False, Engine.CLUSTER),
        ("17.3", True, Engine.CLUSTER),
        (None, True, Engine.CONNECT),
        (None, False, Engine.EMBEDDED),
    ],
)
def test_an_unnamed_engine_is_found_by_its_surroundings(
    monkeypatch: pytest.MonkeyPatch, runtime: str | None, connect: bool, expected: Engine
) -> None:
    monkeypatch.delenv("LAKEHOUSE_ENGINE", raising=False)
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    if runtime:
        monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", runtime)
    found = SimpleNamespace() if connect else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    assert current_engine() is expected


def test_missing_databricks_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.delenv("LAKEHOUSE_ENGINE", raising=False)
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", missing)
    assert current_engine() is Engine.EMBEDDED


def test_sessions_speak_utc() -> None:
    spark = start(Engine.EMBEDDED)
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert start(Engine.EMBEDDED) is spark


def test_python_has_the_times_of_spark(spark: SparkSession) -> None:
    found = spark.sql("SELECT TIMESTAMP '2013-07-01 12:00:00' AS at").collect()[0].at
    assert found.astimezone(UTC) == datetime(2013, 7, 1, 12, tzinfo=UTC)


def test_every_engine_has_a_store() -> None:
    assert set(tables._STORES) == set(Engine)


def test_a_volume_is_a_folder_of_data(root: Path) -> None:
    folder = local_folder("/Volumes/acme_dev/late_flights_bronze/landing/weather")
    assert folder == root / "data" / "late_flights" / "landing" / "weather"
    assert local_folder("/somewhere/else") == Path("/somewhere/else")


def test_the_project_is_found_from_any_folder_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    with pytest.raises(FileNotFoundError, match=r"no databricks\.yml in"):
        project_root()
    (tmp_path / "databricks.yml").touch()
    assert project_root() == tmp_path


def test_a_link_that_points_elsewhere_is_renewed(tmp_path: Path) -> None:
    odd = tmp_path / "with space"
    odd.mkdir()
    link = stores.plain(odd)
    link.unlink()
    link.symlink_to(tmp_path)
    stores.plain.cache_clear()
    assert stores.plain(odd).resolve() == odd


class Recorder:
    """A fake Spark session."""


def test_databricks_connect_brings_its_own_session(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Recorder()
    builder = SimpleNamespace(getOrCreate=lambda: made)
    connect = SimpleNamespace(DatabricksSession=SimpleNamespace(builder=builder))
    monkeypatch.setitem(sys.modules, "databricks.connect", connect)
    assert session.STARTERS[Engine.CONNECT]() is made


def test_a_cluster_has_a_session_already(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Recorder()
    spark_session = SimpleNamespace(builder=SimpleNamespace(getOrCreate=lambda: made))
    monkeypatch.setattr(session, "SparkSession", spark_session)
    assert session.STARTERS[Engine.CLUSTER]() is made


def test_a_jvm_knows_delta(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, str] = {}

    class Builder:
        def master(self, name: str) -> "Builder":
            return self

        def config(self, key: str, value: str) -> "Builder":
            settings[key] = value
            return self

        def getOrCreate(self) -> str:  # noqa: N802
            return "session"

    monkeypatch.delenv("LAKEHOUSE_JVM_PACKAGES", raising=False)
    monkeypatch.setattr(session, "SparkSession", SimpleNamespace(builder=Builder()))
    assert session.STARTERS[Engine.JVM]() == "session"
    assert settings["spark.jars.packages"].startswith("io.delta:delta-spark_")
    assert settings["spark.sql.extensions"] == "io.delta.sql.DeltaSparkSessionExtension"
    assert set(session.STARTERS) == set(Engine)


def effects(file: Path) -> list[str]:
    """Attributes of a module that read or write."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    found = (f"{file.name}:{node.lineno}: .{node.attr}" for node in names if node.attr in EFFECTS)
    return sorted(found)


@pytest.mark.parametrize("file", sorted(SOURCE.glob("*/transform.py")), ids=str)
def test_transformations_neither_read_nor_write(file: Path) -> None:
    assert effects(file) == []


def test_an_effect_is_found(tmp_path: Path) -> None:
    file = tmp_path / "transform.py"
    file.write_text("def f(tables, rows):\n    rows.write.save('x')\n    return tables.read('y')\n")
    assert effects(file) == [
        "transform.py:2: .save",
        "transform.py:2: .write",
        "transform.py:3: .read",
    ]
