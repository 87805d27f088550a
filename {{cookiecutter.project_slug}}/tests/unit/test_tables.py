"""The table API on the embedded engine."""

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from lakehouse.contract import ContractError
from lakehouse.engine import Change, Engine, Tables, stores, times
from lakehouse.engine.stores import Condition, Folders, JvmFolders, Location

TABLE = "silver.things"  # it has no contract
Frame = Callable[..., DataFrame]
Write = Callable[[Tables, DataFrame], Change]


@pytest.fixture
def frame(spark: SparkSession) -> Frame:
    def make(
        *rows: tuple[Any, ...], schema: str = "id int, name string, price double"
    ) -> DataFrame:
        return spark.createDataFrame(list(rows), schema)

    return make


def content(tables: Tables, name: str = TABLE) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in tables.read(name).collect()), key=repr)


def merge(tables: Tables, rows: DataFrame) -> Change:
    return tables.merge(TABLE, rows, ["id"])


def sync(tables: Tables, rows: DataFrame) -> Change:
    return tables.sync(TABLE, rows, ["id"])


def insert_new(tables: Tables, rows: DataFrame) -> Change:
    return tables.insert_new(TABLE, rows, ["id"])


def replace(tables: Tables, rows: DataFrame) -> Change:
    return tables.replace(TABLE, rows)


def overwrite(tables: Tables, rows: DataFrame) -> Change:
    return tables.overwrite(TABLE, rows)


def append(tables: Tables, rows: DataFrame) -> Change:
    return tables.append(TABLE, rows)


FIRST = [(1, "a", 1.0), (2, None, None)]
NEXT = [(1, "a", 1.0), (2, "b", None), (3, "c", 3.0)]


def test_a_table_lies_in_its_catalog_and_schema(tables: Tables, root: Path) -> None:
    folder = root / ".lakehouse" / "acme_dev" / "orders_silver" / "things"
    assert tables.identifier(TABLE) == f"delta.`{folder}`"


@pytest.mark.parametrize("name", ["things", "nowhere.things", "silver.", ""])
def test_a_table_name_without_a_known_layer_is_refused(tables: Tables, name: str) -> None:
    with pytest.raises(
        ValueError, match=r"expected LAYER\.TABLE with a layer of bronze, silver, gold, ops"
    ):
        tables.read(name)


def test_a_table_that_was_never_written_has_no_rows_and_no_version(tables: Tables) -> None:
    assert (tables.exists(TABLE), tables.version(TABLE), tables.count(TABLE)) == (False, None, 0)


@pytest.mark.parametrize("write", [merge, sync, replace, overwrite, append])
def test_a_first_write_makes_the_table(tables: Tables, frame: Frame, write: Write) -> None:
    assert write(tables, frame(*FIRST)) == Change(TABLE, 2, inserted=2)
    assert (tables.exists(TABLE), tables.version(TABLE), tables.count(TABLE)) == (True, 0, 2)
    assert content(tables) == FIRST


@pytest.mark.parametrize(
    ("write", "change", "expected"),
    [
        (merge, Change(TABLE, 4, 1, 1), [*NEXT, (9, "z", 9.0)]),
        (insert_new, Change(TABLE, 4, 1), [*FIRST, NEXT[2], (9, "z", 9.0)]),
        (sync, Change(TABLE, 3, 1, 1, 1), NEXT),
        (replace, Change(TABLE, 3, 2, 0, 2), NEXT),
        (overwrite, Change(TABLE, 3, 3, 0, 3), NEXT),
        (append, Change(TABLE, 6, 3), [*FIRST, *NEXT, (9, "z", 9.0)]),
    ],
)
def test_each_verb_does_and_counts_what_it_says(
    tables: Tables, frame: Frame, write: Write, change: Change, expected: list[Any]
) -> None:
    tables.overwrite(TABLE, frame(*FIRST, (9, "z", 9.0)))
    assert write(tables, frame(*NEXT)) == change
    assert content(tables) == sorted(expected, key=repr)


@pytest.mark.parametrize("write", [merge, sync, replace, insert_new])
def test_equal_rows_make_no_version(tables: Tables, frame: Frame, write: Write) -> None:
    tables.overwrite(TABLE, frame(*NEXT))
    assert write(tables, frame(*reversed(NEXT))) == Change(TABLE, 3)
    assert tables.version(TABLE) == 0


