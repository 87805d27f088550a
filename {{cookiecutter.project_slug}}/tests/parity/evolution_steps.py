"""Releases of the domain `orders` one after the other, with contracts that change.

After each one every table has to be as if computed from all of bronze.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import domain

from lakehouse import contract
from lakehouse.engine import Engine, Tables
from lakehouse.engine.session import current_engine

SILVER = "silver.orders"
DESCRIPTION = "Where it was ordered."
_COLUMN = f"- {{name: channel, description: {DESCRIPTION}}}\n      - {{name: shop, "
# The texts of each release's contracts that differ from the first one's.
RELEASES: dict[str, Mapping[str, Mapping[str, str]]] = {
    "first": {},
    "safe: a new column": {
        "landing.orders": {"- {name: shop, ": _COLUMN},
        SILVER: {"- {name: shop, ": _COLUMN, "schema:": "version: 1.1.0\nschema:"},
    },
    "rolled back": {},
    "rewrite: another rule": {SILVER: {"cents > 0": "cents > 60"}},
    "destructive: a column dropped, another key": {
        SILVER: {
            "      - {name: note}\n": "",
            "      - {name: noted, ": "#",
            "primaryKeyPosition: 2}": "primaryKeyPosition: 4}",
            "schema:": "version: 2.0.0\nschema:",
        },
    },
    "rolled back to the first": {},
}


def dump(root: Path, dump_tables: Callable[[Tables], Any]) -> dict[str, Any]:
    """What every release leaves after two days: its tables, the audit, comments, and reasons."""
    with domain.contracts_in(root / "package"):
        domain.land_shops(root, "north")
        return {
            name: _run(root, number, edits, dump_tables)
            for number, (name, edits) in enumerate(RELEASES.items())
        }


def _run(
    root: Path,
    number: int,
    edits: Mapping[str, Mapping[str, str]],
    dump_tables: Callable[[Tables], Any],
) -> dict[str, Any]:
    _release(root, edits)
    tables = Tables("acme_dev", domain.SCHEMAS, "orders")
    reasons = []
    for day in (2 * number + 1, 2 * number + 2):
        orders = [domain.order(n, 50 * n, f"2024-01-{day:02}") for n in (number, number + 1)]
        rows = [(*order, "web") for order in orders]
        domain.land(root, f"orders/{day}.csv", rows, (*domain.ORDERS, "channel"))
        if tables.exists(SILVER):
            tables.ingest("orders", str(root / "landing/orders"))
            done = domain.refined(tables, "orders")
            domain.gold(tables)
        else:
            done = domain.run(tables, root)["orders"]
        reasons.append(done.run.rebuilt)
    audit = [str(proof) for proof in domain.audit(tables)]
    return {
        "reasons": reasons,
        "audit": audit,
        "tables": dump_tables(tables),
        "comments": _comments(tables),
    }


def _comments(tables: Tables) -> list[str]:
    """The comments of the columns of silver; on a laptop those of the contract."""
    if current_engine() == Engine.EMBEDDED:
        return [c.description for c in tables.contract(SILVER).columns if c.description]
    rows = tables.spark.sql(f"DESCRIBE TABLE {tables.identifier(SILVER)}").collect()
    return [row["comment"] for row in rows if row["comment"]]


def _release(root: Path, edits: Mapping[str, Mapping[str, str]]) -> None:
    shutil.rmtree(root / "package", ignore_errors=True)
    shutil.copytree(domain.PACKAGE, root / "package")
    for name, texts in edits.items():
        file = root / "package/orders/contracts" / f"{name}.yml"
        text = file.read_text(encoding="utf-8")
        for old, new in texts.items():
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")
    contract.find_contract.cache_clear()
