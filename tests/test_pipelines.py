"""Pipelines: linted by those who know, thin, pinned, and able to nothing but check."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import ROOT, commit, expect_success, export, git, run
from conftest import Bake

BIN = Path(sys.executable).parent
GITHUB_SETS = [{}, {"ci": "github"}, {"branching": "environments"}]


def workflow_files(folder: Path) -> list[Path]:
    return sorted((folder / ".github").rglob("*.yml"))


def jobs(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted((folder / ".github/workflows").glob("*.yml")):
        for name, job in yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"].items():
            yield f"{file.name}:{name}", job


def steps(folder: Path) -> Iterator[dict[str, Any]]:
    for _, job in jobs(folder):
        yield from job["steps"]
    for file in (folder / ".github/actions").rglob("action.yml"):
        yield from yaml.safe_load(file.read_text(encoding="utf-8"))["runs"]["steps"]


@pytest.fixture(params=[*GITHUB_SETS, None], ids=str)
def github(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Each kind of project with GitHub Actions, and the template's own repository."""
    return ROOT if request.param is None else bake(**request.param).path


def test_zizmor_finds_nothing(github: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(github / ".github", copy / ".github")
    (copy / ".git").mkdir()
    expect_success(
        BIN / "zizmor", "--offline", "--persona=pedantic", "--no-progress", ".", cwd=copy
    )


def test_workflows_fit_their_published_schemas(github: Path) -> None:
    kinds = {
        "workflows": "github-workflows",
        "actions": "github-actions",
        "dependabot.yml": "dependabot",
    }
    for file in workflow_files(github):
        kind = kinds.get(file.relative_to(github / ".github").parts[0])
        if kind:
            schema = f"vendor.{kind}"
            expect_success(BIN / "check-jsonschema", "--builtin-schema", schema, file, cwd=github)


def test_actionlint_finds_nothing(github: Path, tmp_path: Path) -> None:
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint is not on the PATH: go install github.com/rhysd/actionlint")
    copy = tmp_path / "copy"
    shutil.copytree(github / ".github", copy / ".github")
    git(copy, "init", "--quiet", "--template=")
    expect_success(actionlint, cwd=copy)


def test_every_action_is_pinned_by_its_commit(github: Path) -> None:
    used = [step["uses"] for step in steps(github) if "uses" in step]
    assert used
    for action in used:
        assert action.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action


def test_a_pin_tells_its_version(github: Path) -> None:
    for file in workflow_files(github):
        for line in file.read_text(encoding="utf-8").splitlines():
            if re.match(r"\s*(- )?uses: [^.]", line):
                assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_jobs_may_read_and_nothing_more(github: Path) -> None:
    for file in (github / ".github/workflows").glob("*.yml"):
        assert yaml.safe_load(file.read_text(encoding="utf-8"))["permissions"] == {}
    for name, job in jobs(github):
        assert job["permissions"] == {"contents": "read"}, name
        assert job["timeout-minutes"] <= 60
        assert "environment" not in job


def test_a_checkout_keeps_no_credentials(github: Path) -> None:
    checkouts = [step for step in steps(github) if "actions/checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_a_step_is_one_command_that_a_person_can_type(github: Path) -> None:
    commands = [step["run"] for step in steps(github) if "run" in step]
    assert commands
    assert all(re.fullmatch(r"make \w+", command) for command in commands)


def test_github_checks_every_request_and_the_branches_that_deliver(bake: Bake) -> None:
    for options in GITHUB_SETS:
        project = bake(**options)
        triggers = project.yaml(".github/workflows/check.yml")[True]  # YAML 1.1 reads `on` as true
        delivered = set(project.yaml("delivery.yml")["branches"]["targets"].values())
        assert set(triggers) == {"pull_request", "push"}
        assert set(triggers["push"]["branches"]) == delivered | {"main"}
        commands = [s.get("run") for _, j in jobs(project.path) for s in j["steps"]]
        assert commands[-2:] == ["make check", "make test"]


def test_github_and_gitlab_check_on_the_same_pythons(bake: Bake) -> None:
    project = bake()
    github = project.yaml(".github/workflows/check.yml")["jobs"]["check"]["strategy"]["matrix"]
    gitlab = project.yaml(".gitlab/ci/check.yml")["check"]["parallel"]["matrix"]
    assert github["python"] == gitlab[0]["PYTHON"] == ["3.11", "3.12"]


def test_no_expression_stands_in_a_command(github: Path) -> None:
    assert not [step for step in steps(github) if "${{" in step.get("run", "")]


def test_the_template_is_tested_as_its_readme_says() -> None:
    commands = [step["run"] for step in steps(ROOT) if "run" in step]
    assert commands == ["make check", "make test"]
    script = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert script[-1] == "exec make test"
    assert run("sh", "-n", ".ci/run", cwd=ROOT).returncode == 0
    expect_success(BIN / "shellcheck", ".ci/run", cwd=ROOT)


def test_the_hook_shim_is_sound_shell() -> None:
    expect_success(
        BIN / "shellcheck", "git-hook.sh", cwd=ROOT / "{{cookiecutter.project_slug}}/options"
    )


def test_a_failing_test_fails_the_pipeline(tmp_path: Path) -> None:
    checkout = export(tmp_path / "checkout")
    git(checkout, "init", "--quiet", "--template=")
    commit(checkout, "start")
    shutil.rmtree(checkout / "tests")
    (checkout / "tests").mkdir()
    (checkout / "tests/test_x.py").write_text("def test_x():\n    assert False\n", encoding="utf-8")
    (checkout / ".venv").symlink_to(sys.prefix)
    result = run("sh", ".ci/run", cwd=checkout, MAKEFLAGS="-o .venv/stamp")
    assert result.returncode != 0
    assert "1 failed" in result.stdout
