"""Going back: to the right release, whatever failed, without losing data, and to its end."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import subprocess
import tarfile
import time
import uuid
from pathlib import Path

import pytest
from conftest import Source
from delivery.release.archive import pack
from delivery.release.manifest import FileEntry, Manifest, sha256
from harness.delivering import MORE, Sandbox

pytestmark = pytest.mark.slow


def name_of(archive: Path) -> str:
    """The release in an archive."""
    return archive.name.removesuffix(".tar.gz")


def running(sandbox: Sandbox, target: str = "staging") -> str:
    """What runs on a target, by its own word."""
    (status,) = sandbox.done("status", target, "--no-drift", "--output", "json").json
    return str(status["release"])


def by_hand(sandbox: Sandbox, name: str = "made by hand", number: int = 888) -> int:
    """A job that a person made, like the one that was delivered."""
    known, job = next(iter(sandbox.workspace.jobs.items()))
    made = copy.deepcopy(job)
    made["job_id"], made["settings"]["name"] = number, name
    del made["settings"]["deployment"]
    sandbox.workspace.jobs[number] = made
    rights = sandbox.workspace.permissions
    rights[f"/jobs/{number}"] = copy.deepcopy(rights[f"/jobs/{known}"])
    return number


@pytest.fixture
def second(delivered: Sandbox) -> Path:
    """A second release, delivered and verified, in which only code differs."""
    archive = delivered.code("second")
    delivered.done("deploy", "staging", "--archive", archive)
    return archive


def refuse_changes_of_jobs(sandbox: Sandbox, times: int) -> None:
    """The workspace takes no change of a job, so that the CLI fails."""
    sandbox.workspace.fault("POST", "/jobs/(update|reset)", 400, times=times)


# --- the right release ---


def test_when_the_cli_fails_what_ran_stays(delivered: Sandbox, second: Path) -> None:
    refuse_changes_of_jobs(delivered, 2)  # the first try and the second
    third = delivered.code("third")
    result = delivered.run("deploy", "staging", "--archive", third)
    assert result.code == 1
    assert f"{name_of(second)} is running again, and verified" in result.err
    assert running(delivered) == name_of(second)
    assert delivered.leftovers("staging") == []


def test_a_failed_rollback_blocks_nothing_and_can_be_tried_again(
    delivered: Sandbox, source: Source, second: Path
) -> None:
    refuse_changes_of_jobs(delivered, 2)
    command = ("rollback", "staging", "--reason", "totals are wrong")
    result = delivered.run(*command)
    assert result.code == 1
    assert "Run the command again" in result.err
    delivered.done(*command)
    assert running(delivered) == name_of(source.first)
    assert delivered.ledger("staging").count("blocked") == 1  # the one that was left


def test_going_back_does_not_lead_forward(delivered: Sandbox, source: Source, second: Path) -> None:
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    delivered.done("unblock", "staging", name_of(second), "--reason", "it was the source")
    error = delivered.refused("rollback", "staging", "--reason", "once more", code=4)
    assert "stores no earlier release that was verified and is not blocked" in error
    assert running(delivered) == name_of(source.first)


def test_a_rollback_that_was_cut_off_goes_on_where_it_was(
    delivered: Sandbox, source: Source, second: Path
) -> None:
    delivered.done("deploy", "staging", "--archive", delivered.code("third"))
    delivered.workspace.on_run("flights_daily", "hang")
    process = delivered.start("rollback", "staging", "--reason", "totals are wrong")
    end = time.monotonic() + 60
    while "rolled_back" not in delivered.ledger("staging"):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    delivered.workspace.on_run("flights_daily", "succeed")
    delivered.workspace.runs.clear()
    again = ("--reason", "totals are wrong", "--break-lock")
    delivered.done("rollback", "staging", *again)
    assert running(delivered) == name_of(second)


def test_an_older_release_comes_back_by_rollback_alone(
    delivered: Sandbox, source: Source, second: Path
) -> None:
    error = delivered.refused("deploy", "staging", "--archive", source.first)
    assert f"older than the running release {name_of(second)}" in error
    assert f"delivery rollback staging {name_of(source.first)}" in error


def test_no_way_back_crosses_data_that_was_changed_for_good(delivered: Sandbox) -> None:
    delivered.write(
        "delivery.yml",
        f"{delivered.text('delivery.yml')}data: {{irreversible: a column is gone}}\n",
    )
    changed = delivered.code("changed for good")
    delivered.done("deploy", "staging", "--archive", changed)
    delivered.done("block", "staging", name_of(changed), "--reason", "wrong totals")
    delivered.edit("delivery.yml", "data: {irreversible: a column is gone}\n", "")
    delivered.workspace.on_run("flights_daily", "fail")
    result = delivered.run("deploy", "staging", "--archive", delivered.code("next"))
    assert result.code == 1
    assert "a column is gone" in result.err
    assert "rolled_back" not in delivered.ledger("staging")


def test_what_was_left_behind_does_not_come_back(
    delivered: Sandbox, source: Source, second: Path
) -> None:
    third = delivered.code("third")
    delivered.done("deploy", "staging", "--archive", third)
    delivered.done("rollback", "staging", name_of(source.first), "--reason", "both are wrong")
    (status,) = delivered.done("status", "staging", "--output", "json").json
    assert {*status["blocked"]} == {name_of(second), name_of(third)}
    error = delivered.refused("rollback", "staging", name_of(second), "--reason", "x", code=4)
    assert f"given {name_of(second)}, expected an earlier release that staging verified: " in error
    outcomes = ["fail", "succeed"]
    delivered.workspace.on_run("flights_daily", lambda _: outcomes.pop(0))
    error = delivered.run("deploy", "staging", "--archive", delivered.code("fourth")).err
    assert f"{name_of(source.first)} is running again, and verified" in error
    delivered.workspace.on_run("flights_daily", "succeed")
    delivered.done("unblock", "staging", name_of(third), "--reason", "it may come again")
    delivered.done("deploy", "staging", "--archive", delivered.code("fifth"))
    error = delivered.done("rollback", "staging", "--reason", "back to what led here").out
    assert error.startswith(name_of(source.first))


def test_after_a_deploy_that_was_cut_off_what_ran_comes_back(
    delivered: Sandbox, source: Source, second: Path
) -> None:
    third = delivered.code("third")
    delivered.workspace.fault("POST", "/jobs/(update|reset)", "hang", seconds=20)
    process = delivered.start("deploy", "staging", "--archive", third)
    end = time.monotonic() + 60
    while delivered.ledger("staging")[-1] != "started":
        assert time.monotonic() < end
        time.sleep(0.05)
    for child in subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True
    ).stdout.split():
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.killpg(int(child), signal.SIGKILL)
    process.kill()
    process.communicate()
    delivered.workspace.faults.clear()
    delivered.done("rollback", "staging", "--reason", "it was cut off", "--break-lock")
    (status,) = delivered.done("status", "staging", "--output", "json").json
    assert (status["release"], [*status["blocked"]]) == (name_of(second), [name_of(third)])
    assert status["in_progress"] == ""


def test_the_way_back_is_not_approved_by_who_approved_the_failure(
    delivered: Sandbox, source: Source
) -> None:
    outcomes = ["fail", "succeed"]
    delivered.workspace.on_run("flights_daily", lambda _: outcomes.pop(0))
    options = ("--approved-by", "ana", "--reason", "ticket 7")
    second = delivered.code("second")
    delivered.run("deploy", "staging", "--archive", second, *options)
    events = delivered.done("history", "staging", "--output", "json").json
    of_first = [e for e in events if e["release"] == name_of(source.first)][:3]
    assert [e["kind"] for e in of_first] == ["verified", "rolled_back", "started"]
    assert {(e["approved_by"], e["reason"]) for e in of_first} == {
        ("", f"automatic rollback: {name_of(second)} failed")
    }


def test_an_archive_that_was_swapped_does_not_come_back(
    delivered: Sandbox, source: Source, second: Path
) -> None:
    folder = f"{delivered.root('staging')}/archives/{name_of(source.first)}"
    with tarfile.open(source.first) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    manifest = Manifest.model_validate_json(files.pop("manifest.json"))
    files["src/lakehouse/entry.py"] += b"\nevil = True\n"
    entries = {n: FileEntry(sha256=sha256(c), size=len(c)) for n, c in files.items()}
    swapped = pack(manifest.model_copy(update={"files": entries}), files)
    delivered.workspace.files[f"{folder}/release.tar.gz"] = swapped.content
    delivered.workspace.files[f"{folder}/manifest.json"] = swapped.manifest.content()
    error = delivered.refused("rollback", "staging", "--reason", "totals are wrong")
    assert "the archive is not the one that was verified on staging" in error
    assert running(delivered) == name_of(second)


def test_a_rollback_that_is_refused_blocks_nothing(
    delivered: Sandbox, source: Source, second: Path
) -> None:
    lock = {"ID": str(uuid.uuid4()), "AcquisitionTime": "2026-01-01T00:00:00Z", "User": "somebody"}
    name = f"{delivered.root('staging')}/state/deploy.lock"
    delivered.workspace.files[name] = json.dumps({**lock, "IsForced": False}).encode()
    before = delivered.ledger("staging")
    assert "somebody since" in delivered.refused("rollback", "staging", "--reason", "x")
    archive = ("--archive", delivered.code("third"))
    assert "somebody since" in delivered.refused("deploy", "staging", *archive)
    assert delivered.ledger("staging") == before


def test_what_hands_made_and_a_release_adopted_is_let_go_and_not_deleted(
    delivered: Sandbox, source: Source
) -> None:
    mine = by_hand(delivered)
    options = ("--archive", source.more, "--reason", "made by hand")
    delivered.done("adopt", "staging", "jobs.extra_job", "--id", mine, *options)
    refused = delivered.refused("deploy", "staging", "--archive", source.after)
    assert "jobs.extra_job was adopted, so the release must declare it" in refused
    delivered.workspace.on_run("extra_job", "fail")
    result = delivered.run("deploy", "staging", "--archive", source.more).err
    assert f"{name_of(source.first)} is running again, and verified" in result
    assert mine in delivered.workspace.jobs
    assert "resources.jobs.extra_job" not in delivered.state("staging")
    assert (
        delivered.done("plan", "staging", "--archive", source.first, "--output", "json").json[
            "changes"
        ]
        == []
    )


# --- whatever failed ---


def test_a_verification_that_cannot_start_has_failed(delivered: Sandbox, source: Source) -> None:
    delivered.workspace.fault("POST", "/jobs/run-now", 403)
    result = delivered.run("deploy", "staging", "--archive", delivered.code("second"))
    assert result.code == 1
    assert f"{name_of(source.first)} is running again, and verified" in result.err
    assert running(delivered) == name_of(source.first)


def test_what_failed_is_verified_anew_and_not_by_an_old_run(
    delivered: Sandbox, source: Source, second: Path
) -> None:
    outcomes = ["fail", "succeed"]
    delivered.workspace.on_run("flights_daily", lambda _: outcomes.pop(0))
    result = delivered.run("rollback", "staging", "--reason", "totals are wrong")
    assert result.code == 1
    assert "Run the command again" in result.err
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    assert outcomes == []
    assert running(delivered) == name_of(source.first)


def test_when_the_cli_fails_what_ran_is_verified_by_a_run_of_its_own(
    delivered: Sandbox, second: Path
) -> None:
    before = len(delivered.workspace.runs)
    refuse_changes_of_jobs(delivered, 2)
    delivered.run("deploy", "staging", "--archive", delivered.code("third"))
    assert len(delivered.workspace.runs) == before + 1


def test_what_comes_back_is_what_was_meant_when_somebody_delivered_meanwhile(
    delivered: Sandbox, source: Source, second: Path
) -> None:
    third, calls = delivered.code("third"), delivered.workspace.requests

    def wait_for_the_other() -> None:
        """The deploy goes on once the rollback asks for the lock: it has chosen by then."""
        end = time.monotonic() + 50
        while sum(call.writes and b"lock.json" in call.body for call in [*calls]) < 2:
            assert time.monotonic() < end
            time.sleep(0.05)

    delivered.workspace.fault("GET", "/jobs/get", wait_for_the_other)  # while it plans
    calls.clear()
    deploy = delivered.start("deploy", "staging", "--archive", third)
    lock = f"{delivered.root('staging')}/ledger/lock.json"
    end = time.monotonic() + 60
    while lock not in delivered.workspace.files:
        assert time.monotonic() < end
        time.sleep(0.02)
    result = delivered.run("rollback", "staging", "--wait", "2m", "--reason", "second is wrong")
    assert deploy.wait(timeout=120) == 0
    deploy.communicate()
    assert (result.code, "another deploy ended in the meantime" in result.err) == (3, True), (
        result.err
    )
    assert running(delivered) == name_of(third)


def test_reasons_are_no_markup(delivered: Sandbox, source: Source) -> None:
    reason = "see [/Volumes/a/b], it is [bold]gone"
    result = delivered.done("block", "staging", "2026.11.23-g01234567", "--reason", reason)
    assert reason in result.out


def test_what_was_approved_is_the_way_back_that_is_gone(
    delivered: Sandbox, second: Path, tmp_path: Path
) -> None:
    delivered.done("deploy", "staging", "--archive", second)
    plan, command = tmp_path / "plan.json", ("rollback", "staging", "--reason", "totals are wrong")
    delivered.done(*command, "--dry-run", "--save", plan)
    settings = delivered.workspace.job("flights_daily")["settings"]
    settings["timeout_seconds"] = 3601
    assert "jobs.flights_daily: approved" in delivered.refused(*command, "--plan", plan)
    settings["timeout_seconds"] = 1200
    delivered.done(*command, "--plan", plan)
    assert delivered.ledger("staging")[-1] == "verified"


def test_prod_goes_back_without_a_second_approval(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    outcomes = ["succeed", "succeed", "succeed", "fail", "succeed"]
    delivered.workspace.on_run("flights_daily", lambda _: outcomes.pop(0))
    first = delivered.code("one")
    for number, archive in enumerate((first, delivered.code("two"))):
        delivered.done("deploy", "staging", "--archive", archive)
        fetched = delivered.done("fetch", "staging", "--into", tmp_path, "--output", "json").json
        options = ["--archive", fetched["archive"], "--receipt", fetched["receipt"]]
        options += ["--first"] if number == 0 else []
        plan = tmp_path / "plan.json"
        delivered.done("plan", "prod", *options, "--save", plan)
        result = delivered.run("deploy", "prod", *options, "--plan", plan, "--approved-by", "ana")
    assert result.code == 1
    assert f"{name_of(first)} is running again, and verified" in result.err
    assert outcomes == []


# --- data ---


ALLOWED = """allow:
  - {key: volumes.extra_files, reason: moved, until: 2099-12-31}
  - {key: schemas.extra_raw, reason: moved, until: 2099-12-31}
