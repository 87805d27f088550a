"""A changed contract reaches its tables once, and an earlier release still runs afterwards."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import domain
import pytest
from domain import found, land, land_shops, order

from lakehouse import evolution, runs
from lakehouse.audit import audit
from lakehouse.contract import Column, Contract
from lakehouse.engine import Tables
from lakehouse.engine.stores import Folders
from lakehouse.refine import Refined

Edit = Callable[[str, str, str], None]
SILVER, GOLD = "silver.orders", "gold.revenue"
AT = "`acme`.`orders_silver`.`orders`"
ORDERS = Contract(
    "silver.orders",
    (
        Column("shop", "string", required=True, description="Code of the shop."),
        Column("number", "bigint", description="It's \\ unique.", tags=("pii:no", "reviewed")),
        Column("note", "string", tags=("classification:confidential",)),
    ),
    key=("shop", "number"),
    partition="shop",
    version="1.0.0",
    description="One row for each order.",
    tags=("team:sales",),
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project root: the first release has run, with two orders."""
    with domain.project(tmp_path_factory.mktemp("first")) as (tables, root):
        land_shops(root, "north")
        land(root, "orders/1.csv", [order(1, note="x"), order(2, 50, "2024-01-02")])
        domain.run(tables, root)
        yield root


@pytest.fixture
def lake(first: Path, tables: Tables, root: Path) -> Iterator[Tables]:
    """A copy of the first tables; in the end they have to be as if computed from all of bronze."""
    shutil.copytree(first, root, dirs_exist_ok=True)
    yield tables
    proofs = audit(tables, {"orders": domain.prepare(tables, "orders")}, [])
    assert [str(proof) for proof in proofs if not proof.holds] == []


@pytest.fixture
def altered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that a catalog would get."""
    done: list[str] = []

    def alter(store: Folders, statements: Sequence[str]) -> None:
        done.extend(statements)

    monkeypatch.setattr(Folders, "alter", alter)
    return done


def run(tables: Tables, root: Path) -> Refined:
    """Ingest and refine the orders."""
    tables.ingest("orders", str(root / "landing/orders"))
    return domain.refined(tables, "orders")


def columns(tables: Tables, name: str) -> list[str]:
    """The columns of a table without the engine's own."""
    return [column for column in tables.read(name).columns if not column.startswith("_")]


def all_statements(tables: Tables) -> list[str]:
    """What a new table gets."""
    metadata = evolution.metadata(tables.contract(SILVER))
    return list(evolution.statements({}, metadata, tables.identifier(SILVER)))


def add_channel(edit: Edit, version: str = "1.1.0") -> None:
    """The next release has a column more in silver, and another name in gold."""
    for name in ("landing.orders", SILVER):
        edit(name, "- {name: shop, ", "- {name: channel}\n      - {name: shop, ")
    edit(SILVER, "schema:", f"version: {version}\nschema:")


def remove_channel(edit: Edit, version: str) -> None:
    """The release after it, or before it, does not have the column."""
    for name in ("landing.orders", SILVER):
        edit(name, "- {name: channel}\n      - {name: shop, ", "- {name: shop, ")
    edit(SILVER, "version: 1.1.0", f"version: {version}")


def test_metadata_is_one_statement_for_each_comment_tag_and_constraint() -> None:
    assert list(evolution.statements({}, evolution.metadata(ORDERS), AT)) == [
        f"COMMENT ON TABLE {AT} IS 'One row for each order.'",
        f"ALTER TABLE {AT} SET TAGS ('team' = 'sales')",
        f"ALTER TABLE {AT} ALTER COLUMN `shop` COMMENT 'Code of the shop.'",
        f"ALTER TABLE {AT} ALTER COLUMN `shop` SET NOT NULL",
        f"ALTER TABLE {AT} ALTER COLUMN `number` COMMENT 'It\\'s \\\\ unique.'",
        f"ALTER TABLE {AT} ALTER COLUMN `number` SET TAGS ('pii' = 'no')",
        f"ALTER TABLE {AT} ALTER COLUMN `number` SET TAGS ('reviewed' = '')",
        f"ALTER TABLE {AT} ALTER COLUMN `number` SET NOT NULL",
        f"ALTER TABLE {AT} ALTER COLUMN `note` SET TAGS ('classification' = 'confidential')",
        f"ALTER TABLE {AT} ADD CONSTRAINT `orders_pk` PRIMARY KEY (`shop`, `number`)",
        f"ALTER TABLE {AT} CLUSTER BY (`shop`)",
    ]


