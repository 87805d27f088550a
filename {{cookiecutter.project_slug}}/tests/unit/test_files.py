"""Landing files: bytes to rows of text, or a reason why not."""

import bz2
import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from lakehouse.engine.files import UnreadableFileError, parse


def packed(content: bytes) -> bytes:
    """The content as a gzip file, the same at any time."""
    return gzip.compress(content, mtime=0)


TEXT = b"id,name\n1,a\n2,b\n"
FEW = settings(max_examples=100, deadline=None, derandomize=True)
SUFFIXES = (".csv", ".jsonl", ".json", ".ndjson", ".parquet", ".csv.gz", ".json.bz2", ".csv.zst")


def rows(name: str, content: bytes) -> list[dict[str, Any]]:
    """The rows of a file without their numbers, which are checked."""
    found = parse(name, content).to_pylist()
    assert [row.pop("_row") for row in found] == list(range(1, len(found) + 1))
    return found


def as_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", TEXT),
        ("2024.01.01.CSV", TEXT),
        ("a.csv", b"\xef\xbb\xbf" + TEXT),
        ("a.csv", TEXT.replace(b"\n", b"\r\n")),
        ("a.csv", TEXT.replace(b"\n", b"\r")),
        ("a.csv", TEXT[:-1]),
        ("a.csv", b"\n\n" + TEXT.replace(b"\n", b"\n\n")),
        ("a.csv", b'"ID","Name "\n"1","a"\n"2","b"\n'),
        ("a.csv.gz", packed(TEXT)),
        ("a.csv.gz", packed(TEXT[:12]) + packed(TEXT[12:])),
        ("a.csv.bz2", bz2.compress(TEXT)),
        ("a.csv.zst", pa.compress(TEXT, "zstd", asbytes=True)),
        ("a.jsonl", b'{"id":1,"name":"a"}\n{"id":2,"name":"b"}'),
        ("a.ndjson", b'{"ID":"1","name":"a"}\r\n\r\n{"name":"b","ID":"2"}\r\n'),
        ("a.json", b'\xef\xbb\xbf{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n'),
        ("a.json.gz", packed(b'{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n')),
        ("a.parquet", as_parquet(pa.table({"id": [1, 2], "Name": ["a", "b"]}))),
        ("a.parquet.gz", packed(as_parquet(pa.table({"id": [1, 2], "name": ["a", "b"]})))),
    ],
)  # fmt: skip
def test_the_same_rows_are_read_from_every_kind_of_file(name: str, content: bytes) -> None:
    assert rows(name, content) == [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.parquet", "a.json.bz2"])
def test_an_empty_file_is_refused(name: str) -> None:
    content = {"gz": packed(b""), "bz2": bz2.compress(b"")}.get(name.split(".")[-1], b"")
    with pytest.raises(UnreadableFileError, match="the file is empty, expected at least a header"):
        parse(name, content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", TEXT, r"given the suffix \.txt, expected \.csv, \.jsonl, \.ndjson, \.json or"),
        ("a", TEXT, "given the suffix none, expected"),
        ("a.gz", packed(TEXT), "given the suffix none, expected"),
        ("csv", TEXT, "given the suffix none, expected"),
        ("a.csv.gz", TEXT, "the file is not valid gzip"),
        ("a.csv.gz", packed(TEXT)[:-9], "the file is not valid gzip"),
        ("a.csv.bz2", TEXT, "the file is not valid bz2"),
        ("a.csv.zst", TEXT, "the file is not valid zstd"),
        ("a.csv", b"\xef\xbb\xbf", "the file has no header"),
        ("a.csv", b"\n\r\n", "the file has no header"),
        ("a.csv", b"id,name\n1,a\n2\n", "row 2: given 1 fields, expected 2 as in the header"),
        ("a.csv", b"id,name\n1,a,x\n", "row 1: given 3 fields, expected 2 as in the header"),
        ("a.csv", b"id,name\n1,\xe4\n", "the file is not UTF-8"),
        ("a.csv", "id,name\n".encode("utf-16"), "the file is not UTF-8"),
        ("a.csv", b"id,name,ID,name\n", "the header has id, name more than once"),
        ("a.csv", b"a b,a_b\n", "the header has a_b more than once"),
        ("a.csv", b"id,,name\n", "column 2 of the header has no name"),
        ("a.csv", b"id,_row\n", "column _row: names that begin with _ are reserved"),
        ("a.csv", b'id\n"1\n2\n3\n', "a quoted field does not end"),
        ("a.csv", b'id,"name\n1,a\n', "a quoted field does not end"),
        ("a.csv", b"id," + b"x" * 200_000 + b"\n", "the header is not readable: field larger than"),
        ("a.json", b'[{"id":1}]', r'line 1: expected an object, such as {"id": 1}'),
        ("a.json", b'{"id":1}\n{"id":\n', "line 2 is not JSON: Expecting value"),
        ("a.json", b'{"id":1,"id":2}', "line 1 is not JSON: a field is repeated"),
        ("a.json", b'{"id":1,"ID":2}', "the header has id more than once"),
        ("a.json", b"{}\n\n{}", "no line has a field, expected at least one object"),
        ("a.json", b'{"id":"\xe4"}', "the file is not UTF-8"),
        ("a.json", b'{"id":"\\ud800"}', "line 1 is not JSON: .*surrogates not allowed"),
        ("a.json", b'{"\\ud800":1}', "line 1 is not JSON: .*surrogates not allowed"),
        ("a.json", b"[" * 100_000, "line 1 is not JSON: maximum recursion depth"),
        ("a.json", b'{"id":[' + b"1" * 5_000 + b"]}", "line 1 is not JSON: Exceeds the limit"),
        ("a.parquet", TEXT, "the file is not readable Parquet"),
        ("a.parquet", as_parquet(pa.table({"": [1]})), "column 1 of the header has no name"),
        (
            "a.parquet",
            as_parquet(pa.table({"id": pa.array([b"\xff"])})),
            "the file is not readable Parquet: Invalid UTF8",
        ),
    ],
)
def test_a_file_that_is_not_well_formed_is_refused_with_its_reason(
    name: str, content: bytes, message: str
) -> None:
    with pytest.raises(UnreadableFileError, match=message):
        parse(name, content)


