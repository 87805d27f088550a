"""The command line: what it prints, where, and with which exit code."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from delivery.cli import app
from delivery.cli.commands import COMMANDS
from typer.main import get_group

Edit = Callable[[str, str, str], None]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call `delivery …`: its exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["delivery", *arguments])
        with pytest.raises(SystemExit) as left:
            app.main()
        code = left.value.code or 0
        assert isinstance(code, int)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_check_of_a_good_project(run: Run) -> None:
    assert run("check") == (0, "check: passed\n", "")


def test_check_tells_all_findings_at_once(run: Run, edit: Edit) -> None:
    edit("resources/shop/job.yml", "schema:", "shcema:")
    edit("resources/shop/schema.yml", "${var.catalog}", "${var.x}")
    code, out, err = run("check")
    assert (code, err) == (1, "")
    assert "job.yml:26: task load: given shcema, expected schema" in out
    assert "schema.yml:4: ${var.x}" in out


def test_check_for_machines(run: Run, edit: Edit) -> None:
    assert run("check", "--output", "json")[:2] == (0, "[]\n")
    edit("resources/shop/job.yml", "schema:", "shcema:")
    code, out, _ = run("check", "--only", "wiring", "--output", "json")
    assert code == 1
    assert [finding["line"] for finding in json.loads(out)] == [26]


def test_run_shows_tasks_rows_and_news(run: Run) -> None:
    code, out, _ = run("run", "shop_daily")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines() if line]
    assert lines[0] == "shop_daily as target dev, on this machine"
    assert lines[1] == "loading shop_gold"  # what the task prints
    assert lines[2].startswith("✓ load")
    assert lines[2].endswith("bronze.x +2")
    assert lines[3] == "loaded [into] demo_dev.shop_gold"
    assert lines[4].endswith("nothing new")
    assert lines[5].endswith("1 tables changed")


def test_run_says_when_nothing_is_new(run: Run, edit: Edit) -> None:
    edit("src/app/shop/tasks.py", "changed=True", "changed=False")
    assert "nothing new, 0 tables changed" in run("run", "shop_daily")[1]


def test_run_for_machines_prints_one_document(run: Run) -> None:
    code, out, err = run("run", "shop_daily", "--target", "prod", "--output", "json")
    document = json.loads(out)
    assert (code, document["job"], document["target"]) == (0, "shop_daily", "prod")
    assert document["tables_changed"] == 1
    assert [task["task"] for task in document["tasks"]] == ["load", "count"]
    assert document["tasks"][0]["changes"] == [
        {"table": "bronze.x", "rows": 2, "inserted": 2, "updated": 0, "deleted": 0}
    ]
    assert "loading shop_gold" in err


def test_a_failing_task_is_told_in_two_lines(run: Run, edit: Edit, project: Path) -> None:
    edit(
        "src/app/shop/tasks.py",
        '    print("loading", schema)',
        "    raise OSError('disk full\\nmore')",
    )
    code, _, err = run("run", "shop_daily")
    assert code == 1
    assert err == (
        "task load failed: src/app/shop/tasks.py:5: disk full\n"
        "The traceback is in .lakehouse/last-failure.txt.\n"
    )
    assert "Traceback" in (project / ".lakehouse/last-failure.txt").read_text(encoding="utf-8")


def test_a_failure_without_words_is_named_by_its_kind(run: Run, edit: Edit) -> None:
    edit("src/app/shop/tasks.py", '    print("loading", schema)', "    raise OSError")
    assert "task load failed: src/app/shop/tasks.py:5: OSError" in run("run", "shop_daily")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run",), "Missing argument"),
        (("nope",), "No such command 'nope'"),
        (("run", "shop_daily", "--targt", "x"), "No such option"),
        (("run", "shop_daily", "--output", "xml"), "'xml' is not one of 'table', 'json'"),
        (("run", "nope"), "job: given 'nope', expected one of shop_daily"),
        (("check", "--only", "nope"), "rule: given 'nope'"),
    ],
)
def test_bad_input_ends_with_4_on_stderr(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (4, "")
    assert message in err
    assert "Traceback" not in err


def test_outside_a_project_it_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("check")
    assert code == 4
    assert "expected a folder with a databricks.yml" in err


@pytest.mark.parametrize("command", [(), ("run",), ("check",)])
def test_help_shows_an_example(run: Run, command: tuple[str, ...]) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert not command or f"delivery {command[0]} " in out


LINES = {name: entry.help for name, entry in COMMANDS.items()}


def test_each_help_line_is_that_of_its_command() -> None:
    commands = get_group(app.build_app()).commands
    told = {name: str(command.help).partition("\n\n")[0] for name, command in commands.items()}
    assert {name: " ".join(text.split()) for name, text in told.items()} == LINES


def test_the_list_of_commands_is_the_same_as_with_all_of_them_imported(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = run("--help")
    monkeypatch.setattr(app, "build_index", app.build_app)
    assert run("--help") == quick


def test_the_list_of_commands_imports_none_of_them(project: Path) -> None:
    assert modules_after("--help") & {"pydantic", "databricks"} == set()
    commands = {f"delivery.cli.{entry.place.partition(':')[0]}" for entry in COMMANDS.values()}
    assert modules_after("--help") & commands == set()


def modules_after(*arguments: str) -> set[str]:
    """The modules that `delivery …` imported."""
    code = (
        "import atexit, sys; from delivery.cli.app import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    )
    command = [sys.executable, "-c", code, *arguments]
    return {*subprocess.run(command, capture_output=True, text=True, check=True).stderr.split()}


def test_a_command_behind_two_hyphens_is_the_command(run: Run) -> None:
    assert run("--", "check") == (0, "check: passed\n", "")
    assert run("--", "check", "--help") == run("check", "--help")


def test_a_shell_completes_the_options_of_a_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for typed, expected in (("delivery che", "check"), ("delivery check --on", "--only")):
        monkeypatch.setenv("_DELIVERY_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
        assert expected in run()[1].split()


def test_no_words_are_a_call_for_help(run: Run) -> None:
    assert run() == run("--help")


def test_an_interrupted_command_says_how_it_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("delivery.cli.check.check", interrupt)
    code, out, err = run("check")
    assert (code, out, err) == (1, "", "Interrupted. Run the same command again to resume.\n")


def test_the_module_is_the_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["delivery", "check"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("delivery", run_name="__main__")
    assert left.value.code == 0


def test_checks_do_not_wait_for_spark(project: Path) -> None:
    heavy = "{'pyspark', 'pandas', 'databricks.sdk'}"
    imports = "import sys; from delivery.cli.app import build_app; build_app('check')"
    code = f"{imports}; print({heavy} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"
