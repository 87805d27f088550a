"""From silver to gold: only the days whose rows changed are computed anew."""

import datetime
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import domain
import pytest
from domain import found, land, land_shops, order
from pyspark.sql import functions as F

from lakehouse import rollup, runs
from lakehouse.audit import audit
from lakehouse.engine import Change, Tables, times
from lakehouse.engine.stores import Folders
from lakehouse.rollup import Gold

REVENUE = "gold.revenue"
COLUMNS = ("day", "shop", "shop_name", "orders", "cents")
ONE, TWO, THREE = (datetime.date(2024, 1, day) for day in (1, 2, 3))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project root: orders of two days."""
    with domain.project(tmp_path_factory.mktemp("first")) as (tables, root):
        land_shops(root, "north", "south")
        land(root, "orders/1.csv", [order(1), order(2, 50, "2024-01-02")])
        domain.run(tables, root)
        yield root


@pytest.fixture
def lake(first: Path, tables: Tables, root: Path) -> Iterator[Tables]:
    """A copy of the first tables; in the end gold has to be as if computed from all rows."""
    shutil.copytree(first, root, dirs_exist_ok=True)
    yield tables
    proofs = audit(tables, {}, domain.facts(tables))
    assert [str(proof) for proof in proofs if not proof.holds] == []


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The days that each table was computed for; None is all of them."""
    days: list[Any] = []
    original = Tables.replace

    def replace(
        self: Tables, name: str, rows: Any, where: Any = None, *, drop_columns: bool = False
    ) -> Change:
        if name.startswith("gold."):
            days.append((name, where and where[1]))
        return original(self, name, rows, where, drop_columns=drop_columns)

    monkeypatch.setattr(Tables, "replace", replace)
    return days


def run(tables: Tables, root: Path, *sources: str) -> dict[str, Change]:
    """The job, for the sources that have changed."""
    for source in sources:
        tables.ingest(source, str(root / "landing" / source))
    for source in sources:
        domain.refined(tables, source)
    return domain.gold(tables)


def test_a_first_load_computes_every_day(lake: Tables) -> None:
    assert found(lake, REVENUE, *COLUMNS) == [
        (ONE, "north", "NORTH", 1, 100),
        (TWO, "north", "NORTH", 1, 50),
    ]
    runs = lake.read("ops.runs").where(F.col("table").startswith("gold."))
    assert {row["rebuilt"] for row in runs.collect()} == {"first load"}


def test_nothing_new_computes_nothing(lake: Tables, root: Path, touched: list[Any]) -> None:
    version = lake.version(REVENUE)
    changes = run(lake, root, "shops", "rates", "orders")
    assert (touched, lake.version(REVENUE)) == ([], version)
    assert changes[REVENUE] == Change(REVENUE, 2)


def test_only_the_days_of_new_rows_are_computed(
    lake: Tables, root: Path, touched: list[Any]
) -> None:
    land(root, "orders/2.csv", [order(3, 7, "2024-01-03"), order(4, 8, "2024-01-02")])
    assert run(lake, root, "orders")[REVENUE] == Change(REVENUE, 3, 2, deleted=1)
    assert touched == [(REVENUE, [TWO, THREE]), ("gold.taxes", [TWO, THREE])]


def test_a_day_of_long_ago_is_computed(lake: Tables, root: Path, touched: list[Any]) -> None:
    land(root, "orders/2.csv", [order(1, 7, "1999-12-31")])
    run(lake, root, "orders")
    assert touched[0] == (REVENUE, [datetime.date(1999, 12, 31)])


def test_a_correction_that_moves_a_row_changes_both_days(
    lake: Tables, root: Path, touched: list[Any]
) -> None:
    land(root, "orders/2.csv", [order(1, 100, "2024-01-03", at="2024-01-01T10:00:00Z")])
    run(lake, root, "orders")
    assert touched[0] == (REVENUE, [ONE, THREE])
    assert found(lake, REVENUE, "day", "cents") == [(TWO, 50), (THREE, 100)]


def test_a_released_row_changes_its_day(lake: Tables, root: Path) -> None:
    land(root, "orders/2.csv", [order(3, 7, "2024-01-03", shop="west")])
    assert not run(lake, root, "orders")[REVENUE].changed
    land(root, "shops/later.csv", [("west", "West")], ("code", "name"))
    run(lake, root, "shops", "orders")
    assert found(lake, REVENUE, *COLUMNS)[2] == (THREE, "west", "West", 1, 7)


def test_a_new_name_is_followed_on_every_day(lake: Tables, root: Path, touched: list[Any]) -> None:
    land(root, "shops/renamed.csv", [("north", "The North")], ("code", "name"))
    change = run(lake, root, "shops", "orders")[REVENUE]
    assert found(lake, REVENUE, "shop_name") == [("The North",), ("The North",)]
    assert touched == [(REVENUE, None)]
    assert change.note == "rebuilt: silver.shops changed"


