"""Generated histories: whatever lands and is killed, the tables are as if computed anew."""

import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import domain
import pytest
from domain import ORDERS, found, land, land_shops, order
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse import rollup, runs
from lakehouse.engine import Tables
from lakehouse.engine.stores import Folders

WRITES = ("write", "merge", "append_arrow", "replace_where")
HISTORIES = int(os.environ.get("HISTORIES", "20" if os.environ.get("CI") else "2"))
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Step:
    """What lands before one run of the job, and where it is killed.

    Attributes:
        rows: the orders; an empty list is a file with only a header.
        columns: those of the file; `cents` is required, so a file without it waits for ever.
        shops: whether the shop `west` becomes known.
        kill: the number of the write at which the run ends; None if it does not.
        after: whether that write has been done.
    """

    rows: list[Row]
    columns: tuple[str, ...]
    shops: bool
    kill: int | None
    after: bool


ROWS = st.builds(
    order,
    number=st.sampled_from(["1", "1", "2", "", "x"]),
    cents=st.sampled_from(["5", "6", "-1", ""]),
    day=st.sampled_from(["2024-01-31", "2024-02-01", "1999-12-31"]),
    shop=st.sampled_from(["north", "north", "west", ""]),
    at=st.sampled_from(["2024-01-31T23:00:00Z", "2024-02-01T00:00:00Z", "1999-12-31T00:00:00Z"]),
)
COLUMNS = st.sampled_from(
    [ORDERS, ORDERS, ORDERS[:-1], (*ORDERS, "channel"), tuple(n for n in ORDERS if n != "cents")]
)
STEPS = st.builds(
    Step,
    rows=st.lists(ROWS, max_size=6),
    columns=COLUMNS,
    shops=st.booleans(),
    kill=st.none() | st.integers(1, 12),
    after=st.booleans(),
)


class KilledError(Exception):
    """The run ended at a write."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project root: one shop is known."""
    with domain.project(tmp_path_factory.mktemp("first")) as (tables, root):
        land_shops(root, "north")
        for source in ("shops", "rates"):
            tables.ingest(source, str(root / "landing" / source))
            domain.refined(tables, source)
        yield root


def run(tables: Tables, root: Path) -> None:
    tables.ingest("shops", str(root / "landing" / "shops"))
    tables.ingest("orders", str(root / "landing" / "orders"))
    compute(tables)


def compute(tables: Tables) -> None:
    domain.refined(tables, "shops")
    domain.refined(tables, "orders")
    rollup.refresh(tables, domain.facts(tables)[0])


def run_and_kill(tables: Tables, root: Path, step: Step) -> bool:
    """Run the job, and end it at the step's write; whether it came to its end."""
    count = itertools.count(1)

    def killing(name: str) -> Any:
        original = getattr(Folders, name)

        def write(*given: Any, **named: Any) -> Any:
            ends = next(count) == step.kill
            if ends and not step.after:
                raise KilledError
            done = original(*given, **named)
            if ends:
                raise KilledError
            return done

        return write

    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES:
            patch.setattr(Folders, name, killing(name))
        try:
            run(tables, root)
        except KilledError:
            return False
    return True


def state(tables: Tables) -> dict[str, Any]:
    """All that has to be equal, in silver, quarantine, superseded, gold and account."""
    held = tables.read("silver.orders_quarantine").collect()
    quarantined = [{n: v for n, v in row.asDict().items() if v is not None} for row in held]
    done = runs.last_run(tables, "silver.orders")
    assert done is not None
    origin = ("_file", "_row", "_loaded_at", "_arrived_at")
    return {
        "silver": found(tables, "silver.orders", *ORDERS, "_warned", *origin),
        "quarantine": sorted(quarantined, key=lambda row: (row["_file"], row["_row"])),
        "superseded": found(tables, "silver.orders_superseded", "_file", "_row"),
        "gold": found(tables, "gold.revenue", "day", "shop", "shop_name", "orders", "cents"),
        "account": (done.landed, done.rows, done.quarantined, done.superseded, done.failed),
    }


def expected(steps: list[Step]) -> tuple[list[Row], int, int]:
    """The keys and values of silver, and how many rows are elsewhere, without Spark."""
    shops = {"north"} | {"west" for step in steps if step.shops}
    landed = [row for step in steps if "cents" in step.columns for row in step.rows]
    valid = [r for r in landed if r[0] in shops and r[1].isdecimal() and r[4] in {"5", "6"}]
    newest = {(shop, number, at): (day, cents) for shop, number, at, day, cents, _ in valid}
    silver = [(shop, number, at, *rest) for (shop, number, at), rest in newest.items()]
    return sorted(silver), len(landed) - len(valid), len(valid) - len(newest)


def as_landed(tables: Tables) -> list[Row]:
    rows = tables.read("silver.orders").selectExpr(
        "shop", "CAST(number AS string)", "date_format(ordered_at, \"yyyy-MM-dd'T'HH:mm:ss'Z'\")",
        "CAST(day AS string)", "CAST(cents AS string)",
    )  # fmt: skip
    return sorted(tuple(row) for row in rows.collect())


@settings(max_examples=HISTORIES, deadline=None, derandomize=True, database=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=4))
def test_every_history_ends_as_if_all_of_it_were_computed_anew(
    steps: list[Step], first: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("history")
    shutil.copytree(first, root, dirs_exist_ok=True)
    with domain.project(root) as (tables, _):
        for number, step in enumerate(steps):
            rows = [dict(zip(ORDERS, row, strict=True)) for row in step.rows]
            lines = [[row.get(name, "web") for name in step.columns] for row in rows]
            # Later files sort before earlier ones: the arrival decides, not the name.
            land(root, f"orders/{9 - number}.csv", lines, step.columns)
            if step.shops:
                land(root, f"shops/{number}.csv", [("west", "WEST")], ("code", "name"))
            completed = run_and_kill(tables, root, step)
        if not completed:
            run(tables, root)
        incremental = state(tables)
        silver, quarantined, superseded = expected(steps)
        assert as_landed(tables) == silver
        assert incremental["account"][1:4] == (len(silver), quarantined, superseded)
        tables.full_refresh = True
        compute(tables)
        assert state(tables) == incremental
    shutil.rmtree(root)