@pytest.mark.parametrize("write", [merge, sync, insert_new])
def test_null_keys_do_not_double(tables: Tables, frame: Frame, write: Write) -> None:
    rows = frame((None, "a", 1.0), (1, "b", None))
    tables.overwrite(TABLE, rows)
    assert [write(tables, rows).rows for _ in range(4)] == [2, 2, 2, 2]
    assert tables.version(TABLE) == 0


@pytest.mark.parametrize("write", [merge, sync])
def test_a_row_with_a_null_key_is_updated(tables: Tables, frame: Frame, write: Write) -> None:
    tables.overwrite(TABLE, frame((None, "a", 1.0)))
    assert write(tables, frame((None, "a", None))) == Change(TABLE, 1, updated=1)
    assert content(tables) == [(None, "a", None)]


def test_a_merge_never_deletes(tables: Tables, frame: Frame) -> None:
    monday, tuesday = frame((1, "monday", 1.0)), frame((2, "tuesday", 2.0))
    tables.merge(TABLE, monday, ["id"])
    assert tables.merge(TABLE, tuesday, ["id"]) == Change(TABLE, 2, inserted=1)
    assert tables.merge(TABLE, monday.limit(0), ["id"]) == Change(TABLE, 2)
    assert content(tables) == [(1, "monday", 1.0), (2, "tuesday", 2.0)]


def test_a_sync_with_nothing_empties_the_table(tables: Tables, frame: Frame) -> None:
    tables.sync(TABLE, frame(*NEXT), ["id"])
    assert tables.sync(TABLE, frame(*NEXT).limit(0), ["id"]) == Change(TABLE, 0, deleted=3)


@pytest.mark.parametrize("write", [Tables.merge, Tables.sync])
def test_a_key_of_two_columns_needs_both(tables: Tables, frame: Frame, write: Any) -> None:
    write(tables, TABLE, frame((1, "a", 1.0), (1, None, 2.0)), ["id", "name"])
    new = frame((1, "a", 9.0), (1, None, 2.0))
    assert write(tables, TABLE, new, ["id", "name"]) == Change(TABLE, 2, updated=1)
    assert content(tables) == [(1, "a", 9.0), (1, None, 2.0)]


def test_a_table_of_only_keys_can_be_merged(tables: Tables, frame: Frame) -> None:
    rows = frame((1,), (2,), schema="id int")
    tables.merge(TABLE, rows.limit(1), ["id"])
    assert tables.merge(TABLE, rows, ["id"]) == Change(TABLE, 2, inserted=1)


@pytest.mark.parametrize("write", [merge, sync])
def test_a_merge_with_other_columns_is_refused(tables: Tables, frame: Frame, write: Write) -> None:
    write(tables, frame(*FIRST))
    with pytest.raises(ValueError, match=r"silver\.things: given the columns {'id': 'int'}, exp"):
        write(tables, frame((1,), schema="id int"))
    assert content(tables) == FIRST


def test_replace_counts_repeated_rows(tables: Tables, frame: Frame) -> None:
    tables.replace(TABLE, frame((1, "a", 1.0), (1, "a", 1.0), (2, "b", 2.0)))
    change = tables.replace(TABLE, frame((1, "a", 1.0), (3, "c", 3.0), (3, "c", 3.0)))
    assert change == Change(TABLE, 3, inserted=2, deleted=2)


def test_replace_takes_the_columns_of_the_rows(tables: Tables, frame: Frame) -> None:
    tables.replace(TABLE, frame(*FIRST))
    change = tables.replace(TABLE, frame((1,), schema="number bigint"))
    assert change == Change(TABLE, 1, inserted=1, deleted=2)
    assert tables.read(TABLE).dtypes == [("number", "bigint")]


def test_append_adds_new_columns(tables: Tables, frame: Frame) -> None:
    tables.append(TABLE, frame((1,), schema="id int"))
    tables.append(TABLE, frame((2, "b"), schema="id int, name string"))
    assert content(tables) == [(1, None), (2, "b")]