def test_a_late_rate_changes_only_its_day(lake: Tables, root: Path, touched: list[Any]) -> None:
    land(root, "rates/late.csv", [("2024-01-02", 20)], ("day", "percent"))
    run(lake, root, "rates", "orders")
    assert touched == [("gold.taxes", [TWO])]
    assert found(lake, "gold.taxes", "day", "tax") == [(ONE, 0), (TWO, 1000)]


def test_a_rate_of_a_day_without_orders_changes_nothing(lake: Tables, root: Path) -> None:
    land(root, "rates/late.csv", [("2024-01-09", 20)], ("day", "percent"))
    assert not run(lake, root, "rates")["gold.taxes"].changed


def test_a_changed_contract_computes_the_whole_table(
    lake: Tables, root: Path, edit: Callable[[str, str, str], None], touched: list[Any]
) -> None:
    edit(REVENUE, "{name: shop_name}", "{name: shop_name, required: true}")
    assert run(lake, root)[REVENUE].note == "rebuilt: its contract changed"
    assert touched == [(REVENUE, None)]


def test_a_full_refresh_computes_every_table(lake: Tables, root: Path, touched: list[Any]) -> None:
    lake.full_refresh = True
    assert not run(lake, root)[REVENUE].changed
    assert touched == [(REVENUE, None), ("gold.taxes", None)]


def test_days_that_a_rebuilt_silver_no_longer_has_leave_gold(
    lake: Tables, root: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit("silver.orders", "cents > 0", "cents > 60")
    change = run(lake, root, "orders")[REVENUE]
    assert found(lake, REVENUE, "day") == [(ONE,)]
    assert change.note == "rebuilt: silver.orders was rebuilt"
    assert run(lake, root, "orders")[REVENUE].note == ""


def test_more_days_than_are_worth_it_compute_the_whole_table(
    lake: Tables, root: Path, touched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "_DAYS", 1)
    land(root, "orders/2.csv", [order(n, 7, f"2024-01-0{n}") for n in (3, 4)])
    assert run(lake, root, "orders")[REVENUE].note == "rebuilt: many days changed"
    assert touched == [(REVENUE, None), ("gold.taxes", None)]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_interrupted_write_is_repeated(
    lake: Tables, root: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    original = Folders.replace_where

    def killed(*given: Any) -> None:
        if after:
            original(*given)
        raise OSError("killed")

    land(root, "orders/2.csv", [order(3, 7, "2024-01-03")])
    with monkeypatch.context() as patch:
        patch.setattr(Folders, "replace_where", killed)
        with pytest.raises(OSError, match="killed"):
            run(lake, root, "orders")
    run(lake, root, "orders")
    assert found(lake, REVENUE, "day") == [(ONE,), (TWO,), (THREE,)]


def test_the_zone_of_the_machine_does_not_matter(
    lake: Tables, root: Path, new_york: None, touched: list[Any]
) -> None:
    land(root, "orders/2.csv", [order(3, 7, "2024-01-03")])
    run(lake, root, "orders")
    run(lake, root, "orders")
    assert touched == [(REVENUE, [THREE]), ("gold.taxes", [THREE])]


def test_a_load_that_began_before_gold_and_ended_after_it_is_not_forgotten(
    lake: Tables, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = runs.last_run(lake, REVENUE)
    assert last is not None
    began = last.started_at - datetime.timedelta(milliseconds=1)
    land(root, "orders/2.csv", [order(3, 7, "2024-01-03")])
    lake.ingest("orders", str(root / "landing/orders"))
    with monkeypatch.context() as patch:
        patch.setattr(times, "now", lambda after: began)
        domain.refined(lake, "orders")
    domain.gold(lake)
    assert (THREE, "north", "NORTH", 1, 7) in found(lake, REVENUE, *COLUMNS)


def test_a_table_over_two_domains_follows_both(lake: Tables, touched: list[Any]) -> None:
    places = lake.of("places")
    places.replace("silver.shops", lake.read("silver.shops"))
    compute = partial(domain.revenue, shops=lake.read("places.silver.shops"))
    gold = Gold(REVENUE, "silver.orders", compute, follows=["places.silver.shops"])
    rollup.refresh(lake, gold)
    assert touched == []
    shops = lake.read("silver.shops").withColumn("_changed_at", F.current_timestamp())
    places.replace("silver.shops", shops)
    assert rollup.refresh(lake, gold).note == "rebuilt: places.silver.shops changed"
    runs.record(places, [runs.Run("silver.shops", times.now(), rebuilt="its contract changed")])
    assert rollup.refresh(lake, gold).note == "rebuilt: places.silver.shops was rebuilt"
    assert rollup.refresh(lake, gold).note == ""
    assert touched == [(REVENUE, None)] * 2
