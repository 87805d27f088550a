"""From bronze to silver: only what is new is judged, and no row is lost."""

import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import domain
import pytest
from domain import found, land, land_shops, order
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import quality, refine, runs
from lakehouse.audit import audit
from lakehouse.engine import Tables
from lakehouse.engine.stores import Folders
from lakehouse.refine import Refined

Edit = Callable[[str, str, str], None]
NAME = "silver.orders"


def run(tables: Tables, root: Path, *sources: str) -> Refined:
    """Ingest and refine the orders, and before them other sources that have changed."""
    for source in (*sources, "orders"):
        tables.ingest(source, str(root / "landing" / source))
        refined = domain.refined(tables, source)
    return refined


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project root: two shops are known, and one order."""
    with domain.project(tmp_path_factory.mktemp("first")) as (tables, root):
        land_shops(root, "north", "south")
        land(root, "orders/1.csv", [order(1)])
        run(tables, root, "shops", "rates")
        yield root


@pytest.fixture
def lake(first: Path, tables: Tables, root: Path) -> Iterator[Tables]:
    """A copy of the first tables; in the end they have to be as if computed from all of bronze."""
    shutil.copytree(first, root, dirs_exist_ok=True)
    yield tables
    sources = {"orders": domain.prepare(tables, "orders")}
    assert [str(proof) for proof in audit(tables, sources, []) if not proof.holds] == []


def amounts(tables: Tables) -> list[Any]:
    return found(tables, NAME, "number", "cents")


def account(refined: Refined) -> tuple[Any, ...]:
    done = refined.run
    return done.landed, done.rows, done.quarantined, done.superseded


def test_a_first_load_computes_the_whole_table(tables: Tables, root: Path) -> None:
    land_shops(root, "north")
    rows = [order(1), order(2, note="x"), order(2, 300), order(3, -1), order("x", shop="west")]
    land(root, "orders/1.csv", rows)
    done = run(tables, root, "shops")
    assert str(done.run) == "orders: 5 landed = 2 silver + 2 quarantined + 1 superseded ✓"
    assert done.run.rebuilt == "first load"
    assert [change.table for change in done.changes] == [
        NAME,
        f"{NAME}_quarantine",
        f"{NAME}_superseded",
    ]
    assert found(tables, NAME, "number", "cents", "_warned") == [
        (1, 100, "noted"),
        (2, 300, "noted"),
    ]
    assert found(tables, f"{NAME}_quarantine", "number", "_failed") == [
        ("3", "positive"),
        ("x", "unreadable,no_number,known_shop"),
    ]


def test_nothing_new_writes_nothing(lake: Tables, root: Path) -> None:
    names = (NAME, f"{NAME}_quarantine", f"{NAME}_superseded")
    before = [lake.version(name) for name in names]
    done = run(lake, root)
    assert [lake.version(name) for name in names] == before
    assert not any(change.changed for change in done.changes)
    assert done.run.rebuilt == ""


def test_only_new_rows_are_judged(lake: Tables, root: Path) -> None:
    seen: list[int] = []

    def counted(rows: Any, shops: Any) -> Any:
        seen.append(rows.count())
        return domain.with_shop(rows, shops)

    land(root, "orders/2.csv", [order(2)])
    domain.ingest(lake, root)
    refine.refine(lake, "orders", partial(counted, shops=lake.read("silver.shops")))
    assert seen == [1]
    assert amounts(lake) == [(1, 100), (2, 100)]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each run has judged."""
    counts: list[int] = []
    original = quality.judge

    def judge(rows: DataFrame, *others: Any, **named: Any) -> quality.Judged:
        counts.append(rows.count())
        return original(rows, *others, **named)

    monkeypatch.setattr(quality, "judge", judge)
    return counts


