"""`make mutate`: what mutmut is given to work on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import mutate
import pytest
from harness.baking import ROOT, expect_success


def test_mutmut_gets_one_module_in_a_copy_with_the_tests(tmp_path: Path) -> None:
    mutate.lay_out(tmp_path, "plan/guard.py", ["tests/tool/test_guard.py"])
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    (only,) = settings["only_mutate"]
    assert (tmp_path / only).read_bytes() == (mutate.SOURCE / "plan/guard.py").read_bytes()
    assert (tmp_path / settings["pytest_add_cli_args_test_selection"][0]).is_file()
    for name in settings["also_copy"]:
        assert (tmp_path / name).exists()
    assert not (tmp_path / mutate.PROJECT / "tools/delivery/src").exists()  # it would be tested


@pytest.mark.parametrize("module", ["", "plan/nothing.py"])
def test_a_module_that_is_not_there_is_told(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mutate.main(module, ["tests/tool"]) == 2
    assert f"given {module}, expected a file of" in capsys.readouterr().out


def test_make_runs_the_tests_of_the_tool_unless_others_are_named() -> None:
    for given, tests in (((), "tests/tool"), (("TESTS=tests/tool/x.py",), "tests/tool/x.py")):
        output = expect_success("make", "-n", "mutate", "MODULE=plan/guard.py", *given, cwd=ROOT)
        assert f"scripts/mutate.py 'plan/guard.py' {tests}\n" in output
