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
from harness.delivering import Sandbox

pytestmark = pytest.mark.slow


def first(sandbox: Sandbox, source: Source, target: str = "staging") -> None:
    """The first delivery ever."""
    sandbox.done("deploy", target, "--first", "--archive", source.first)


def test_a_release_goes_from_staging_to_prod_with_its_receipt(
    sandbox: Sandbox, source: Source, tmp_path: Path
) -> None:
    first(sandbox, source)
    assert sandbox.ledger("staging") == ["started", "deployed", "verified"]
    fetched = sandbox.done("fetch", "staging", "--into", tmp_path, "--output", "json").json
    options = ("--archive", fetched["archive"], "--receipt", fetched["receipt"], "--first")
    plan = tmp_path / "plan.json"
    sandbox.done("plan", "prod", *options, "--save", plan)
    sandbox.done("deploy", "prod", *options, "--plan", plan, "--approved-by", "ana")
    assert sandbox.ledger("prod") == ["started", "deployed", "verified"]
    (status,) = sandbox.done("status", "prod", "--output", "json").json
    assert (status["release"], status["health"], status["sync"], status["approved_by"]) == (
        fetched["release"], "verified", "in sync", "ana",
    )  # fmt: skip
    assert sandbox.leftovers("prod") == []
    _spare_staging_and_approval(sandbox)


def _spare_staging_and_approval(sandbox: Sandbox) -> None:
    """A release that lifts both in its own policy still needs staging's word, and an approval."""
    sandbox.edit("delivery.yml", '    staging: "main"\n', "")
    sandbox.edit("delivery.yml", "  prod: environment", "  prod: none")
    archive = sandbox.code("without staging")
    assert "approval of prod: given none" in sandbox.refused("deploy", "prod", "--archive", archive)
    plan = sandbox.done("plan", "prod", "--archive", archive, "--output", "json").json
    (verdict,) = [v for v in plan["decisions"] if v["key"] == "policy"]
    assert verdict["action"] == "refuse"
    assert verdict["reason"].startswith("no receipt of staging")
    allow = "allow: [{key: promotion, reason: one target is enough, until: 2099-12-31}]"
    sandbox.edit("delivery.yml", "allow: []", allow)
    plan = sandbox.done(
        "plan", "prod", "--archive", sandbox.code("allowed"), "--output", "json"
    ).json
    assert [(v["key"], v["action"]) for v in plan["decisions"]] == [("promotion", "allow")]


def test_a_protection_holds_for_the_release_that_lifts_it_and_no_longer(
    delivered: Sandbox,
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


def test_what_runs_and_is_verified_is_not_delivered_again(sandbox: Sandbox, source: Source) -> None:
    first(sandbox, source)
    before = sandbox.workspace.snapshot()
    result = sandbox.done("deploy", "staging", "--archive", source.first)
    assert "nothing to do" in result.out
    assert sandbox.workspace.snapshot() == before


def test_the_release_of_the_checked_out_commit_is_meant(sandbox: Sandbox, tmp_path: Path) -> None:
    one, other = sandbox.code("one"), sandbox.code("other")
    plan = sandbox.done("plan", "staging", "--first", "--output", "json").json
    assert plan["release"] == other.name.removesuffix(".tar.gz")
    other.unlink()
    assert one.exists()
    assert "Build it: delivery release" in sandbox.refused("plan", "staging", "--first", code=4)


def test_planner_and_deployer_make_the_same_plan(sandbox: Sandbox, source: Source) -> None:
    first(sandbox, source)
    command = ("plan", "staging", "--archive", source.more, "--output", "json")
    one, other = (sandbox.done(*command, who=who).json for who in ("planner", "deployer"))
    assert one["changes"]
    assert (one["digest"], one["changes"]) == (other["digest"], other["changes"])


def test_a_release_that_fails_its_verification_goes_back_by_itself(
    sandbox: Sandbox, source: Source
) -> None:
    first(sandbox, source)
    sandbox.workspace.on_run("extra_job", "fail")
    sandbox.write(
        "delivery.yml", f"{sandbox.text('delivery.yml')}notify: {{webhook_env: ALERTS}}\n"
    )
    with webhook() as (address, messages):
        result = sandbox.run("deploy", "staging", "--archive", source.more, ALERTS=address)
    assert result.code == 1
    (message,) = messages
    for part in (
        "Acme Lakehouse, staging",
        "extra",
        "is running again, and verified",
        "is blocked",
    ):
        assert part in message["text"]
    assert "extra" in result.err
    assert "is running again, and verified" in result.err
    assert sandbox.ledger("staging")[3:] == [
        "started",
        "deployed",
        "failed",
        "blocked",
        "started",
        "rolled_back",
        "verified",
    ]
    assert sandbox.leftovers("staging") == []
    assert "is blocked" in sandbox.refused("deploy", "staging", "--archive", source.more)


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


def test_what_goes_back_or_is_blocked_by_hand_is_told(delivered: Sandbox, source: Source) -> None:
    text = delivered.text("delivery.yml")
    delivered.write("delivery.yml", f"{text}notify: {{webhook_env: ALERTS}}\n")
    delivered.done("deploy", "staging", "--archive", source.more)
    with webhook() as (address, messages):
        options = ("--reason", "totals are wrong")
        delivered.done("rollback", "staging", *options, ALERTS=address)
        delivered.done("block", "staging", "2026.11.23-g01234567", *options, ALERTS=address)
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


def test_going_back_keeps_what_holds_data_until_it_is_named(
    sandbox: Sandbox, source: Source
) -> None:
    first(sandbox, source)
    sandbox.done("deploy", "staging", "--archive", source.more)
    before = _data(sandbox)
    sandbox.done("rollback", "staging", "--reason", "totals are wrong")
    assert "extra_job" not in _jobs(sandbox)
    assert _data(sandbox) == before
    plan = sandbox.done("plan", "staging", "--archive", source.first, "--output", "json").json
    assert (plan["changes"], {*plan["retained"]}) == ([], KEPT)
    for number in range(3):
        archive = source.after if number == 0 else sandbox.code(f"later {number}")
        sandbox.done("deploy", "staging", "--archive", archive)
        assert _data(sandbox) == before
    (status,) = sandbox.done("status", "staging", "--output", "json").json
    assert {*status["retained"]} == KEPT
    archive = sandbox.code("named")
    options = ("--archive", archive, "--reason", "it is copied", "--allow-destroy")
    sandbox.done("deploy", "staging", *options, "volumes.extra_files")
    assert [name for name in sandbox.workspace.volumes if "extra" in name] == []
    assert [name for name in sandbox.workspace.schemas if "extra" in name] != []
    assert sandbox.leftovers("staging") == []


def _jobs(sandbox: Sandbox) -> set[str]:
    return {job["settings"]["name"] for job in sandbox.workspace.jobs.values()}


def _data(sandbox: Sandbox) -> str:
    """Everything that holds data, with its rights, as the workspace has it."""
    kinds = ("volumes", "schemas", "secret_scopes", "pipelines", "dashboards", "grants")
    shot = sandbox.workspace.snapshot()
    return json.dumps({kind: shot[kind] for kind in kinds}, sort_keys=True, default=str)
