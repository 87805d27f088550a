"""Going back: to the right release, whatever failed, without losing data, and to its end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from conftest import Source
from delivering import MORE, Lake


def name_of(archive: Path) -> str:
    """The release in an archive."""
    return archive.name.removesuffix(".tar.gz")


def running(lake: Lake, target: str = "staging") -> str:
    """What runs on a target, by its own word."""
    (status,) = lake.done("status", target, "--no-drift", "--output", "json").json
    return str(status["release"])


@pytest.fixture
def second(delivered: Lake) -> Path:
    """A second release, delivered and verified, in which only code differs."""
    archive = delivered.code("second")
    delivered.done("deploy", "staging", "--archive", archive)
    return archive


def refuse_changes_of_jobs(lake: Lake, times: int) -> None:
    """The workspace takes no change of a job, so that the CLI fails."""
    lake.workspace.fault("POST", "/jobs/(update|reset)", 400, times=times)


# --- the right release ---


def test_when_the_cli_fails_what_ran_stays(delivered: Lake, second: Path) -> None:
    refuse_changes_of_jobs(delivered, 2)  # the first try and the second
    third = delivered.code("third")
    said = delivered.run("deploy", "staging", "--archive", third)
    assert said.code == 1
    assert f"{name_of(second)} is back, and verified" in said.err
    assert running(delivered) == name_of(second)
    assert delivered.leftovers("staging") == []


def test_a_failed_rollback_blocks_nothing_and_can_be_tried_again(
    delivered: Lake, source: Source, second: Path
) -> None:
    refuse_changes_of_jobs(delivered, 2)
    told = ("rollback", "staging", "--reason", "totals are wrong")
    said = delivered.run(*told)
    assert said.code == 1
    assert "Try it once more" in said.err
    delivered.done(*told)
    assert running(delivered) == name_of(source.first)
    assert delivered.ledger("staging").count("blocked") == 1  # the one that was left


def test_going_back_does_not_lead_forward(delivered: Lake, source: Source, second: Path) -> None:
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    delivered.done("unblock", "staging", name_of(second), "--reason", "it was the source")
    said = delivered.refused("rollback", "staging", "--reason", "once more", code=4)
    assert "nothing good was before what runs" in said
    assert running(delivered) == name_of(source.first)


def test_a_rollback_that_was_cut_off_goes_on_where_it_was(
    delivered: Lake, source: Source, second: Path
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
    delivered: Lake, source: Source, second: Path
) -> None:
    said = delivered.refused("deploy", "staging", "--archive", source.first)
    assert f"older than {name_of(second)}" in said
    assert f"delivery rollback staging {name_of(source.first)}" in said


def test_no_way_back_crosses_data_that_was_changed_for_good(delivered: Lake) -> None:
    delivered.write(
        "delivery.yml",
        f"{delivered.text('delivery.yml')}data: {{irreversible: a column is gone}}\n",
    )
    changed = delivered.code("changed for good")
    delivered.done("deploy", "staging", "--archive", changed)
    delivered.done("block", "staging", name_of(changed), "--reason", "wrong totals")
    delivered.edit("delivery.yml", "data: {irreversible: a column is gone}\n", "")
    delivered.workspace.on_run("flights_daily", "fail")
    said = delivered.run("deploy", "staging", "--archive", delivered.code("next"))
    assert said.code == 1
    assert "a column is gone" in said.err
    assert "rolled_back" not in delivered.ledger("staging")


# --- whatever failed ---


def test_a_verification_that_cannot_start_has_failed(delivered: Lake, source: Source) -> None:
    delivered.workspace.fault("POST", "/jobs/run-now", 403)
    said = delivered.run("deploy", "staging", "--archive", delivered.code("second"))
    assert said.code == 1
    assert f"{name_of(source.first)} is back, and verified" in said.err
    assert running(delivered) == name_of(source.first)


def test_reasons_are_no_markup(delivered: Lake, source: Source) -> None:
    reason = "see [/Volumes/a/b], it is [bold]gone"
    said = delivered.done("block", "staging", "2026.11.23-g01234567", "--reason", reason)
    assert reason in said.out


def test_prod_goes_back_without_a_second_approval(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    outcomes = ["succeed", "succeed", "succeed", "fail", "succeed"]
    delivered.workspace.on_run("flights_daily", lambda _: outcomes.pop(0))
    first = delivered.code("one")
    for number, archive in enumerate((first, delivered.code("two"))):
        delivered.done("deploy", "staging", "--archive", archive)
        fetched = delivered.done("fetch", "staging", "--into", tmp_path, "--output", "json").json
        told = ["--archive", fetched["archive"], "--receipt", fetched["receipt"]]
        told += ["--first"] if number == 0 else []
        plan = tmp_path / "plan.json"
        delivered.done("plan", "prod", *told, "--save", plan)
        said = delivered.run("deploy", "prod", *told, "--plan", plan, "--approved-by", "ana")
    assert said.code == 1
    assert f"{name_of(first)} is back, and verified" in said.err
    assert outcomes == []


# --- data ---


ALLOWED = """allow:
  - {key: volumes.extra_files, reason: moved, until: 2099-12-31}
  - {key: schemas.extra_raw, reason: moved, until: 2099-12-31}
"""


def test_exceptions_of_an_earlier_release_do_not_destroy_what_came_later(
    delivered: Lake, source: Source
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
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    delivered.done("deploy", "staging", "--archive", source.more)
    plan = tmp_path / "plan.json"
    archive = ("--archive", source.after)
    delivered.done("plan", "staging", *archive, "--save", plan)
    keys = ("volumes.extra_files", "schemas.extra_raw", "secret_scopes.extra_scope",
            "pipelines.extra_pipe", "dashboards.extra_dash", "jobs.extra_job")  # fmt: skip
    named = [part for key in keys for part in ("--allow-destroy", key)]
    reason = ("--reason", "copied")
    said = delivered.refused("deploy", "staging", *archive, "--plan", plan, *named, *reason)
    assert "named: approved []" in said


def test_an_exception_is_used_up_for_good(delivered: Lake) -> None:
    delivered.edit("delivery.yml", "allow: []\n", ALLOWED)
    delivered.write("resources/extra/all.yml", DATA)
    delivered.done("deploy", "staging", "--archive", delivered.release("with data"))
    (delivered.path / "resources/extra/all.yml").unlink()
    delivered.done("deploy", "staging", "--archive", delivered.release("moved"))
    delivered.done("deploy", "staging", "--archive", delivered.code("something else"))
    delivered.write("resources/extra/all.yml", DATA)
    delivered.done("deploy", "staging", "--archive", delivered.release("again"))
    (delivered.path / "resources/extra/all.yml").unlink()
    said = delivered.refused("deploy", "staging", "--archive", delivered.release("lost"))
    assert "volumes.extra_files: delete loses what it holds" in said


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