def test_only_what_differs_is_applied_and_what_is_gone_is_undone() -> None:
    other = Contract(
        "silver.orders",
        (
            Column("shop", "string", description="The shop."),
            Column("number", "bigint", description="It's \\ unique.", tags=("pii:yes", "reviewed")),
            Column("note", "string"),
        ),
    )
    before, now = evolution.metadata(ORDERS), evolution.metadata(other)
    assert list(evolution.statements(before, now, AT)) == [
        f"ALTER TABLE {AT} CLUSTER BY NONE",
        f"ALTER TABLE {AT} DROP PRIMARY KEY IF EXISTS",
        f"ALTER TABLE {AT} ALTER COLUMN `note` UNSET TAGS ('classification')",
        f"ALTER TABLE {AT} ALTER COLUMN `number` DROP NOT NULL",
        f"ALTER TABLE {AT} ALTER COLUMN `shop` DROP NOT NULL",
        f"ALTER TABLE {AT} UNSET TAGS ('team')",
        f"COMMENT ON TABLE {AT} IS NULL",
        f"ALTER TABLE {AT} ALTER COLUMN `shop` COMMENT 'The shop.'",
        f"ALTER TABLE {AT} ALTER COLUMN `number` SET TAGS ('pii' = 'yes')",
    ]
    assert list(evolution.statements(now, now, AT)) == []


def test_a_key_is_dropped_before_another_one_is_added() -> None:
    before, now = (evolution.metadata(replace(ORDERS, key=key)) for key in (("shop",), ("number",)))
    constraints = [s for s in evolution.statements(before, now, AT) if "PRIMARY KEY" in s]
    assert constraints == [
        f"ALTER TABLE {AT} DROP PRIMARY KEY IF EXISTS",
        f"ALTER TABLE {AT} ADD CONSTRAINT `orders_pk` PRIMARY KEY (`number`)",
    ]


def test_a_first_run_applies_everything_and_the_next_one_nothing(
    tables: Tables, root: Path, altered: list[str]
) -> None:
    land_shops(root, "north")
    land(root, "orders/1.csv", [order(1)])
    domain.run(tables, root)
    assert [s for s in altered if tables.identifier(SILVER) in s] == all_statements(tables)
    assert runs.last_applied(tables, SILVER) == evolution.metadata(tables.contract(SILVER))
    altered.clear()
    land(root, "orders/2.csv", [order(2)])
    assert domain.run(tables, root)["orders"].run.applied == ""
    assert altered == []


def test_a_comment_reaches_the_table_without_a_rebuild(
    lake: Tables, root: Path, edit: Edit, altered: list[str]
) -> None:
    version = lake.version(SILVER)
    edit(SILVER, "{name: note}", "{name: note, description: By the buyer., classification: pii}")
    assert run(lake, root).run.rebuilt == ""
    note = f"ALTER TABLE {lake.identifier(SILVER)} ALTER COLUMN `note`"
    assert altered == [
        f"{note} COMMENT 'By the buyer.'",
        f"{note} SET TAGS ('classification' = 'pii')",
    ]
    assert lake.version(SILVER) == version
    altered.clear()
    edit(SILVER, "{name: note, description: By the buyer., classification: pii}", "{name: note}")
    run(lake, root)
    assert altered == [f"{note} UNSET TAGS ('classification')", f"{note} COMMENT ''"]
    altered.clear()
    run(lake, root)
    assert altered == []


def test_a_table_that_was_replaced_gets_all_of_its_metadata_again(
    lake: Tables, root: Path, edit: Edit, altered: list[str]
) -> None:
    add_channel(edit)
    run(lake, root)
    assert [s for s in altered if lake.identifier(SILVER) in s] == all_statements(lake)


