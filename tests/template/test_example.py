"""The example to look at: published once, and again only if it differs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness.baking import ROOT, commit, export, git, run

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the template with an origin."""
    clone = export(tmp_path / "clone")
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(clone, "init", "--quiet", "--initial-branch=main")
    git(clone, "remote", "add", "origin", str(tmp_path / "origin.git"))
    commit(clone, "the template")
    git(clone, "push", "--quiet", "origin", "main")
    return clone


def publish(clone: Path) -> str:
    result = run(sys.executable, "scripts/example.py", cwd=clone)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def commits(clone: Path) -> int:
    return int(git(clone.parent / "origin.git", "rev-list", "--count", "example"))


def test_the_example_is_published_when_it_differs(clone: Path) -> None:
    assert publish(clone).startswith("example: ")
    files = git(clone.parent / "origin.git", "ls-tree", "-r", "--name-only", "example").split()
    assert {"databricks.yml", "docs/README.md", ".github/workflows.example/check.yml"} <= {*files}
    assert not [f for f in files if "cookiecutter" in f or f.startswith(".github/workflows/")]
    assert publish(clone) == "example: as before\n"
    assert commits(clone) == 1
    page = clone / "{{cookiecutter.project_slug}}/docs/compared.md"
    page.write_text("# Compared with\n\nNothing.\n", encoding="utf-8")
    commit(clone, "docs: less")
    publish(clone)
    assert commits(clone) == 2
    assert git(clone.parent / "origin.git", "show", "example:docs/compared.md").endswith(
        "Nothing.\n"
    )


def test_the_workflow_runs_where_it_is_wanted_and_may_only_push() -> None:
    text = (ROOT / ".github/workflows/example.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == {}
    assert job["permissions"] == {"contents": "write"}
    assert job["if"] == "vars.EXAMPLE == 'on'"
    assert job["steps"][-1]["run"] == "make example"
    linter = shutil.which("actionlint")
    if linter:
        subprocess.run([linter, "-"], input=text, text=True, check=True, cwd=ROOT)
