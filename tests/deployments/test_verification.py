"""A verification meets what else happens to its job: a good release is never blocked for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness.delivering import CommandResult, Sandbox

pytestmark = pytest.mark.slow

JOB = "flights_daily"


def wait_for(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def settings(sandbox: Sandbox) -> Any:
    """The settings of the job that proves a delivery."""
    return sandbox.job("staging", JOB)


def deploy(sandbox: Sandbox, archive: Path, meanwhile: Callable[[], None]) -> CommandResult:
    """Deliver a release while something is done once it is deployed."""
    before = sandbox.ledger("staging").count("deployed")
    process = sandbox.start("deploy", "staging", "--archive", archive)
    wait_for(
        lambda: sandbox.ledger("staging").count("deployed") > before or process.poll() is not None
    )
    meanwhile()
    out, err = process.communicate(timeout=120)
    return CommandResult(process.wait(), out, err)


def status_of(sandbox: Sandbox) -> dict[str, Any]:
    """What `status` says of staging."""
    (status,) = sandbox.done("status", "staging", "--no-drift", "--output", "json").json
    found: dict[str, Any] = status
    return found


@pytest.fixture
def hurried(delivered: Sandbox) -> Sandbox:
    """A verification may take a minute, and a minute takes six seconds."""
    file = "tools/delivery/src/delivery/deploy/verify.py"
    delivered.edit(file, "policy.minutes * 60", "6")
    delivered.edit("delivery.yml", "minutes: 20", "minutes: 1")
    return delivered


@pytest.mark.parametrize("queue", [True, False], ids=["queue", "no queue"])
def test_a_scheduled_run_is_waited_for(delivered: Sandbox, queue: bool) -> None:
    delivered.edit("resources/flights/job.yml", "enabled: true", f"enabled: {str(queue).lower()}")
    archive = delivered.code("second")
    delivered.workspace.on_run(JOB, "hang")
    scheduled = delivered.workspace.start_run(JOB)
    delivered.workspace.on_run(JOB, "succeed")

    def meanwhile() -> None:
        time.sleep(3)
        delivered.workspace.end_run(scheduled, "fail")  # as it may, of the release before

    result = deploy(delivered, archive, meanwhile)
    assert result.code == 0, result.err
    assert "flights (its job is busy: http" in result.err
    assert delivered.ledger("staging")[-2:] == ["deployed", "verified"]
    runs = [run for run in delivered.workspace.runs.values() if run.skipped]
    assert runs == []  # none that tells somebody of a failure


@pytest.mark.parametrize("queue", [True, False], ids=["queue", "no queue"])
def test_a_job_that_is_never_free_does_not_fail_the_release(hurried: Sandbox, queue: bool) -> None:
    hurried.edit("resources/flights/job.yml", "enabled: true", f"enabled: {str(queue).lower()}")
    archive = hurried.code("second")
    release = archive.name.removesuffix(".tar.gz")
    hurried.workspace.on_run(JOB, "hang")
    scheduled = hurried.workspace.start_run(JOB)
    hurried.workspace.on_run(JOB, "succeed")
    result = hurried.run("deploy", "staging", "--archive", archive)
    assert result.code == 1
    assert f"{release} is running on staging and is not verified yet" in result.err
    assert "run the same command again" in result.err
    assert hurried.ledger("staging")[-1] == "deployed"
    assert (status_of(hurried)["release"], status_of(hurried)["health"]) == (
        release,
        "not verified",
    )
    said_of_it = hurried.refused("fetch", "staging", "--release", release)
    assert "expected one that staging verified" in said_of_it
    hurried.workspace.end_run(scheduled)
    hurried.done("deploy", "staging", "--archive", archive)
    assert hurried.ledger("staging")[-2:] == ["deployed", "verified"]  # deployed once
    assert hurried.leftovers("staging") == []


def test_a_job_that_became_free_too_late_is_watched_by_the_next_try(hurried: Sandbox) -> None:
    archive, workspace = hurried.code("second"), hurried.workspace
    workspace.on_run(JOB, "hang")
    scheduled = workspace.start_run(JOB)

    def meanwhile() -> None:
        time.sleep(3)
        workspace.on_run(JOB, "hang")
        workspace.end_run(scheduled)

    result = deploy(hurried, archive, meanwhile)
    assert (result.code, "not verified yet" in result.err) == (1, True), result.err
    workspace.on_run(JOB, "succeed")
    runs = [run for run in workspace.runs.values() if run.active]
    assert [run.trigger for run in runs] == ["ONE_TIME"]  # it goes on
    workspace.end_run(runs[0].id)
    count = len(workspace.runs)
    hurried.done("deploy", "staging", "--archive", archive)
    assert len(workspace.runs) == count  # the run of the first try proved it


def test_a_run_that_had_all_its_time_has_failed(hurried: Sandbox) -> None:
    archive = hurried.code("second")
    outcomes = ["hang", "succeed"]
    hurried.workspace.on_run(JOB, lambda _: outcomes.pop(0))
    result = hurried.run("deploy", "staging", "--archive", archive)
    assert (result.code, "timed out after 1 minutes" in result.err) == (1, True)
    assert "is running again, and verified" in result.err
    assert not any(run.active for run in hurried.workspace.runs.values())


@pytest.mark.parametrize("skips", [1, 2])
def test_a_skipped_run_is_started_again(delivered: Sandbox, skips: int) -> None:
    """Another run took the job between our look and our start."""
    outcomes = ["skip"] * skips + ["succeed"]
    delivered.workspace.on_run(JOB, lambda _: outcomes.pop(0))
    delivered.done("deploy", "staging", "--archive", delivered.code("second"))
    assert (outcomes, delivered.ledger("staging")[-1]) == ([], "verified")


def test_a_run_that_somebody_cancels_proves_nothing(delivered: Sandbox) -> None:
    archive, workspace = delivered.code("second"), delivered.workspace
    outcomes = ["hang", "succeed"]
    workspace.on_run(JOB, lambda _: outcomes.pop(0))
    workspace.runs.clear()

    def cancel() -> None:
        wait_for(lambda: workspace.runs)
        time.sleep(1)
        workspace.end_run(next(iter(workspace.runs)), "cancel")

    result = deploy(delivered, archive, cancel)
    assert (result.code, "its run was canceled" in result.err) == (1, True), result.err
    assert "blocked" not in delivered.ledger("staging")
    delivered.done("deploy", "staging", "--archive", archive)  # with a run of its own
    assert (outcomes, delivered.ledger("staging")[-1]) == ([], "verified")


def test_a_task_that_is_retried_is_no_failure(delivered: Sandbox) -> None:
    delivered.workspace.on_run(JOB, "retry")
    delivered.workspace.run_seconds = 4
    delivered.done("deploy", "staging", "--archive", delivered.code("second"))
    assert delivered.ledger("staging")[-1] == "verified"


def test_a_run_that_the_job_s_own_time_ends_has_failed(delivered: Sandbox) -> None:
    outcomes = ["time out", "succeed"]
    delivered.workspace.on_run(JOB, lambda _: outcomes.pop(0))
    result = delivered.run("deploy", "staging", "--archive", delivered.code("second"))
    assert (result.code, "Run timed out" in result.err) == (1, True)
    assert delivered.ledger("staging")[-1] == "verified"  # the release before


def test_a_paused_continuous_job_is_run_once(delivered: Sandbox) -> None:
    schedule = (
        "      schedule:  # the target's presets decide whether it is paused\n"
        "        quartz_cron_expression: 0 0 6 * * ?\n        timezone_id: UTC\n"
    )
    delivered.edit("resources/flights/job.yml", schedule, "      continuous: {}\n")
    archive = delivered.release("continuous")
    delivered.done("deploy", "staging", "--archive", archive)
    assert settings(delivered)["continuous"]["pause_status"] == "PAUSED"
    assert delivered.ledger("staging")[-1] == "verified"


def test_a_rollback_that_meets_a_scheduled_run_is_verified_later(hurried: Sandbox) -> None:
    hurried.done("deploy", "staging", "--archive", hurried.code("second"))
    before = settings(hurried)["environments"]
    hurried.workspace.on_run(JOB, "hang")
    scheduled = hurried.workspace.start_run(JOB)
    hurried.workspace.on_run(JOB, "succeed")
    command = ("rollback", "staging", "--reason", "totals are wrong")
    result = hurried.run(*command)
    assert (result.code, "not verified yet" in result.err) == (1, True)
    assert settings(hurried)["environments"] != before
    hurried.workspace.end_run(scheduled)
    hurried.done(*command)
    assert hurried.ledger("staging")[-2:] == ["rolled_back", "verified"]


def test_an_automatic_rollback_pauses_nothing_where_it_cannot_be_verified_yet(
    hurried: Sandbox,
) -> None:
    workspace, runs = hurried.workspace, []
    outcomes = ["fail", "hang"]

    def scheduled() -> None:
        """A run that begins as soon as the verification has failed, before the rollback deploys."""
        while hurried.ledger("staging")[-1] != "blocked":
            time.sleep(0.01)
        runs.append(workspace.start_run(JOB))

    def outcome(_: Any) -> str:
        if len(outcomes) == 2:
            threading.Thread(target=scheduled, daemon=True).start()
        return outcomes.pop(0) if outcomes else "succeed"

    hurried.edit("targets/staging.yml", "PAUSED", "UNPAUSED")
    archive = hurried.code("second")
    workspace.on_run(JOB, outcome)
    result = hurried.run("deploy", "staging", "--archive", archive)
    assert result.code == 1
    assert "is running again, but is not verified yet" in result.err, result.err
    assert "verify it: delivery rollback staging" in result.err
    assert "paused" not in result.err

    workspace.end_run(runs[0])
    hurried.done("rollback", "staging", "--reason", "verify it")
    assert hurried.ledger("staging")[-1] == "verified"
    assert status_of(hurried)["health"] == "verified"