def test_a_rebuild_with_the_same_columns_keeps_the_metadata(
    lake: Tables, root: Path, edit: Edit, altered: list[str]
) -> None:
    edit(SILVER, "cents > 0", "cents > 60")
    run(lake, root)
    # What an interrupted rebuild may have removed is applied again; the statements have no effect.
    assert not [statement for statement in altered if " UNSET " in statement]
    altered.clear()
    lake.full_refresh = True
    run(lake, root)
    assert altered == []


def test_a_release_rolled_back_to_keeps_the_column_that_came_later(
    lake: Tables, root: Path, edit: Edit
) -> None:
    add_channel(edit)
    land(root, "orders/2.csv", [(*order(3), "web")], (*domain.ORDERS, "channel"))
    run(lake, root)
    assert found(lake, SILVER, "number", "channel") == [(1, None), (2, None), (3, "web")]
    remove_channel(edit, "1.0.0")
    run(lake, root)
    land(root, "orders/3.csv", [(*order(4), "shop")], (*domain.ORDERS, "channel"))
    run(lake, root)
    assert found(lake, SILVER, "number", "channel") == [(n, None) for n in (1, 2, 3, 4)]
    edit(SILVER, "version: 1.0.0\nschema:", "schema:")
    add_channel(edit)
    run(lake, root)
    assert found(lake, SILVER, "number", "channel") == [
        (1, None),
        (2, None),
        (3, "web"),
        (4, "shop"),
    ]


@pytest.mark.parametrize(
    ("version", "drops"),
    [("1.2.0", False), ("0.9.0", False), ("2.0.0", True), ("10.0.0", True), ("x", False)],
)
def test_only_a_new_major_version_drops_columns(version: str, drops: bool) -> None:
    last = runs.Run(SILVER, runs.START, version="1.1.0")
    assert evolution.drops_columns(replace(ORDERS, version=version), last) == drops
    assert not evolution.drops_columns(replace(ORDERS, version=version), None)


@pytest.mark.parametrize(("version", "left"), [("1.2.0", True), ("2.0.0", False)])
def test_a_column_that_is_no_longer_in_the_contract(
    lake: Tables, root: Path, edit: Edit, version: str, left: bool
) -> None:
    add_channel(edit)
    run(lake, root)
    remove_channel(edit, version)
    assert run(lake, root).run.rebuilt == "its contract changed"
    assert ("channel" in columns(lake, SILVER)) == left


