"""The entry point that a job's tasks call."""

import sys
from types import SimpleNamespace

import pytest

from lakehouse import entry
from lakehouse.engine import Change, Report, Tables

LAYERS = {"catalog": "c", "bronze": "b", "silver": "s", "gold": "g", "ops": "o"}
CALL = {"task": "orders.bronze", "landing": "here", **LAYERS}


def bronze(tables: Tables, landing: str) -> Report:
    text = f"{tables.identifier('ops.x')} {tables.domain} {tables.full_refresh} {landing}"
    return Report((Change("bronze.x", 1, inserted=1),), text)


@pytest.fixture
def orders(root: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The domain `orders` has one task."""
    monkeypatch.setitem(sys.modules, "lakehouse.orders", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "lakehouse.orders.tasks", SimpleNamespace(bronze=bronze))


def test_arguments_are_names_and_values() -> None:
    assert entry.parameters(["--task=orders.gold", "--x=a=b", "--empty="]) == {
        "task": "orders.gold",
        "x": "a=b",
        "empty": "",
    }


@pytest.mark.parametrize("argument", ["task=x", "--task", "--=x", "x"])
def test_an_argument_of_another_form_is_refused(argument: str) -> None:
    with pytest.raises(SystemExit, match="expected --name=value"):
        entry.parameters([argument])


def test_a_task_gets_its_tables_and_parameters(
    orders: None, root: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lakehouse", *(f"--{k}={v}" for k, v in CALL.items())])
    entry.main()
    assert capsys.readouterr().out.splitlines() == [
        "bronze.x: +1, now 1 rows",
        f"delta.`{root}/.lakehouse/c/o/x` orders False here",
    ]


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("false", False)])
def test_a_full_refresh_is_asked_for_by_a_parameter(
    orders: None, value: str, expected: bool
) -> None:
    assert f" {expected} " in entry.run(**CALL, full_refresh=value).text


def test_a_task_runs_alone_in_its_catalog(orders: None, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[str] = []

    class Lock:
        def __enter__(self) -> None:
            held.append("taken")

        def __exit__(self, *error: object) -> None:
            held.append("released")

    def noted(tables: Tables, landing: str) -> Report:
        held.append("task")
        return Report(())

    monkeypatch.setattr(Tables, "exclusive", lambda tables: Lock())
    monkeypatch.setattr(sys.modules["lakehouse.orders.tasks"], "bronze", noted)
    entry.run(**CALL)
    assert held == ["taken", "task", "released"]


def test_a_task_refuses_parameters_it_does_not_take(orders: None) -> None:
    with pytest.raises(TypeError, match="landingg"):
        entry.run(**CALL, landingg="x")