def test_quarantine_is_judged_again_only_after_a_change_of_what_is_looked_up(
    lake: Tables, root: Path, judged: list[int]
) -> None:
    land(root, "orders/2.csv", [order(2, shop="west"), order(3, 0)])
    run(lake, root)
    assert judged == [2]
    done = run(lake, root)
    assert judged == [2]
    assert done.run.failed == '{"known_shop": 1, "positive": 1}'
    land(root, "orders/4.csv", [order(4), order(5, -5)])
    done = run(lake, root)
    assert judged == [2, 2]
    assert done.run.failed == '{"known_shop": 1, "positive": 2}'
    land(root, "shops/later.csv", [("west", "West")], ("code", "name"))
    assert account(run(lake, root, "shops")) == (5, 3, 2, 0)
    assert judged[3:] == [3]
    run(lake, root, "shops")
    assert len(judged) == 4  # one of them was of the shop


def test_quarantine_is_judged_again_in_each_run_if_a_rule_depends_on_time(
    lake: Tables, root: Path, edit: Edit, judged: list[int]
) -> None:
    edit(NAME, "cents > 0", "cents > 0 AND day <= current_date()")
    land(root, "orders/2.csv", [order(2, 100, "2999-01-01")])
    run(lake, root)
    run(lake, root)
    assert judged == [2, 1]


def test_quarantine_is_judged_again_in_each_run_if_what_is_looked_up_is_not_known(
    lake: Tables, root: Path, judged: list[int]
) -> None:
    land(root, "orders/2.csv", [order(2, 0)])
    domain.ingest(lake, root)
    for _ in range(2):
        refine.refine(lake, "orders", domain.prepare(lake, "orders"))
    assert judged == [1, 1]


def test_quarantine_is_not_judged_again_if_nothing_is_looked_up(
    lake: Tables, root: Path, judged: list[int]
) -> None:
    land(root, "orders/2.csv", [order(2, 0)])
    domain.ingest(lake, root)
    for _ in range(2):
        done = refine.refine(lake, "orders", domain.prepare(lake, "orders"), [])
    assert judged == [1]
    assert done.run.failed == '{"positive": 1}'