"""


def test_exceptions_of_an_earlier_release_do_not_destroy_what_came_later(
    delivered: Sandbox, source: Source
) -> None:
    delivered.edit("delivery.yml", "allow: []\n", ALLOWED)
    delivered.done("deploy", "staging", "--archive", delivered.release("allowed"))
    delivered.edit("delivery.yml", ALLOWED, "allow: []\n")
    delivered.write("resources/extra/all.yml", MORE)
    delivered.done("deploy", "staging", "--archive", delivered.release("more"))
    before = set(delivered.workspace.volumes)
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    assert set(delivered.workspace.volumes) == before


def test_what_is_named_after_the_approval_is_refused(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    delivered.done("deploy", "staging", "--archive", source.more)
    plan = tmp_path / "plan.json"
    archive = ("--archive", source.after)
    delivered.done("plan", "staging", *archive, "--save", plan)
    keys = ("volumes.extra_files", "schemas.extra_raw", "secret_scopes.extra_scope",
            "pipelines.extra_pipe", "dashboards.extra_dash", "jobs.extra_job")  # fmt: skip
    named = [part for key in keys for part in ("--allow-destroy", key)]
    reason = ("--reason", "copied")
    error = delivered.refused("deploy", "staging", *archive, "--plan", plan, *named, *reason)
    assert "allow_destroy: approved []" in error


def test_an_exception_is_used_up_for_good(delivered: Sandbox) -> None:
    delivered.edit("delivery.yml", "allow: []\n", ALLOWED)
    delivered.write("resources/extra/all.yml", DATA)
    delivered.done("deploy", "staging", "--archive", delivered.release("with data"))
    (delivered.path / "resources/extra/all.yml").unlink()
    delivered.done("deploy", "staging", "--archive", delivered.release("moved"))
    delivered.done("deploy", "staging", "--archive", delivered.code("something else"))
    delivered.write("resources/extra/all.yml", DATA)
    delivered.done("deploy", "staging", "--archive", delivered.release("again"))
    (delivered.path / "resources/extra/all.yml").unlink()
    error = delivered.refused("deploy", "staging", "--archive", delivered.release("lost"))
    assert "volumes.extra_files: would lose its data (delete)" in error


DATA = """
resources:
  schemas:
    extra_raw:
      catalog_name: ${var.catalog}
      name: extra_raw
  volumes:
    extra_files:
      catalog_name: ${var.catalog}
      schema_name: ${resources.schemas.extra_raw.name}
      name: extra_files
      volume_type: MANAGED
