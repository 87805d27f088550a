"""Proof of the account: each table that was tampered with is found."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import domain
import pytest
from domain import land, land_shops, order
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import audit
from lakehouse.engine import Tables

KINDS = ("", "_superseded", "_quarantine")
SILVER = [f"silver.{source}{kind}" for source in domain.SOURCES for kind in KINDS]
TABLES = [*SILVER, "gold.revenue", "gold.taxes"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project root whose tables of orders and gold all have rows."""
    with domain.project(tmp_path_factory.mktemp("first")) as (tables, root):
        land_shops(root, "north")
        land(root, "orders/1.csv", [order(1), order(2, 50), order(3, -1), order(4, -1)])
        land(root, "orders/2.csv", [order(1, 200), order(2, 300)])
        domain.run(tables, root)
        yield root


@pytest.fixture
def lake(first: Path, tables: Tables, root: Path) -> Tables:
    shutil.copytree(first, root, dirs_exist_ok=True)
    return tables


def failing(tables: Tables, name: str) -> list[str]:
    """The proofs of the tables of orders, or of gold, that do not hold."""
    gold = name.startswith("gold.")
    facts = [fact for fact in domain.facts(tables) if fact.name == name]
    sources = {} if gold else {"orders": domain.prepare(tables, "orders")}
    return [str(proof) for proof in audit.audit(tables, sources, facts) if not proof.holds]


def rewrite(tables: Tables, name: str, change: Callable[[DataFrame], DataFrame]) -> None:
    tables.overwrite(name, tables.hold(change(tables.read(name)), "changed"))


def without_one(rows: DataFrame) -> DataFrame:
    return rows.limit(rows.count() - 1)


def with_a_double(rows: DataFrame) -> DataFrame:
    return rows.union(rows.limit(1))


def test_untouched_tables_are_proven(lake: Tables) -> None:
    proofs = domain.audit(lake)
    assert [proof.table for proof in proofs] == TABLES
    assert all(proof.holds for proof in proofs)
    assert str(proofs[6]) == "silver.orders: 2 rows ✓"


ORDERS = SILVER[6:]


@pytest.mark.parametrize("name", [*ORDERS, "gold.revenue"])
def test_a_deleted_row_is_found(lake: Tables, name: str) -> None:
    rewrite(lake, name, without_one)
    assert failing(lake, name) == [f"{name}: 1 missing, 0 unexpected ✗"]


@pytest.mark.parametrize("name", [*ORDERS, "gold.revenue", "gold.taxes"])
def test_a_doubled_row_is_found(lake: Tables, name: str) -> None:
    rewrite(lake, name, with_a_double)
    assert failing(lake, name) == [f"{name}: 0 missing, 1 unexpected ✗"]


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("silver.orders", "cents", "cents + 1"),
        ("silver.orders", "note", "'x'"),
        ("silver.orders", "_warned", "NULL"),
        ("silver.orders", "_file", "'other.csv'"),
        ("silver.orders_superseded", "_row", "_row + 9"),
        ("silver.orders_quarantine", "cents", "'-2'"),
        ("silver.orders_quarantine", "_failed", "'known_shop'"),
        ("gold.revenue", "cents", "cents + 1"),
        ("gold.revenue", "shop_name", "NULL"),
    ],
)
def test_a_changed_value_is_found(lake: Tables, name: str, column: str, value: str) -> None:
    type_ = dict(lake.read(name).dtypes)[column]
    rewrite(lake, name, lambda rows: rows.withColumn(column, F.expr(f"CAST({value} AS {type_})")))
    changed = lake.count(name)
    assert failing(lake, name) == [f"{name}: {changed} missing, {changed} unexpected ✗"]


def test_rows_that_were_never_judged_are_missing(lake: Tables, root: Path) -> None:
    land(root, "orders/3.csv", [order(9)])
    domain.ingest(lake, root)
    assert failing(lake, "silver.orders") == ["silver.orders: 1 missing, 0 unexpected ✗"]


def test_a_new_column_in_bronze_is_no_difference(lake: Tables, root: Path) -> None:
    land(root, "orders/3.csv", [(*order(9), "web")], (*domain.ORDERS, "channel"))
    domain.run(lake, root)
    assert failing(lake, "silver.orders") == []


def test_a_table_that_is_not_there_has_all_its_rows_missing(lake: Tables, root: Path) -> None:
    shutil.rmtree(root / ".lakehouse/acme_dev/orders_silver/orders")
    assert failing(lake, "silver.orders") == ["silver.orders: 2 missing, 0 unexpected ✗"]


def test_the_command_audits_every_domain_that_was_run_here(
    lake: Tables, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    proofs = [audit.Proof("silver.orders", 2, 0, 0)]
    monkeypatch.setitem(
        sys.modules, "lakehouse.orders.tasks", SimpleNamespace(audit=lambda tables: proofs)
    )
    monkeypatch.setitem(sys.modules, "lakehouse.orders", SimpleNamespace())
    assert audit.main() == 0
    assert capsys.readouterr().out == "silver.orders: 2 rows ✓\n"
    proofs.append(audit.Proof("silver.shops", 1, 2, 0))
    assert audit.main() == 1
    assert "silver.shops: 2 missing, 0 unexpected ✗\n" in capsys.readouterr().out


def test_tables_of_a_removed_domain_are_left_out(
    lake: Tables, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "lakehouse.orders.tasks", None)
    assert audit.main() == 1
    assert capsys.readouterr().out.startswith("orders: not audited: no such domain")


def test_nothing_to_audit_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main() == 1
    assert "no tables on this machine" in capsys.readouterr().out
