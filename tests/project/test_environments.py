"""What is installed: whole or not at all, one set-up at a time, held to hashes, and by whom."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from harness.baking import COMPILING, Baked, environment, expect_success, git, run

pytestmark = pytest.mark.slow
TOOL = ".venv-tool/bin"


@pytest.fixture
def project(made: Baked, tmp_path: Path) -> Baked:
    """A copy of the project with its lock and uv, and no other environment."""
    path = tmp_path / "project"
    shutil.copytree(made.path, path, symlinks=True, ignore=shutil.ignore_patterns(".venv-tool"))
    stamp = path / ".venv-uv/stamp"  # as if uv had been installed there: it works from any place
    lines = [line.replace(str(made.path), str(path)) for line in stamp.read_text().splitlines()]
    stamp.write_text("".join(f"{line}\n" for line in sorted(lines)))
    return Baked(path, {})


@pytest.fixture
def fresh(project: Baked) -> Baked:
    """The same on a machine that has nothing yet."""
    shutil.rmtree(project.path / ".venv-uv")
    return project


def change(project: Baked, name: str, old: str, new: str) -> None:
    text = project.text(name)
    assert re.search(old, text, re.MULTILINE), f"{name} has no {old}"
    (project.path / name).write_text(re.sub(old, new, text, flags=re.MULTILINE), encoding="utf-8")


def packages(python: Path) -> set[str]:
    names = "import importlib.metadata as m; print(*{d.name.lower() for d in m.distributions()})"
    return {*expect_success(python, "-c", names, cwd=python.parent).replace("_", "-").split()}


# --- the tool alone ---


def spy(folder: Path) -> None:
    """A package that runs when Python starts, without being asked for."""
    about = "spy-1.0.dist-info"
    files = {
        "spy.pth": "import os; open(os.environ.get('SPIED', os.devnull), 'w').write('x')\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: spy\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": "",
    }
    with zipfile.ZipFile(folder / "spy-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)


def test_what_development_brings_does_not_run_beside_an_identity(
    project: Baked, tmp_path: Path
) -> None:
    spy(tmp_path)
    settings = {"UV_FIND_LINKS": str(tmp_path), "SPIED": str(tmp_path / "spied")}
    change(project, "pyproject.toml", r"^dev = \[", 'dev = [\n  "spy==1.0",')
    expect_success("make", "setup", cwd=project.path, **settings)
    expect_success("make", "tool", cwd=project.path, CI="true", **settings)
    for place, runs in ((".venv/bin", True), (TOOL, False)):
        (tmp_path / "spied").unlink(missing_ok=True)
        expect_success(project.path / place / "delivery", "--help", cwd=project.path, **settings)
        assert (tmp_path / "spied").exists() is runs, place


def test_the_tool_s_environment_has_what_the_lock_names_for_it(made: Baked) -> None:
    lock = made.toml("uv.lock")["package"]
    needs = {p["name"]: {d["name"] for d in p.get("dependencies", [])} for p in lock}
    wanted, found = {"lakehouse-delivery"}, set[str]()
    while wanted:
        found.add(name := wanted.pop())
        wanted |= needs[name] - found
    installed = packages(made.path / TOOL / "python")
    assert installed <= found
    assert {"typer", "pydantic", "databricks-sdk", "lakehouse-delivery"} <= installed
    assert not installed & {"pytest", "ruff", "pandas", "hypothesis", "lakehouse", "pip"}


def test_the_tool_alone_builds_a_release(project: Baked) -> None:
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "--no-verify", "--message=chore: lock")
    expect_success("make", "tool", cwd=project.path, CI="true")
    expect_success(project.path / TOOL / "delivery", "release", "--into", "out", cwd=project.path)
    assert [*project.path.glob("out/*.tar.gz")]


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("tools/delivery/pyproject.toml", '"typer==.*', '"typer==0.29.1",', "does not match"),
        ("uv.lock", r'(typer-.*hash = "sha256:)\w{8}', r"\g<1>00000000", "[Hh]ash mismatch"),
        ("uv.lock", r'(typer-.*?), hash = "sha256:\w+"', r"\1", "(?i)hash"),
        ("tools/uv-requirements.txt", r"sha256:\w{8}", "sha256:00000000", "(?i)hash"),
    ],
    ids=["another version", "another file", "no hash", "another uv"],
)
def test_what_the_lock_does_not_name_is_refused(
    name: str, old: str, new: str, expected: str, project: Baked
) -> None:
    change(project, name, old, new)
    result = run("make", "tool", cwd=project.path, CI="true")
    assert result.returncode != 0, result.stdout
    assert re.search(expected, result.stderr), result.stderr
    assert not (project.path / ".venv-tool/stamp").exists()


def test_pipelines_want_the_lock_that_is_committed(project: Baked) -> None:
    (project.path / "uv.lock").unlink()
    result = run("make", "tool", cwd=project.path, CI="true")
    assert "no uv.lock, expected the committed one" in result.stderr
    assert "make setup, then git add uv.lock" in result.stderr
    assert not (project.path / "uv.lock").exists()
    assert not (project.path / ".venv-tool").exists()


# --- whole or not at all ---


def starts(project: Baked, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=project.path,
        env=environment(**COMPILING),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a terminal's
    )


def appears(file: Path) -> None:
    """Wait for a file."""
    deadline = time.monotonic() + 120
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} does not appear"
        time.sleep(0.01)


def test_two_set_ups_at_once_are_one_after_the_other(fresh: Baked) -> None:
    both = [starts(fresh, "make", "tool") for _ in range(2)]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert "".join(outputs).count("creating .venv-uv") == 1
    expect_success(fresh.path / TOOL / "delivery", "--help", cwd=fresh.path)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_a_set_up_that_was_cut_off_is_begun_again(how: signal.Signals, fresh: Baked) -> None:
    first = starts(fresh, "make", "tool")
    appears(fresh.path / ".venv-uv/bin/python")
    os.killpg(first.pid, how)
    first.communicate()
    assert first.returncode != 0
    assert not (fresh.path / ".venv-uv/stamp").exists()
    expect_success("make", "tool", cwd=fresh.path)
    expect_success(fresh.path / TOOL / "delivery", "--help", cwd=fresh.path)


@pytest.fixture
def half(project: Baked) -> Baked:
    """A project whose set-up was cut off while files of a package were written."""
    expect_success("make", "setup", "tool", cwd=project.path)
    for place in (".venv", ".venv-tool"):
        (project.path / place / "stamp").unlink()
        next((project.path / place).rglob("yaml/__init__.py")).unlink()
    return project


def test_an_environment_without_its_stamp_is_not_taken_for_whole(half: Baked) -> None:
    expect_success("make", "setup", "tool", cwd=half.path)
    for place in (".venv/bin", TOOL):
        expect_success(half.path / place / "delivery", "--help", cwd=half.path)