def test_a_dropped_column_of_gold_stays_until_a_new_major_version(
    lake: Tables, root: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = domain.revenue

    def revenue(orders: Any, shops: Any) -> Any:
        return original(orders, shops).drop("cents")

    edit(GOLD, "      - {name: cents, logicalType: integer, required: true}\n", "")
    with monkeypatch.context() as patch:
        patch.setattr(domain, "revenue", revenue)
        domain.run(lake, root)
        land(root, "orders/2.csv", [order(3, 5, "2024-01-02")])
        domain.run(lake, root)
        days = [(1, None), (2, None)]
        assert found(lake, GOLD, "orders", "cents") == days
        edit(GOLD, "schema:", "version: 2.0.0\nschema:")
        edit(GOLD, "{name: shop_name}", "{name: shop_name, required: true}")
        domain.run(lake, root)
        assert "cents" not in columns(lake, GOLD)
    edit(GOLD, "version: 2.0.0\n", "")
    edit(GOLD, "orders, ", "cents, logicalType: integer, required: true}\n      - {name: orders, ")
    domain.run(lake, root)
    assert found(lake, GOLD, "orders", "cents") == [(1, 100), (2, 55)]
    assert [str(proof) for proof in domain.audit(lake) if not proof.holds] == []


class KilledError(OSError):
    pass


def _kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> list[str]:
    """Fail after the write with that number; the list gets each one."""
    done: list[str] = []

    def after(what: str) -> None:
        done.append(what)
        if len(done) == step:
            raise KilledError(what)

    write, record = Folders.write, runs.record

    def wrote(store: Folders, rows: Any, at: Any, mode: str) -> None:
        write(store, rows, at, mode)
        if at.schema != "orders_ops":
            after(f"{mode} {at.table}")

    def recorded(tables: Tables, entries: Sequence[runs.Run]) -> None:
        record(tables, entries)
        after(f"record {entries[0].table}")

    def altered(store: Folders, statements: Sequence[str]) -> None:
        for statement in statements:
            after(statement)

    monkeypatch.setattr(Folders, "write", wrote)
    monkeypatch.setattr(Folders, "alter", altered)
    monkeypatch.setattr(runs, "record", recorded)
    return done


def _evolve(edit: Edit) -> None:
    """A release that drops a column, needs another one, and describes a third."""
    edit(SILVER, "      - {name: note}\n", "")
    edit(SILVER, "      - {name: noted, engine: lakehouse, severity: warn, ", "#")
    edit(SILVER, "{name: cents, ", "{name: cents, description: Without tax., ")
    edit(SILVER, "schema:", "version: 2.0.0\nschema:")


# After the record that the rebuild begins; the first and the last of three tables; the first and
# the last of 8 statements.
@pytest.mark.parametrize("step", [1, 2, 4, 5, 12])
@pytest.mark.parametrize("next_release", ["the same", "the one before"])
def test_whichever_release_runs_after_a_kill_ends_as_if_it_had_run_alone(
    lake: Tables,
    root: Path,
    contracts: Path,
    edit: Edit,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    next_release: str,
) -> None:
    file = contracts / f"{SILVER}.yml"
    before = file.read_text(encoding="utf-8")
    _evolve(edit)
    with monkeypatch.context() as patch:
        done = _kill_at(patch, step)
        with pytest.raises(KilledError):
            run(lake, root)
    if next_release == "the one before":
        file.write_text(before, encoding="utf-8")
        domain.contract.find_contract.cache_clear()
    with monkeypatch.context() as patch:
        again = _kill_at(patch, 0)
        run(lake, root)
    assert ("note" in columns(lake, SILVER)) == (next_release == "the one before")
    contract, last = lake.contract(SILVER), runs.last_run(lake, SILVER)
    assert last is not None
    assert last.version == contract.version
    assert runs.last_applied(lake, SILVER) == evolution.metadata(contract)
    if "replace orders" in done:
        assert not {*all_statements(lake)} - {*done, *again}
    with monkeypatch.context() as patch:
        idle = _kill_at(patch, 0)
        run(lake, root)
    assert idle == [f"record {SILVER}"]


def test_the_steps_of_an_evolution_are_those_at_which_it_is_killed(
    lake: Tables, root: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    _evolve(edit)
    with monkeypatch.context() as patch:
        done = _kill_at(patch, 0)
        run(lake, root)
    assert [step for step in done if "ALTER" not in step] == [
        f"record {SILVER}",
        "replace orders",
        "overwrite orders_quarantine",
        "replace orders_superseded",
        f"record {SILVER}",
    ]
    assert len(done) == 13


def test_a_rebuild_of_gold_that_stopped_is_made_good_by_the_earlier_release(
    lake: Tables, contracts: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = contracts / f"{GOLD}.yml"
    before = file.read_text(encoding="utf-8")
    edit(GOLD, "      - {name: cents, logicalType: integer, required: true}\n", "")
    edit(GOLD, "schema:", "version: 2.0.0\nschema:")
    original = domain.revenue
    with monkeypatch.context() as patch:
        patch.setattr(
            domain, "revenue", lambda orders, shops: original(orders, shops).drop("cents")
        )
        done = _kill_at(patch, 2)
        with pytest.raises(KilledError):
            domain.gold(lake)
    assert done == [f"record {GOLD}", "replace revenue"]
    file.write_text(before, encoding="utf-8")
    domain.contract.find_contract.cache_clear()
    assert domain.gold(lake)[GOLD].note == "rebuilt: an earlier rebuild was interrupted"
    assert found(lake, GOLD, "orders", "cents") == [(1, 100), (1, 50)]
