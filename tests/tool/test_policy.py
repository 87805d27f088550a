"""The policy: typed, with a schema for editors, the stricter one wins."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from delivery.checks.registry import CheckContext, check
from delivery.config.policy import Allow, Freeze, Policy, load_policy
from delivery.errors import DeliveryError
from harness.baking import TEMPLATE

Edit = Callable[[str, str, str], None]
SCHEMA = TEMPLATE / "tools/delivery/delivery.schema.json"


def test_the_schema_for_editors_is_that_of_the_model() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == Policy.model_json_schema()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("verify:", "verfy:", r"delivery\.yml:11: verfy: unknown key, expected verify"),
        ("    shop: shop_daily", "    shop: shop_daily\n  minuts: 3",
         r"delivery\.yml:14: verify\.minuts: unknown key, expected minutes"),
        ("verify:", "zzz: 1\nverify:", r"zzz: unknown key, expected one of project, branches"),
        ("verify:", "plan_hours: 0\nverify:", r"delivery\.yml:11: plan_hours: Input should be"),
        ("verify:", "approval: {prod: mayor}\nverify:", r"approval\.prod: Input should be 'none'"),
        ("verify:", "allow: [{key: a, reason: b, until: soon}]\nverify:",
         r"delivery\.yml:11: allow\.0\.until: Value error, Invalid isoformat"),
        ("verify:", "allow: [{kye: a, reason: b, until: 2026-01-01}]\nverify:",
         r"allow\.0\.key: Field required"),
        ("verify:", "freezes: [{first: 2026-01-01, last: 2026-01-02, targets: [prod], "
         "reson: x}]\nverify:", r"freezes\.0\.reason: Field required"),
    ],
)  # fmt: skip
def test_a_slip_is_answered_with_its_place_and_the_nearest_key(
    project: Path, edit: Edit, old: str, new: str, message: str
) -> None:
    edit("delivery.yml", old, new)
    with pytest.raises(DeliveryError, match=message):
        load_policy(project)


def test_a_field_of_an_earlier_version_stops_nothing_and_is_named_by_check(
    project: Path, edit: Edit
) -> None:
    edit("delivery.yml", "verify:", 'cli_versions: ["1.27"]\nverify:')
    assert load_policy(project) == Policy.model_validate(
        {**load_policy(project).model_dump(by_alias=True), "cli_versions": ["1.27"]}
    )
    (found,) = [f for f in check(CheckContext(project), ["policy"]) if "cli_versions" in f.message]
    assert (found.file, found.line, found.severity) == ("delivery.yml", 11, "warning")
    assert "tools/cli-requirements.txt" in found.message


def policy(project: Path, edit: Edit, text: str) -> Policy:
    edit("delivery.yml", "may_differ:", f"{text}\nmay_differ:")
    return load_policy(project)


def test_defaults_are_safe(project: Path) -> None:
    found = load_policy(project)
    assert (found.approval_of("staging"), found.approval_of("prod")) == ("none", "environment")
    assert found.released == ("staging", "prod")
    assert (
        found.previous_target("staging"),
        found.previous_target("prod"),
        found.previous_target("dev"),
    ) == (
        None,
        "staging",
        None,
    )
    assert found.delivery_minutes == 50
    assert found.guard.jobs_deleted == 3


@pytest.mark.parametrize(
    ("day", "target", "frozen"),
    [(19, "prod", False), (20, "prod", True), (24, "prod", True), (25, "prod", False),
     (20, "staging", False)],
)  # fmt: skip
def test_a_freeze_holds_on_both_of_its_days(
    project: Path, edit: Edit, day: int, target: str, frozen: bool
) -> None:
    text = "freezes: [{first: 2026-12-20, last: 2026-12-24, targets: [prod], reason: year's end}]"
    now = datetime(2026, 12, day, 23, 59, tzinfo=UTC)
    found = policy(project, edit, text).active_freeze(target, now)
    assert (found is not None) is frozen
    assert not found or found.reason == "year's end"


def test_the_stricter_policy_wins_and_exceptions_are_of_the_new_one(project: Path) -> None:
    base = load_policy(project)
    allow = Allow(key="volumes.x", reason="old", until=date(2026, 12, 1))
    freeze = Freeze(first=date(2026, 1, 1), last=date(2026, 1, 2), targets=["prod"], reason="x")
    guard = base.guard.model_copy(
        update={"protected": ["volumes.y"], "jobs_deleted": 1, "rights": {"prod": "refuse"}}
    )
    running = base.model_copy(
        update={"guard": guard, "allow": [allow], "freezes": [freeze], "plan_hours": 1,
                "approval": {"prod": "dispatch", "staging": "environment"}}
    )  # fmt: skip
    loose = base.model_copy(update={"approval": {"prod": "none"}})
    for strict in (loose.stricter(running), running.stricter(loose)):
        assert strict.guard == guard
        assert strict.freezes == [freeze]
        assert strict.approval == {"prod": "dispatch", "staging": "environment"}
        assert strict.plan_hours == 1
    assert loose.stricter(running).allow == []
    assert allow.id == "volumes.x until 2026-12-01"
