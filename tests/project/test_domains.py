"""Domains that `delivery new` creates and `delivery remove` removes, in generated projects."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Bake
from harness.baking import Baked, commit, expect_success, git, pytest_summary, run

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
KINDS = ("pipeline", "job", "sql")
PARTS = ("job", "notebook", "sql", "dashboard")
LONG = "quarterly_returns_of_all_shops1"  # 31 characters


@pytest.fixture
def lake(bake: Bake, tmp_path: Path) -> Baked:
    """A project of its own."""
    return copy_of(bake(), tmp_path)


def copy_of(project: Baked, folder: Path) -> Baked:
    found = Baked(shutil.copytree(project.path, folder / "lake", symlinks=True), project.answers)
    if not (found.path / ".git").exists():
        git(found.path, "init", "--quiet", "--initial-branch=main", "--template=")
        commit(found.path, "start")
    return found


def delivery(project: Baked, *arguments: str) -> str:
    done = project.python("-m", "delivery", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make(project: Baked, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a target of the Makefile with the template's own environment, as if it were set up."""
    programs = project.path / ".venv/bin"
    if not programs.exists():
        programs.mkdir(parents=True)
        sources = ":".join(str(project.path / s) for s in ("src", "tools/delivery/src"))
        for name, start in (("delivery", " -m delivery"), ("python", "")):
            (programs / name).write_text(
                f'#!/bin/sh\nPYTHONPATH="{sources}" exec "{sys.executable}"{start} "$@"\n',
                encoding="utf-8",
            )
            (programs / name).chmod(0o755)
    stamped = ("STAMP=", "STAMPS=.venv/stamp")  # nothing is set up
    return run("make", *stamped, *arguments, cwd=project.path, PYTHONDONTWRITEBYTECODE="1")


def warnings(project: Baked) -> list[str]:
    """What `delivery check` warns of; it has no errors."""
    *found, end = delivery(project, "check").splitlines()
    assert end.startswith("check: passed")
    return found


def assert_is_declared_well(project: Baked) -> None:
    expect_success(BIN / "yamllint", "--strict", ".", cwd=project.path)
    assert set(pytest_summary(project.pytest("tests/bundle"))) <= {"passed", "skipped"}


def assert_is_green(project: Baked, *names: str) -> None:
    cache = ("--no-cache",)
    expect_success(BIN / "ruff", "format", "--check", *cache, ".", cwd=project.path)
    expect_success(BIN / "ruff", "check", *cache, ".", cwd=project.path)
    expect_success(BIN / "yamllint", "--strict", ".", cwd=project.path)
    project.assert_typed()
    tests = [f"tests/unit/test_{name}_transform.py" for name in names]
    tests += [f"tests/pipeline/test_{name}.py" for name in names]
    tests = [test for test in tests if (project.path / test).exists()]
    figures = pytest_summary(project.pytest("tests/bundle", "tests/guide", *tests))
    assert set(figures) <= {"passed", "skipped"}
    if names:
        pure = ("tests/unit/test_engine.py", "-k", "transform")
        assert set(pytest_summary(project.pytest(*pure))) == {"passed", "deselected"}


def test_new_domains_are_green_and_leave_the_tree_as_it_was(lake: Baked) -> None:
    known = warnings(lake)
    names = ("events", "orders", LONG)
    for name, kind in zip(names, KINDS, strict=True):
        written = delivery(lake, "new", "domain", name, "--kind", kind, "--owner", "@acme/sales")
        assert f"+ src/lakehouse/{name}/transform.py" in written
    assert warnings(lake) == known
    assert_is_green(lake, *names)
    refused = lake.python("-m", "delivery", "run", "events_daily")
    assert refused.returncode == 4
    assert "task pipeline: pipeline_task cannot be run on this machine" in refused.stderr
    for name in names:
        delivery(lake, "remove", "domain", name, "--yes")
    shutil.rmtree(lake.path / ".hypothesis", ignore_errors=True)
    assert git(lake.path, "status", "--porcelain", "--ignored") == ""


@pytest.mark.longest
def test_twenty_domains_are_green_and_leave_the_tree_as_it_was(lake: Baked) -> None:
    """`pytest -rP` shows the figures; no time is asserted."""
    known, names = warnings(lake), [f"area{number:02}" for number in range(20)]
    start = time.perf_counter()
    for number, name in enumerate(names):
        delivery(lake, "new", "domain", name, "--kind", KINDS[number % len(KINDS)])
    created = time.perf_counter()
    assert warnings(lake) == known
    checked = time.perf_counter()
    tests = [f"{file}" for file in (lake.path / "tests").glob("*/test_area*.py")]
    assert len(tests) == 20 + 13 + 7  # `make parity` runs pipelines
    some = ("-n2", "--dist=loadfile", "-m", "not parity")
    figures = pytest_summary(lake.pytest(*some, "tests/bundle", *tests))
    assert set(figures) == {"passed"}
    tested = time.perf_counter()
    assert "nothing new" not in make(lake, "run", "DOMAIN=area19").stdout
    shutil.rmtree(lake.path / ".lakehouse")
    for name in names:
        delivery(lake, "remove", "domain", name, "--yes")
    print(
        f"20 domains: created in {created - start:.1f} s, checked in {checked - created:.1f} s, "
        f"{figures['passed']} tests in {tested - checked:.1f} s"
    )
    shutil.rmtree(lake.path / ".hypothesis", ignore_errors=True)
    shutil.rmtree(lake.path / ".venv")
    assert git(lake.path, "status", "--porcelain", "--ignored") == ""


