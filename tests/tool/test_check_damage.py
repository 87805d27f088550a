"""`delivery check` on files that are damaged in any way: findings or nothing, never a traceback."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from delivery.checks.registry import CheckContext, check
from delivery.render.findings import Format, formatted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tool.conftest import FILES

TREES = {name: yaml.safe_load(text) for name, text in FILES.items() if name.endswith(".yml")}
# What a hand may leave in place of a value; some of it is right for other places.
VALUES: list[Any] = [
    None, "", "text", "${var.nope}", "${bundle}", "${resources.jobs}", "(x", "a{99999999999}", 3,
    -1, 1.5, True, [], [None], [1], ["text"], {}, {"name": None}, {"default": ["x"]},
    [{"name": "x"}], [{"task_key": []}], {"": {"": ""}}, 300 * "x", "../" * 40, "\0", "/", ".",
]  # fmt: skip
MARKS = "\0\t\n:;-#&*!|>'\"%@`{}[](),=~?<é0"
damages = settings(
    derandomize=True, max_examples=80, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


def assert_findings_are_complete(project: Path, name: str, text: str) -> None:
    """Check the project with one file replaced, and put the file back."""
    file = project / name
    file.write_text(text, encoding="utf-8")
    try:
        found = check(CheckContext(project, committing=True))
    finally:
        file.write_text(FILES[name], encoding="utf-8")
    assert all(f.file and f.rule and f.message and f.hint for f in found), found
    assert all(formatted(found, form).encode() for form in Format)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    yield path
    steps = value.items() if isinstance(value, dict) else ()
    for step, entry in enumerate(value) if isinstance(value, list) else steps:
        yield from places(entry, (*path, step))


def with_value(name: str, path: tuple[Any, ...], value: Any) -> str:
    """A document with another value, or another key, in one place."""
    holder = {"": copy.deepcopy(TREES[name])}
    *way, last = ("", *path)
    target: Any = holder
    for step in way:
        target = target[step]
    target[last] = value
    return yaml.safe_dump(holder[""], sort_keys=False)


@damages
@given(data=st.data())
def test_a_value_of_any_other_kind_is_a_finding_or_nothing(
    project: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(TREES)))
    path = data.draw(st.sampled_from([*places(TREES[name])]))
    assert_findings_are_complete(
        project, name, with_value(name, path, data.draw(st.sampled_from(VALUES)))
    )


@damages
@given(data=st.data())
def test_a_file_cut_off_anywhere_is_a_finding_or_nothing(
    project: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(name for name, text in FILES.items() if text)))
    assert_findings_are_complete(
        project, name, FILES[name][: data.draw(st.integers(0, len(FILES[name])))]
    )


@damages
@given(data=st.data())
def test_a_slip_of_the_keyboard_anywhere_is_a_finding_or_nothing(
    project: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(name for name, text in FILES.items() if text)))
    start = data.draw(st.integers(0, len(FILES[name])))
    end = start + data.draw(st.integers(0, 3))
    typed = data.draw(st.text(MARKS, max_size=3))
    assert_findings_are_complete(project, name, FILES[name][:start] + typed + FILES[name][end:])
