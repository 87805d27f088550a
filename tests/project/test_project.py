"""Inside generated projects: they pass their own checks and tests, and run as their README says."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import Bake
from harness.baking import (
    MAXIMAL,
    MINIMAL,
    TEMPLATE,
    Baked,
    commit,
    cookiecutter,
    environment,
    expect_success,
    git,
    name_of,
    pytest_summary,
    run,
)

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
ODD_PLACE = "Meine Projekte & ünïcode"


# --- every option set, with the template's own environment ---


def test_a_project_passes_its_own_lint_and_types(project: Baked, tmp_path: Path) -> None:
    cache = ("--cache-dir", str(tmp_path))
    for command in (
        ("ruff", "format", "--check", *cache, "."),
        ("ruff", "check", *cache, "."),
        ("yamllint", "--strict", "."),
    ):
        expect_success(BIN / command[0], *command[1:], cwd=project.path)
    project.assert_typed()


def contents(project: Baked) -> dict[str, bytes]:
    """Every file but the data."""
    names = [name for name in project.files() if not name.startswith("data/")]
    return {name: (project.path / name).read_bytes() for name in names}


def test_a_project_passes_its_own_bundle_tests(project: Baked) -> None:
    assert pytest_summary(project.pytest("tests/bundle"))["passed"] > 40


def test_a_project_passes_its_own_rules(project: Baked) -> None:
    result = project.python("-m", "delivery", "check")
    assert result.returncode == 0, result.stdout + result.stderr
    *warnings, end = result.stdout.splitlines()
    assert end == "check: passed, with warnings"
    hosts = 0 if "prod_host" in project.answers else 2
    assert len(warnings) == 2 * (10 + hosts), "what only its owner can set, each with its mend"


def test_a_project_has_no_secret_in_any_file(project: Baked, bake: Bake) -> None:
    seen = (
        {} if project.answers == {} else contents(bake())
    )  # the default project is looked at whole
    found = contents(project).items()
    files = [name for name, content in found if seen.get(name) != content]
    expect_success(BIN / "detect-secrets-hook", "--no-verify", *files, cwd=project.path)


# --- the default project, with the template's own environment ---


@pytest.mark.again
@pytest.mark.parametrize("folder", ["tests/unit", "tests/pipeline"])
def test_the_default_project_passes_its_own_tests(folder: str, bake: Bake) -> None:
    figures = pytest_summary(bake().pytest(folder, "--exitfirst"))
    assert figures["passed"] > 0
    assert set(figures) == {"passed"}  # nothing failed, nothing was skipped


def test_notebooks_pass_the_lint_of_a_project(bake: Bake, tmp_path: Path) -> None:
    folder = shutil.copytree(bake().path, tmp_path / "project")
    notebooks = folder / "src/lakehouse/flights/notebooks"
    notebooks.mkdir()
    (notebooks / "late.py").write_text(
        "# Databricks notebook source\n"
        'day = dbutils.widgets.get("day")\n'
        'display(spark.table("x").where(f"day = {day!r}"))\n',
        encoding="utf-8",
    )
    cell = {"cell_type": "code", "id": "0123456789abcdef" * 2, "source": ["%sql\n", "SELECT 1"]}
    (notebooks / "sql.ipynb").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    ruff = Path(sys.executable).with_name("ruff")
    expect_success(ruff, "check", "--no-cache", ".", cwd=folder)
    expect_success(ruff, "format", "--no-cache", "--check", ".", cwd=folder)


def test_domains_that_nobody_touched_are_not_tested(bake: Bake, tmp_path: Path) -> None:
    project = Baked(tmp_path / "project", {})
    shutil.copytree(bake().path, project.path)
    for name in ("resources/sales/schemas.yml", "tests/unit/test_sales_rules.py"):
        (project.path / name).parent.mkdir(exist_ok=True)
        (project.path / name).write_text("def test_sales(): pass\n", encoding="utf-8")
    if not (project.path / ".git").exists():
        git(project.path, "init", "--quiet", "--template=")
    commit(project.path, "start")

    def left_out(changed: str) -> set[str]:
        """What is not tested once a file is changed."""
        (project.path / changed).write_text("# changed\n", encoding="utf-8")
        commit(project.path, changed)
        return everything - collected("HEAD~1")

    def collected(since: str) -> set[str]:
        lines = project.pytest("tests/unit", "--collect-only", SINCE=since).splitlines()
        return {line.partition("::")[0].rpartition("/")[2] for line in lines if "::" in line}

    everything = collected("")
    assert left_out("resources/sales/schemas.yml") >= {"test_flights_rules.py"}
    assert "test_sales_rules.py" in left_out("data/flights/landing/airlines/2014.csv")
    assert not {"test_flights_rules.py", "test_sales_rules.py"} & left_out("README.md")
    assert collected("no-such-commit") == everything


def test_the_unrendered_tree_passes_in_place_and_nothing_is_left_behind(tmp_path: Path) -> None:
    before = {f for f in TEMPLATE.rglob("*") if "__pycache__" not in f.parts}
    project = Baked(TEMPLATE, {})
    cache = ("--cache-dir", str(tmp_path))
    for command in (("ruff", "format", "--check"), ("ruff", "check")):
        expect_success(BIN / command[0], *command[1:], *cache, ".", cwd=TEMPLATE)
    expect_success(BIN / "yamllint", "--strict", ".", cwd=TEMPLATE)
    project.assert_typed()
    # The generated project runs all of them.
    some = (f"tests/unit/test_{name}.py" for name in ("contract", "files", "landing"))
    done = project.pytest(*some, HYPOTHESIS_STORAGE_DIRECTORY=str(tmp_path))
    assert set(pytest_summary(done)) == {"passed"}
    assert set(TEMPLATE.rglob("*")) - before == set()


def test_a_project_without_its_sample_is_green(bake: Bake, tmp_path: Path) -> None:
    project = Baked(shutil.copytree(bake().path, tmp_path / "project", symlinks=True), {})
    for pattern in ("src/lakehouse", "resources", "data"):
        shutil.rmtree(project.path / pattern / "flights")
    for pattern in ("tests/unit/test_flights_*.py", "tests/pipeline/test_flights.py"):
        for file in project.path.glob(pattern):
            file.unlink()
    policy = project.text("delivery.yml")
    assert policy.count("\n  jobs:\n    flights: flights_daily\n") == 1
    without = policy.replace("\n  jobs:\n    flights: flights_daily\n", "\n  jobs: {}\n")
    (project.path / "delivery.yml").write_text(without, encoding="utf-8")
    assert "check: passed" in project.python("-m", "delivery", "check").stdout
    expect_success(BIN / "ruff", "check", "--no-cache", ".", cwd=project.path)
    project.assert_typed()
    some = ("tests/bundle", "tests/unit/test_contract.py", "tests/unit/test_audit.py")
    assert set(pytest_summary(project.pytest(*some))) <= {"passed", "skipped"}


# --- from scratch, as a user does ---


def from_scratch(folder: Path, template: Path, options: dict[str, str]) -> Baked:
    arguments = [f"{name}={value}" for name, value in options.items()]
    result = cookiecutter(template, folder, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return Baked(folder / options.get("project_slug", "acme-lakehouse"), options)


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Baked:
    """The default project with an environment of its own."""
    project = from_scratch(tmp_path_factory.mktemp("own") / ODD_PLACE, template, {})
    expect_success("make", "setup", cwd=project.path)
    return project


@pytest.mark.longest
@pytest.mark.parametrize(
    "options",
    [pytest.param(MINIMAL, id="minimal", marks=pytest.mark.in_pipelines),
     pytest.param(MAXIMAL, id="maximal")],
)  # fmt: skip
def test_a_project_passes_make_test_and_make_check_from_scratch(
    options: dict[str, str], tmp_path: Path, template: Path
) -> None:
    project = from_scratch(tmp_path / ODD_PLACE, template, options)
    output = expect_success("make", "test", cwd=project.path)
    figures = pytest_summary(output)
    assert set(figures) == {"passed"}
    coverage = re.search(r"^TOTAL.*?(\d+)%", output, re.MULTILINE)
    assert coverage
    assert int(coverage[1]) > 90
    assert "check: passed" in expect_success("make", "check", cwd=project.path)
    assert git(project.path, "status", "--porcelain").split() == ["??", "uv.lock"]


def test_the_three_acts_of_a_newcomer(own: Baked) -> None:
    project = own
    first = expect_success("make", "run", cwd=project.path)
    assert "6,099 landed = 5,918 silver + 181 quarantined + 0 superseded ✓" in first
    assert "Virgin America       84          0      100.0      -23.4" in first
    assert "12 tables changed" in first
    versions = table_versions(project)
    assert "nothing new, 0 tables changed" in expect_success("make", "run", cwd=project.path)
    assert table_versions(project) == versions
    late = expect_success("make", "late", cwd=project.path)
    assert "7,016 landed = 6,795 silver + 203 quarantined + 18 superseded ✓" in late
    assert "silver.flights +877 ~18" in late
    assert "silver.flights: 6,795 rows ✓" in expect_success("make", "audit", cwd=project.path)
    anew = expect_success("make", "run", "FULL=1", cwd=project.path)
    assert "silver.flights +6,795 −6,795" in anew
    assert "7,016 landed = 6,795 silver + 203 quarantined + 18 superseded ✓" in anew
    assert git(project.path, "status", "--porcelain").split() == ["??", "uv.lock"]
    assert_readme_shows_a_misspelt_parameter(project)
    expect_success("make", "clean", cwd=project.path)
    assert not (project.path / ".lakehouse").exists()
    assert not (project.path / "data/flights/landing/flights/2013-01-08.csv").exists()


def table_versions(project: Baked) -> list[Path]:
    """The commits of all tables but the account, which has a row for each run."""
    commits = project.path.glob(".lakehouse/*/*/*/_delta_log/*.json")
    return sorted(commit for commit in commits if not commit.parts[-4].endswith("_ops"))


def assert_readme_shows_a_misspelt_parameter(project: Baked) -> None:
    job = project.path / "resources/flights/job.yml"
    good = job.read_text(encoding="utf-8")
    job.write_text(good.replace("landing: /Volumes", "landingg: /Volumes"), encoding="utf-8")
    result = run("make", "run", cwd=project.path)
    assert result.returncode == 2  # make's own
    answer = result.stderr.splitlines()[:2]
    assert re.fullmatch(
        r"resources/flights/job\.yml:\d+: task bronze: given landingg, expected landing", answer[0]
    )
    shown = "\n".join(answer)
    assert shown in project.text("README.md")
    job.write_text(good, encoding="utf-8")


def test_one_key_debugs_a_job(own: Baked) -> None:
    """In VS Code and in PyCharm."""
    settings = json.loads(own.text(".vscode/launch.json"))
    (start,), (job,) = settings["configurations"], settings["inputs"]
    arguments = [text.replace(f"${{input:{job['id']}}}", job["default"]) for text in start["args"]]
    python = own.path / ".venv/bin/python"
    out = expect_success(python, "-m", start["module"], *arguments, cwd=own.path)
    assert f"{job['default']} as target dev, on this machine" in out
    found = ElementTree.fromstring(own.text(".run/debug_job.run.xml")).iter("option")
    options = {option.get("name"): str(option.get("value")) for option in found}
    assert options["MODULE_MODE"] == "true"
    assert options["WORKING_DIRECTORY"] == "$PROJECT_DIR$"
    assert options["SDK_HOME"].replace("$PROJECT_DIR$", str(own.path)) == str(python)
    assert [options["SCRIPT_NAME"], *options["PARAMETERS"].split()] == [start["module"], *arguments]
    expect_success("make", "clean", cwd=own.path)


def test_files_with_tokens_stay_out_of_git(own: Baked) -> None:
    names = (".databrickscfg", ".env", ".env.local", "src/.env", ".env.example")
    ignored = run("git", "check-ignore", *names, cwd=own.path).stdout.split()
    assert ignored == [*names[:-1]]


def test_make_late_first_runs_what_has_not_run(own: Baked) -> None:
    output = expect_success("make", "late", cwd=own.path)
    assert "6,099 landed" in output
    assert "7,016 landed" in output
    expect_success("make", "clean", cwd=own.path)


def test_what_is_installed_is_what_the_project_pins(own: Baked) -> None:
    declared = own.text("pyproject.toml") + own.text("tools/delivery/pyproject.toml")
    pinned = re.findall(r'"((?!zensical)[\w-]+)==([\d.]+)"', declared)  # `make docs` installs that
    versions = expect_success(
        own.path / ".venv-uv/bin/uv", "pip", "list", "--format=freeze", cwd=own.path
    )
    assert len(pinned) >= 6
    for package, version in pinned:
        assert f"{package}=={version}" in versions.splitlines()


def test_pipelines_refuse_a_lock_that_does_not_fit(own: Baked) -> None:
    for settings, expected in (({"CI": "true"}, True), ({}, False)):
        would = expect_success("make", "-n", "-B", "setup", cwd=own.path, **settings)
        assert ("uv sync --quiet --all-packages --locked" in would) is expected


def test_a_second_set_up_has_nothing_to_do(own: Baked) -> None:
    stamp = (own.path / ".venv/stamp").stat().st_mtime
    assert "Nothing to be done" in expect_success("make", "setup", cwd=own.path)
    assert (own.path / ".venv/stamp").stat().st_mtime == stamp


def test_help_explains_every_target(own: Baked) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", own.text("Makefile"), re.MULTILINE)
    assert phony
    helped = {line.split()[1] for line in expect_success("make", cwd=own.path).splitlines()}
    assert helped == set(phony[1].split())
    documented = set(re.findall(r"\| `make (\w+)`", own.text("README.md")))
    assert documented == helped - {"help", "setup", "wheel"}


def test_a_machine_without_python_is_told_what_to_install(tmp_path: Path, template: Path) -> None:
    project = from_scratch(tmp_path, template, {})
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("make", "sh", "sed", "awk"):
        found = shutil.which(program)
        assert found
        (programs / program).symlink_to(found)
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (programs / "python3").chmod(0o755)
    result = run("make", "run", cwd=project.path, PATH=str(programs))
    assert result.returncode == 2
    assert "found no Python 3.11 or newer" in result.stderr
    assert not (project.path / ".venv").exists()


def test_a_failing_test_fails_make(own: Baked) -> None:
    test = own.path / "tests/unit/test_broken.py"
    test.write_text("def test_broken() -> None:\n    assert False\n", encoding="utf-8")
    result = run("make", "test", cwd=own.path, PYTEST_ADDOPTS="-k test_broken")
    test.unlink()
    assert result.returncode == 2
    assert "1 failed" in result.stdout


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("src/lakehouse/x.py", '"""X."""\n\nx: int = "a"\n'),
        ("src/lakehouse/x.py", '"""X."""\n\n\ndef f(x):  # no types\n    """F."""\n'),
        ("src/lakehouse/x.py", '"""X."""\n\nimport os\n'),
        ("src/lakehouse/x.py", '"""X."""\nx = {1:2}\n'),
        ("targets/x.yml", "a: 1\na: 2\n"),
        ("resources/x.yml", "resources: {}\n"),
        ("settings.ini", "password" + " = 'hunter2hunter2'\n"),
    ],
    ids=["types", "untyped", "lint", "format", "yaml", "bundle", "secret"],
)
def test_a_failing_check_fails_make(name: str, broken: str, own: Baked) -> None:
    (own.path / name).write_text(broken, encoding="utf-8")
    git(own.path, "add", "--intent-to-add", name)
    result = run("make", "check", cwd=own.path)
    git(own.path, "reset", "--quiet")
    (own.path / name).unlink()
    assert result.returncode == 2


def test_the_wheel_and_its_requirements_are_what_jobs_install(own: Baked) -> None:
    expect_success("make", "wheel", cwd=own.path)
    (wheel,) = (own.path / "dist").glob("*.whl")
    for target in ("dev", "preview"):
        assert own.target(target)["variables"]["wheel"] == wheel.name
    names = expect_success(sys.executable, "-m", "zipfile", "-l", wheel, cwd=own.path)
    assert "lakehouse/flights/contracts/silver.flights.yml" in names
    assert "delivery" not in names
    requirements = own.text("requirements.txt")
    assert re.search(r"^pyyaml==", requirements, re.MULTILINE)
    assert "--hash" not in requirements  # pip would then ask for one of the wheel, too
    assert "pysail" not in requirements
    assert "databricks" not in requirements
    expect_success("make", "clean", cwd=own.path)


def test_the_workspace_environment_excludes_the_embedded_engine(own: Baked) -> None:
    uv = own.path / ".venv-uv/bin/uv"
    resolved = expect_success(
        uv, "export", "--no-default-groups", "--group", "connect", cwd=own.path
    )
    assert re.search(r"^databricks-connect==", resolved, re.MULTILINE)
    assert "pysail" not in resolved
    assert "pyspark-client" not in resolved
    both = run(uv, "export", "--group", "connect", "--group", "local", cwd=own.path)
    assert both.returncode != 0
    assert "incompatible" in both.stderr


def test_option_sets_have_readable_names() -> None:
    assert name_of({}) == "default"
    assert name_of(MAXIMAL) == "maximal"
    assert "HOME" in environment()