DAYS = [datetime.date(2024, 1, 31), datetime.date(2024, 2, 1), datetime.date(2023, 2, 1)]


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ("of string, n int", ["it's", 'a "b"', "ü"]),
        ("of int, n int", [1, -2, 3]),
        ("of date, n int", DAYS),
    ],
)
def test_replace_where_leaves_other_values_alone(
    tables: Tables, frame: Frame, schema: str, values: list[Any]
) -> None:
    one, two, three = values
    tables.replace(TABLE, frame((one, 1), (two, 1), (three, 1), schema=schema))
    new = frame((one, 2), (one, 3), schema=schema)
    assert tables.replace(TABLE, new, ("of", [one, two])) == Change(TABLE, 3, 2, deleted=2)
    assert content(tables) == sorted([(one, 2), (one, 3), (three, 1)], key=repr)
    assert tables.replace(TABLE, new, ("of", [one, two])) == Change(TABLE, 3)
    assert tables.version(TABLE) == 1


def test_replace_where_with_other_columns_is_refused(tables: Tables, frame: Frame) -> None:
    tables.replace(TABLE, frame(*FIRST))
    with pytest.raises(ValueError, match=r"silver\.things: given the columns {'id': 'bigint'}"):
        tables.replace(TABLE, frame((1,), schema="id bigint"), ("id", [1]))
    assert content(tables) == FIRST


RATES = "day date, percent bigint"
DAY = datetime.date(2024, 1, 1)


def test_only_the_columns_of_the_contract_are_written_in_its_order(
    tables: Tables, frame: Frame
) -> None:
    rows = frame((7, DAY, "own"), schema="percent bigint, day date, _own string")
    tables.merge("silver.rates", rows)
    assert tables.read("silver.rates").columns == ["day", "percent", "_own"]


