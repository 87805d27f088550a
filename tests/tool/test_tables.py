"""What a plan says of tables whose data contracts change."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from delivery.config.policy import Allow, Branches, Guard, Policy, ProjectInfo
from delivery.config.target import Target
from delivery.config.yaml import Mark, YamlMapping
from delivery.plan.contracts import read_contracts
from delivery.plan.guard import GuardInput, consumed_exceptions, table_decisions
from delivery.plan.model import TableChange
from delivery.plan.tables import TablePlan, compare
from harness.baking import TEMPLATE

AT = "`demo`.`shop_silver`.`orders`"
ALTER = f"ALTER TABLE {AT}"
KEY = "tables.shop.silver.orders"
LANDING = {
    "columns": [
        {"name": "number", "logicalType": "integer"},
        {"name": "note", "synonyms": [{"synonym": "remark"}]},
    ]
}
SILVER: dict[str, Any] = {
    "version": "1.4.0",
    "purpose": "Each order.",
    "columns": [
        {"name": "day", "logicalType": "date", "primaryKey": True, "primaryKeyPosition": 2,
         "partitioned": True},
        {"name": "number", "logicalType": "integer", "primaryKey": True, "primaryKeyPosition": 1,
         "required": True, "description": "Its number."},
        {"name": "pieces", "physicalType": "int", "required": True},
        {"name": "note", "classification": "internal", "tags": ["team:sales", "reviewed"]},
    ],
    "quality": [
        {"name": "some", "engine": "lakehouse", "severity": "warn", "implementation": "pieces > 0"},
        {"name": "few", "engine": "lakehouse", "severity": "warn", "implementation": "pieces < 9"},
        {"name": "other", "engine": "soda"},
    ],
}  # fmt: skip


def document(said: Mapping[str, Any]) -> bytes:
    """A contract, written in short."""
    table = {"name": "x", "properties": said["columns"], "quality": said.get("quality")}
    table["tags"] = said.get("tags")
    described = {"purpose": said["purpose"]} if "purpose" in said else None
    return json.dumps({**said, "description": described, "schema": [table]}).encode()


def files(**tables: Mapping[str, Any] | bytes) -> dict[str, bytes]:
    """The contracts of a release, such as `silver_orders`."""
    folder = "src/app/shop/contracts"
    return {
        f"{folder}/{name.replace('_', '.')}.yml": t if isinstance(t, bytes) else document(t)
        for name, t in tables.items()
    }


def target(*names: str) -> Target:
    """A target with the catalog and the name of a schema."""
    tree, mark = YamlMapping(), Mark("x.yml", 1)
    place = tree
    for key in ("resources", "schemas", "shop_silver"):
        section = YamlMapping()
        place.put(key, section, mark)
        place = section
    for key, name in zip(("catalog_name", "name"), names, strict=False):
        place.put(key, name, mark)
    return Target("prod", "demo", "p", "", "", "", "", "", tree)


def plan(
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    *,
    names: tuple[str, ...] = ("demo", "shop_silver"),
    **options: Any,
) -> TablePlan:
    """The change of all tables between two releases."""
    return compare(read_contracts(before), read_contracts(after), target(*names), **options)


def edited(edit: Callable[[Any], object], layer: str = "silver", **options: Any) -> TablePlan:
    """The plan of an edit of one contract."""
    tables = {"landing_orders": LANDING, "silver_orders": SILVER}
    copy = json.loads(json.dumps(tables[f"{layer}_orders"]))
    edit(copy)
    return plan(files(**tables), files(**{**tables, f"{layer}_orders": copy}), **options)


def only(found: TablePlan) -> TableChange:
    (change,) = found.changes
    return change


def column(name: str, **values: Any) -> Callable[[Any], None]:
    """An edit of a column; a value of None removes the field."""

    def edit(said: Any) -> None:
        (entry,) = (entry for entry in said["columns"] if entry["name"] == name)
        entry |= values
        for key in [key for key, value in values.items() if value is None]:
            del entry[key]

    return edit


def added(**entry: Any) -> Callable[[Any], None]:
    return lambda said: said["columns"].insert(1, entry)


def drop(*names: str, version: str = "1.4.0") -> Callable[[Any], None]:
    def edit(said: Any) -> None:
        said["columns"] = [c for c in said["columns"] if c["name"] not in names]
        said["version"] = version

    return edit


def ruled(number: int, **values: str) -> Callable[[Any], None]:
    return lambda said: said["quality"][number].update(values)


KEPT = "safe"  # without a rebuild
REBUILT = "safe and rebuilt"
CHANGES: list[tuple[Callable[[Any], object], str, str]] = [
    (lambda c: c.update(purpose="Orders."), KEPT, "description of the table"),
    (lambda c: c.update(tags=["pii"]), KEPT, "tags of the table"),
    (column("number", description=None), KEPT, "description of number"),
    (column("note", classification="public"), KEPT, "tags of note"),
    (column("pieces", required=None), REBUILT, "column pieces is no longer required"),
    (column("day", partitioned=None), REBUILT, "partition: day → none"),
    (added(name="gate"), REBUILT, "column gate is added (string)"),
    (column("pieces", physicalType="bigint"), REBUILT, "column pieces: int → bigint"),
    (added(name="gate", required=True), "rewrite", "required column gate is added (string)"),
    (column("note", required=True), "rewrite", "column note becomes required"),
    (lambda c: c["quality"].pop(0), "rewrite", "rule some is removed"),
    (ruled(2, engine="lakehouse", severity="warn", implementation="TRUE"), "rewrite",
     "rule other is added"),
    (ruled(1, implementation="pieces < 8"), "rewrite", "rule few changes"),
    (ruled(1, severity="quarantine"), "rewrite", "rule few changes"),
    (lambda c: c["quality"].reverse(), "rewrite", "rules in another order"),
    (lambda c: c["columns"].reverse(), "rewrite", "columns in another order"),
    (drop("note"), "destructive", "column note is dropped"),
    (column("pieces", physicalType="smallint"), "destructive", "column pieces: int → smallint"),
    (column("number", primaryKey=None), "destructive", "key: number, day → day"),
    (column("number", primaryKeyPosition=3), "destructive", "key: number, day → day, number"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "effect", "what"), CHANGES, ids=[c[2] for c in CHANGES])
def test_a_change_has_an_effect(edit: Callable[[Any], object], effect: str, what: str) -> None:
    change = only(edited(edit))
    assert [(c.what, c.effect) for c in change.changes] == [(what, change.effect)]
    assert change.table == "shop.silver.orders"
    assert (change.effect, change.rebuilt) == (effect.partition(" ")[0], effect != KEPT)


def test_another_partition_is_a_rewrite_and_a_first_one_is_not() -> None:
    def other(said: Any) -> None:
        column("day", partitioned=None)(said)
        column("number", partitioned=True)(said)

    assert only(edited(other)).effect == "rewrite"
    before = files(silver_orders={**SILVER, "columns": [{"name": "a", "primaryKey": True}]})
    after = {"name": "a", "primaryKey": True, "partitioned": True}
    change = only(plan(before, files(silver_orders={**SILVER, "columns": [after]})))
    assert (change.effect, change.rebuilt) == ("safe", True)


WIDER = ["tinyint smallint", "smallint int", "byte bigint", "int long", "float double",
         "real double", "tinyint double", "smallint double", "int double",
         "decimal(5,2) decimal(6,2)", "decimal(5, 2) decimal(7,4)",
         "date timestamp_ntz", "decimal(10) decimal(12,2)", "decimal decimal(11)"]  # fmt: skip
OTHER = ["bigint double", "double float", "bigint int", "decimal(5,2) decimal(6,4)",
         "date timestamp", "decimal(5,2) decimal(6,1)", "string bigint", "bigint string",
         "int decimal(10,0)", "decimal(5,2) decimal(4,2)", "decimal decimal(9)",
         "int float"]  # fmt: skip


@pytest.mark.parametrize("types", WIDER + OTHER)
def test_only_a_type_that_has_every_value_is_wider(types: str) -> None:
    old, new = types.replace(", ", ",").split(" ")
    tables = [{"columns": [{"name": "a", "physicalType": name}]} for name in (old, new)]
    before, after = (files(gold_totals=table) for table in tables)
    assert only(plan(before, after)).effect == ("safe" if types in WIDER else "destructive")


@pytest.mark.parametrize(
    ("edit", "effect", "what"),
    [
        (added(name="gate"), "safe", "landing column gate is added (string)"),
        (column("number", logicalType="number"), "rewrite",
         "landing column number: bigint → double"),
        (drop("note"), "rewrite", "landing column note is removed"),
    ],
)  # fmt: skip
def test_texts_that_are_read_otherwise_rewrite_silver(
    edit: Callable[[Any], object], effect: str, what: str
) -> None:
    change = only(edited(edit, "landing"))
    assert [(c.what, c.effect) for c in change.changes] == [(what, effect)]
    assert (change.table, change.rebuilt) == ("shop.silver.orders", True)
    other = {"landing_totals": LANDING, "gold_totals": SILVER}  # gold is not read from it
    assert plan(files(**other), files(gold_totals=SILVER)).changes == ()


def test_the_worst_change_is_the_effect_of_the_table_and_comes_first() -> None:
    def edit(said: Any) -> None:
        said["purpose"] = "Orders."
        ruled(0, severity="quarantine")(said)
        drop("note")(said)

    change = only(edited(edit))
    assert [c.effect for c in change.changes] == ["destructive", "rewrite", "safe"]
    assert change.effect == "destructive"


def test_contracts_come_and_go() -> None:
    one, both = files(silver_orders=SILVER), files(silver_orders=SILVER, gold_totals=SILVER)
    new = only(plan(one, both))
    assert (new.table, new.effect, new.statements) == ("shop.gold.totals", "safe", [])
    assert [(c.key, c.what) for c in new.changes] == [("tables.shop.gold.totals", "new table")]
    gone = only(plan(both, one))
    assert (gone.effect, gone.is_major, gone.rebuilt) == ("destructive", True, False)
    assert "the table stays, and is no longer written" in gone.changes[0].what
    assert only(plan(both, one, is_rollback=True)).effect == "safe"
    assert [c.table for c in plan({}, both).changes] == ["shop.gold.totals", "shop.silver.orders"]
    assert plan(both, both).changes == ()


BROKEN = [b"", b"[", b"\xff", b"a: &a [*a]", b"schema: []", b"schema: [{name: x}]", b"[1]", b"- a",
          document({"columns": [{"name": "a"}, {"name": "A"}]}),
          document({"columns": [{"name": ["a"]}]}), document({"columns": ["a"]}),
          document({"columns": [{"name": "a", "logicalType": "text"}]}),
          b"schema: " + 9999 * b"["]  # fmt: skip


@pytest.mark.parametrize("content", BROKEN)
def test_a_contract_that_cannot_be_read_breaks_no_plan(content: bytes) -> None:
    good, broken = files(silver_orders=SILVER), files(silver_orders=content)
    for before, after, whose in ((broken, good, "the running"), (good, broken, "this")):
        change = only(plan(before, after))
        assert change.effect == "rewrite"
        assert change.changes[0].what == f"the contract of {whose} release cannot be read"
    assert plan(broken, broken).changes == ()


def test_other_files_are_no_contracts() -> None:
    folder, text = "src/app/shop/contracts", document(SILVER)
    names = ("bronze.orders.yml", "silver.orders.yaml", "README.md", "x/silver.orders.yml")
    assert read_contracts({f"{folder}/{name}": text for name in names}) == {}
    assert [*read_contracts({f"{folder}/silver.orders.yml": text})] == ["shop.silver.orders"]


# --- statements ---


def test_statements_bring_what_changed_and_nothing_else() -> None:
    def edit(said: Any) -> None:
        said |= {"purpose": "It's \\ new.", "tags": ["owner: sales", "gold"]}
        column("day", description="When.", partitioned=None)(said)
        column("number", primaryKey=None, required=None, description=None)(said)
        column("note", classification=None, tags=["team:ops"], required=True)(said)

    assert only(edited(edit)).statements == [
        f"{ALTER} CLUSTER BY NONE",
        f"{ALTER} DROP PRIMARY KEY IF EXISTS",
        f"{ALTER} ALTER COLUMN `note` UNSET TAGS ('reviewed')",
        f"{ALTER} ALTER COLUMN `note` UNSET TAGS ('classification')",
        f"{ALTER} ALTER COLUMN `number` DROP NOT NULL",
        f"{ALTER} ALTER COLUMN `number` COMMENT ''",
        f"COMMENT ON TABLE {AT} IS 'It\\'s \\\\ new.'",
        f"{ALTER} SET TAGS ('gold' = '')",
        f"{ALTER} SET TAGS ('owner' = 'sales')",
        f"{ALTER} ALTER COLUMN `day` COMMENT 'When.'",
        f"{ALTER} ALTER COLUMN `note` SET TAGS ('team' = 'ops')",
        f"{ALTER} ALTER COLUMN `note` SET NOT NULL",
        f"{ALTER} ADD CONSTRAINT `orders_pk` PRIMARY KEY (`day`)",
    ]
    assert only(edited(lambda c: c.update(purpose=None))).statements == [
        f"COMMENT ON TABLE {AT} IS NULL"
    ]
    assert only(edited(ruled(0, severity="quarantine"))).statements == []


def test_other_columns_lose_what_statements_gave_the_table() -> None:
    everything = [
        f"COMMENT ON TABLE {AT} IS 'Each order.'",
        f"{ALTER} ALTER COLUMN `day` SET NOT NULL",
        f"{ALTER} ALTER COLUMN `number` COMMENT 'Its number.'",
        f"{ALTER} ALTER COLUMN `number` SET NOT NULL",
        f"{ALTER} ALTER COLUMN `pieces` SET NOT NULL",
        f"{ALTER} ALTER COLUMN `note` SET TAGS ('classification' = 'internal')",
        f"{ALTER} ALTER COLUMN `note` SET TAGS ('reviewed' = '')",
        f"{ALTER} ALTER COLUMN `note` SET TAGS ('team' = 'sales')",
        f"{ALTER} ADD CONSTRAINT `orders_pk` PRIMARY KEY (`number`, `day`)",
        f"{ALTER} CLUSTER BY (`day`)",
    ]
    assert only(edited(added(name="gate"))).statements == everything
    assert only(edited(column("pieces", physicalType="bigint"))).statements == everything


@pytest.mark.parametrize("name", ["integer", "Int ", "INTEGER"])
def test_another_name_of_the_same_type_is_no_change(name: str) -> None:
    assert edited(column("pieces", physicalType=name)).changes == ()


@pytest.mark.parametrize("edit", [c[0] for c in CHANGES], ids=[c[2] for c in CHANGES])
def test_jobs_run_the_statements_that_a_plan_shows(
    edit: Callable[[Any], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TEMPLATE / "src"))
    from lakehouse.contract import parse_contract
    from lakehouse.evolution import metadata, statements

    copy = json.loads(json.dumps(SILVER))
    edit(copy)
    old, new = (
        parse_contract(json.loads(document(said)), "silver.orders", "") for said in (SILVER, copy)
    )
    is_same = [*old.types.items()] == [*new.types.items()]
    expected = [*statements(metadata(old) if is_same else {}, metadata(new), AT)]
    change = only(edited(edit))
    assert change.rebuilt == (old.digest != new.digest)
    assert change.statements == expected


@pytest.mark.parametrize("names", [(), ("demo",), ("<var.catalog>", "shop_silver")])
def test_a_table_of_an_unknown_schema_has_a_short_name(names: tuple[str, ...]) -> None:
    change = only(edited(lambda c: c.update(purpose=None), names=names))
    assert change.statements == ["COMMENT ON TABLE shop_silver.orders IS NULL"]


# --- decisions ---


def decided(tables: TablePlan, allow: Allow | None = None, **changes: Any) -> list[tuple[str, str]]:
    """The decisions, and that they use an exception up only if they allow something by it."""
    policy = Policy(
        project=ProjectInfo(name="Demo", compute="serverless"),
        branches=Branches(integration="main", targets={"prod": "main"}, prefixes=["feature"]),
        guard=Guard(),
        allow=[allow] if allow else [],
    )
    now = datetime(2026, 11, 23, tzinfo=UTC)
    given = GuardInput(target="prod", policy=policy, state={}, tree=YamlMapping(), now=now)
    given = replace(given, **changes)
    found = [*table_decisions(tables.changes, given)]
    used = [d.key for d in found if d.action == "allow" and d.key not in given.allow_destroy]
    assert consumed_exceptions(found, given) == ([allow.id] if allow and used else [])
    return [(decision.key, decision.action) for decision in found]


def exception(key: str) -> Allow:
    return Allow(key=key, reason="nobody reads it", until=date(2026, 12, 1))


def test_what_destroys_nothing_needs_no_decision() -> None:
    for edit, effect, _ in CHANGES:
        if effect != "destructive":
            assert decided(edited(edit)) == []


def test_a_dropped_column_needs_an_exception_of_its_own() -> None:
    found, note = edited(drop("note", "pieces", version="2.0.0")), exception(f"{KEY}.note")
    assert decided(found) == [(f"{KEY}.note", "refuse"), (f"{KEY}.pieces", "refuse")]
    assert decided(found, note) == [(f"{KEY}.note", "allow"), (f"{KEY}.pieces", "refuse")]
    assert decided(found, exception(KEY)) == decided(found)
    assert decided(found, note, consumed=frozenset([note.id])) == decided(found)
    keys = {f"{KEY}.note": "x", f"{KEY}.pieces": "x"}
    assert decided(found, allow_destroy=keys) == [(key, "allow") for key in sorted(keys)]


def test_nothing_allows_a_dropped_column_in_a_minor_version() -> None:
    for version in ("1.5.0", "1.4.0", "0.9.0", "none"):
        found = edited(drop("note", version=version))
        assert decided(found, exception(f"{KEY}.note")) == [(f"{KEY}.note", "refuse")]
        assert decided(found, allow_destroy={f"{KEY}.note": "x"}) == [(f"{KEY}.note", "refuse")]
    (refused,) = table_decisions(found.changes, situation())
    assert refused.reason.startswith("column note is dropped; to keep it, leave the contract as it")
    assert "--allow-destroy" not in refused.reason
    assert decided(edited(drop("note", version="10.0")), exception(f"{KEY}.note")) == [
        (f"{KEY}.note", "allow")
    ]


def situation() -> GuardInput:
    branches = Branches(integration="main", targets={"prod": "main"}, prefixes=["feature"])
    policy = Policy(project=ProjectInfo(name="Demo", compute="serverless"), branches=branches)
    return GuardInput(target="prod", policy=policy, state={}, tree=YamlMapping())


def test_another_key_and_a_removed_contract_have_the_key_of_the_table() -> None:
    def edit(said: Any) -> None:
        said["version"] = "2.0.0"
        column("number", primaryKey=None)(said)

    assert decided(edited(edit), exception(KEY)) == [(KEY, "allow")]
    gone = plan(files(silver_orders=SILVER), {})
    assert decided(gone) == [(KEY, "refuse")]
    assert decided(gone, exception(KEY)) == [(KEY, "allow")]


# --- rollback ---


@pytest.mark.parametrize(("edit", "effect", "what"), CHANGES, ids=[c[2] for c in CHANGES])
def test_a_rollback_destroys_nothing(edit: Callable[[Any], object], effect: str, what: str) -> None:
    change = only(edited(edit, is_rollback=True))
    dropped = what == "column note is dropped"
    expected = {"destructive": "safe" if dropped else "rewrite"}
    assert change.effect == expected.get(effect, effect.partition(" ")[0])
    if dropped:
        assert change.changes[0].what == "column note stays, and is NULL in new rows"


def test_a_column_that_a_rollback_kept_is_dropped_by_name_alone() -> None:
    back = edited(drop("note"), is_rollback=True)
    assert back.kept == ("shop.silver.orders.note",)
    minor = edited(
        lambda c: c.update(version="1.9.0", purpose="x"), kept=["shop.silver.orders.gate"]
    )
    assert minor.kept == ("shop.silver.orders.gate",)
    assert only(minor).effect == "safe"

    def next_major(said: Any) -> None:
        said["version"] = "2.0.0"
        column("pieces", physicalType="bigint")(said)

    kept = ["shop.silver.orders.gate", "shop.silver.other.gate"]
    major = edited(next_major, kept=kept)
    assert decided(major) == [(f"{KEY}.gate", "refuse")]
    assert decided(major, exception(f"{KEY}.gate")) == [(f"{KEY}.gate", "allow")]
    assert major.kept == ("shop.silver.other.gate",)

    def stricter(said: Any) -> None:
        said["version"] = "2.0.0"
        ruled(0, severity="quarantine")(said)

    assert only(edited(stricter)).statements == []
    assert len(only(edited(stricter, kept=kept)).statements) == 10  # the schema is another one
    comment = edited(lambda c: c.update(version="2.0.0", purpose="x"), kept=kept)
    assert (only(comment).effect, comment.kept) == ("safe", tuple(kept))  # jobs rebuild nothing
    declared = edited(added(name="gate"), kept=kept)
    assert declared.kept == ("shop.silver.other.gate",)
