"""The choice of the engine, the location of its files, and that no other code depends on it."""

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse.engine import Engine, current_engine, stores, tables
from lakehouse.engine import session as start
from lakehouse.engine.stores import UnityCatalog, local_folder, project_root

session = importlib.import_module("lakehouse.engine.session")  # the function has the same name

SOURCE = Path(__file__).parents[2] / "src" / "lakehouse"
ONLY_IN_ENGINE = {"write", "writeTo", "writeStream", "readStream", "sql", "saveAsTable", "conf"}


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
    """A fake Spark session: records every call and returns itself."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> "Recorder":
            self.calls.append((name, (*arguments, *named.values())))
            return self

        return self if name in {"read", "write", "readStream", "writeStream", "catalog"} else call


def test_unity_catalog_is_addressed_by_name() -> None:
    spark: Any = Recorder()
    store = UnityCatalog(spark, "acme_prod")
    assert store.address("flights_gold", "routes") == "`acme_prod`.`flights_gold`.`routes`"
    assert store.exists("flights_gold", "routes") is spark
    assert spark.calls == [("tableExists", ("`acme_prod`.`flights_gold`.`routes`",))]


def test_unity_catalog_writes_delta_tables() -> None:
    rows: Any = Recorder()
    UnityCatalog(rows, "c").write(rows, "s", "t", "overwrite")
    assert rows.calls == [
        ("format", ("delta",)),
        ("mode", ("overwrite",)),
        ("option", ("overwriteSchema", True)),
        ("saveAsTable", ("`c`.`s`.`t`",)),
    ]


def test_files_reach_unity_catalog_through_auto_loader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spark: Any = Recorder()
    monkeypatch.setattr(stores, "F", Recorder())
    UnityCatalog(spark, "c").ingest("/Volumes/c/s/landing/flights", "s", "flights")
    checkpoint = "/Volumes/c/s/landing/_checkpoints/flights"
    assert ("format", ("cloudFiles",)) in spark.calls
    assert ("option", ("cloudFiles.schemaLocation", checkpoint)) in spark.calls
    assert ("option", ("cloudFiles.inferColumnTypes", False)) in spark.calls
    assert ("option", ("checkpointLocation", checkpoint)) in spark.calls
    assert ("load", ("/Volumes/c/s/landing/flights",)) in spark.calls
    assert spark.calls[-3:] == [
        ("trigger", (True,)),
        ("toTable", ("`c`.`s`.`flights`",)),
        ("awaitTermination", ()),
    ]


def test_a_jvm_takes_files_by_a_stream(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    spark: Any = Recorder()
    monkeypatch.setattr(stores, "F", Recorder())
    stores.JvmFolders(spark, "c").ingest("/Volumes/c/x_bronze/landing/flights", "s", "flights")
    folder = root / ".lakehouse" / "c" / "s"
    assert ("load", (str(root / "data/x/landing/flights"),)) in spark.calls
    assert ("option", ("checkpointLocation", str(folder / "_checkpoints/flights"))) in spark.calls
    assert spark.calls[-3:] == [
        ("trigger", (True,)),
        ("start", (str(folder / "flights"),)),
        ("awaitTermination", ()),
    ]


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


def attributes_outside_engine() -> list[str]:
    """Calls outside the engine package that only the engine may make."""
    found = []
    for file in SOURCE.rglob("*.py"):
        if SOURCE / "engine" in file.parents:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ONLY_IN_ENGINE:
                found.append(f"{file.relative_to(SOURCE)}:{node.lineno}: .{node.attr}")
    return found


def test_only_the_engine_knows_where_it_runs() -> None:
    assert attributes_outside_engine() == []
