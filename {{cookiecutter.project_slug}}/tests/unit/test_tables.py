"""The table API on the embedded engine."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.engine import Change, Engine, Tables
from lakehouse.engine.stores import Folders

TABLE = "silver.things"


def frame(spark: SparkSession, *rows: tuple[Any, ...]) -> DataFrame:
    return spark.createDataFrame(list(rows), "id int, name string, price double")


def content(tables: Tables, name: str = TABLE) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in tables.read(name).collect()}


def versions(root: Path) -> int:
    return len(list(root.glob(".lakehouse/**/_delta_log/*.json")))


def land(root: Path, name: str, text: str) -> str:
    folder = root / "landing"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder)


def test_a_table_lies_in_its_catalog_and_schema(tables: Tables, root: Path) -> None:
    folder = root / ".lakehouse" / "acme_dev" / "flights_silver" / "things"
    assert tables.address(TABLE) == f"delta.`{folder}`"


@pytest.mark.parametrize("name", ["things", "nowhere.things", "silver.", ""])
def test_a_table_name_without_a_known_layer_is_refused(tables: Tables, name: str) -> None:
    with pytest.raises(
        ValueError, match=r"expected LAYER\.TABLE with a layer of bronze, silver, gold"
    ):
        tables.read(name)


def test_a_first_upsert_writes_all_rows(tables: Tables, spark: SparkSession) -> None:
    assert not tables.exists(TABLE)
    change = tables.upsert(TABLE, frame(spark, (1, "a", 1.0), (2, None, None)), ["id"])
    assert change == Change(TABLE, 2, inserted=2)
    assert tables.exists(TABLE)
    assert content(tables) == {(1, "a", 1.0), (2, None, None)}


def test_an_upsert_touches_only_rows_that_differ(tables: Tables, spark: SparkSession) -> None:
    tables.upsert(TABLE, frame(spark, (1, "a", 1.0), (2, None, None), (3, "c", 3.0)), ["id"])
    new = frame(spark, (1, "a", 1.0), (2, "b", None), (4, "d", 4.0))
    assert tables.upsert(TABLE, new, ["id"]) == Change(TABLE, 3, inserted=1, updated=1, deleted=1)
    assert content(tables) == {(1, "a", 1.0), (2, "b", None), (4, "d", 4.0)}


def test_a_key_of_two_columns_needs_both(tables: Tables, spark: SparkSession) -> None:
    tables.upsert(TABLE, frame(spark, (1, "a", 1.0), (1, "b", 2.0)), ["id", "name"])
    new = frame(spark, (1, "a", 9.0), (1, "b", 2.0))
    assert tables.upsert(TABLE, new, ["id", "name"]) == Change(TABLE, 2, updated=1)
    assert content(tables) == {(1, "a", 9.0), (1, "b", 2.0)}


def test_equal_rows_make_no_new_version(tables: Tables, root: Path, spark: SparkSession) -> None:
    rows = frame(spark, (1, "a", None), (1, "a", None), (2, None, 2.0))
    tables.replace(TABLE, rows)
    tables.upsert("silver.keyed", rows.distinct(), ["id"])
    before = versions(root)
    assert not tables.replace(TABLE, rows).changed
    assert not tables.upsert("silver.keyed", rows.distinct(), ["id"]).changed
    assert versions(root) == before


def test_replace_counts_repeated_rows(tables: Tables, spark: SparkSession) -> None:
    tables.replace(TABLE, frame(spark, (1, "a", 1.0), (1, "a", 1.0), (2, "b", 2.0)))
    change = tables.replace(TABLE, frame(spark, (1, "a", 1.0), (3, "c", 3.0), (3, "c", 3.0)))
    assert change == Change(TABLE, 3, inserted=2, deleted=2)


def test_new_columns_replace_the_table(tables: Tables, spark: SparkSession) -> None:
    tables.upsert(TABLE, frame(spark, (1, "a", 1.0)), ["id"])
    tables.upsert(TABLE, spark.createDataFrame([(1, "a")], "id int, name string"), ["id"])
    assert content(tables) == {(1, "a")}


def test_a_file_is_ingested_once_as_text(tables: Tables, root: Path) -> None:
    folder = land(root, "a.csv", 'n,t\n007,"x, y"\n,\n')
    assert tables.ingest("bronze.t", folder) == Change("bronze.t", 2, inserted=2)
    land(root, "b.csv", "n,t\n1.50,z\n")
    assert tables.ingest("bronze.t", folder) == Change("bronze.t", 3, inserted=1)
    assert tables.ingest("bronze.t", folder) == Change("bronze.t", 3)
    rows = {(row["n"], row["t"], row["_file"]) for row in tables.read("bronze.t").collect()}
    assert rows == {("007", "x, y", "a.csv"), (None, None, "a.csv"), ("1.50", "z", "b.csv")}
    assert dict(tables.read("bronze.t").dtypes)["_loaded_at"].startswith("timestamp")


def test_a_file_with_a_new_name_is_new_even_with_old_content(tables: Tables, root: Path) -> None:
    folder = land(root, "a.csv", "n\n1\n")
    tables.ingest("bronze.t", folder)
    land(root, "a-corrected.csv", "n\n1\n")
    assert tables.ingest("bronze.t", folder).inserted == 1


def test_hundreds_of_files_land_at_once(tables: Tables, root: Path) -> None:
    for number in range(300):
        folder = land(root, f"{number:03}.csv", f"n\n{number}\n")
    assert tables.ingest("bronze.t", folder) == Change("bronze.t", 300, inserted=300)


def test_a_file_that_cannot_be_read_is_named_and_nothing_lands(tables: Tables, root: Path) -> None:
    land(root, "a.csv", "n,t\n1,x\n")
    folder = land(root, "b.csv", "n,t\n1,x,9,9\n")
    with pytest.raises(ValueError, match=r"landing file: given .*/b\.csv, expected CSV"):
        tables.ingest("bronze.t", folder)
    assert not tables.exists("bronze.t")


def test_a_failing_write_is_no_fault_of_the_files(
    tables: Tables, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Folders, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        tables.ingest("bronze.t", land(root, "a.csv", "n\n1\n"))


def test_nothing_landed_makes_no_table(tables: Tables, root: Path) -> None:
    (root / "landing").mkdir()
    assert tables.ingest("bronze.t", str(root / "landing")) == Change("bronze.t", 0)
    assert not tables.exists("bronze.t")


def test_a_missing_landing_folder_is_named(tables: Tables, root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"landing folder: given .*/nowhere, expected"):
        tables.ingest("bronze.t", str(root / "nowhere"))


def test_a_folder_with_spaces_and_letters_of_the_world_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: SparkSession
) -> None:
    odd = tmp_path / "мой проект & ü 100%"
    odd.mkdir()
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(odd))
    tables = Tables("acme_dev", {"silver": "s"}, Engine.EMBEDDED)
    tables.upsert(TABLE, frame(spark, (1, "a", 1.0)), ["id"])
    tables.upsert(TABLE, frame(spark, (1, "b", 1.0)), ["id"])
    assert tables.ingest("silver.landed", land(odd, "a b.csv", "n\n1\n")).inserted == 1
    assert content(tables) == {(1, "b", 1.0)}
    assert (odd / ".lakehouse/acme_dev/s/things/_delta_log").is_dir()


def test_a_change_reads_well() -> None:
    assert str(Change("silver.t", 1200, 3, 2, 1)) == "silver.t: +3 ~2 -1, now 1,200 rows"
    assert str(Change("silver.t", 7)) == "silver.t: unchanged, 7 rows"
