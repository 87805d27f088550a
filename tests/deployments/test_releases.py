"""Releases as files: the same bytes from any checkout, and refused when they are not what they say.

A release is refused before anything in it runs, and before anybody is sent a credential.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Source
from fake_workspace import Workspace
from harness.archives import consistent, contents, packed
from harness.baking import git
from harness.delivering import Sandbox

pytestmark = pytest.mark.slow

STAGING = "targets/staging.yml"


# --- the same bytes ---


@pytest.mark.parametrize("written", ["version = '0.1.0'", 'version="0.1.0+local"'])
def test_the_commit_is_in_the_wheel_s_version_however_that_is_written(
    sandbox: Sandbox, written: str
) -> None:
    sandbox.edit("pyproject.toml", 'version = "0.1.0"', written)
    sandbox.edit("pyproject.toml", "[project]\n", '[tool.other]\nversion = "9.9.9"\n\n[project]\n')
    files = contents(sandbox.release("another form"))
    manifest = json.loads(files["manifest.json"])
    assert manifest["version"] == f"0.1.0+g{manifest['commit'][:8]}"
    assert f"dist/{manifest['wheel']}" in files


def test_a_version_that_no_commit_can_be_added_to_is_refused(sandbox: Sandbox) -> None:
    sandbox.edit("pyproject.toml", 'version = "0.1.0"', 'dynamic = ["version"]')
    git(sandbox.path, "commit", "--quiet", "--all", "--no-verify", "--message=dynamic")
    error = sandbox.refused("release")
    assert "version in pyproject.toml: dynamic, expected a literal version" in error
    assert 'version = "0.1.0"' in error


def test_two_clones_make_the_same_bytes(sandbox: Sandbox, tmp_path: Path) -> None:
    made = []
    for number, (zone, mask) in enumerate([("UTC", 0o022), ("Asia/Kathmandu", 0o077)]):
        clone = tmp_path / f"clone-{number}" / ("deeper" * number or "here") / sandbox.name
        clone.parent.mkdir(parents=True)
        git(tmp_path, "clone", "--quiet", str(sandbox.path), str(clone))
        other = Sandbox(clone, sandbox.workspace, sandbox.programs, tmp_path / f"home-{number}")
        old = os.umask(mask)
        try:
            result = other.done("release", "--output", "json", TZ=zone).json
        finally:
            os.umask(old)
        made.append(
            (result["digest"], Path(result["archive"]).name, Path(result["archive"]).read_bytes())
        )
    assert made[0] == made[1]


def test_a_branch_whose_name_yaml_would_read_is_refused(sandbox: Sandbox) -> None:
    git(sandbox.path, "checkout", "--quiet", "-b", "feature/${var.catalog}")
    error = sandbox.refused("release")
    assert "given the branch feature/${var.catalog}, expected a name without ${" in error


# --- bytes that are not what they say ---


def _truncated(archive: Path, target: Path) -> None:
    target.write_bytes(archive.read_bytes()[:-100])


def _flipped(archive: Path, target: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)


def _swapped(archive: Path, target: Path) -> None:
    files = contents(archive)
    name = next(name for name in files if name.endswith("tasks.py"))
    packed({**files, name: b"import os\n"}, target)


def _added(archive: Path, target: Path) -> None:
    packed({**contents(archive), "src/more.py": b""}, target)


def _outside(archive: Path, target: Path) -> None:
    packed(consistent({**contents(archive), "../more.py": b""}), target)


DAMAGES: list[Callable[[Path, Path], None]] = [_truncated, _flipped, _swapped, _added, _outside]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_release_is_refused(
    delivered: Sandbox, source: Source, tmp_path: Path, damage: Callable[[Path, Path], None]
) -> None:
    archive = tmp_path / source.more.name
    damage(source.more, archive)
    before = delivered.workspace.snapshot()
    error = delivered.refused("deploy", "staging", "--archive", archive)
    assert "not a valid release" in error
    assert delivered.workspace.snapshot() == before


# --- bytes that say what they are, and would do harm ---

TOUCH = "touch {canary}"
HARM = {
    "another host": ("      host: {host}\n", "      host: {evil}\n"),
    "a profile": ("      host: {host}\n", "      host: {host}\n      profile: other\n"),
    "a script": (
        "    variables:\n",
        f"    scripts: {{{{x: {{{{content: {TOUCH}}}}}}}}}\n    variables:\n",
    ),
    "a script of the experiment": (
        "    variables:\n",
        f"    experimental: {{{{scripts: {{{{preinit: {TOUCH}}}}}}}}}\n    variables:\n",
    ),
    "Python": ("    variables:\n", "    python: {{resources: [x:load]}}\n    variables:\n"),
    "a build": (
        "    variables:\n",
        f"    artifacts: {{{{x: {{{{type: whl, build: {TOUCH}}}}}}}}}\n    variables:\n",
    ),
    "a secret": (
        "    variables:\n",
        "    resources: {{secrets: {{x: {{scope: a, key: b, value: c}}}}}}\n    variables:\n",
    ),
    "files from elsewhere": ("    variables:\n", "    sync: {{paths: [..]}}\n    variables:\n"),
    "another state": (
        "      root_path:",
        "      state_path: /Workspace/Shared/x\n      root_path:",
    ),
    "another target's files": (
        "      file_path: ${{workspace.root_path}}",
        "      file_path: ${{workspace.root_path}}/../prod",
    ),
    "another place": (
        "      root_path: ${{var.deploy_root}}",
        "      root_path: /Workspace/Shared/x",
    ),
}


@pytest.fixture
def evil() -> Iterator[Workspace]:
    """Another workspace, which must never hear of anything."""
    with Workspace() as one:
        yield one


@pytest.mark.parametrize("harm", HARM)
def test_a_malicious_release_is_refused_before_it_can_do_anything(
    delivered: Sandbox, source: Source, evil: Workspace, tmp_path: Path, harm: str
) -> None:
    canary = tmp_path / "canary"
    values = {"host": f'"{delivered.workspace.url}"', "evil": f'"{evil.url}"', "canary": canary}
    old, new = (text.format(**values) for text in HARM[harm])
    files = contents(source.more)
    text = files[STAGING].decode()
    assert old in text
    archive = packed(
        consistent({**files, STAGING: text.replace(old, new, 1).encode()}),
        tmp_path / source.more.name,
    )
    before = delivered.workspace.snapshot()
    result = delivered.run("deploy", "staging", "--archive", archive, DATABRICKS_HOST="")
    assert (result.code, result.out) == (3, ""), result.err
    if harm == "another state":  # no rule of an allow-list holds this
        assert "workspace.state_path of staging: given" in result.err
    assert delivered.workspace.snapshot() == before
    assert evil.requests == []
    assert not canary.exists()
