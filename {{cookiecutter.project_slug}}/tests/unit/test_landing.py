"""What happens to a landing file that differs from its contract."""

from dataclasses import replace

import pytest

from lakehouse.contract import Column, Contract, Landing
from lakehouse.engine.landing import Inspected, inspect

ORDERS = Contract(
    "landing.orders",
    (
        Column("number", "bigint", required=True),
        Column("day", "date"),
        Column("note", "string", synonyms=("Remark", "comment")),
    ),
)


def policy(unknown: str = "add", missing: str = "null", other_type: str = "quarantine") -> Contract:
    return replace(ORDERS, landing=Landing(unknown, missing, other_type))  # type: ignore[arg-type]


def judged(text: str, contract: Contract = ORDERS) -> Inspected:
    return inspect("a.csv", text.encode(), contract)[0]


def test_a_file_that_fits_is_ingested() -> None:
    found, table = inspect("a.csv", b"number,day,note\n1,2024-01-01,x\n", ORDERS)
    assert found == Inspected(rows=1)
    assert table is not None
    assert table.to_pylist() == [{"number": "1", "day": "2024-01-01", "note": "x", "_row": 1}]


def test_the_order_of_columns_and_their_case_do_not_matter() -> None:
    assert judged("NOTE,Day,number\nx,2024-01-01,1\n") == Inspected(rows=1)


def test_an_unreadable_file_is_refused_with_its_reason() -> None:
    found, table = inspect("a.csv", b"", ORDERS)
    assert found == Inspected(refused="the file is empty, expected at least a header")
    assert table is None


def test_an_unknown_column_is_added_and_reported() -> None:
    found, table = inspect("a.csv", b"number,day,note,channel\n1,,,web\n", ORDERS)
    assert found == Inspected(rows=1, added=("channel",))
    assert table is not None
    assert table["channel"].to_pylist() == ["web"]


def test_an_unknown_column_may_be_refused() -> None:
    found = judged("number,day,note,channel,x\n1,,,web,\n", policy(unknown="refuse"))
    assert found.refused == (
        "given the unknown columns channel, x, expected only those of the contract"
    )


def test_a_missing_optional_column_is_reported() -> None:
    assert judged("number\n1\n") == Inspected(rows=1, missing=("day", "note"))


def test_a_missing_optional_column_may_be_refused() -> None:
    found = judged("number\n1\n", policy(missing="refuse"))
    assert found.refused == "given the columns number, expected also day, note"


def test_a_missing_required_column_is_refused_whatever_the_policy() -> None:
    assert judged("day,note\n,\n").refused == "given the columns day, note, expected also number"


def test_a_file_with_only_a_header_needs_its_columns_too() -> None:
    assert judged("number,day,note\n") == Inspected()
    assert "expected also number" in judged("day,note\n").refused


def test_a_refused_file_has_no_rows_to_append() -> None:
    assert inspect("a.csv", b"day,note\n,\n", ORDERS)[1] is None


@pytest.mark.parametrize("former", ["remark", "REMARK", "comment"])
def test_a_former_name_is_read_as_the_name_of_today(former: str) -> None:
    found, table = inspect("a.csv", f"number,day,{former}\n1,,x\n".encode(), ORDERS)
    assert found == Inspected(rows=1)
    assert table is not None
    assert table["note"].to_pylist() == ["x"]


def test_a_former_name_beside_the_name_of_today_is_an_unknown_column() -> None:
    found, table = inspect("a.csv", b"number,day,note,remark\n1,,new,old\n", ORDERS)
    assert found.added == ("remark",)
    assert table is not None
    assert table["note"].to_pylist() == ["new"]


def test_a_renamed_required_column_is_refused_with_a_hint() -> None:
    assert judged("numbers,day,note\n1,,\n").refused == (
        "given the columns numbers, day, note, expected also number; if numbers is a new name of "
        "number, add it to the contract: synonyms: [{synonym: numbers}]"
    )


def test_a_new_name_that_is_not_alike_gives_no_hint() -> None:
    assert "synonym" not in judged("id,day,note\n1,,\n").refused


def test_a_text_of_another_type_is_left_to_silver() -> None:
    assert judged("number,day,note\none,someday,\n") == Inspected(rows=1)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("1,2024-01-01,x\n", ""),
        (" +7 ,2024-1-1,7\n,,\n", ""),
        ("1.0,2024-01-01,x\n", "column number: given '1.0', expected bigint"),
        ("1,,\none,,\n", "column number: given 'one', expected bigint"),
        ("1,01.01.2024,\n", "column day: given '01.01.2024', expected date"),
        ("one,someday,\n", "column number: given 'one', expected bigint"),
    ],
)
def test_a_text_of_another_type_may_be_refused(text: str, refused: str) -> None:
    assert judged(f"number,day,note\n{text}", policy(other_type="refuse")).refused == refused


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("bigint", ["0", "-1", "+12"], ["1e3", "1,0", "x", "0x1"]),
        ("double", ["1", "-1.5", ".5", "1e-3", "1."], ["1,5", "x", "."]),
        ("boolean", ["true", "F", "no", "1"], ["2", "si"]),
        ("date", ["2024-01-01", "2024-1-1"], ["2024", "1.1.2024", "2024-01-01x"]),
        (
            "timestamp",
            ["2024-01-01", "2024-01-01 10:00", "2024-01-01T10:00:00.5Z", "2024-1-1T10:00+02"],
            ["10:00", "2024-01-01x"],
        ),
        ("decimal(9,2)", ["anything"], []),
    ],
)  # fmt: skip
def test_each_type_has_its_texts(type_: str, good: list[str], bad: list[str]) -> None:
    contract = Contract("t", (Column("a", type_),), landing=Landing(other_type="refuse"))
    assert [text for text in good if judged(f'a\n"{text}"\n', contract).refused] == []
    assert [text for text in bad if not judged(f'a\n"{text}"\n', contract).refused] == []
