"""The template's own set-up: the demo brings what it needs alone, and a pipeline skips nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.baking import COMPILING, ROOT, environment, expect_success, export, git, run

from template.test_repository import requirements

pytestmark = pytest.mark.slow


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh clone of the template."""
    path = export(tmp_path / "checkout")
    git(path, "init", "--quiet", "--template=")
    git(path, "add", "--all")
    return path


# --- the demo ---


def test_a_demo_beside_another_shows_gold_and_brings_what_it_needs_alone(
    checkout: Path, tmp_path: Path
) -> None:
    """Of the other one only the set-up is run: all else is in folders of their own."""
    programs, place = tmp_path / "programs", tmp_path / "place"
    for name in ("go", "npm"):
        program(programs, name, f"touch {tmp_path}/called; exit 1")
    path = f"{programs}:{environment()['PATH']}"
    before = {*checkout.rglob("*")}
    place.mkdir()
    settings = environment(PATH=path, TMPDIR=str(place), **COMPILING)
    started = [
        subprocess.Popen(
            ["make", target], cwd=checkout, env=settings, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for target in ("demo", ".venv-demo/stamp")
    ]  # fmt: skip
    outputs = [process.communicate(timeout=900)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert "".join(outputs).count("demo: creating .venv-demo") == 1
    assert "Airlines by punctuality" in outputs[0]
    found = re.search(r"The project is in (.*)$", outputs[0], re.MULTILINE)
    assert found
    assert Path(found[1]).is_relative_to(place)
    assert (Path(found[1]) / ".git").is_dir()
    assert not (tmp_path / "called").exists()
    left = {f for f in {*checkout.rglob("*")} - before if ".venv-demo" not in f.parts}
    assert left == set()


def test_a_demo_that_was_cut_off_is_begun_again(checkout: Path) -> None:
    half = checkout / ".venv-demo/bin"
    half.mkdir(parents=True)
    program(half, "cookiecutter", "exit 1")
    result = run("make", ".venv-demo/stamp", cwd=checkout)  # all that a demo needs to begin
    assert result.returncode == 0, result.stderr
    assert "Cookiecutter" in expect_success(half / "cookiecutter", "--version", cwd=checkout)


# --- the tools of the tests ---

PYTHON = """case "$1 $2" in
"-m venv") mkdir -p .venv/bin; for name in python uv; do
    printf '#!/bin/sh\\n' > .venv/bin/$name; chmod +x .venv/bin/$name; done ;;
"-c "*flock*) shift 2; exec "$@" ;;
esac"""


@pytest.mark.parametrize("missing", ["go", "npm", ""])
@pytest.mark.parametrize("ci", ["", "true"], ids=["laptop", "pipeline"])
def test_a_tool_that_is_missing_is_a_skip_on_a_laptop_and_a_failure_in_a_pipeline(
    ci: str, missing: str, checkout: Path, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    program(programs, "python3", PYTHON)
    for name in ("make", "sh", "mkdir", "chmod", "ln", "rm", "mv", "find", "sort", "cat"):
        (programs / name).symlink_to(str(shutil.which(name)))
    for name in {"go", "npm"} - {missing}:
        program(programs, name, "exit 0")
    settings = {"CI": ci} if ci else {}
    result = run("make", "setup", cwd=checkout, PATH=str(programs), **settings)
    assert (result.returncode != 0) == bool(ci and missing), result.stderr
    assert (checkout / ".venv/stamp").exists() == (result.returncode == 0)
    assert ("setup: could not install" in result.stderr) == bool(missing)


# --- the same versions every day ---


def test_the_tests_have_exact_versions_that_fit_what_is_declared() -> None:
    text = (ROOT / "tests/constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.match(r"[\w.-]+==[\w.!+]+( ;|$)", line) for line in lines)
    pins = dict(re.findall(r"^([\w.-]+)==([\w.!+]+)", text, re.MULTILINE))
    of_their_own = ("databricks-connect", "zensical")  # `make connect` and `make docs` install them
    declared = [r for r in requirements() if not r.startswith(of_their_own)]
    assert len(declared) > 25
    for requirement in declared:
        name, exact = re.match(r"([\w-]+)(?:==([\d.]+))?", requirement).groups()  # type: ignore[union-attr]
        assert name in pins, requirement
        assert exact in (None, pins[name]), requirement
