"""Findings for the two forges: one message each, whatever a file contains."""

import json

import pytest
from delivery.errors import Finding
from delivery.render.findings import Format, formatted
from hypothesis import given, settings
from hypothesis import strategies as st

PLAIN = Finding("a.yml", 3, "naming", "given x, expected y", "Rename it.")


def test_nothing_found_is_told_to_people_and_is_an_empty_list_to_machines() -> None:
    assert formatted([], Format.TABLE) == "check: passed"
    assert formatted([], Format.GITHUB) == "check: passed"
    assert formatted([], Format.JSON) == "[]"
    assert formatted([], Format.GITLAB) == "[]"


def test_an_error_is_shown_with_what_mends_it_and_nothing_is_called_well() -> None:
    assert formatted([PLAIN], Format.TABLE) == "a.yml:3: given x, expected y\n    Rename it."
    assert (
        formatted([Finding("a.yml", 0, "r", "m", "Do it.")], Format.TABLE) == "a.yml: m\n    Do it."
    )


def test_json_has_every_part_of_a_finding() -> None:
    assert json.loads(formatted([PLAIN], Format.JSON)) == [
        {
            "file": "a.yml",
            "line": 3,
            "rule": "naming",
            "message": "given x, expected y",
            "hint": "Rename it.",
            "severity": "error",
        }
    ]


def test_github_is_told_file_line_rule_and_severity() -> None:
    assert formatted([PLAIN], Format.GITHUB) == (
        "::error file=a.yml,line=3,title=naming::given x, expected y%0ARename it."
    )
    warning = Finding("a.yml", 0, "r", "m", "Do it.", "warning")
    assert formatted([warning], Format.GITHUB) == "::warning file=a.yml,line=1,title=r::m%0ADo it."


@pytest.mark.parametrize(
    ("char", "place", "message"),
    [("%", "%25", "%25"), ("\r", "%0D", "%0D"), ("\n", "%0A", "%0A"), (":", "%3A", ":"),
     (",", "%2C", ",")],
)  # fmt: skip
def test_a_character_that_means_something_is_escaped(char: str, place: str, message: str) -> None:
    found = Finding(f"a{char}b", 1, "r", f"c{char}d", "Do it.")
    expected = f"::error file=a{place}b,line=1,title=r::c{message}d%0ADo it."
    assert formatted([found], Format.GITHUB) == expected


@settings(database=None)
@given(st.text("%\r\n:,ab"), st.text("%\r\n:,ab"), st.text("%\r\n:,ab"))
def test_no_file_can_add_a_command_of_its_own(file: str, message: str, hint: str) -> None:
    text = formatted([Finding(file, 1, "r", message, hint)], Format.GITHUB)
    assert "\n" not in text
    assert "\r" not in text
    properties, _, content = text.removeprefix("::error ").partition("::")
    assert len(properties.split(",")) == 3
    assert properties.count(":") == 0
    back = content.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    assert back == f"{message}\n{hint}".strip()


def test_findings_that_differ_have_different_fingerprints() -> None:
    others = [
        Finding("b.yml", 3, "naming", "given x, expected y", "Rename it."),
        Finding("a.yml", 4, "naming", "given x, expected y", "Rename it."),
        Finding("a.yml", 3, "tags", "given x, expected y", "Rename it."),
        Finding("a.yml", 3, "naming", "given z, expected y", "Rename it."),
    ]
    issues = json.loads(formatted([PLAIN, *others, PLAIN], Format.GITLAB))
    prints = [issue["fingerprint"] for issue in issues]
    assert len({*prints}) == 5
    assert prints[0] == prints[-1]


def test_gitlab_is_told_what_mends_it_and_how_grave_it_is() -> None:
    (issue,) = json.loads(formatted([PLAIN], Format.GITLAB))
    del issue["fingerprint"]
    assert issue == {
        "description": "given x, expected y Rename it.",
        "check_name": "naming",
        "severity": "major",
        "location": {"path": "a.yml", "lines": {"begin": 3}},
    }