def test_on_clusters_of_its_own_all_that_is_new_is_declared_well(
    bake: Bake, tmp_path: Path
) -> None:
    """Only resources differ from those on serverless compute."""
    project = copy_of(bake(compute="classic"), tmp_path)
    known = warnings(project)
    for kind in KINDS:
        owned = ("--kind", kind, "--owner", "@acme/sales")
        delivery(project, "new", "domain", f"my_{kind}", *owned)
    for part in PARTS:
        delivery(project, "new", part, f"my_{part}", "--domain", "flights")
    assert warnings(project) == known
    assert_is_declared_well(project)


def test_new_parts_of_a_domain_are_green(lake: Baked) -> None:
    known = warnings(lake)
    for part in PARTS:
        delivery(lake, "new", part, f"my_{part}", "--domain", "flights")
    assert warnings(lake) == known
    assert_is_green(lake)
    assert set(pytest_summary(lake.pytest("tests/pipeline/test_flights_my_job.py"))) == {"passed"}
    assert "silver.airlines: 0 rows" in delivery(lake, "run", "flights_my_job")
    early = lake.python("-m", "delivery", "run", "flights_my_notebook")
    assert early.returncode == 1  # it runs here, but gold has not been computed
    assert "first run the job that writes it" in early.stderr


def test_a_new_domain_runs_and_is_audited(lake: Baked) -> None:
    for name, kind in (("orders", "job"), ("shops", "sql")):
        delivery(lake, "new", "domain", name, "--kind", kind)
        first = make(lake, "run", f"DOMAIN={name}")
        assert first.returncode == 0, first.stdout + first.stderr
        assert f"{name}: 5 landed = 4 silver + 1 quarantined + 0 superseded ✓" in first.stdout
        assert "gold.daily +3" in first.stdout
    assert "nothing new, 0 tables changed" in make(lake, "run", "DOMAIN=shops").stdout
    audited = make(lake, "audit")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert audited.stdout.splitlines().count("gold.daily: 3 rows ✓") == 2
    delivery(lake, "remove", "domain", "orders", "--yes")
    audited = make(lake, "audit")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert "orders: not audited" in audited.stdout
    assert audited.stdout.splitlines().count("gold.daily: 3 rows ✓") == 1


def test_a_project_without_its_sample_says_what_to_do(lake: Baked) -> None:
    delivery(lake, "remove", "domain", "flights", "--yes")
    assert_is_green(lake)
    assert "check: passed" in delivery(lake, "check")
    refused = make(lake, "run")
    assert refused.returncode == 2
    assert "the project has no job" in refused.stderr
    assert "delivery new domain orders" in refused.stderr
    refused = make(lake, "late")
    assert refused.returncode == 2
    assert "late: the sample domain flights is not in this project" in refused.stderr
    delivery(lake, "new", "domain", "orders")
    assert "gold.daily +3" in make(lake, "run").stdout  # the only domain needs no name


def test_a_table_over_two_domains_works_as_the_guide_shows_it(lake: Baked) -> None:
    facts, transform, contract = shown(lake, "## A table over two domains")
    delivery(lake, "new", "domain", "orders")
    code = lake.path / "src/lakehouse/orders"
    text = (code / "tasks.py").read_text(encoding="utf-8")
    start = text.index("# Each table of gold")
    end = text.index("\n\n\n", start)
    text = text[:start] + text[end:].lstrip() + f"\n\n{facts}"
    text = text.replace("FACTS", "facts(tables)").replace(
        '"""\n\nfrom lakehouse', '"""\n\nfrom functools import partial\n\nfrom lakehouse', 1
    )
    (code / "tasks.py").write_text(text, encoding="utf-8")
    with (code / "transform.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{transform}")
    (code / "contracts/gold.airlines.yml").write_text(contract, encoding="utf-8")
    day = lake.path / "data/orders/landing/orders/2024-01-01.csv"
    with day.open("a", encoding="utf-8") as file:
        file.write("6,2024-01-02,AA,7\n")
    assert make(lake, "run", "DOMAIN=flights").returncode == 0
    done = make(lake, "run", "DOMAIN=orders")
    assert "gold.airlines +1" in done.stdout, done.stdout + done.stderr
    expect_success(BIN / "ruff", "check", "--no-cache", "src", cwd=lake.path)
    lake.assert_typed()
    audited = make(lake, "audit")
    assert "gold.airlines: 1 rows ✓" in audited.stdout, audited.stdout + audited.stderr
    refused = lake.python("-m", "delivery", "remove", "domain", "flights", "--yes")
    assert refused.returncode == 3
    assert 'tables.read("flights.silver.airlines")' in refused.stderr


def shown(project: Baked, heading: str) -> list[str]:
    """The blocks of code below a heading of the page about changes."""
    page = (project.path / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.partition(heading)[2].partition("\n## ")[0]
    return re.findall(r"```(?:python|yaml)\n(.*?)```", section, re.DOTALL)
