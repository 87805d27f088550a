"""Looking, mending and tidying: drift, status, freezes, adoption, previews, old releases."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Source
from fake_workspace.identities import service_principal
from harness.baking import git
from harness.delivering import Sandbox, add_jobs, write_history

pytestmark = pytest.mark.slow


def run_of(archive: Path) -> str:
    """The release in an archive."""
    return archive.name.removesuffix(".tar.gz")


# --- status ---


def test_a_large_lake_with_a_long_history_is_looked_at_with_few_calls(sandbox: Sandbox) -> None:
    add_jobs(sandbox.path, 299)
    sandbox.done("deploy", "staging", "--first", "--archive", sandbox.release("many"))
    write_history(sandbox, "staging", 1000)
    calls = sandbox.workspace.requests
    calls.clear()
    (status,) = sandbox.done("status", "staging", "--output", "json", who="planner").json
    assert (len(status["jobs"]), status["health"], status["sync"]) == (300, "verified", "unknown")
    others = [call for call in calls if "/jobs/runs/list" not in call.path]
    assert len(others) < 60
    calls.clear()
    events = sandbox.done(
        "history", "staging", "--limit", 4, "--output", "json", who="planner"
    ).json
    assert [event["seq"] for event in events] == [3003, 3002, 3001, 3000]
    assert len(calls) < 20


def test_status_tells_what_runs_and_how_it_was_delivered(
    delivered: Sandbox, source: Source
) -> None:
    (status,) = delivered.done("status", "staging", "--output", "json", who="planner").json
    assert status["release"] == run_of(source.first)
    assert (status["health"], status["sync"], status["retained"]) == ("verified", "in sync", [])
    assert [(j["key"], j["last_run"]) for j in status["jobs"]] == [("flights_daily", "succeeded")]
    assert (status["dora"]["deployments"], status["dora"]["failed"]) == (1, 0)


def test_a_target_that_cannot_be_seen_hides_no_other(delivered: Sandbox, tmp_path: Path) -> None:
    result = delivered.done("status", "--output", "json", who="planner")
    assert [(s["target"], s["health"]) for s in result.json] == [
        ("staging", "verified"), ("prod", "unknown"),
    ]  # fmt: skip
    assert "is not visible" in result.json[1]["out_of_band_change"]
    delivered.programs = tmp_path  # where there is no CLI
    (status,) = delivered.done("status", "staging", "--output", "json", PATH="/usr/bin").json
    assert (status["health"], status["sync"]) == ("verified", "unknown")
    asked = delivered.run("status", "staging", "--drift", PATH="/usr/bin")
    assert (asked.code, asked.out) == (4, "")


def test_what_hands_may_change_is_no_drift_in_the_status_either(delivered: Sandbox) -> None:
    delivered.job("staging", "flights_daily")["timeout_seconds"] = 77
    (status,) = delivered.done("status", "staging", "--output", "json").json
    assert (status["sync"], status["drifted"]) == ("drifted", ["jobs.flights_daily"])
    delivered.edit("delivery.yml", "  ignore: []", '  ignore: ["jobs.*: timeout_seconds"]')
    (status,) = delivered.done("status", "staging", "--output", "json").json
    assert status["sync"] == "in sync"


def test_jobs_on_two_releases_are_told_as_mixed(delivered: Sandbox) -> None:
    name = f"{delivered.root('staging')}/state/resources.json"
    state = delivered.workspace.files[name].decode()
    other = re.sub(r"/releases/[^/]+/", "/releases/2026.01.01-g00000000/", state)
    delivered.workspace.files[name] = other.encode()
    (status,) = delivered.done("status", "staging", "--no-drift", "--output", "json").json
    assert (status["sync"], status["jobs_on_other_releases"]) == (
        "mixed",
        "1 of 1 jobs still use another release",
    )


def test_a_state_that_moved_on_without_an_event_is_told(delivered: Sandbox) -> None:
    name = f"{delivered.root('staging')}/state/resources.json"
    state = json.loads(delivered.workspace.files[name])
    delivered.workspace.files[name] = json.dumps({**state, "serial": 99}).encode()
    (status,) = delivered.done("status", "staging", "--no-drift", "--output", "json").json
    assert "the state has serial 99" in status["out_of_band_change"]


def test_statuses_of_several_targets_become_one_page(delivered: Sandbox, tmp_path: Path) -> None:
    file, page = tmp_path / "staging.json", tmp_path / "status.html"
    file.write_text(delivered.done("status", "staging", "--output", "json").out, encoding="utf-8")
    newer, unseen, prod = (tmp_path / f"{name}.json" for name in ("newer", "unseen", "prod"))
    (stored,) = json.loads(file.read_text(encoding="utf-8"))
    later = stored["at"].replace("20", "21", 1)
    newer.write_text(json.dumps([{**stored, "lock": "newer", "at": later}]), encoding="utf-8")
    unseen.write_text(json.dumps([{**stored, "host": "", "at": later}]), encoding="utf-8")
    prod.write_text(json.dumps([{**stored, "target": "prod"}]), encoding="utf-8")
    for given in ([file, prod], [file, "--from", prod], [prod, "--from", file], [tmp_path]):
        merged = delivered.done("status", "--from", *given, "--output", "json").json
        assert {status["target"] for status in merged} == {"staging", "prod"}
    for given in ([newer, file, unseen], [unseen, file, newer]):
        (one,) = delivered.done("status", "--from", *given, "--output", "json").json
        assert one["lock"] == "newer"
    both = delivered.done("status", "staging", "--from", prod, "--output", "json").json
    assert [status["target"] for status in both] == ["staging", "prod"]
    delivered.done("status", "--from", file, "--html", page)
    assert "<h2>staging</h2>" in page.read_text(encoding="utf-8")
    error = delivered.refused("status", "--from", page, code=4)
    assert "expected the JSON of: delivery status" in error


def test_doctor_says_what_is_missing(delivered: Sandbox) -> None:
    outcome = delivered.done("doctor", "staging", who="planner")
    assert "planner" in outcome.out
    name = f"{delivered.root('staging')}/ledger/lock.json"
    delivered.workspace.files[name] = b"{}"
    result = delivered.run("doctor", "staging", "--output", "json")
    assert result.code == 2
    assert [one["name"] for one in result.json if not one["ok"]] == ["lock"]


# --- policy ---


def _changed(sandbox: Sandbox, old: str, new: str) -> Path:
    sandbox.edit("delivery.yml", old, new)
    return sandbox.code(f"policy: {new[:20]}")


def test_a_freeze_holds_until_it_is_lifted_by_name(delivered: Sandbox) -> None:
    window = "{first: 2020-01-01, last: 2099-12-31, targets: [staging], reason: the year's end}"
    frozen = _changed(delivered, "freezes: []", f"freezes: [{window}]")
    error = delivered.refused("deploy", "staging", "--archive", frozen)
    assert "staging is frozen until 2099-12-31: the year's end" in error
    lifted = _changed(
        delivered, "allow: []", "allow: [{key: freeze, reason: urgent, until: 2099-01-01}]"
    )
    delivered.done("deploy", "staging", "--archive", lifted)
    again = delivered.code("again")
    assert "is frozen" in delivered.refused("deploy", "staging", "--archive", again)
    delivered.done("rollback", "staging", "--reason", "freezes do not hold back")


def test_a_release_of_another_branch_is_refused(delivered: Sandbox) -> None:
    git(delivered.path, "checkout", "--quiet", "-b", "feature/x")
    archive = delivered.code("a feature")
    error = delivered.refused("deploy", "staging", "--archive", archive)
    assert "built on branch feature/x, expected main" in error


def test_nobody_goes_back_across_data_that_was_changed_for_good(delivered: Sandbox) -> None:
    delivered.write("delivery.yml", (delivered.path / "delivery.yml").read_text("utf-8")
                    + "\ndata: {irreversible: the column is gone}\n")  # fmt: skip
    delivered.done("deploy", "staging", "--archive", delivered.code("irreversible"))
    error = delivered.refused("rollback", "staging", "--reason", "totals are wrong")
    assert "it changed data irreversibly" in error
    assert "the column is gone" in error


def instead(sandbox: Sandbox, folder: Path, arguments: str, answer: str) -> None:
    """Let the CLI answer in another way when it is asked for something."""
    real, fake = sandbox.programs / "databricks", folder / "databricks"
    folder.mkdir()
    lines = ('case "$*" in', f"{arguments}) {answer} ;;", f'*) exec "{real}" "$@" ;;', "esac")
    fake.write_text("\n".join(["#!/bin/sh", *lines, ""]).replace("REAL", f'"{real}"'), "utf-8")
    fake.chmod(0o755)
    sandbox.programs = folder


def test_a_cli_that_was_never_tried_deploys_and_every_plan_names_it(
    delivered: Sandbox, tmp_path: Path
) -> None:
    instead(delivered, tmp_path / "other", "version", "echo Databricks CLI v9.9.9")
    assert "✓ CLI: version 9.9.9, which this tool was not tested with" in (
        delivered.run("doctor").out
    )
    archive = delivered.code("more")
    planned = delivered.done("plan", "staging", "--archive", archive, who="planner").out
    assert "the Databricks CLI is 9.9.9; this tool was tested with 1.13" in planned
    delivered.done("deploy", "staging", "--archive", archive)
    assert delivered.events("staging")[-1]["cli_version"] == "9.9.9"


@pytest.mark.parametrize(
    ("arguments", "answer", "expected"),
    [
        ("'bundle deploy --help'", 'REAL "$@" | sed s/--plan//', "bundle deploy has no --plan"),
        ("version", "echo something else", "something else"),
        (
            "'bundle plan '*",
            'REAL "$@" | sed \'s/"plan_version": *2/"plan_version": 3/\'',
            "given plan_version 3, expected 2",
        ),
    ],
    ids=["an option", "no version", "another form of plan"],
)
def test_a_cli_without_what_the_tool_depends_on_is_refused(
    arguments: str, answer: str, expected: str, delivered: Sandbox, tmp_path: Path
) -> None:
    archive = delivered.code("more")
    before = delivered.workspace.snapshot()
    instead(delivered, tmp_path / "other", arguments, answer)
    result = delivered.run("deploy", "staging", "--archive", archive)
    assert result.code in (1, 4)
    assert result.out == ""
    assert expected in result.err
    assert "given version" in result.err or "make cli" in result.err or result.code == 1
    assert "Traceback" not in result.err
    assert delivered.workspace.snapshot() == before


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state_version": 4}, "given state_version 4, features []"),
        ({"state_version": 3, "features": {"history": {}}}, "features ['history']"),
        ({"state_version": None}, "given state_version None"),
        ({"state_version": 3}, ""),
    ],
    ids=str,
)
def test_a_state_of_another_form_is_refused(
    changes: dict[str, object], expected: str, delivered: Sandbox
) -> None:
    name = f"{delivered.root('staging')}/state/resources.json"
    state = {**json.loads(delivered.workspace.files[name]), **changes}
    delivered.workspace.files[name] = json.dumps(state).encode()
    result = delivered.run("doctor", "staging")
    if expected:
        assert expected in result.out
        assert "expected 2 or 3 without features" in result.out
    else:
        assert "state_version" not in result.out


# --- adopting ---


def test_a_job_made_by_hand_becomes_the_project_s_own(delivered: Sandbox, source: Source) -> None:
    """A renamed key is bound to what is there: no job is deleted, none is made."""
    (before,) = delivered.workspace.jobs
    text = (delivered.path / "resources/flights/job.yml").read_text("utf-8")
    delivered.write(
        "resources/flights/job.yml", text.replace("    flights_daily:", "    flights_all:", 1)
    )
    delivered.edit("delivery.yml", "flights: flights_daily", "flights: flights_all")
    archive = delivered.release("another key")
    options = ("--archive", archive, "--reason", "renamed")
    delivered.done("adopt", "staging", "jobs.flights_all", "--from", "jobs.flights_daily", *options)
    delivered.done("deploy", "staging", "--archive", archive)
    assert [*delivered.workspace.jobs] == [before]
    assert delivered.leftovers("staging") == []


def test_nothing_of_others_is_adopted_and_nothing_is_let_go_in_vain(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    delivered.done("fetch", "staging", "--into", tmp_path)
    (receipt,) = tmp_path.glob("receipt-*.json")
    options = ("--archive", source.first, "--receipt", receipt, "--first")
    plan = tmp_path / "plan.json"
    delivered.done("plan", "prod", *options, "--save", plan)
    delivered.done("deploy", "prod", *options, "--plan", plan, "--approved-by", "ana")
    before = delivered.state("staging")
    foreign = delivered.state("prod")["resources.jobs.flights_daily"]["__id__"]
    more = ("--archive", source.more, "--reason", "x")
    error = delivered.refused("adopt", "staging", "jobs.extra_job", "--id", foreign, *more)
    assert f"belongs to {delivered.root('prod')}" in error
    for key, old, reason in (
        ("jobs.extra_job", "volumes.flights_landing", "expected a key of the same kind as"),
        ("jobs.flights_daily", "jobs.flights_daily", "owns a resource on staging already"),
    ):
        error = delivered.refused("adopt", "staging", key, "--from", old, *more, code=4)
        assert reason in error
    assert delivered.state("staging") == before


def test_nothing_is_owned_twice(delivered: Sandbox, source: Source) -> None:
    (known,) = delivered.workspace.jobs
    options = ("--archive", source.more, "--reason", "x")
    error = delivered.refused("adopt", "staging", "jobs.extra_job", "--id", known, *options)
    assert f"{known} is owned by jobs.flights_daily already" in error


@pytest.mark.parametrize(
    "other",
    [{"creator_user_name": "person@example.com"}, {"created_time": 4102444800000}],
    ids=["made by another", "made later"],
)
def test_a_copy_of_a_job_is_told_and_not_deleted(delivered: Sandbox, other: dict[str, Any]) -> None:
    ((known, job),) = delivered.workspace.jobs.items()
    delivered.workspace.jobs[777] = {**json.loads(json.dumps(job)), "job_id": 777, **other}
    rights = delivered.workspace.permissions
    rights["/jobs/777"] = rights[f"/jobs/{known}"]
    error = delivered.refused("deploy", "staging", "--archive", delivered.code("second"))
    assert "job 777 (flights_daily) is a duplicate" in error
    assert 777 in delivered.workspace.jobs


@pytest.mark.parametrize("reason", ["a\n::add-mask::x", "x" * 501, "\x1b[31mred"])
def test_a_reason_is_one_line_that_can_be_shown_anywhere(delivered: Sandbox, reason: str) -> None:
    release = "2026.11.23-g01234567"
    error = delivered.refused("block", "staging", release, f"--reason={reason}", code=4)
    assert "expected one line of at most 500 characters" in error
    assert "blocked" not in delivered.ledger("staging")


# --- locks ---


def test_a_lock_of_a_run_that_is_gone_is_broken_by_name(delivered: Sandbox) -> None:
    nobody = delivered.refused("break-lock", "staging", "--reason", "x", code=4)
    assert "not held, so there is nothing to break" in nobody
    name = f"{delivered.root('staging')}/ledger/lock.json"
    held = {"id": "1", "actor": "bo", "run_url": "", "at": "2026-01-01T00:00:00Z", "what": "deploy"}
    delivered.workspace.files[name] = json.dumps(held).encode()
    result = delivered.done("break-lock", "staging", "--reason", "the runner crashed")
    assert "lock of staging broken: the runner crashed" in result.out
    assert name not in delivered.workspace.files
    (event, *_) = delivered.done("history", "staging", "--output", "json").json
    assert (event["kind"], event["release"], event["reason"]) == (
        "failed", "none", "the runner crashed",
    )  # fmt: skip
    assert "bo (deploy) since 2026-01-01" in event["detail"]["lock"]
    (status,) = delivered.done("status", "staging", "--output", "json").json
    assert (status["health"], status["dora"]["failed"]) == ("verified", 0)


# --- tidying ---


def test_prune_does_not_take_a_blocked_release_for_a_good_one(
    delivered: Sandbox, source: Source
) -> None:
    archives = [delivered.code(f"change {n}") for n in range(2)]
    for archive in archives:
        delivered.done("deploy", "staging", "--archive", archive)
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    delivered.done("prune", "staging", "--keep", "2")
    delivered.done("rollback", "staging", "--reason", "it was older")
    (status,) = delivered.done("status", "staging", "--output", "json").json
    assert status["release"] == run_of(source.first)


def test_prune_keeps_what_runs_and_what_one_may_go_back_to(
    delivered: Sandbox, source: Source
) -> None:
    archives = [source.first, *(delivered.code(f"change {n}") for n in range(3))]
    for archive in archives[1:]:
        delivered.done("deploy", "staging", "--archive", archive)
    command = ("prune", "staging", "--keep", "2", "--output", "json")
    would = delivered.done(*command, "--dry-run").json["removed"]
    gone = delivered.done(*command).json["removed"]
    assert gone == would
    assert {*gone} == {run_of(a) for a in archives[:2]}
    kept = delivered.refused("rollback", "staging", run_of(source.first), "--reason", "x", code=4)
    assert "expected one that staging stores" in kept
    delivered.done("rollback", "staging", "--reason", "what is kept can be gone back to")


# --- previews ---


@pytest.fixture
def previewing(sandbox: Sandbox) -> Sandbox:
    """A project whose previews need no build."""
    sandbox.workspace.add_identity(service_principal("previewer"))
    sandbox.workspace.allow_run_as("previewer", "previewer")
    catalog = f"{sandbox.name.replace('-', '_')}_preview"
    sandbox.workspace.add_catalog(catalog, creators=["previewer"])
    sandbox.workspace.grant_folder(
        f"/Workspace/Deployments/{sandbox.name}/previews", "previewer", "CAN_MANAGE"
    )
    text = (sandbox.path / "targets/preview.yml").read_text("utf-8")
    host = re.sub(r'host: ".*"', f'host: "{sandbox.workspace.url}"', text)
    sandbox.write("targets/preview.yml", host)
    sandbox.write(
        "Makefile",
        "wheel:\n\tmkdir -p dist && touch dist/lakehouse-0.1.0-py3-none-any.whl requirements.txt\n"
        "\tenv > seen.txt\n",
    )
    return sandbox


def _jobs(sandbox: Sandbox) -> dict[str, Any]:
    return {job["settings"]["name"]: job["settings"] for job in sandbox.workspace.jobs.values()}


def test_a_preview_is_of_its_own_and_goes_when_it_is_told_to(previewing: Sandbox) -> None:
    before = previewing.workspace.snapshot(files=False)
    previewing.done("preview", "up", "pr42", who="previewer")
    ((name, job),) = _jobs(previewing).items()
    assert "pr42" in name
    assert job["schedule"]["pause_status"] == "PAUSED"
    previewing.done("preview", "down", "pr42", who="previewer")
    assert previewing.workspace.snapshot(files=False) == before


def test_a_preview_is_built_without_credentials_and_runs_nothing_else(previewing: Sandbox) -> None:
    previewing.done("preview", "up", "pr42", who="previewer")
    seen = previewing.text("seen.txt")
    assert "PATH=" in seen
    assert "DATABRICKS" not in seen
    token = "      name_prefix:"
    spy = "    artifacts: {x: {type: whl, build: env > spied.txt, path: ..}}\n    presets:"
    previewing.edit("targets/preview.yml", "    presets:", spy)
    result = previewing.run("preview", "up", "pr42", who="previewer")
    assert (result.code, token in result.err) == (3, False)
    assert "artifacts is refused for preview" in result.err
    assert not (previewing.path / "spied.txt").exists()


def test_no_preview_is_made_by_who_may_change_staging_or_prod(previewing: Sandbox) -> None:
    error = previewing.refused("preview", "up", "pr42", who="deployer")
    assert "given an identity of staging, expected an identity for previews" in error


def test_a_preview_that_cannot_go_keeps_no_other(previewing: Sandbox) -> None:
    for request in ("pr41", "pr42"):
        previewing.done("preview", "up", request, who="previewer")
    previewing.workspace.fault("POST", "/jobs/delete", 400)
    result = previewing.run("preview", "sweep", "--days", "0", "--output", "json", who="previewer")
    assert result.code == 1
    assert (result.json["removed"], [t[:5] for t in result.json["failed"]]) == (["pr42"], ["pr41:"])
    lock = f"/Workspace/Deployments/{previewing.name}/previews/pr41/state/deploy.lock"
    held = {"ID": "11111111-1111-4111-8111-111111111111", "User": "x", "IsForced": False}
    previewing.workspace.files[lock] = json.dumps(
        {**held, "AcquisitionTime": "2026-01-01T00:00:00Z"}
    ).encode()
    assert previewing.run("preview", "down", "pr41", who="previewer").code == 1
    previewing.done("preview", "down", "pr41", "--break-lock", who="previewer")


def test_old_previews_are_swept_and_young_ones_stay(previewing: Sandbox) -> None:
    for request in ("pr42", "pr43"):  # from one checkout: neither takes the other's place
        previewing.done("preview", "up", request, who="previewer")
    assert len(_jobs(previewing)) == 2
    previewing.workspace.grant_folder(
        f"/Workspace/Deployments/{previewing.name}/previews/PR-7", "previewer", "CAN_MANAGE"
    )
    command = ("preview", "sweep", "--output", "json", "--days")
    assert previewing.done(*command, "1", who="previewer").json == {"removed": [], "failed": []}
    ahead = int(time.time() * 1000) + 60_000  # the workspace's clock may be ahead of ours
    for node in previewing.workspace.tree.nodes.values():
        node.modified_at = ahead
    assert previewing.done(*command, "0", who="previewer").json["removed"] == ["pr42", "pr43"]
    assert _jobs(previewing) == {}


@pytest.mark.parametrize("name", ["PR-42", "../prod", "", "42", "x" * 30])
def test_a_preview_s_name_is_no_path(previewing: Sandbox, name: str) -> None:
    error = previewing.refused("preview", "up", name, who="previewer", code=4)
    assert "request: given" in error


def test_a_preview_never_touches_a_released_target(previewing: Sandbox) -> None:
    previewing.edit("targets/preview.yml", '_preview"', '_prod"')
    error = previewing.refused("preview", "up", "pr42", who="previewer")
    assert "its catalog belongs to prod" in error


@pytest.mark.parametrize("name", ["state_path", "file_path", "artifact_path", "resource_path"])
def test_a_preview_stays_in_its_own_folder(previewing: Sandbox, name: str) -> None:
    root = "      root_path:"
    stolen = f"      {name}: {previewing.root('staging')}/state\n{root}"
    previewing.edit("targets/preview.yml", root, stolen)
    error = previewing.refused("preview", "up", "pr42", who="previewer")
    assert f"{name} must be below root_path" in error


# --- clocks ---

SKEWED = """
import datetime, os

