"""From a release to prod and back: what teams do every day."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Source
from harness.delivering import Lake

pytestmark = pytest.mark.slow


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
    _spare_staging_and_approval(lake)


def _spare_staging_and_approval(lake: Lake) -> None:
    """A release that lifts both in its own policy still needs staging's word, and an approval."""
    lake.edit("delivery.yml", '    staging: "main"\n', "")
    lake.edit("delivery.yml", "  prod: environment", "  prod: none")
    archive = lake.code("without staging")
    assert "approval of prod: given none" in lake.refused("deploy", "prod", "--archive", archive)
    plan = lake.done("plan", "prod", "--archive", archive, "--output", "json").json
    (verdict,) = [v for v in plan["decisions"] if v["key"] == "policy"]
    assert verdict["action"] == "refuse"
    assert verdict["reason"].startswith("no receipt of staging")
    allow = "allow: [{key: promotion, reason: one target is enough, until: 2099-12-31}]"
    lake.edit("delivery.yml", "allow: []", allow)
    plan = lake.done("plan", "prod", "--archive", lake.code("allowed"), "--output", "json").json
    assert [(v["key"], v["action"]) for v in plan["decisions"]] == [("promotion", "allow")]


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


def test_the_release_of_the_checked_out_commit_is_meant(lake: Lake, tmp_path: Path) -> None:
    one, other = lake.code("one"), lake.code("other")
    plan = lake.done("plan", "staging", "--first", "--output", "json").json
    assert plan["release"] == other.name.removesuffix(".tar.gz")
    other.unlink()
    assert one.exists()
    assert "Build it: delivery release" in lake.refused("plan", "staging", "--first", code=4)


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
    lake.write("delivery.yml", f"{lake.text('delivery.yml')}notify: {{webhook_env: ALERTS}}\n")
    with webhook() as (address, messages):
        said = lake.run("deploy", "staging", "--archive", source.more, ALERTS=address)
    assert said.code == 1
    (message,) = messages
    for part in (
        "Acme Lakehouse, staging",
        "extra",
        "is running again, and verified",
        "is blocked",
    ):
        assert part in message["text"]
    assert "extra" in said.err
    assert "is running again, and verified" in said.err
    assert lake.ledger("staging")[3:] == [
        "started",
        "deployed",
        "failed",
        "blocked",
        "started",
        "rolled_back",
        "verified",
    ]
    assert lake.leftovers("staging") == []
    assert "is blocked" in lake.refused("deploy", "staging", "--archive", source.more)


@contextmanager
def webhook() -> Iterator[tuple[str, list[Any]]]:
    """An incoming webhook, and what it was told."""
    messages: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/secret-path", messages
        server.shutdown()


def test_what_goes_back_or_is_blocked_by_hand_is_told(delivered: Lake, source: Source) -> None:
    text = delivered.text("delivery.yml")
    delivered.write("delivery.yml", f"{text}notify: {{webhook_env: ALERTS}}\n")
    delivered.done("deploy", "staging", "--archive", source.more)
    with webhook() as (address, messages):
        told = ("--reason", "totals are wrong")
        delivered.done("rollback", "staging", *told, ALERTS=address)
        delivered.done("block", "staging", "2026.11.23-g01234567", *told, ALERTS=address)
    for message, part in zip(messages, ("rolled back to", "2026.11.23-g01234567"), strict=True):
        assert part in message["text"]
        assert "totals are wrong" in message["text"]


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
