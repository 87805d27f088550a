"""The domain `orders`, which the tests of the engine use: shops, their orders, and taxes by day."""

import contextlib
import csv
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import contract
from lakehouse.audit import Prepare, Proof
from lakehouse.audit import audit as prove
from lakehouse.engine import Change, Engine, Ingested, Tables
from lakehouse.refine import Refined, refine
from lakehouse.rollup import Gold, refresh

PACKAGE = Path(__file__).parent / "package"  # of contracts, as `src/lakehouse`
SCHEMAS = {layer: f"orders_{layer}" for layer in ("bronze", "silver", "gold", "ops")}
SOURCES = ("shops", "rates", "orders")
LOOKED_UP = {"orders": ["silver.shops"]}
ORDERS = ("shop", "number", "ordered_at", "day", "cents", "note")
Row = tuple[Any, ...]


def with_shop(rows: DataFrame, shops: DataFrame) -> DataFrame:
    names = shops.select(F.col("code").alias("shop"), F.col("name").alias("shop_name"))
    return rows.join(names, "shop", "left")


def revenue(orders: DataFrame, shops: DataFrame) -> DataFrame:
    names = shops.select(F.col("code").alias("shop"), F.col("name").alias("shop_name"))
    sums = (F.count("*").alias("orders"), F.sum("cents").alias("cents"))
    return orders.groupBy("day", "shop").agg(*sums).join(names, "shop", "left")


def taxes(orders: DataFrame, rates: DataFrame) -> DataFrame:
    known = orders.join(rates.select("day", "percent"), "day", "left")
    tax = F.col("cents") * F.coalesce("percent", F.lit(0))
    return known.groupBy("day").agg(F.sum(tax).alias("tax"))


def prepare(tables: Tables, source: str) -> Prepare | None:
    if source != "orders":
        return None
    return partial(with_shop, shops=tables.read("silver.shops"))


def facts(tables: Tables) -> list[Gold]:
    shops, rates = tables.read("silver.shops"), tables.read("silver.rates")
    return [
        Gold(
            "gold.revenue", "silver.orders", partial(revenue, shops=shops), follows=["silver.shops"]
        ),
        Gold(
            "gold.taxes",
            "silver.orders",
            partial(taxes, rates=rates),
            also={"silver.rates": lambda rows: rows.select("day")},
        ),
    ]


def audit(tables: Tables) -> list[Proof]:
    return list(prove(tables, {s: prepare(tables, s) for s in SOURCES}, facts(tables)))


def ingest(tables: Tables, root: Path) -> dict[str, Ingested]:
    return {source: tables.ingest(source, str(root / "landing" / source)) for source in SOURCES}


def silver(tables: Tables) -> dict[str, Refined]:
    return {source: refined(tables, source) for source in SOURCES}


def refined(tables: Tables, source: str) -> Refined:
    return refine(tables, source, prepare(tables, source), LOOKED_UP.get(source))


def gold(tables: Tables) -> dict[str, Change]:
    return {fact.name: refresh(tables, fact) for fact in facts(tables)}


def run(tables: Tables, root: Path) -> dict[str, Refined]:
    """The job of the domain: bronze, silver, gold."""
    ingest(tables, root)
    refined = silver(tables)
    gold(tables)
    return refined


@contextlib.contextmanager
def project(root: Path) -> Iterator[tuple[Tables, Path]]:
    """The tables of a project root, for fixtures of more than one test."""
    with contracts_in(PACKAGE), mock.patch.dict(os.environ, LAKEHOUSE_ROOT=str(root)):
        yield Tables("acme_dev", SCHEMAS, "orders", Engine.EMBEDDED), root


@contextlib.contextmanager
def contracts_in(package: Path) -> Iterator[None]:
    """Read contracts from a folder instead of `src/lakehouse`."""
    contract.find_contract.cache_clear()
    with mock.patch.object(contract, "files", return_value=package):
        yield
    contract.find_contract.cache_clear()


def land(
    root: Path, path: str, rows: Sequence[Sequence[Any]], columns: Sequence[str] = ORDERS
) -> Path:
    """Write a landing file; files arrive in the order of the calls."""
    file = root / "landing" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(rows)
    arrive(file)
    return file


_ARRIVALS = iter(range(1_500_000_000, 2_000_000_000))


def arrive(file: Path) -> None:
    """Give the file a modification time after that of every other file."""
    moment = next(_ARRIVALS)
    os.utime(file, (moment, moment))


def land_shops(root: Path, *names: str) -> None:
    """Land the shops, each called by its code in capitals, and no rate."""
    land(root, "shops/shops.csv", [(name, name.upper()) for name in names], ("code", "name"))
    land(root, "rates/rates.csv", [], ("day", "percent"))


def order(
    number: Any,
    cents: Any = 100,
    day: str = "2024-01-01",
    shop: str = "north",
    note: str = "",
    at: str = "",
) -> Row:
    """A landing row of `orders`."""
    return shop, number, at or f"{day}T10:00:00Z", day, cents, note


def found(tables: Tables, name: str, *columns: str) -> list[Row]:
    """Some columns of the rows of a table, sorted."""
    return sorted((tuple(row) for row in tables.read(name).select(*columns).collect()), key=repr)
