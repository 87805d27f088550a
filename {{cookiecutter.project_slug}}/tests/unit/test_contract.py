"""Data contracts: what is read of a document, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.contract import (
    SPARK_TYPES,
    Column,
    Contract,
    ContractError,
    Landing,
    Rule,
    find_contract,
    load_contract,
    parse_contract,
)

RULE = {
    "name": "cheap",
    "engine": "lakehouse",
    "severity": "quarantine",
    "implementation": "price < 9",
}
ID = {"name": "id", "logicalType": "integer", "primaryKey": True}


def document(*properties: Any, **table: Any) -> dict[str, Any]:
    return {"schema": [{"name": "things", "properties": list(properties), **table}]}


def parsed(*properties: Any, **table: Any) -> Contract:
    return parse_contract(document(*properties, **table), "silver.things", "things.yml")


def test_a_column_is_optional_text_unless_the_document_says_more() -> None:
    contract = parsed({"name": "id"})
    assert contract.columns == (Column("id", "string", required=False, synonyms=()),)
    assert (contract.key, contract.partition, contract.rules) == ((), "", ())
    assert contract.landing == Landing("add", "null", "quarantine")


@pytest.mark.parametrize(("logical", "type_"), SPARK_TYPES.items())
def test_each_logical_type_has_a_type_in_spark(logical: str, type_: str) -> None:
    assert parsed({"name": "id", "logicalType": logical}).types == {"id": type_}


def test_a_physical_type_wins() -> None:
    column = {"name": "id", "logicalType": "number", "physicalType": "decimal(9,2)"}
    assert parsed(column).types == {"id": "decimal(9,2)"}


def test_required_and_synonyms_are_read() -> None:
    column = {"name": "id", "required": True, "synonyms": [{"synonym": "no"}, {"synonym": "key"}]}
    assert parsed(column).columns == (Column("id", "string", True, ("no", "key")),)


def test_keys_are_in_the_order_of_their_positions() -> None:
    first = {"name": "a", "primaryKey": True, "primaryKeyPosition": 2}
    second = {"name": "b", "primaryKey": True, "primaryKeyPosition": 1, "partitioned": True}
    contract = parsed(first, {"name": "c"}, second)
    assert (contract.key, contract.partition) == (("b", "a"), "b")


def test_only_rules_of_this_engine_are_applied() -> None:
    other = {"name": "rows", "type": "library", "metric": "rowCount", "mustBeGreaterThan": 0}
    contract = parsed(ID, quality=[other, RULE, RULE | {"name": "dated", "severity": "warn"}])
    assert contract.rules == (
        Rule("cheap", "price < 9", "quarantine"),
        Rule("dated", "price < 9", "warn"),
    )


def test_policies_of_landing_files_are_read_and_other_properties_ignored() -> None:
    properties = [
        {"property": "unknownColumns", "value": "refuse"},
        {"property": "missingColumns", "value": "refuse"},
        {"property": "otherTypes", "value": "refuse"},
        {"property": "colour", "value": "red"},
    ]
    contract = parsed(ID, customProperties=properties)
    assert contract.landing == Landing("refuse", "refuse", "refuse")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "things.yml: schema: given None, expected a list of mappings"),
        ([], "things.yml: schema: given None, expected a list of mappings"),
        ({"schema": "x"}, "things.yml: schema: given 'x', expected a list of mappings"),
        ({"schema": ["x"]}, r"things.yml: schema: given \['x'\], expected a list of mappings"),
        ({"schema": []}, "things.yml: schema: given 0 tables, expected one"),
        ({"schema": [{}, {}]}, "things.yml: schema: given 2 tables, expected one"),
        ({"schema": [{}]}, "things.yml: properties: given None, expected a list of mappings"),
        (document({}), "things.yml: properties: given {}, expected a column with a name"),
        (document({"name": 7}), "given {'name': 7}, expected a column with a name"),
        (document({"name": "ID"}), "things.yml: column ID: expected lower case: id"),
        (document(ID, ID), "things.yml: column id: declared more than once"),
        (
            document(ID | {"logicalType": "text"}),
            "things.yml: column id: logicalType: given 'text', expected one of string, integer,",
        ),
        (document(ID | {"logicalType": ["x"]}), r"column id: logicalType: given \['x'\]"),
        (
            document(ID | {"synonyms": ["no"]}),
            r"things.yml: synonyms: given \['no'\], expected a list of mappings",
        ),
        (
            document(ID, {"name": "day", "partitioned": True}),
            "things.yml: partitioned: given day, expected a column of the primary key",
        ),
        (document(ID, quality="x"), "things.yml: quality: given 'x', expected a list of mappings"),
        (
            document(ID, quality=[RULE | {"severity": "drop"}]),
            "things.yml: rule cheap: severity: given 'drop', expected quarantine or warn",
        ),
        (
            document(ID, quality=[RULE | {"implementation": ""}]),
            "things.yml: rule cheap: expected a name, and a SQL condition as implementation",
        ),
        (
            document(ID, quality=[RULE | {"name": None}]),
            "things.yml: rule None: expected a name, and a SQL condition",
        ),
        (document(ID, quality=[RULE, RULE]), "things.yml: rule cheap: declared more than once"),
        (
            document(ID, customProperties=[{"property": "unknownColumns", "value": "drop"}]),
            "things.yml: unknownColumns: given 'drop', expected 'add' or 'refuse'",
        ),
        (
            document(ID, customProperties=[{"property": "missingColumns", "value": None}]),
            "things.yml: missingColumns: given None, expected 'null' or 'refuse'",
        ),
        (
            document(ID, customProperties=[{"property": "otherTypes", "value": []}]),
            r"things.yml: otherTypes: given \[\], expected 'quarantine' or 'refuse'",
        ),
        (
            document(ID, customProperties={"unknownColumns": "add"}),
            "things.yml: customProperties: given {.*}, expected a list of mappings",
        ),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_by_name(given: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        parse_contract(given, "silver.things", "things.yml")


DAY = {"name": "day", "logicalType": "date", "primaryKey": True}
PLAIN = document(ID, DAY, quality=[RULE])


@pytest.mark.parametrize(
    "other",
    [
        document(ID, quality=[RULE]),
        document(DAY, ID, quality=[RULE]),
        document(ID, DAY | {"name": "date"}, quality=[RULE]),
        document(ID, DAY | {"logicalType": "timestamp"}, quality=[RULE]),
        document(ID, DAY | {"required": True}, quality=[RULE]),
        document(ID, DAY | {"primaryKey": False}, quality=[RULE]),
        document(ID, DAY | {"primaryKeyPosition": -1}, quality=[RULE]),
        document(ID, DAY | {"partitioned": True}, quality=[RULE]),
        document(ID, DAY),
        document(ID, DAY, quality=[RULE | {"name": "low"}]),
        document(ID, DAY, quality=[RULE | {"severity": "warn"}]),
        document(ID, DAY, quality=[RULE | {"implementation": "price < 8"}]),
    ],
)
def test_the_digest_changes_with_what_rebuilds_a_table(other: Any) -> None:
    digests = {parse_contract(d, "silver.things", "").digest for d in (PLAIN, other)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    "other",
    [
        {**document(ID | {"description": "Number."}, DAY, quality=[RULE]), "version": "2.0.0"},
        document(ID, DAY | {"tags": ["pii"], "classification": "secret"}, quality=[RULE]),
        document(ID, DAY, quality=[RULE | {"description": "Why.", "dimension": "accuracy"}]),
        document(ID, DAY, quality=[RULE, {"name": "rows", "type": "library"}]),
        document(ID, DAY, quality=[RULE], description="Things."),
    ],
)
def test_the_digest_stays_with_what_only_describes(other: Any) -> None:
    digests = {parse_contract(d, "silver.things", "").digest for d in (PLAIN, other)}
    assert len(digests) == 1


def test_a_contract_is_found_by_domain_and_name(contracts: Path) -> None:
    assert load_contract("orders", "silver.shops").key == ("code",)
    assert find_contract("orders", "silver.shops_quarantine") is None
    assert find_contract("", "silver.shops") is None
    expected = (
        r"silver\.x: given no contract, expected src/lakehouse/orders/contracts/silver\.x\.yml"
    )
    with pytest.raises(ContractError, match=expected):
        load_contract("orders", "silver.x")


def test_an_error_names_the_file(contracts: Path, edit: Callable[[str, str, str], None]) -> None:
    edit("silver.shops", "{name: name, required: true}", "{name: name, logicalType: text}")
    with pytest.raises(
        ContractError, match=r"^src/lakehouse/orders/contracts/silver\.shops\.yml: column name"
    ):
        load_contract("orders", "silver.shops")


FILES = sorted((Path(__file__).parents[2] / "src" / "lakehouse").glob("*/contracts/*.yml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_every_contract_of_the_project_can_be_used(file: Path) -> None:
    contract = load_contract(file.parts[-3], file.stem)
    names = [
        entry["name"] for entry in yaml.safe_load(file.read_bytes())["schema"][0]["properties"]
    ]
    assert list(contract.types) == names
    assert contract.key or file.stem.startswith("landing.")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Decimal(10, 2)", "decimal(10,2)"),
        ("decimal", "decimal(10,0)"),
        ("numeric( 5 )", "decimal(5)"),
        ("long", "bigint"),
        ("INTEGER", "int"),
        ("array<long>", "array<bigint>"),
        ("map<string, short>", "map<string,smallint>"),
        ("struct<long: real, b: dec(3, 1)>", "struct<long:float,b:decimal(3,1)>"),
        ("varchar(20)", "string"),
        ("timestamp_ntz", "timestamp_ntz"),
        ("interval day to second", "interval day to second"),
    ],
)
def test_a_type_is_called_as_spark_calls_it(given: str, expected: str) -> None:
    document = {"schema": [{"properties": [{"name": "a", "physicalType": given}]}]}
    assert parse_contract(document, "silver.things", "").types == {"a": expected}
