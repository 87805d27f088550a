"""Template updates with cruft: the project keeps its identity and its own changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness.baking import Baked, commit, export_repository, git, run

pytestmark = pytest.mark.slow

CRUFT = Path(sys.executable).with_name("cruft")


def cruft(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Test"), ("EMAIL", "test@example.com"))
    }
    return run(CRUFT, *arguments, cwd=folder, **identity)


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Path, Baked]:
    """A template's repository, and a project made from it that its users have changed since."""
    origin = export_repository(tmp_path / "cookiecutter-lakehouse")
    out = tmp_path / "out"
    out.mkdir()
    made = cruft(out, "create", f"file://{origin}", "--no-input")
    assert made.returncode == 0, made.stdout + made.stderr
    project = Baked(out / "acme-lakehouse", {})
    with (project.path / "AGENTS.md").open("a", encoding="utf-8") as file:
        file.write("\nOur own rule.\n")
    (project.path / "src/lakehouse/ours.py").write_text('"""Ours."""\n', encoding="utf-8")
    (project.path / ".devcontainer/devcontainer.json").unlink()
    commit(project.path, "ours")
    return origin, project


def test_an_update_keeps_identity_and_edits_and_brings_what_is_new(
    grown: tuple[Path, Baked],
) -> None:
    origin, project = grown
    identity = project.yaml("targets/identity.yml")["bundle"]["uuid"]
    source = origin / "{{cookiecutter.project_slug}}"
    agents = (source / "AGENTS.md").read_text(encoding="utf-8")
    (source / "AGENTS.md").write_text("<!-- new -->\n" + agents, encoding="utf-8")
    (source / "src/lakehouse/new.py").write_text('"""New."""\n', encoding="utf-8")
    databricks = (source / "databricks.yml").read_text(encoding="utf-8")
    (source / "databricks.yml").write_text(
        databricks.replace("The Unity Catalog catalog", "The catalog"), encoding="utf-8"
    )
    commit(origin, "feat: new things")
    assert cruft(project.path, "check").returncode == 1
    updated = cruft(project.path, "update", "--skip-apply-ask")
    assert updated.returncode == 0, updated.stdout + updated.stderr

    assert project.yaml("targets/identity.yml")["bundle"]["uuid"] == identity
    assert project.text("AGENTS.md").startswith("<!-- new -->\n")
    assert project.text("AGENTS.md").endswith("\nOur own rule.\n")
    assert project.text("src/lakehouse/ours.py") == '"""Ours."""\n'
    assert project.text("src/lakehouse/new.py") == '"""New."""\n'
    catalog = project.yaml("databricks.yml")["variables"]["catalog"]
    assert catalog["description"] == "The catalog of this environment."
    assert not [name for name in project.files() if name.endswith((".rej", ".orig"))]
    assert git(project.path, "diff", "--name-only", "--diff-filter=U") == ""
    assert git(project.path, "log", "--format=%s").splitlines()[0] == "ours"
    assert cruft(project.path, "check").returncode == 0


def test_an_update_without_news_changes_nothing(grown: tuple[Path, Baked]) -> None:
    _, project = grown
    assert cruft(project.path, "check").returncode == 0
    assert cruft(project.path, "update", "--skip-apply-ask").returncode == 0
    assert git(project.path, "status", "--porcelain") == ""


def test_bad_answers_are_refused_through_cruft_too(tmp_path: Path) -> None:
    origin = export_repository(tmp_path / "cookiecutter-lakehouse")
    out = tmp_path / "out"
    out.mkdir()
    context = '{"project_slug": "Bad Slug"}'
    result = cruft(out, "create", f"file://{origin}", "--no-input", f"--extra-context={context}")
    assert result.returncode != 0
    assert list(out.iterdir()) == []
