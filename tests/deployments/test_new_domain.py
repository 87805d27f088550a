"""A domain that `delivery new` creates, from its first release to its removal."""

from __future__ import annotations

import pytest
from harness.delivering import Sandbox

pytestmark = pytest.mark.slow


def test_a_new_domain_is_delivered_and_its_removal_destroys_no_data(delivered: Sandbox) -> None:
    delivered.done("new", "domain", "orders", "--kind", "sql")
    for part in ("job", "notebook", "sql", "dashboard"):
        delivered.done("new", part, f"my_{part}", "--domain", "orders")
    archive = delivered.release("feat: orders")
    planned = delivered.done("plan", "staging", "--archive", archive).out
    assert "+ create jobs.orders_daily\n" in planned
    assert "+ create dashboards.orders_my_dashboard\n" in planned
    assert "+ 2 new tables: orders.gold.daily, orders.silver.orders\n" in planned
    assert "refuse" not in planned
    done = delivered.done("deploy", "staging", "--archive", archive)
    assert "… verifying flights, orders\n" in done.err
    tasks = delivered.job("staging", "orders_daily")["tasks"]
    assert {task["task_key"] for task in tasks} == {"bronze", "silver", "gold"}
    delivered.done("remove", "domain", "orders", "--yes")
    archive = delivered.release("feat: no more orders")
    refused = delivered.refused("deploy", "staging", "--archive", archive)
    assert "volumes.orders_landing: would lose its data (delete); to keep it, declare" in refused
