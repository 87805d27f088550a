"""Dynamic values and conditions of a job that runs on this machine."""

from datetime import UTC, datetime

import pytest
from delivery.config.scalars import as_text
from delivery.local.conditions import RUN_IF, State, compare, state_without_running
from delivery.local.values import (
    Ended,
    JobRun,
    Known,
    Scope,
    UnknownValueError,
    problem_with,
    references_in,
    steps_of,
)

S, F, K, X = State.SUCCESS, State.FAILED, State.SKIPPED, State.EXCLUDED
START = datetime(2026, 1, 3, 7, 8, 9, tzinfo=UTC)  # a Saturday


def scope(**changes: object) -> Scope:
    run = JobRun("daily", 77, START, parameters={"day": "2026-01-02", "a b": "x"})
    run.ended["load"] = Ended(
        S, "7701", {"rows": 12, "days": ["a", "b"]}, [{"n": 3}, {"n": 4}], "src/load.py"
    )
    run.ended["lost"] = Ended(K, "7702")
    return Scope(run, "count", "7703", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no reference", "no reference"),
        ("{{job.parameters.day}}", "2026-01-02"),
        (
            "from {{job.parameters.day}} to {{ job.start_time.iso_date }}",
            "from 2026-01-02 to 2026-01-03",
        ),
        ("{{job.parameters.`a b`}}", "x"),
        ("{{job.name}} {{job.run_id}} {{job.repair_count}}", "daily 77 0"),
        ("{{job.trigger.type}}", "one_time"),
        ("{{job.start_time.iso_datetime}}", "2026-01-03T07:08:09"),
        ("{{job.start_time.iso_weekday}} {{job.start_time.is_weekday}}", "6 false"),
        ("{{job.start_time.timestamp_ms}}", str(int(START.timestamp()) * 1000)),
        ("{{job.trigger.time.hour}}", "7"),
        ("{{task.name}} {{task.run_id}} {{task.execution_count}}", "count 7703 1"),
        ("{{tasks.load.values.rows}}", "12"),
        ("{{tasks.load.values.days}}", '["a", "b"]'),
        ("{{tasks.load.result_state}} {{tasks.lost.result_state}}", "success upstream_failed"),
        ("{{tasks.load.output.first_row.n}} {{tasks.load.output.rows}}", '3 [{"n": 3}, {"n": 4}]'),
        ("{{tasks.load.notebook_path}} {{tasks.load.run_id}}", "src/load.py 7701"),
        ("{{start_date}} {{task_key}} {{run_id}}", "2026-01-03 count 7703"),
        ("{{my.value}} {{x}} {{job.name", "{{my.value}} {{x}} {{job.name"),
    ],
)
def test_references_get_their_values(text: str, expected: str) -> None:
    assert scope().fill(text) == expected


@pytest.mark.parametrize(
    ("item", "text", "expected"),
    [
        ("a", "{{input}}!", "a!"),
        (7, "{{input}}", "7"),
        (True, "{{input}}", "true"),
        ({"a": {"b": 1}}, "{{input.a.b}} {{input.a}}", '1 {"b": 1}'),
    ],
)
def test_an_input_is_the_item(item: object, text: str, expected: str) -> None:
    assert scope(item=(item,)).fill(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{tasks.load.values.row}}", "tasks.load.values.row: the task load has set rows, days"),
        ("{{tasks.lost.values.row}}", "the task lost has set nothing"),
        ("{{tasks.load.output.first_row.m}}", "the first row of load has n"),
        ("{{tasks.other.values.x}}", "{{tasks.other.values.x}}: not known on this machine"),
        ("{{input.c}}", 'input.c: given {"b": 1}, expected an object with c'),
    ],
)
def test_what_is_not_there_while_it_runs_is_told(text: str, message: str) -> None:
    with pytest.raises(UnknownValueError) as caught:
        scope(item=({"b": 1},)).fill(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("job.parameters.day", ""),
        (
            "job.parameters.dya",
            "given {{job.parameters.dya}}, expected a parameter of the job: day",
        ),
        ("job.id", "given {{job.id}}, expected a value that is known here: job.parameters.NAME"),
        ("workspace.url", "given {{workspace.url}}"),
        ("job.start_time.century", "given {{job.start_time.century}}"),
        ("tasks.load.values.x", ""),
        ("tasks.load.output.first_row.n", ""),
        ("tasks.load.colour", "expected one of values.KEY, output.first_row.COLUMN, result_state"),
        ("tasks.laod.values.x", "expected a task that it depends on: load"),
        ("tasks.other.values.x", "expected a task of this run; run other too, or all tasks"),
        ("input", "given {{input}}, expected it only in the task of a for_each_task"),
    ],
)
def test_what_cannot_be_known_is_told_before_the_run(reference: str, message: str) -> None:
    known = Known(["day"], ["load"], ["other"])
    found = problem_with(steps_of(reference), known)
    assert message in found
    assert bool(message) is bool(found)