now = datetime.datetime.now

class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return now(tz) + datetime.timedelta(hours=float(os.environ["CLOCK_HOURS"]))

datetime.datetime = Clock
"""


def test_clocks_that_jump_decide_nothing(sandbox: Sandbox, source: Source, tmp_path: Path) -> None:
    skewed = tmp_path / "skewed"
    skewed.mkdir()
    (skewed / "sitecustomize.py").write_text(SKEWED, encoding="utf-8")
    paths = os.pathsep.join([str(skewed), sandbox.settings("deployer")["PYTHONPATH"]])

    def at(hours: int, *arguments: object) -> Any:
        return sandbox.done(*arguments, PYTHONPATH=paths, CLOCK_HOURS=str(hours))

    at(72, "deploy", "staging", "--first", "--archive", source.first)
    at(-72, "deploy", "staging", "--archive", source.more)
    (status,) = at(0, "status", "staging", "--output", "json").json
    assert (status["release"], status["health"]) == (run_of(source.more), "verified")
    assert status["rollback_target"] == run_of(source.first)
    assert all(status["dora"][name] >= 0 for name in ("lead_hours", "per_week"))
    events = at(0, "history", "staging", "--output", "json").json
    assert [event["seq"] for event in events] == [6, 5, 4, 3, 2, 1]
    assert events[0]["at"] < events[-1]["at"]  # the clocks did jump
    at(24 * 365, "rollback", "staging", "--reason", "totals are wrong")
    assert sandbox.ledger("staging")[-2:] == ["rolled_back", "verified"]
    assert sandbox.leftovers("staging") == []