@pytest.mark.parametrize(
    ("schema", "row", "message"),
    [
        ("day date", (DAY,), r"silver\.rates: column percent: missing$"),
        (f"{RATES}, x int", (DAY, 7, 1), r"silver\.rates: column x: not in the contract$"),
        (
            "day string, percent int",
            ("x", 7),
            r"silver\.rates: column day: given string, expected date; "
            r"column percent: given int, expected bigint$",
        ),
        (
            "day date, percents bigint",
            (DAY, 7),
            r"silver\.rates: column percents: not in the contract; column percent: missing$",
        ),
    ],
)
@pytest.mark.parametrize(
    "write", [Tables.append, Tables.merge, Tables.sync, Tables.replace, Tables.overwrite]
)
def test_rows_that_break_the_contract_are_refused_by_column(
    tables: Tables, frame: Frame, write: Any, schema: str, row: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write(tables, "silver.rates", frame(row, schema=schema))
    assert not tables.exists("silver.rates")


@pytest.mark.parametrize("write", [Tables.merge, Tables.sync])
def test_the_key_is_that_of_the_contract(tables: Tables, frame: Frame, write: Any) -> None:
    write(tables, "silver.rates", frame((DAY, 7), schema=RATES))
    change = write(tables, "silver.rates", frame((DAY, 19), schema=RATES))
    assert change == Change("silver.rates", 1, updated=1)


def test_a_merge_without_any_key_is_refused(tables: Tables, frame: Frame) -> None:
    with pytest.raises(ContractError, match=r"silver\.things: given no contract, expected"):
        tables.merge(TABLE, frame(*FIRST))


ORDERS = "shop string, number bigint, ordered_at timestamp, day date, cents bigint, note string"


def order(number: int, moment: datetime.datetime, cents: int = 1) -> tuple[Any, ...]:
    return "north", number, moment.replace(tzinfo=datetime.UTC), DAY, cents, None


def months(tables: Tables, root: Path) -> dict[str, set[str]]:
    """The files of each month that the newest version of the table has."""
    from deltalake import DeltaTable

    found: dict[str, set[str]] = {}
    folder = root / ".lakehouse" / "acme_dev" / "orders_silver" / "orders"
    for file in DeltaTable(folder).file_uris():
        found.setdefault(Path(file).parent.name, set()).add(Path(file).name)
    return found


def test_a_table_is_partitioned_by_the_months_of_its_contract(
    tables: Tables, frame: Frame, root: Path
) -> None:
    end, start = datetime.datetime(2024, 1, 31, 23, 59), datetime.datetime(2024, 2, 1)
    tables.merge("silver.orders", frame(order(1, end), order(2, start), schema=ORDERS))
    assert set(months(tables, root)) == {"_month=2024-01", "_month=2024-02"}
    assert "_month" not in tables.read("silver.orders").columns


@pytest.mark.parametrize("cents", [1, 2], ids=["equal", "changed"])
def test_a_merge_into_one_month_rewrites_no_file_of_others(
    tables: Tables, frame: Frame, root: Path, cents: int
) -> None:
    moments = [datetime.datetime(2024, month, 3) for month in (1, 2, 3)]
    tables.merge("silver.orders", frame(*(order(1, m) for m in moments), schema=ORDERS))
    before = months(tables, root)
    change = tables.merge("silver.orders", frame(order(1, moments[1], cents), schema=ORDERS))
    after = months(tables, root)
    assert change == Change("silver.orders", 3, updated=cents - 1)
    assert {month for month in after if after[month] != before[month]} == (
        {"_month=2024-02"} if cents == 2 else set()
    )


def test_a_merge_reads_only_the_months_of_its_rows(
    tables: Tables, frame: Frame, root: Path
) -> None:
    from deltalake import DeltaTable

    moments = [datetime.datetime(2024, month, 3) for month in (1, 2, 3)]
    tables.merge("silver.orders", frame(*(order(1, m) for m in moments), schema=ORDERS))
    tables.merge("silver.orders", frame(order(2, moments[1]), schema=ORDERS))
    newest = DeltaTable(root / ".lakehouse/acme_dev/orders_silver/orders").history(1)[0]
    metrics = newest["operationMetrics"]
    assert (
        metrics["num_target_files_scanned"],
        metrics["num_target_files_skipped_during_scan"],
    ) == (
        1,
        2,
    )


def test_superseded_rows_are_partitioned_as_their_table(
    tables: Tables, frame: Frame, root: Path
) -> None:
    tables.append(
        "silver.orders_superseded", frame(order(1, datetime.datetime(2024, 1, 3)), schema=ORDERS)
    )
    folder = root / ".lakehouse/acme_dev/orders_silver/orders_superseded"
    assert [path.name for path in folder.glob("_month=*")] == ["_month=2024-01"]


def test_a_day_of_a_partitioned_table_is_replaced(tables: Tables, frame: Frame) -> None:
    schema = "day date, tax bigint"
    tables.replace("gold.taxes", frame(*((day, 1) for day in DAYS), schema=schema))
    change = tables.replace("gold.taxes", frame((DAYS[0], 5), schema=schema), ("day", DAYS[:2]))
    assert change == Change("gold.taxes", 2, inserted=1, deleted=2)
    assert content(tables, "gold.taxes") == [(DAYS[2], 1), (DAYS[0], 5)]


def test_the_small_files_of_many_writes_are_merged(
    tables: Tables, frame: Frame, root: Path
) -> None:
    for number in range(45):
        tables.append("ops.notes", frame((number,), schema="number bigint"))
    table = DeltaTable(root / ".lakehouse/acme_dev/orders_ops/notes")
    assert len(table.file_uris()) < 20
    assert sorted(content(tables, "ops.notes")) == [(number,) for number in range(45)]


def test_rows_are_counted_after_every_kind_of_write(tables: Tables, frame: Frame) -> None:
    writes = (
        overwrite(tables, frame(*FIRST)),
        append(tables, frame(*FIRST)),
        overwrite(tables, frame(*FIRST)),
        merge(tables, frame(*NEXT)),
        insert_new(tables, frame(*NEXT, (4, "d", 4.0))),
        sync(tables, frame(*NEXT[1:])),
        replace(tables, frame(*NEXT[2:])),
    )
    assert [change.rows for change in writes] == [2, 4, 2, 3, 4, 2, 1]
    assert tables.count(TABLE) == tables.read(TABLE).count() == 1


def test_held_rows_are_computed_once(tables: Tables, frame: Frame) -> None:
    rows = frame((1,), schema="id int").selectExpr("id", "uuid() AS random")
    held = tables.hold(rows, "rows")
    assert held.collect() == held.collect()
    assert held.dtypes == rows.dtypes


def test_the_most_that_is_held_fits_into_a_plan_three_times(
    tables: Tables, spark: SparkSession
) -> None:
    size = stores._HELD // 8 - 100  # bytes of each row
    rows = spark.range(8).selectExpr("id", f"repeat('x', {size}) AS text")
    held = tables.hold(rows, "rows")
    assert held is not rows
    assert held.union(held).union(held).count() == 24


def test_tables_of_another_domain_have_its_schemas_and_contracts(
    tables: Tables, frame: Frame, root: Path
) -> None:
    other = tables.of("returns")
    other.replace("silver.rates", frame((1,), schema="n int"))  # no contract of `orders` applies
    assert (root / ".lakehouse/acme_dev/returns_silver/rates").is_dir()
    assert not tables.exists("silver.rates")
    assert other.of("orders").identifier(TABLE) == tables.identifier(TABLE)


def test_a_table_of_another_domain_is_read_by_its_name_and_not_written(
    tables: Tables, frame: Frame
) -> None:
    rows = frame((1,), schema="n int")
    tables.of("returns").replace("silver.rates", rows)
    assert tables.read("returns.silver.rates").collect() == rows.collect()
    assert tables.count("returns.silver.rates") == 1
    assert not tables.exists("shops.silver.rates")
    for write in (tables.replace, tables.append):
        with pytest.raises(ValueError, match=r"returns\.silver\.rates: given a table of another"):
            write("returns.silver.rates", rows)


def test_a_prefix_of_the_schemas_stays(root: Path) -> None:
    tables = Tables("c", {"silver": "dev_anna_orders_silver"}, "orders", Engine.EMBEDDED)
    other = tables.of("returns").identifier("silver.x")
    assert other.endswith("/c/dev_anna_returns_silver/x`")


@pytest.mark.parametrize("domain", ["", "orders"])
def test_schemas_without_the_domain_name_no_other_domain(root: Path, domain: str) -> None:
    tables = Tables("c", {"silver": "s"}, domain, Engine.EMBEDDED)
    expected = f"schema of silver: given s, expected …{domain}_silver"
    with pytest.raises(ValueError, match=expected):
        tables.of("returns")


def test_a_folder_with_spaces_and_letters_of_the_world_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: Frame
) -> None:
    odd = tmp_path / "мой проект & ü 100%"
    (odd / "landing").mkdir(parents=True)
    (odd / "landing" / "ä b.csv").write_text("n\n1\n", encoding="utf-8")
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(odd))
    schemas = {layer: layer for layer in ("bronze", "silver", "ops")}
    tables = Tables("acme_dev", schemas, engine=Engine.EMBEDDED)
    tables.merge(TABLE, frame((1, "a", 1.0)), ["id"])
    tables.merge(TABLE, frame((1, "b", 1.0)), ["id"])
    tables.replace(TABLE, frame((1, "c", 1.0)), ("id", [1]))
    assert tables.ingest("t", str(odd / "landing")).change.inserted == 1
    assert content(tables) == [(1, "c", 1.0)]
    assert (odd / ".lakehouse/acme_dev/silver/things/_delta_log").is_dir()