def test_an_input_is_known_in_a_loop() -> None:
    assert problem_with(["input", "a"], Known(has_input=True)) == ""


def test_references_are_found_in_a_text() -> None:
    text = "{{job.name}} {{nothing.here}} {{ tasks.`a.b`.values.c }} {{parent_run_id}}"
    expected = [["job", "name"], ["tasks", "a.b", "values", "c"], ["job", "run_id"]]
    assert references_in(text) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (10, "10"),
        (1.0, "1"),
        (1e3, "1000"),
        (0.25, "0.25"),
        (1e-7, "0.0000001"),
        ("True", "True"),
    ],
)
def test_scalars_are_the_texts_that_the_cli_passes(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("run_if", "before", "expected"),
    [
        ("ALL_SUCCESS", [], None),
        ("ALL_SUCCESS", [S, S], None),
        ("ALL_SUCCESS", [S, X], None),
        ("ALL_SUCCESS", [S, F], K),
        ("ALL_SUCCESS", [S, K], K),
        ("ALL_SUCCESS", [X, X], X),
        ("ALL_DONE", [F, K], None),
        ("ALL_DONE", [X], X),
        ("NONE_FAILED", [S, X], None),
        ("NONE_FAILED", [S, F], K),
        ("AT_LEAST_ONE_SUCCESS", [S, F], None),
        ("AT_LEAST_ONE_SUCCESS", [F, K], K),
        ("AT_LEAST_ONE_FAILED", [S, F], None),
        ("AT_LEAST_ONE_FAILED", [S, K], None),
        ("AT_LEAST_ONE_FAILED", [S, S], X),
        ("ALL_FAILED", [F, K], None),
        ("ALL_FAILED", [F, S], X),
        ("ALL_FAILED", [F, X], X),
    ],
)
def test_run_if_decides(run_if: str, before: list[State], expected: State | None) -> None:
    assert run_if in RUN_IF
    assert state_without_running(run_if, before) is expected


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
    [
        ("EQUAL_TO", "a", "a", True),
        ("EQUAL_TO", "12.0", "12", False),
        ("NOT_EQUAL", "12.0", "12", True),
        ("GREATER_THAN", "9", "10", False),
        ("GREATER_THAN", "10", "9", True),
        ("GREATER_THAN", "12.0", "12", False),
        ("GREATER_THAN_OR_EQUAL", "12.0", "12", True),
        ("LESS_THAN", "9", "10", True),
        ("LESS_THAN", "9", "9", False),
        ("LESS_THAN_OR_EQUAL", "9", "9.0", True),
    ],
)
def test_conditions_compare(op: str, left: str, right: str, expected: bool) -> None:
    assert compare(op, left, right) is expected


def test_a_text_is_no_number() -> None:
    with pytest.raises(ValueError, match="left: given 'many', expected a number for LESS_THAN"):
        compare("LESS_THAN", "many", "1")