def test_a_row_that_only_another_code_quarantines_leaves_the_others_alone(
    lake: Tables, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is killed before its account; the next one has another `prepare`."""

    def killed(tables: Tables, done: Any) -> None:
        raise OSError("killed")

    land(root, "orders/2.csv", [order(2, 0)])
    run(lake, root)
    land(root, "orders/3.csv", [order(3), order(4)])
    domain.ingest(lake, root)
    shops = lake.read("silver.shops")

    def wrong(rows: DataFrame) -> DataFrame:
        return domain.with_shop(rows, shops).withColumn("cents", F.lit(0).cast("bigint"))

    with monkeypatch.context() as patch:
        patch.setattr(runs, "record", killed)
        with pytest.raises(OSError, match="killed"):
            refine.refine(lake, "orders", wrong, ["silver.shops"])
    assert lake.count(f"{NAME}_quarantine") == 3
    done = run(lake, root)
    assert account(done) == (4, 3, 1, 0)
    assert (done.changes[1].deleted, done.changes[1].inserted) == (2, 0)


def test_a_correction_supersedes(lake: Tables, root: Path) -> None:
    land(root, "orders/2.csv", [order(1, 200)])
    done = run(lake, root)
    assert account(done) == (2, 1, 0, 1)
    assert (done.run.inserted, done.run.updated) == (0, 1)
    assert amounts(lake) == [(1, 200)]
    assert found(lake, f"{NAME}_superseded", "cents", "_file") == [(100, "1.csv")]


def test_a_correction_of_a_correction_supersedes_both(lake: Tables, root: Path) -> None:
    for cents in (200, 300):
        land(root, f"orders/{cents}.csv", [order(1, cents)])
        done = run(lake, root)
    assert account(done) == (3, 1, 0, 2)
    assert amounts(lake) == [(1, 300)]


def test_corrections_of_one_batch_supersede_in_the_order_of_their_arrival(
    lake: Tables, root: Path
) -> None:
    land(root, "orders/2013-01-01.csv", [order(1, 200)])
    land(root, "orders/2013-01-01-corrected.csv", [order(1, 300)])  # sorts before
    assert account(run(lake, root)) == (3, 1, 0, 2)
    assert amounts(lake) == [(1, 300)]


def test_a_corrected_file_wins_over_the_one_it_corrects_whatever_its_name(
    tables: Tables, root: Path
) -> None:
    land_shops(root, "north")
    land(root, "orders/2013-01-01.csv", [order(1, 11)])
    run(tables, root, "shops")
    land(root, "orders/2013-01-01-corrected.csv", [order(1, 999)])
    run(tables, root)
    assert amounts(tables) == [(1, 999)]


def test_a_file_delivered_twice_changes_nothing_but_the_account(lake: Tables, root: Path) -> None:
    land(root, "orders/1 (copy).csv", [order(1)])
    assert account(run(lake, root)) == (2, 1, 0, 1)
    assert amounts(lake) == [(1, 100)]


def test_a_row_repeated_in_one_file_is_superseded(lake: Tables, root: Path) -> None:
    land(root, "orders/2.csv", [order(2), order(2), order(2)])
    assert account(run(lake, root)) == (4, 2, 0, 2)
    assert found(lake, f"{NAME}_superseded", "_row") == [(1,), (2,)]


def test_late_rows_of_long_ago_are_inserted(lake: Tables, root: Path) -> None:
    land(root, "orders/late.csv", [order(1, 7, "1999-12-31"), order(1, 8, "1970-01-01")])
    assert account(run(lake, root)) == (3, 3, 0, 0)
    assert found(lake, NAME, "cents") == [(100,), (7,), (8,)]


def test_rows_of_more_months_than_are_pruned_are_merged(lake: Tables, root: Path) -> None:
    days = [f"{2000 + n // 12}-{n % 12 + 1:02}-15" for n in range(40)]
    land(root, "orders/all.csv", [order(1, 1, day) for day in days])
    run(lake, root)
    land(root, "orders/corrected.csv", [order(1, 2, day) for day in days])
    assert account(run(lake, root)) == (81, 41, 0, 40)


def test_a_valid_row_outlives_an_invalid_correction(lake: Tables, root: Path) -> None:
    land(root, "orders/2.csv", [order(1, -5)])
    assert account(run(lake, root)) == (2, 1, 1, 0)
    assert amounts(lake) == [(1, 100)]


def test_rows_without_a_key_are_quarantined_each_time(lake: Tables, root: Path) -> None:
    for name in "ab":
        land(root, f"orders/{name}.csv", [order(""), order(2, shop="")])
        done = run(lake, root)
    assert account(done) == (5, 1, 4, 0)
    assert done.run.failed == '{"known_shop": 2, "no_number": 2, "no_shop": 2}'


def test_reference_data_that_arrives_later_releases_its_rows(lake: Tables, root: Path) -> None:
    land(root, "orders/2.csv", [order(2, shop="west"), order(3, shop="east")])
    assert account(run(lake, root)) == (3, 1, 2, 0)
    land(root, "shops/later.csv", [("west", "West")], ("code", "name"))
    done = run(lake, root, "shops")
    assert account(done) == (3, 2, 1, 0)
    assert (done.run.inserted, done.changes[1].deleted) == (1, 1)
    assert found(lake, f"{NAME}_quarantine", "number") == [("3",)]


def test_a_released_row_that_is_older_than_its_correction_is_superseded(
    lake: Tables, root: Path
) -> None:
    land(root, "orders/2.csv", [order(1, 200, note="was wrong")])
    land(root, "orders/3.csv", [order(2, 1, shop="west"), order(2, 2, shop="west")])
    run(lake, root)
    land(root, "orders/4.csv", [order(2, 3, shop="west")])
    assert account(run(lake, root)) == (5, 1, 3, 1)
    land(root, "shops/later.csv", [("west", "West")], ("code", "name"))
    assert account(run(lake, root, "shops")) == (5, 2, 0, 3)
    assert amounts(lake) == [(1, 200), (2, 3)]


def test_a_new_column_is_kept_with_the_quarantined_row(lake: Tables, root: Path) -> None:
    land(root, "orders/2.csv", [order(2, 0)])
    run(lake, root)
    land(root, "orders/3.csv", [(*order(3, 0), "web")], (*domain.ORDERS, "Sales.Channel"))
    run(lake, root)
    assert found(lake, f"{NAME}_quarantine", "number", "sales_channel") == [
        ("2", None),
        ("3", "web"),
    ]


@pytest.mark.parametrize(
    ("name", "old", "new", "cents"),
    [
        (NAME, "cents > 0", "cents > 150", []),
        (NAME, "name: positive", "name: above_zero", [(100,)]),
        (NAME, "{name: note}", "{name: note, required: true}", []),
    ],
)  # fmt: skip
def test_a_changed_contract_rebuilds_its_table_and_says_so(
    lake: Tables, root: Path, edit: Edit, name: str, old: str, new: str, cents: list[Any]
) -> None:
    edit(name, old, new)
    done = run(lake, root)
    assert done.run.rebuilt == "its contract changed"
    assert re.search(r"✓ \(rebuilt: its contract changed, \d+\.\d s\)$", str(done.run))
    assert str(done.changes[0]).endswith("rows (rebuilt: its contract changed)")
    assert found(lake, NAME, "cents") == cents
    assert run(lake, root).run.rebuilt == ""


def test_another_type_of_a_landed_column_rebuilds_the_table(
    lake: Tables, root: Path, edit: Edit
) -> None:
    def prepare(rows: DataFrame) -> DataFrame:
        whole = F.col("cents").cast("bigint")
        return domain.with_shop(rows, lake.read("silver.shops")).withColumn("cents", whole)

    land(root, "orders/2.csv", [order(2, "1.0")])
    assert account(run(lake, root)) == (2, 1, 1, 0)
    edit("landing.orders", "cents, logicalType: integer", "cents, logicalType: number")
    done = refine.refine(lake, "orders", prepare)
    assert done.run.rebuilt == "its contract changed"
    assert amounts(lake) == [(1, 100), (2, 1)]
    edit("landing.orders", "cents, logicalType: number", "cents, logicalType: integer")
    run(lake, root)


def test_a_column_that_is_new_in_the_contract_is_filled_from_bronze(
    lake: Tables, root: Path, edit: Edit
) -> None:
    land(root, "orders/2.csv", [(*order(2), "web")], (*domain.ORDERS, "channel"))
    run(lake, root)
    for name in ("landing.orders", NAME):
        edit(name, "- {name: shop, ", "- {name: channel}\n      - {name: shop, ")
    assert run(lake, root).run.rebuilt == "its contract changed"
    assert found(lake, NAME, "number", "channel") == [(1, None), (2, "web")]


def test_a_column_that_no_file_has_yet_is_null(lake: Tables, root: Path, edit: Edit) -> None:
    for name in ("landing.orders", NAME):
        edit(name, "- {name: shop, ", "- {name: channel}\n      - {name: shop, ")
    run(lake, root)
    assert found(lake, NAME, "number", "channel") == [(1, None)]


def test_a_full_refresh_computes_the_same_rows(lake: Tables, root: Path) -> None:
    land(root, "orders/2.csv", [order(1, 200), order(2, -1)])
    before = account(run(lake, root))
    lake.full_refresh = True
    done = run(lake, root)
    assert (account(done), done.run.rebuilt) == (before, "full refresh")
    assert amounts(lake) == [(1, 200)]


@pytest.mark.parametrize("writes", range(1, 4))
def test_an_interrupted_full_refresh_begins_again(
    lake: Tables, root: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    land(root, "orders/2.csv", [order(1, 200), order(2, -1)])
    domain.ingest(lake, root)
    lake.full_refresh = True
    original, left = Folders.write, writes

    def killed(store: Folders, rows: Any, at: Any, mode: str) -> None:
        nonlocal left
        original(store, rows, at, mode)
        left -= at.table.startswith("orders")
        if not left:
            raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Folders, "write", killed)
        with pytest.raises(OSError, match="killed"):
            domain.refined(lake, "orders")
    lake.full_refresh = False
    done = run(lake, root)
    assert done.run.rebuilt == "an earlier rebuild was interrupted"
    assert account(done) == (3, 1, 1, 1)
    assert run(lake, root).run.rebuilt == ""


def test_a_row_that_an_interrupted_run_quarantined_is_released_once(
    lake: Tables, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(tables: Tables, done: Any) -> None:
        raise OSError("killed")

    land(root, "orders/2.csv", [order(2, shop="west")])
    with monkeypatch.context() as patch:
        patch.setattr(runs, "record", killed)
        with pytest.raises(OSError, match="killed"):
            run(lake, root)
    assert lake.count(f"{NAME}_quarantine") == 1
    land(root, "shops/later.csv", [("west", "West")], ("code", "name"))
    assert account(run(lake, root, "shops")) == (2, 2, 0, 0)


def test_a_row_that_an_interrupted_run_merged_is_superseded_once(
    lake: Tables, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(tables: Tables, done: Any) -> None:
        raise OSError("killed")

    land(root, "orders/2.csv", [order(2)])
    with monkeypatch.context() as patch:
        patch.setattr(runs, "record", killed)
        with pytest.raises(OSError, match="killed"):
            run(lake, root)
    land(root, "orders/3.csv", [order(2, 200)])
    assert account(run(lake, root)) == (3, 2, 0, 1)


def test_a_table_that_was_removed_is_computed_again(lake: Tables, root: Path) -> None:
    folder = root / ".lakehouse/acme_dev/orders_silver/orders"
    folder.rename(root / "elsewhere")
    assert run(lake, root).run.rebuilt == "first load"
    assert amounts(lake) == [(1, 100)]


def test_a_row_that_is_lost_fails_the_task(lake: Tables, root: Path) -> None:
    land(root, "orders/2.csv", [order(2), order(3)])
    domain.ingest(lake, root)
    prepare = domain.prepare(lake, "orders")
    assert prepare is not None
    expected = (
        "rows are not accounted for: orders: 3 landed = 2 silver "
        r"\+ 0 quarantined \+ 0 superseded ✗; compute all of it: --full-refresh"
    )
    with pytest.raises(ValueError, match=expected):
        refine.refine(lake, "orders", lambda rows: prepare(rows).where(F.col("number") < 3))
    assert run(lake, root).run.balanced


def test_a_row_that_is_doubled_fails_the_task(lake: Tables, root: Path) -> None:
    land(root, "orders/2.csv", [order(2, -1)])
    domain.ingest(lake, root)
    prepare = domain.prepare(lake, "orders")
    assert prepare is not None
    with pytest.raises(ValueError, match=r"2 landed = 1 silver .* 2 quarantined .* ✗"):
        refine.refine(lake, "orders", lambda rows: prepare(rows).union(prepare(rows)))
    lake.full_refresh = True  # as the message says
    assert account(run(lake, root)) == (2, 1, 1, 0)


def test_each_source_has_an_account_of_its_own(tables: Tables, root: Path) -> None:
    land_shops(root, "north", "south")
    land(root, "orders/1.csv", [order(1), order(2, 0), order(3), order(3)])
    assert [str(refined.run) for refined in domain.run(tables, root).values()] == [
        "shops: 2 landed = 2 silver + 0 quarantined + 0 superseded ✓",
        "rates: 0 landed = 0 silver + 0 quarantined + 0 superseded ✓",
        "orders: 4 landed = 2 silver + 1 quarantined + 1 superseded ✓",
    ]


def test_a_rejected_first_file_of_a_source_does_not_block_the_others(
    tables: Tables, root: Path
) -> None:
    land_shops(root, "north")
    land(root, "orders/1.csv", [], ("shop",))
    assert account(domain.run(tables, root)["orders"]) == (0, 0, 0, 0)
    land(root, "orders/2.csv", [order(1)])
    assert account(run(tables, root)) == (1, 1, 0, 0)


def test_the_zone_of_the_machine_does_not_matter(lake: Tables, root: Path, new_york: None) -> None:
    moments = ("2023-12-31T23:30:00Z", "2024-01-31T23:30:00Z", "2024-02-01T00:30:00Z")
    for cents in (100, 200):
        rows = [order(1, cents, at=moment) for moment in moments]
        land(root, f"orders/{cents}.csv", rows)
        done = run(lake, root)
    assert account(done) == (7, 4, 0, 3)
    assert done.run.up_to == runs.last_run(lake, NAME).up_to  # type: ignore[union-attr]
    assert run(lake, root).run.updated == 0
