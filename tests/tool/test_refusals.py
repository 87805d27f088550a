"""Every reason for which the tool refuses has its entry in the guide, which its message names."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery.cli import app
from delivery.errors import LockedError
from delivery.plan.model import Decision
from delivery.refusals import PAGE, Refusal
from harness.baking import TEMPLATE

TOOL = TEMPLATE / "tools/delivery/src/delivery"
# The words of this message are made by the module that reads receipts.
MADE_ELSEWHERE = {Refusal.NO_RECEIPT: "plan/receipt.py"}


def entries() -> dict[str, str]:
    """The entries of the page, by their names."""
    text = (TEMPLATE / PAGE).read_text(encoding="utf-8")
    found = re.findall(r"^### ([^\n]+)\n\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


def used(module: ast.AST) -> Iterator[Refusal]:
    """The refusals that a module names."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "Refusal":
            yield Refusal[node.attr]


@pytest.fixture(scope="module")
def texts() -> dict[Refusal, list[str]]:
    """The texts of the modules that refuse for a reason; none if no module does."""
    found: dict[Refusal, list[str]] = {refusal: [] for refusal in Refusal}
    for file in TOOL.rglob("*.py"):
        module = ast.parse(file.read_text(encoding="utf-8"))
        constants = [
            node.value
            for node in ast.walk(module)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        elsewhere = {r for r, path in MADE_ELSEWHERE.items() if file == TOOL / path}
        for refusal in {*used(module), *elsewhere}:
            found[refusal] += constants
    return found


def test_every_refusal_has_one_entry_and_every_entry_is_a_refusal() -> None:
    assert [*entries()] == [*Refusal], "the same names, in the same order"
    assert len(entries()) > 50


@pytest.mark.parametrize("refusal", Refusal)
def test_an_entry_begins_with_words_of_its_message_and_says_what_to_do(
    refusal: Refusal, texts: dict[Refusal, list[str]]
) -> None:
    words, _, rest = entries()[refusal].partition("\n\n")
    for part in filter(None, map(str.strip, words.strip("`").split("…"))):
        assert any(part in text for text in texts[refusal]), f"not in its module: {part}"
    assert len(rest.split()) >= 8, "what it means, and what to do"


def test_the_last_line_of_a_message_names_its_entry(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "new.txt").write_text("not committed", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["delivery", "release"])
    with pytest.raises(SystemExit) as left:
        app.main()
    assert left.value.code == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].startswith("release: the working tree has changes")
    assert lines[-1] == "    See docs/refusals.md#dirty-tree"


def test_several_reasons_are_named_once_each() -> None:
    names = [Refusal.BLOCKED, Refusal.FROZEN, Refusal.BLOCKED]
    error = LockedError(names, "refused on prod")
    assert str(error) == "refused on prod"
    assert error.explained == (
        "refused on prod\n    See docs/refusals.md#blocked, docs/refusals.md#frozen"
    )


def test_a_decision_cannot_refuse_without_a_reason_that_the_guide_explains() -> None:
    with pytest.raises(ValueError, match="a refusal needs its name"):
        Decision(key="jobs.a", action="refuse", reason="x")
    assert Decision(key="jobs.a", action="warn", reason="x").refusal is None