@pytest.mark.parametrize("content", [b"id,name", b"id,name\n", b"id,name\r\n\r\n"])
def test_a_file_with_only_a_header_has_columns_and_no_rows(content: bytes) -> None:
    table = parse("a.csv", content)
    assert (table.column_names, table.num_rows) == (["id", "name", "_row"], 0)


def test_an_empty_field_is_null_and_a_quoted_one_is_text() -> None:
    content = b'id,name\n,""\n"a\nb"," x "\nNULL,"say ""no"""\n'
    assert rows("a.csv", content) == [
        {"id": None, "name": ""},
        {"id": "a\nb", "name": " x "},
        {"id": "NULL", "name": 'say "no"'},
    ]


def test_a_quote_inside_a_field_is_part_of_it() -> None:
    assert rows("a.csv", b'id\n5" pipe\n') == [{"id": '5" pipe'}]


def test_a_row_may_be_long() -> None:
    assert rows("a.csv", b"id\n" + b"x" * 3_000_000 + b"\n") == [{"id": "x" * 3_000_000}]


def test_names_become_such_that_tables_can_have() -> None:
    table = parse("a.csv", b"Net.Amount,a`b, C  D ,x(y)\n")
    assert table.column_names == ["net_amount", "a_b", "c_d", "x_y_", "_row"]


def test_values_of_json_keep_their_spelling() -> None:
    content = (
        '{"a":1.10,"b":12345678901234567890123,"c":true,"d":null,"e":{"x":1.5,"y":["ü"]}}\n'
        '{"f":"one\u2028line","a":""}'
    )
    assert rows("a.jsonl", content.encode()) == [
        {
            "a": "1.10",
            "b": "12345678901234567890123",
            "c": "true",
            "d": None,
            "e": '{"x":1.5,"y":["ü"]}',
            "f": None,
        },
        {"a": "", "b": None, "c": None, "d": None, "e": None, "f": "one\u2028line"},
    ]


def test_values_of_parquet_become_text() -> None:
    table = pa.table(
        {
            "whole": [7, None],
            "number": [1.5, None],
            "flag": [True, None],
            "day": [date(2024, 1, 1), None],
            "moment": [datetime(2024, 1, 1, 10, tzinfo=UTC), None],
            "money": [Decimal("1.10"), None],
            "nested": [{"x": [1, 2]}, None],
            "choice": pa.array(["a", None]).dictionary_encode(),
        }
    )
    first, second = rows("a.parquet", as_parquet(table))
    assert first.pop("moment").startswith("2024-01-01 10:00:00")
    assert first == {
        "whole": "7",
        "number": "1.5",
        "flag": "true",
        "day": "2024-01-01",
        "money": "1.10",
        "nested": '{"x": [1, 2]}',
        "choice": "a",
    }
    assert set(second.values()) == {None}


@FEW
@given(st.sampled_from(SUFFIXES), st.binary(max_size=300))
@example(".json", b'{"a":' + b"[" * 50_000)
@example(".csv", b"a\n\x00\r\r\n")
def test_no_bytes_raise_another_error(suffix: str, content: bytes) -> None:
    try:
        table = parse(f"a{suffix}", content)
    except UnreadableFileError:
        return
    assert table.column_names[-1] == "_row"


GOOD = {
    ".csv": TEXT,
    ".json": b'{"id":1,"name":{"x":"a"}}\n{"id":2}\n',
    ".parquet": as_parquet(pa.table({"id": [1, 2], "name": ["a", "b"]})),
    ".csv.gz": packed(TEXT),
}


@FEW
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_a_damaged_file_raises_no_other_error(suffix: str, data: st.DataObject) -> None:
    content = bytearray(GOOD[suffix])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        table = parse(f"a{suffix}", bytes(content[: data.draw(st.integers(1, len(content)))]))
    except UnreadableFileError:
        return
    assert table.column_names[-1] == "_row"


FIELDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@FEW
@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[FIELDS] * n), max_size=6)))
def test_what_python_writes_as_csv_is_read_back(written: list[tuple[str, ...]]) -> None:
    names = ["a", "b", "c"][: len(written[0]) if written else 1]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([names, *written])
    # Without quotes, an empty field is NULL; a row of one empty field is quoted.
    expected = [
        {n: value or ("" if len(names) == 1 else None) for n, value in zip(names, row, strict=True)}
        for row in written
    ]
    assert rows("a.csv", out.getvalue().encode()) == expected


@FEW
@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.none() | FIELDS, min_size=1), min_size=1)
)
def test_what_python_writes_as_json_is_read_back(written: list[dict[str, str | None]]) -> None:
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in written)
    names = dict.fromkeys(name for row in written for name in row)
    expected = [{name: row.get(name) for name in names} for row in written]
    assert rows("a.jsonl", text.encode()) == expected
