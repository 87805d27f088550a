"""From a release to prod and back: what teams do every day."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Source
from delivering import Lake


def first(lake: Lake, source: Source, target: str = "staging") -> None:
    """The first delivery ever."""
    lake.done("deploy", target, "--first", "--archive", source.first)


def test_a_release_goes_from_staging_to_prod_with_its_receipt(
    lake: Lake, source: Source, tmp_path: Path
) -> None:
    first(lake, source)
    assert lake.ledger("staging") == ["started", "deployed", "verified"]
    fetched = lake.done("fetch", "staging", "--into", tmp_path, "--output", "json").json
    told = ("--archive", fetched["archive"], "--receipt", fetched["receipt"], "--first")
    plan = tmp_path / "plan.json"
    lake.done("plan", "prod", *told, "--save", plan)
    lake.done("deploy", "prod", *told, "--plan", plan, "--approved-by", "ana")
    assert lake.ledger("prod") == ["started", "deployed", "verified"]
    (status,) = lake.done("status", "prod", "--output", "json").json
    assert (status["release"], status["health"], status["sync"], status["approved_by"]) == (
        fetched["release"], "verified", "in sync", "ana",
    )  # fmt: skip
    assert lake.leftovers("prod") == []
    _spare_staging(lake)


def _spare_staging(lake: Lake) -> None:
    """A release that leaves staging out of its own policy still needs staging's word."""
    branch = '    staging: "main"\n'
    lake.edit("delivery.yml", branch, "")
    archive = lake.code("without staging")
    plan = lake.done("plan", "prod", "--archive", archive, "--output", "json").json
    (verdict,) = [v for v in plan["verdicts"] if v["key"] == "policy"]
    assert verdict["verdict"] == "refuse"
    assert verdict["reason"].startswith("no receipt of staging")
    allow = "allow: [{key: promotion, reason: one target is enough, until: 2099-12-31}]"
    lake.edit("delivery.yml", "allow: []", allow)
    plan = lake.done("plan", "prod", "--archive", lake.code("allowed"), "--output", "json").json
    assert [(v["key"], v["verdict"]) for v in plan["verdicts"]] == [("promotion", "allow")]


def test_a_protection_holds_for_the_release_that_lifts_it_and_no_longer(
    delivered: Lake,
) -> None:
    protected = "  protected: [volumes.flights_landing]"
    lifted = next(
        line for line in (delivered.path / "delivery.yml").read_text(encoding="utf-8").splitlines()
        if line.startswith("  protected:")
    )  # fmt: skip
    stored = []
    for line, other in ((lifted, protected), (protected, lifted)):
        delivered.edit("delivery.yml", line, other)
        delivered.done("deploy", "staging", "--archive", delivered.code(other))
        events = delivered.done("history", "staging", "--output", "json").json
        event = next(event for event in events if event["kind"] == "deployed")
        stored.append(event["detail"]["policy"]["guard"]["protected"])
    assert stored == [["volumes.flights_landing"], []]


def test_what_runs_and_is_verified_is_not_delivered_again(lake: Lake, source: Source) -> None:
    first(lake, source)
    before = lake.workspace.snapshot()
    said = lake.done("deploy", "staging", "--archive", source.first)
    assert "nothing to do" in said.out
    assert lake.workspace.snapshot() == before


def test_planner_and_deployer_make_the_same_plan(lake: Lake, source: Source) -> None:
    first(lake, source)
    told = ("plan", "staging", "--archive", source.more, "--output", "json")
    one, other = (lake.done(*told, who=who).json for who in ("planner", "deployer"))
    assert one["changes"]
    assert (one["digest"], one["changes"]) == (other["digest"], other["changes"])


def test_a_release_that_fails_its_verification_goes_back_by_itself(
    lake: Lake, source: Source
) -> None:
    first(lake, source)
    lake.workspace.on_run("extra_job", "fail")
    said = lake.run("deploy", "staging", "--archive", source.more)
    assert said.code == 1
    assert "extra" in said.err
    assert "is back, and verified" in said.err
    assert lake.ledger("staging")[3:] == [
        "started", "deployed", "failed", "blocked", "started", "rolled_back", "verified",
    ]  # fmt: skip
    assert lake.leftovers("staging") == []
    assert "is blocked" in lake.refused("deploy", "staging", "--archive", source.more)


KEPT = {
    "schemas.extra_raw",
    "volumes.extra_files",
    "secret_scopes.extra_scope",
    "pipelines.extra_pipe",
    "dashboards.extra_dash",
}


def test_going_back_keeps_what_holds_data_until_it_is_named(lake: Lake, source: Source) -> None:
    first(lake, source)
    lake.done("deploy", "staging", "--archive", source.more)
    before = _data(lake)
    lake.done("rollback", "staging", "--reason", "totals are wrong")
    assert "extra_job" not in _jobs(lake)
    assert _data(lake) == before
    plan = lake.done("plan", "staging", "--archive", source.first, "--output", "json").json
    assert (plan["changes"], {*plan["retained"]}) == ([], KEPT)
    for number in range(3):
        archive = source.after if number == 0 else lake.code(f"later {number}")
        lake.done("deploy", "staging", "--archive", archive)
        assert _data(lake) == before
    (status,) = lake.done("status", "staging", "--output", "json").json
    assert {*status["retained"]} == KEPT
    archive = lake.code("named")
    told = ("--archive", archive, "--reason", "it is copied", "--allow-destroy")
    lake.done("deploy", "staging", *told, "volumes.extra_files")
    assert [name for name in lake.workspace.volumes if "extra" in name] == []
    assert [name for name in lake.workspace.schemas if "extra" in name] != []
    assert lake.leftovers("staging") == []


def _jobs(lake: Lake) -> set[str]:
    return {job["settings"]["name"] for job in lake.workspace.jobs.values()}


def _data(lake: Lake) -> str:
    """Everything that holds data, with its rights, as the workspace has it."""
    kinds = ("volumes", "schemas", "secret_scopes", "pipelines", "dashboards", "grants")
    shot = lake.workspace.snapshot()
    return json.dumps({kind: shot[kind] for kind in kinds}, sort_keys=True, default=str)
