"""The entry point that a job's tasks call."""

import sys

import pytest

from lakehouse import entry
from lakehouse.engine import Change, Report, Tables
from lakehouse.flights import tasks

LAYERS = {"catalog": "c", "bronze": "b", "silver": "s", "gold": "g"}


def test_arguments_are_names_and_values() -> None:
    assert entry.parameters(["--task=flights.gold", "--x=a=b", "--empty="]) == {
        "task": "flights.gold",
        "x": "a=b",
        "empty": "",
    }


@pytest.mark.parametrize("argument", ["task=x", "--task", "--=x", "x"])
def test_an_argument_of_another_form_is_refused(argument: str) -> None:
    with pytest.raises(SystemExit, match="expected --name=value"):
        entry.parameters([argument])


def test_a_task_gets_its_tables_and_parameters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bronze(tables: Tables, landing: str) -> Report:
        return Report(
            (Change("bronze.x", 1, inserted=1),), f"{tables.address('bronze.x')} {landing}"
        )

    monkeypatch.setenv("LAKEHOUSE_ROOT", "/tmp")
    monkeypatch.setattr(tasks, "bronze", bronze)
    given = {"task": "flights.bronze", "landing": "here", **LAYERS}
    monkeypatch.setattr(sys, "argv", ["lakehouse", *(f"--{k}={v}" for k, v in given.items())])
    entry.main()
    assert capsys.readouterr().out.splitlines() == [
        "bronze.x: +1, now 1 rows",
        "delta.`/tmp/.lakehouse/c/b/x` here",
    ]


def test_a_task_refuses_parameters_it_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="landingg"):
        entry.run(task="flights.bronze", landingg="x", **LAYERS)
