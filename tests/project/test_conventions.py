"""Branches, commits and files: what git refuses in a generated project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from hashlib import sha1
from pathlib import Path
from types import MappingProxyType

import pytest
from harness.baking import Baked, cookiecutter, environment, expect_success, git, run

pytestmark = pytest.mark.slow

Commit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Baked:
    """A project whose hooks use the template's environment, as if `make setup` had run."""
    folder = tmp_path_factory.mktemp("conventions")
    assert cookiecutter(template, folder).returncode == 0
    project = Baked(folder / "acme-lakehouse", {})
    programs = project.path / ".venv/bin"
    programs.mkdir(parents=True)
    for program in Path(sys.executable).parent.iterdir():
        (programs / program.name).symlink_to(program)
    sources = os.pathsep.join(str(project.path / s) for s in ("src", "tools/delivery/src"))
    for name, start in (("delivery", " -m delivery"), ("python", "")):
        (programs / name).unlink(missing_ok=True)  # it may link to the template's own
        (programs / name).write_text(
            f'#!/bin/sh\nPYTHONPATH="{sources}" exec "{sys.executable}"{start} "$@"\n',
            encoding="utf-8",
        )
        (programs / name).chmod(0o755)
    expect_success(programs / "pre-commit", "install", "--overwrite", cwd=project.path)
    return project


@pytest.fixture
def commit(ready: Baked) -> Commit:
    """Try to commit some files, on a branch; afterwards all is as before."""
    start = git(ready.path, "rev-parse", "main").strip()

    def attempt(
        files: Mapping[str, str] = MappingProxyType({"notes.md": "# Notes\n"}),
        message: str = "docs: add notes",
        branch: str = "feature/notes",
    ) -> subprocess.CompletedProcess[str]:
        if branch != "main":
            git(ready.path, "switch", "--quiet", "--force-create", branch, "main")
        for name, content in files.items():
            file = ready.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        git(ready.path, "add", "--all")
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        result = run("git", *identity, "commit", f"--message={message}", cwd=ready.path)
        git(ready.path, "reset", "--quiet", "--hard", start)
        git(ready.path, "switch", "--quiet", "--force", "main")
        if branch != "main":
            git(ready.path, "branch", "--quiet", "-D", branch)
        return result

    return attempt


def test_a_good_commit_passes(commit: Commit) -> None:
    result = commit()
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("message", "good"),
    [
        ("feat: add weather", True),
        ("fix(flights)!: quarantine NULL keys", True),
        ("add weather", False),
        ("Feat add weather", False),
        ("feat:", False),
    ],
)
def test_messages_follow_conventional_commits(
    message: str, good: bool, ready: Baked, tmp_path: Path
) -> None:
    (tmp_path / "message").write_text(f"{message}\n", encoding="utf-8")
    hook = ready.path / ".git/hooks/commit-msg"  # as git calls it
    assert (run(hook, tmp_path / "message", cwd=ready.path).returncode == 0) is good


def test_a_commit_with_another_message_is_refused(commit: Commit) -> None:
    assert "hook id: commit-message" in commit(message="add weather").stderr


# What is refused, with the hook that refuses it. No file has two slips.
SLIPS = {
    "src/lakehouse/format.py": ('"""X."""\nx = {1:2}\n', "format"),
    "src/lakehouse/lint.py": ('"""X."""\n\nimport os\n', "lint"),
    "resources/flights/twice.yml": ("resources: {}\nresources: {}\n", "yaml"),
    "big.txt": ("x" * 1_100_000 + "\n", "large-files"),
    "merge.txt": (
        "<" * 7 + " HEAD\na\n" + "=" * 7 + "\nb\n" + ">" * 7 + " x\n",
        "merge-markers",
    ),
    "key.txt": ("-----BEGIN " + "RSA PRIVATE KEY-----\n", "private-keys"),
    "settings.ini": ("password" + " = 'hunter2hunter2'\n", "secrets"),
    "newline.txt": ("no newline", "final-newline"),
    "space.txt": ("space \n", "trailing-space"),
}


def test_what_is_not_right_is_refused(commit: Commit) -> None:
    """One commit has all slips: every hook runs, whatever another one refuses."""
    result = commit({name: content for name, (content, _) in SLIPS.items()})
    assert result.returncode != 0
    for _, hook in SLIPS.values():
        assert f"hook id: {hook}\n" in result.stderr, hook


def test_what_breaks_the_bundle_is_refused(commit: Commit) -> None:
    undeclared = "resources:\n  jobs:\n    x:\n      name: ${var.nope}\n"
    slips = {"resources/flights/x.yml": undeclared, "resources/x.yml": "resources: {}\n"}
    result = commit(slips)
    assert result.returncode != 0
    assert "hook id: project\n" in result.stderr
    for name in slips:
        assert f"{name}:" in result.stderr, result.stderr


