"""A target that an earlier version of the tool delivered to: this one goes on with it."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Source
from fake_workspace import Workspace
from harness.delivering import Sandbox, furnish

pytestmark = pytest.mark.slow

STORED = Path(__file__).parents[1] / "stored/0.1.0"
FIRST, SECOND, THIRD = "2026.01.06-g9d926613", "2026.01.07-g39f26019", "2026.01.08-g09797a86"
PORT = 28471  # the archives name it, and their digests hold it
PROJECT = "7d0c8a52-6f2e-4f0e-9c61-2f6c6a1d4b11"


def test_the_story_is_what_the_earlier_version_wrote() -> None:
    """Whoever edits a file of it tests something else."""
    deployed = json.loads((STORED / f"target/ledger/00000005-deployed-{SECOND}.json").read_bytes())
    assert deployed["detail"]["policy"]["guard"]["rights"] == {"prod": "mark", "staging": "mark"}
    assert json.loads((STORED / "plan.json").read_bytes())["plan"]["schema"] == 1


@pytest.fixture
def old(
    source: Source, programs: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    """A checkout of the project as it was updated, and its workspace as version 0.1.0 left it."""
    with _workspace() as workspace:
        furnish(workspace, source.path.name)
        path = tmp_path / source.path.name
        shutil.copytree(source.path, path, symlinks=True)
        bytecode = tmp_path_factory.getbasetemp() / "bytecode"
        sandbox = Sandbox(path, workspace, programs, tmp_path / "home", bytecode=bytecode)
        for target in ("staging", "prod"):
            text = sandbox.text(f"targets/{target}.yml")
            sandbox.write(f"targets/{target}.yml", re.sub(r":\d+\"", f':{PORT}"', text))
        sandbox.write("targets/identity.yml", f'bundle:\n  uuid: "{PROJECT}"\n')
        sandbox.edit("delivery.yml", "    prod: refuse", "    staging: mark\n    prod: mark")
        _load(sandbox)
        yield sandbox
    assert workspace.unknown == []


def _workspace() -> Workspace:
    """Only one test at a time, of all that run on this machine, has the port."""
    end = time.monotonic() + 300
    while True:
        try:
            return Workspace(port=PORT)
        except OSError:
            assert time.monotonic() < end, f"port {PORT} is in use"
            time.sleep(0.2)


def _load(sandbox: Sandbox) -> None:
    held = _load_jobs(sandbox, "workspace.json")
    for name in ("permissions", "schemas", "volumes"):
        getattr(sandbox.workspace, name).update(held[name])
    grants = {(kind, name): rights for kind, name, rights in held["grants"]}
    # The catalog's are those of today: an admin gives them, no delivery.
    sandbox.workspace.grants.update({key: grants[key] for key in grants if key[0] != "catalog"})
    _put(sandbox, "target")
    for release in (FIRST, SECOND, THIRD):
        with tarfile.open(fileobj=io.BytesIO(_archive(release).read_bytes())) as archive:
            for member in archive:
                if member.name != "manifest.json":
                    file = archive.extractfile(member)
                    assert file
                    folder = f"{sandbox.root('staging')}/releases/{release}/files"
                    sandbox.workspace.files[f"{folder}/{member.name}"] = file.read()


def _load_jobs(sandbox: Sandbox, name: str) -> Any:
    held = json.loads((STORED / name).read_bytes())
    sandbox.workspace.jobs.update({job["job_id"]: job for job in held["jobs"]})
    return held


def _interrupt(sandbox: Sandbox) -> None:
    _load_jobs(sandbox, "interrupted.json")
    _put(sandbox, "interrupted")


def _put(sandbox: Sandbox, folder: str) -> None:
    for file in (STORED / folder).rglob("*"):
        if file.is_file():
            path = f"{sandbox.root('staging')}/{file.relative_to(STORED / folder).as_posix()}"
            sandbox.workspace.files[path] = file.read_bytes()


def _archive(release: str) -> Path:
    return STORED / f"target/archives/{release}/release.tar.gz"


def test_it_is_shown_as_it_is(old: Sandbox) -> None:
    before = old.workspace.snapshot()
    for who in ("planner", "deployer"):
        (status,) = old.done("status", "staging", "--output", "json", who=who).json
        assert (status["release"], status["health"], status["sync"]) == (
            SECOND,
            "verified",
            "in sync",
        )
        assert (status["rollback_target"], status["orphans"]) == (FIRST, [])
        assert [*status["blocked"]] == [THIRD]
        assert old.done("history", "staging", who=who).out.count("\n") == 13
        assert "no drift" in old.done("drift", "staging", who=who).out
        old.done("plan", "staging", "--archive", _archive(THIRD), who=who)
    old.done("doctor", "staging")
    assert old.workspace.snapshot() == before


def test_it_is_delivered_on_and_goes_back_to_what_the_earlier_version_built(old: Sandbox) -> None:
    kept = {n: c for n, c in old.workspace.files.items() if "/ledger/" in n or FIRST in n}
    new = old.code("the first of this version")
    release = new.name.removesuffix(".tar.gz")
    old.done("plan", "staging", "--archive", new)
    old.done("deploy", "staging", "--archive", new)
    assert old.running("staging") == release
    old.done("rollback", "staging", "--reason", "totals are wrong")
    assert (old.running("staging"), old.ledger("staging")[-1]) == (SECOND, "verified")
    assert old.job("staging", "flights_daily")["timeout_seconds"] == 1100
    assert SECOND in json.dumps(old.job("staging", "flights_daily"))
    old.done("rollback", "staging", FIRST, "--reason", "further")
    assert old.running("staging") == FIRST
    assert old.job("staging", "flights_daily")["timeout_seconds"] == 1200
    old.done("unblock", "staging", THIRD, "--reason", "it was the service")
    old.done("deploy", "staging", "--archive", _archive(THIRD))
    old.done("unblock", "staging", release, "--reason", "totals are right")
    old.done("deploy", "staging", "--archive", new)
    old.done("prune", "staging", "--reason", "tidy")
    assert "no drift" in old.done("drift", "staging").out
    assert {n: old.workspace.files[n] for n in kept} == kept, "nothing of it was written anew"
    assert old.leftovers("staging") == []
    old.done("history", "staging", "--limit", 99)


def test_a_deploy_that_the_earlier_version_began_is_finished(old: Sandbox) -> None:
    _interrupt(old)
    (status,) = old.done("status", "staging", "--output", "json").json
    assert f"deploy of {THIRD}" in status["in_progress"]
    command = ("deploy", "staging", "--archive", _archive(THIRD))
    assert f"deploy {THIRD}" in old.refused(*command)
    old.done("break-lock", "staging", "--reason", "the machine is gone")
    old.done(*command)
    assert (old.running("staging"), old.ledger("staging")[-1]) == (THIRD, "verified")
    assert old.leftovers("staging") == []


def test_a_deploy_that_the_earlier_version_began_is_taken_back(old: Sandbox) -> None:
    _interrupt(old)
    old.done("rollback", "staging", "--break-lock", "--reason", "the machine is gone")
    assert (old.running("staging"), old.ledger("staging")[-1]) == (SECOND, "verified")
    assert SECOND in json.dumps(old.job("staging", "flights_daily"))
    assert old.leftovers("staging") == []


def test_a_plan_that_the_earlier_version_saved_is_made_again(old: Sandbox) -> None:
    before = old.workspace.snapshot()
    command = ("deploy", "staging", "--archive", _archive(THIRD), "--plan", STORED / "plan.json")
    error = old.refused(*command, code=4)
    assert "plan.json: an earlier version of delivery made this plan" in error
    assert old.workspace.snapshot() == before
