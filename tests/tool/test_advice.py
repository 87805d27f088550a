"""No advice destroys data: what a message tells people to type keeps what is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import delivery
import pytest
from delivery.plan import guard
from delivery.plan.model import FieldChange, ResourceChange
from delivery.resources import KINDS as KNOWN

from tool.test_guard import situation

SOURCES = sorted(Path(delivery.__file__).parent.rglob("*.py"))
DESTROYS = re.compile(
    r"--allow-destroy|--force-lock|\bdestroy\b|\bdelete (it|them)\b|\bremove it\b|DROP "
)
KEEPS = re.compile(r"adopt|keep it|declare it again|go forward|fixed release")
# Options and commands of the CLI, what is said of a line of YAML, and what a plan shows: no advice
# about a workspace.
NO_ADVICE = ("--allow-destroy: expected a reason", "destroy", "--force-lock",
             "to keep it, delete it: ", "Name a job that is there, or remove it.",
             "… DROP PRIMARY KEY IF EXISTS", "… DROP NOT NULL")  # fmt: skip


def messages() -> Iterator[tuple[str, str]]:
    """Every text of the tool that somebody may read, with its place; no documentation."""
    for source in SOURCES:
        tree = ast.parse(source.read_text(encoding="utf-8"))
        docstrings = {id(n.body[0].value) for n in ast.walk(tree)
                if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef) and n.body
                and isinstance(n.body[0], ast.Expr)}  # fmt: skip
        parts = {id(p) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for p in n.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield f"{source.name}:{node.lineno}", _joined(node)
            elif isinstance(node, ast.Constant) and id(node) not in parts | docstrings:
                yield f"{source.name}:{node.lineno}", str(node.value)


def _joined(node: ast.JoinedStr) -> str:
    return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)


def test_what_destroys_is_never_the_first_thing_that_a_message_tells_people_to_do() -> None:
    found = []
    for place, text in messages():
        hit = DESTROYS.search(text)
        if hit and text not in NO_ADVICE and not text.startswith(NO_ADVICE):
            kept = KEEPS.search(text)
            # What goes on from another text, as "; to destroy it: …" does, is not the first thing.
            if not (kept and kept.start() < hit.start()) and not text.startswith("; to destroy it"):
                found.append(f"{place}: {text}")
    assert found == []


KINDS = sorted({*KNOWN, "unheard_of"} - {"permissions", "grants"})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ["delete", "recreate", "update_id", "update"])
def test_nothing_is_destroyed_to_go_back(kind: str, action: str) -> None:
    fields = [
        FieldChange(path=p, old="a", new="b") for p in ("catalog", "libraries[0]", "full_refresh")
    ]
    change = ResourceChange.model_validate({"key": f"{kind}.x", "action": action, "fields": fields})
    state = {f"{kind}.x": {"state": {"name": "x"}}}
    for protected in ([], [f"{kind}.x"]):
        given = situation(state=state, is_rollback=True)
        policy = given.policy.model_copy(
            update={"guard": given.policy.guard.model_copy(update={"protected": protected})}
        )
        decisions = guard.evaluate(
            [change], situation(state=state, is_rollback=True, policy=policy)
        )
        assert not [v for v in decisions if DESTROYS.search(v.reason)]


@pytest.mark.parametrize("action", ["delete", "recreate", "update_id"])
def test_going_forward_is_told_first_how_to_keep_what_is_there(action: str) -> None:
    change = ResourceChange.model_validate({"key": "volumes.x", "action": action})
    ((verdict,),) = [guard.evaluate([change], situation(state={"volumes.x": {}}))]
    assert verdict.reason.index("declare it again") < verdict.reason.index("--allow-destroy")