LOCKED = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("locked")
"""


def test_one_run_keeps_other_processes_out_of_its_catalog(tables: Tables, root: Path) -> None:
    def locked(catalog: str) -> bool:
        folder = root / ".lakehouse" / catalog
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", LOCKED, str(folder / ".lock")]
        return subprocess.run(command, capture_output=True).returncode != 0

    with tables.exclusive():
        assert locked("acme_dev")
        assert not locked("acme_prod")
    assert not locked("acme_dev")


def test_a_change_reads_well() -> None:
    assert str(Change("silver.t", 1200, 3, 2, 1)) == "silver.t: +3 ~2 -1, now 1,200 rows"
    assert str(Change("silver.t", 7)) == "silver.t: unchanged, 7 rows"
    assert str(Change("silver.t", 7, note="why")) == "silver.t: unchanged, 7 rows (why)"


def test_types_of_a_contract_may_have_other_names(
    tables: Tables, frame: Frame, edit: Callable[[str, str, str], None]
) -> None:
    edit("silver.rates", "logicalType: integer", "logicalType: number, physicalType: 'Dec(10, 2)'")
    rows = frame((DAYS[0], 1), schema="day date, percent bigint")
    exact = rows.withColumn("percent", rows.percent.cast("decimal(10,2)"))
    assert tables.overwrite("silver.rates", exact).rows == 1
    assert dict(tables.read("silver.rates").dtypes)["percent"] == "decimal(10,2)"


@pytest.mark.parametrize("store", [Folders, JvmFolders])
def test_rows_of_a_small_table_are_found_by_conditions_in_utc(
    root: Path, spark: SparkSession, new_york: None, store: type[Folders] | type[JvmFolders]
) -> None:
    small, at = store(spark, "c"), Location("ops", "small")
    noon = datetime.datetime(2024, 7, 1, 12, tzinfo=datetime.UTC)
    later = noon + datetime.timedelta(microseconds=1)
    columns = "name string, number bigint, at timestamp"
    small.add([("a", 1, noon), ("b", 2, later), ("c", None, noon)], columns, at)

    def found(*where: Condition, newest: str = "") -> list[Any]:
        return sorted((row["name"] for row in small.find(at, where, newest)), key=str)

    assert small.find(at, [("number", "=", 1)]) == [{"name": "a", "number": 1, "at": noon}]
    assert found(("number", "!=", 1)) == ["b"]
    assert found(("at", ">", noon)) == ["b"]
    assert found(("name", "in", ("a", "c"))) == ["a", "c"]
    assert found(("name", "in", ("a", "c")), ("number", "=", 1)) == ["a"]
    assert found(("name", "!=", "c"), newest="at") == ["b"]
    small.add([("a", 3, later, "x")], f"{columns}, more string", at)
    assert found(("name", "=", "a"), newest="at") == ["a"]
    assert [row["more"] for row in small.find(at, [("number", "in", (1, 3))])].count("x") == 1


@pytest.mark.parametrize("store", [Folders, JvmFolders])
@pytest.mark.parametrize("before", [0, 40])  # Delta has no statistics of columns from the 33rd on
def test_the_newest_time_of_a_table_is_exact_to_the_millisecond(
    root: Path, spark: SparkSession, store: type[Folders] | type[JvmFolders], before: int
) -> None:
    tables, one, two = store(spark, "c"), Location("ops", "one"), Location("ops", "two")
    noon = datetime.datetime(2024, 7, 1, 12, tzinfo=datetime.UTC)
    second = datetime.timedelta(seconds=1)
    others = [f"c{n} bigint" for n in range(before)]
    columns = ", ".join([*others, "at timestamp"])
    values = tuple(range(before))
    tables.add([(*values, noon + second), (*values, None)], columns, one)
    tables.add([(*values, noon)], columns, one)
    tables.add([(*values, None)], columns, two)
    before_all = noon - second
    assert tables.newest("at", [two, one], before_all) == [None, noon + second]
    assert tables.newest("at", [one], noon + second) == [None]
    assert tables.newest("at", [], before_all) == []
    found = [
        [row["at"] for row in times.collect(tables.newer(one, "at", after).orderBy("at"))]
        for after in (before_all, noon, noon + second)
    ]
    assert found == [[noon, noon + second], [noon + second], []]


@pytest.mark.parametrize("folder", ["acme", "with space & ünïcode"])
def test_what_another_process_writes_is_seen(
    root: Path,
    spark: SparkSession,
    frame: Frame,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
) -> None:
    (root / folder).mkdir()
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(root / folder))
    one, other, at = Folders(spark, "c"), Folders(spark, "c"), Location("ops", "t")

    def seen() -> tuple[int, int, list[Any]]:
        rows = other.find(at, [("name", "!=", "")])
        return other.version(at), other.count(at), sorted(row["name"] for row in rows)

    one.add([("a", 1)], "name string, n bigint", at)
    assert seen() == (0, 1, ["a"])
    one.add([("b", 2)], "name string, n bigint", at)
    one.merge(frame(("b", 3), ("c", 3), schema="name string, n bigint"), at, ["name"])
    assert seen() == (2, 3, ["a", "b", "c"])
    assert [row["n"] for row in other.find(at, [("name", "=", "b")])] == [3]
    one.write(frame(("x",), schema="name string"), at, "replace")
    assert seen() == (3, 1, ["x"])
    assert other.types(at) == [("name", "string")]


@pytest.mark.parametrize(
    "types",
    ["bigint", "int", "smallint", "double", "float", "boolean", "date", "timestamp", "binary",
     "decimal(10,2)", "array<string>", "struct<a:int,b:string>"],
)  # fmt: skip
def test_types_are_those_that_the_engine_reads(root: Path, spark: SparkSession, types: str) -> None:
    folders, at = Folders(spark, "c"), Location("s", "t", "day")
    schema = f"day date, value {types}"
    folders.write(spark.createDataFrame([(DAYS[0], None)], schema), at, "replace")
    assert folders.types(at) == folders.read(at).dtypes == [("day", "date"), ("value", types)]