"""


@pytest.mark.parametrize(
    "include",
    [
        "targets/*.yml, resources/flights/*.yml, resources/extra/*.yml, release*.yml",
        "release*.yml, targets/identity.yml, targets/dev.yml, targets/preview.yml, "
        "targets/staging.yml, targets/prod.yml, resources/*/*.yml",
    ],
)
def test_what_is_kept_does_not_depend_on_how_files_are_included(
    sandbox: Sandbox, include: str
) -> None:
    lines = "  - targets/*.yml\n  - resources/*/*.yml\n  - release*.yml\n"
    patterns = "".join(f"  - {pattern}\n" for pattern in include.split(", "))
    sandbox.edit("databricks.yml", lines, patterns)
    first = sandbox.release("another include")
    sandbox.done("deploy", "staging", "--first", "--archive", first)
    sandbox.write("resources/extra/all.yml", DATA)
    outcomes = ["fail", "succeed", "succeed"]
    sandbox.workspace.on_run("flights_daily", lambda _: outcomes.pop(0))
    result = sandbox.run("deploy", "staging", "--archive", sandbox.release("with data"))
    assert f"{name_of(first)} is running again, and verified" in result.err, result.err
    (volume,) = [name for name in sandbox.workspace.volumes if name.endswith("extra_files")]
    (sandbox.path / "resources/extra/all.yml").unlink()
    sandbox.done("deploy", "staging", "--archive", sandbox.code("after"))
    assert volume in sandbox.workspace.volumes
    assert not [
        file for file in sandbox.workspace.files if "retained" in file
    ]  # it is no file of it
    sandbox.done("drift", "staging")
