"""The guard, where the other tests leave room."""

from datetime import date, datetime, timedelta, timezone

import pytest

from delivery.guard import judge, used_up
from delivery.plan import Change
from delivery.policy import Allow
from test_guard import field, policy, situation, verdicts

UNTIL = date(2026, 12, 1)
RIGHT = Change(
    key="jobs.x.permissions",
    action="update",
    fields=field("[group_name='x']", None, "CAN_VIEW"),
)
STRICT = policy(rights={"prod": "refuse"})


def test_going_back_destroys_no_data_either() -> None:
    ((verdict, reason),) = verdicts(Change(key="volumes.x", action="delete"), back=True)
    assert verdict == "refuse"
    assert reason == (
        "delete loses what it holds; name it: --allow-destroy volumes.x --reason …, "
        "or an allow entry in delivery.yml"
    )


def test_a_full_refresh_that_hands_set_is_put_back_without_a_word() -> None:
    path = "tasks[task_key='a'].pipeline_task.full_refresh"
    change = Change(key="jobs.x", action="update", fields=field(path, True, True, False))
    assert verdicts(change) == []


def test_an_exception_lets_rights_widen_and_is_used_up() -> None:
    allow = Allow(key=RIGHT.key, reason="asked for", until=UNTIL)
    strict = policy(allow, rights={"prod": "refuse"})
    now = situation(strict)
    found = judge([RIGHT], now)
    assert [(v.verdict, v.reason) for v in found] == [("allow", "gets a right: [group_name='x']")]
    assert used_up(found, now) == [allow.id]
    spent = situation(strict, used=frozenset({allow.id}))
    assert [v.verdict for v in judge([RIGHT], spent)] == ["refuse"]


def test_rights_are_refused_on_the_targets_that_policy_names_alone() -> None:
    assert [v for v, _ in verdicts(RIGHT, given=STRICT, target="staging")] == ["mark"]


@pytest.mark.parametrize("everyone", ["users", "account users"])
def test_everyone_is_known_by_both_names(everyone: str) -> None:
    fields = field(f"[group_name='{everyone}']", "CAN_VIEW", {"level": "CAN_MANAGE"})
    change = Change(key="jobs.x.permissions", action="update", fields=fields)
    assert verdicts(change) == [("mark", f"everyone may manage it: [group_name='{everyone}']")]
    some = field("[group_name='team']", "CAN_VIEW", {"level": "CAN_MANAGE"})
    change = Change(key="jobs.x.permissions", action="update", fields=some)
    assert verdicts(change) == [("mark", "gets other rights: [group_name='team']")]


@pytest.mark.parametrize("spelt", ["ALL_PRIVILEGES", "ALL PRIVILEGES"])
def test_all_privileges_are_known_in_both_spellings(spelt: str) -> None:
    fields = field("[principal='x']", {"privileges": ["SELECT"]}, {"privileges": [spelt]})
    change = Change(key="schemas.x.grants", action="update", fields=fields)
    assert verdicts(change) == [("mark", "gets all privileges: [principal='x']")]


@pytest.mark.parametrize(("hour", "expected"), [(18, "allow"), (20, "refuse")])
def test_the_last_day_of_an_exception_ends_in_utc(hour: int, expected: str) -> None:
    allow = Allow(key="volumes.x", reason="moved", until=date(2026, 11, 23))
    now = datetime(2026, 11, 23, hour, tzinfo=timezone(timedelta(hours=-5)))
    found = judge([Change(key="volumes.x", action="delete")], situation(policy(allow), now=now))
    assert [v.verdict for v in found] == [expected]


def test_of_two_exceptions_for_a_key_the_one_that_is_left_counts() -> None:
    spent = Allow(key="volumes.x", reason="first", until=date(2026, 11, 30))
    left = Allow(key="volumes.x", reason="second", until=UNTIL)
    now = situation(policy(spent, left), used=frozenset({spent.id}))
    found = judge([Change(key="volumes.x", action="delete")], now)
    assert [v.reason for v in found] == [
        "delete loses what it holds; allowed until 2026-12-01: second"
    ]
    assert used_up(found, now) == [left.id]


def test_a_lost_job_that_is_named_may_go_and_the_others_may_not() -> None:
    state: dict[str, dict[str, str]] = {f"jobs.j{n}": {} for n in range(4)}
    changes = [Change(key=f"jobs.j{n}", action="delete") for n in range(2)]
    found = judge(changes, situation(state=state, named={"jobs.j0": "old"}))
    assert [(v.key, v.verdict) for v in found] == [("jobs.j0", "allow"), ("jobs.j1", "refuse")]
    assert found[0].reason == "2 of 4 jobs would be deleted; named: old"
