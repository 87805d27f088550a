"""YAML as the Databricks CLI reads it, with the place of every key."""

from pathlib import Path
from typing import Any

import pytest
from delivery.config.yaml import YamlMapping, read_yaml
from delivery.errors import InvalidFileError


def read(root: Path, text: str) -> YamlMapping:
    (root / "x.yml").write_text(text, encoding="utf-8")
    return read_yaml(root, "x.yml")


def failure(root: Path, text: str) -> tuple[int, str]:
    with pytest.raises(InvalidFileError) as caught:
        read(root, text)
    (finding,) = caught.value.findings
    assert finding.hint
    return finding.line, finding.message


def test_every_key_and_entry_knows_its_line(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  b: 1\n\n  c:\n    - x\n    - y: 2\n")
    assert document == {"a": {"b": 1, "c": ["x", {"y": 2}]}}
    assert document.marks["a"] == ("x.yml", 1)
    assert document["a"].marks["c"].line == 4
    assert [mark.line for mark in document["a"]["c"].marks] == [5, 6]
    assert document["a"]["c"][1].marks["y"].line == 6


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("12:30", "12:30"),
        ("2013-01-01", "2013-01-01"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("-7", -7),
        ("0x1F", 31),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("'4'", "4"),
        ("0 0 6 * * ?", "0 0 6 * * ?"),
    ],
)
def test_scalars_follow_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    found = read(tmp_path, f"x: {text}\n")["x"]
    assert (type(found), found) == (type(value), value)


def test_an_alias_merges_and_own_keys_win(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &a {x: 1, y: 2}\nb:\n  y: 3\n  <<: *a\nc:\n  <<: [*a, {z: 4}]\n")
    assert document["b"] == {"y": 3, "x": 1}
    assert document["b"].marks["x"].line == 1
    assert document["c"] == {"x": 1, "y": 2, "z": 4}


def test_an_inline_merge_is_refused_as_the_cli_does(tmp_path: Path) -> None:
    expected = (2, "<<: expected an alias or a list of mappings")
    assert failure(tmp_path, "a:\n  <<: &b\n    x: 1\n") == expected
    assert failure(tmp_path, "a: &a [1]\nb: {<<: *a}\n") == expected


def test_a_key_twice_is_an_error(tmp_path: Path) -> None:
    assert failure(tmp_path, "a: 1\nb: 2\na: 3\n") == (3, "key a occurs twice, first in line 1")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\n b: 2\n", 2),
        ("a: [1\nb: 2\n", 2),
        ("a: 'x\n", 2),
        ("a: *nope\n", 1),
        ("a:\n\t- b\n", 2),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    found, message = failure(tmp_path, text)
    assert message.startswith("not valid YAML")
    assert found == line


def test_a_file_is_a_mapping_or_empty(tmp_path: Path) -> None:
    assert read(tmp_path, "# nothing\n") == {}
    assert failure(tmp_path, "- a\n") == (1, "given a list, expected a mapping")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"gone\.yml: cannot be read"):
        read_yaml(tmp_path, "gone.yml")
    (tmp_path / "x.yml").write_bytes(b"a: \xff\n")
    with pytest.raises(InvalidFileError, match=r"x\.yml: cannot be read"):
        read_yaml(tmp_path, "x.yml")


def test_a_mapping_that_holds_itself_is_refused(tmp_path: Path) -> None:
    line, message = failure(tmp_path, "a: &a\n  b: *a\n")
    assert (line, message.startswith("not valid YAML")) == (0, True)


def test_missing_sections_are_empty(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\n")
    assert document.section("a") == {}
    assert document.items_of("a") == []


@pytest.mark.parametrize(
    "text",
    ["017", "1_000", "0b101", "-0x1F", "0x1_F", "+.inf", ".NaN", "0o1_7", "1_0.5", "00"],
)
def test_a_number_that_the_cli_reads_otherwise_is_refused(tmp_path: Path, text: str) -> None:
    line, message = failure(tmp_path, f"a: 1\nx: {text}\n")
    assert line == 2
    assert text in message
    assert read(tmp_path, f"x: '{text}'\n") == {"x": text}


@pytest.mark.parametrize(
    "text",
    [
        "x: !!bool yes",
        "x: !!str 5",
        "x: !foo {a: 1}",
        "x: !!set {a}",
        "true: x",
        "1: x",
        "2013-01-01: x",
        "1_000: x",
        "x: &k b\n? *k\n: c",
        "x: &k b\ny:\n  *k : c",
        "a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a",
        "a: &a [{x: 1}]\nb: {<<: *a}",
        "a: 1\n---\nb: 2",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(tmp_path: Path, text: str) -> None:
    _, message = failure(tmp_path, f"{text}\n")
    assert message


def test_a_key_may_look_like_nothing(tmp_path: Path) -> None:
    document = read(tmp_path, "null: 1\n'2013-01-01': 2\nx: &k b\ny: {z: *k, b: *k}\n")
    assert document == {"null": 1, "2013-01-01": 2, "x": "b", "y": {"z": "b", "b": "b"}}