def test_what_cruft_writes_is_no_secret(ready: Baked, commit: Commit) -> None:
    """It names a commit of the template; `make check` and the hook look at the same files."""
    commit_id = sha1(b"template").hexdigest()
    cruft = f'{{\n  "commit": "{commit_id}"\n}}\n'
    result = commit({".cruft.json": cruft})
    assert result.returncode == 0, result.stderr
    assert "hook id: secrets" in commit({"other.json": cruft}).stderr
    (own,) = re.findall(r"^OWN_FILES := (.*)$", ready.text("Makefile"), re.MULTILINE)
    (hook,) = re.findall(r"detect-secrets-hook.*\n.*\n.*\n +exclude: \^\((.*)\)",
                         ready.text(".pre-commit-config.yaml"))  # fmt: skip
    plain = hook.replace(r".*\.ipynb$", "*.ipynb").replace("\\", "")
    names = [name.strip("/") for name in plain.split("|")]
    assert re.findall(r":!([^']+)'", own) == names


@pytest.mark.parametrize("branch", ["work", "feat/x", "feature-x"])
def test_a_branch_that_does_not_say_what_it_is_for_is_refused(branch: str, commit: Commit) -> None:
    result = commit(branch=branch)
    assert result.returncode != 0
    assert f"branch: given {branch}, expected one of feature, fix, hotfix" in result.stderr


def test_the_names_of_branches_are_policy(ready: Baked, commit: Commit) -> None:
    policy = ready.text("delivery.yml").replace("prefixes: [feature,", "prefixes: [work, feature,")
    assert commit({"delivery.yml": policy}, branch="work/x").returncode == 0


def test_a_policy_that_the_tool_cannot_read_is_refused(ready: Baked, commit: Commit) -> None:
    result = commit({"delivery.yml": ready.text("delivery.yml") + "freeze: []\n"})
    assert "hook id: policy" in result.stderr
    assert "freeze: unknown key, expected freezes" in result.stderr
    assert "hook id: project" not in result.stderr  # other commits do not wait for the model


def test_the_tool_starts_once_for_a_commit(ready: Baked) -> None:
    (local,) = ready.yaml(".pre-commit-config.yaml")["repos"]
    starts = [
        hook["id"]
        for hook in local["hooks"]
        if "delivery" in hook["entry"] and "pre-commit" in hook.get("stages", ["pre-commit"])
    ]
    assert [name for name in starts if name != "policy"] == ["project"]


def test_a_protected_branch_takes_commits_only_before_there_is_a_remote(
    ready: Baked, commit: Commit
) -> None:
    assert commit(branch="main").returncode == 0
    git(ready.path, "remote", "add", "origin", "https://example.com/x.git")
    try:
        result = commit(branch="main")
    finally:
        git(ready.path, "remote", "remove", "origin")
    assert result.returncode != 0
    assert "branch: main is protected" in result.stderr


def test_hooks_run_on_commit_message_and_push(ready: Baked) -> None:
    for hook in ("pre-commit", "commit-msg", "pre-push"):
        assert "pre-commit" in (ready.path / ".git/hooks" / hook).read_text(encoding="utf-8")


def test_a_push_of_a_branch_without_a_purpose_is_refused(ready: Baked, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "--template=", "remote.git")
    remote = str(tmp_path / "remote.git")
    git(ready.path, "switch", "--quiet", "--create", "nameless")
    refused = run("git", "push", remote, "nameless", cwd=ready.path)
    git(ready.path, "branch", "--quiet", "--move", "feature/named")
    allowed = run("git", "push", remote, "feature/named", cwd=ready.path)
    git(ready.path, "switch", "--quiet", "main")
    git(ready.path, "branch", "--quiet", "-D", "feature/named")
    assert refused.returncode != 0
    assert "branch: given nameless" in refused.stdout + refused.stderr
    assert allowed.returncode == 0, allowed.stderr


def test_every_tool_of_the_hooks_is_in_the_environment(ready: Baked) -> None:
    (local,) = ready.yaml(".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    for hook in local["hooks"]:
        assert hook["language"] == "system"
        assert (ready.path / hook["entry"].split()[0]).exists(), hook["id"]


@pytest.mark.parametrize("hook", ["pre-commit", "commit-msg"])
def test_before_set_up_a_commit_is_refused_and_says_what_to_type(
    hook: str, tmp_path: Path, template: Path
) -> None:
    assert cookiecutter(template, tmp_path).returncode == 0
    project = tmp_path / "acme-lakehouse"
    (project / "x.md").touch()
    git(project, "add", "--all")
    if hook == "commit-msg":
        (project / ".git/hooks/pre-commit").unlink()
    result = run(
        "git",
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@example.com",
        "commit",
        "-m",
        "x",
        cwd=project,
    )
    assert result.returncode != 0
    assert f"{hook}: the checks are not installed yet. Run: make setup" in result.stderr


def test_the_wired_hooks_run_the_same_checks_as_the_installed_ones(
    ready: Baked, tmp_path: Path, template: Path
) -> None:
    assert cookiecutter(template, tmp_path).returncode == 0
    project = tmp_path / "acme-lakehouse"
    (project / ".venv").symlink_to(ready.path / ".venv")
    git(project, "switch", "--quiet", "--create", "feature/x")
    (project / "x.txt").write_text("space \n", encoding="utf-8")
    git(project, "add", "--all")
    result = subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-m", "docs: x"],
        cwd=project, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode != 0
    assert "hook id: trailing-space" in result.stderr
