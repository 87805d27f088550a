"""Plans show how data contracts change tables, and no column is dropped by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness.delivering import Sandbox

pytestmark = pytest.mark.slow

CONTRACTS = "src/lakehouse/flights/contracts"
SILVER = f"{CONTRACTS}/silver.flights.yml"
GATE = "      - name: gate\n        logicalType: string\n"
TAIL = "      - name: tailnum\n        logicalType: string\n"
KEY = "tables.flights.silver.flights.gate"
ALLOWED = f"allow: [{{key: {KEY}, reason: nobody reads it, until: 2099-12-31}}]\n"


def tables(sandbox: Sandbox, *options: object) -> dict[str, Any]:
    """What a plan says of each table."""
    planned = sandbox.done("plan", "staging", *options, "--output", "json").json
    return {table["table"]: table for table in planned["tables"]}


def version(sandbox: Sandbox, before: str, now: str) -> None:
    sandbox.edit(SILVER, f"version: {before}\n", f"version: {now}\n")


def with_gate(sandbox: Sandbox, message: str = "feat: gates") -> Path:
    """A release with one column more."""
    sandbox.edit(SILVER, TAIL, f"{GATE}{TAIL}")
    return sandbox.release(message)


def test_a_first_plan_names_tables_and_no_change(sandbox: Sandbox) -> None:
    sandbox.release("first")
    text = sandbox.done("plan", "staging", "--first").out
    assert "+ 7 new tables: flights.gold.punctuality, flights.gold.routes, " in text
    assert "COMMENT ON" not in text


def test_a_column_comes_and_goes_and_comes_back(delivered: Sandbox, tmp_path: Path) -> None:
    archive = with_gate(delivered)
    (table,) = tables(delivered, "--archive", archive).values()
    assert (table["table"], table["effect"], table["rebuilt"]) == (
        "flights.silver.flights", "safe", True
    )  # fmt: skip
    assert [change["what"] for change in table["changes"]] == ["column gate is added (string)"]
    at = f"`{delivered.name.replace('-', '_')}_staging`.`flights_silver`.`flights`"
    assert table["statements"][0].startswith(f"COMMENT ON TABLE {at} IS ")
    delivered.done("deploy", "staging", "--archive", archive)

    delivered.edit(SILVER, "implementation: distance > 0", "implementation: distance > 1")
    ruled = delivered.release("fix: a rule")
    (table,) = tables(delivered, "--archive", ruled).values()
    assert (table["effect"], table["rebuilt"], table["statements"]) == ("rewrite", True, [])
    assert [change["what"] for change in table["changes"]] == ["rule positive_distance changes"]
    delivered.done("deploy", "staging", "--archive", ruled)
    assert tables(delivered) == {}  # that release runs already

    delivered.edit(SILVER, GATE, "")
    minor = ("--archive", delivered.release("feat: no gates"))
    named = ("--allow-destroy", KEY, "--reason", "nobody reads it")
    error = delivered.refused("deploy", "staging", *minor, *named)
    assert f"{KEY}: column gate is dropped; to keep it, leave the contract as it was" in error
    assert "raise the first number of its version" in error
    planned = delivered.done("plan", "staging", *minor, *named, "--output", "json").json
    assert [d["action"] for d in planned["decisions"]] == ["refuse"]  # the key is known
    version(delivered, "1.0.0", "2.0.0")
    major = ("--archive", delivered.release("feat!: no gates"))
    assert f"--allow-destroy {KEY}" in delivered.refused("deploy", "staging", *major)

    delivered.edit("delivery.yml", "allow: []\n", ALLOWED)
    allowed = ("--archive", delivered.release("chore: allow it"))
    plan = tmp_path / "plan.json"
    assert tables(delivered, *allowed, "--save", plan)["flights.silver.flights"]["is_major"]
    delivered.done("deploy", "staging", *allowed, "--plan", plan)

    version(delivered, "2.0.0", "2.1.0")
    delivered.done("deploy", "staging", "--archive", with_gate(delivered, "feat: gates, again"))
    delivered.edit(SILVER, GATE, "")
    version(delivered, "2.1.0", "3.0.0")
    error = delivered.refused("deploy", "staging", "--archive", delivered.release("feat!: none"))
    assert f"--allow-destroy {KEY}" in error  # the exception is used up


def test_a_rollback_keeps_columns_until_a_release_names_them(delivered: Sandbox) -> None:
    delivered.done("deploy", "staging", "--archive", with_gate(delivered))
    text = delivered.done("rollback", "staging", "--dry-run", "--reason", "wrong").out
    assert "~ table flights.silver.flights: safe, computed anew from bronze" in text
    assert "safe: column gate stays, and is NULL in new rows" in text
    delivered.done("rollback", "staging", "--reason", "wrong")
    assert delivered.events("staging")[-1]["kind"] == "verified"

    delivered.edit(SILVER, GATE, "")
    delivered.done("deploy", "staging", "--archive", delivered.code("something else"))
    version(delivered, "1.0.0", "2.0.0")
    delivered.edit(SILVER, "implementation: distance > 0", "implementation: distance > 1")
    error = delivered.refused("deploy", "staging", "--archive", delivered.release("feat!: a rule"))
    assert f"{KEY}: column gate is dropped" in error


def test_an_archive_that_is_gone_breaks_no_plan(delivered: Sandbox) -> None:
    archive = with_gate(delivered)
    files = delivered.workspace.files
    for name in [name for name in files if "/staging/archives/" in name]:
        del files[name]
    planned = delivered.done("plan", "staging", "--archive", archive, "--output", "json").json
    (decision,) = [d for d in planned["decisions"] if d["key"] == "tables"]
    assert (decision["action"], planned["tables"]) == ("warn", [])
    assert "their changes are not known: release: given" in decision["reason"]
