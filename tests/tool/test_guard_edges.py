"""The guard, where the other tests leave room."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from delivery.config.policy import Allow
from delivery.deploy.apply import remaining_plan
from delivery.plan.guard import consumed_exceptions, evaluate
from delivery.plan.model import ResourceChange
from delivery.workspace.bundle_cli import CliError

from tool.test_guard import field, policy, situation, tree, verdicts

UNTIL = date(2026, 12, 1)
RIGHT = ResourceChange(
    key="jobs.x.permissions",
    action="update",
    fields=field("[group_name='x']", None, "CAN_VIEW"),
)
STRICT = policy(rights={"prod": "refuse"})


def test_going_back_destroys_no_data_either() -> None:
    ((verdict, reason),) = verdicts(
        ResourceChange(key="volumes.x", action="delete"), is_rollback=True
    )
    assert verdict == "refuse"
    assert reason == (
        "would lose its data (delete); a rollback never destroys data; "
        "deploy a fixed release instead"
    )


def test_a_full_refresh_that_hands_set_is_put_back_without_a_word() -> None:
    path = "tasks[task_key='a'].pipeline_task.full_refresh"
    change = ResourceChange(key="jobs.x", action="update", fields=field(path, True, True, False))
    assert verdicts(change) == []


def test_an_exception_lets_rights_widen_and_is_used_up() -> None:
    allow = Allow(key=RIGHT.key, reason="asked for", until=UNTIL)
    strict = policy(allow, rights={"prod": "refuse"})
    now = situation(strict)
    found = evaluate([RIGHT], now)
    assert [(v.action, v.reason) for v in found] == [
        ("allow", "a right is added: [group_name='x']")
    ]
    assert consumed_exceptions(found, now) == [allow.id]
    spent = situation(strict, consumed=frozenset({allow.id}))
    assert [v.action for v in evaluate([RIGHT], spent)] == ["refuse"]


def test_rights_are_refused_on_the_targets_that_policy_names_alone() -> None:
    assert [v for v, _ in verdicts(RIGHT, given=STRICT, target="staging")] == ["warn"]


@pytest.mark.parametrize("everyone", ["users", "account users"])
def test_everyone_is_known_by_both_names(everyone: str) -> None:
    fields = field(f"[group_name='{everyone}']", "CAN_VIEW", {"level": "CAN_MANAGE"})
    change = ResourceChange(key="jobs.x.permissions", action="update", fields=fields)
    assert verdicts(change) == [("warn", f"all users get CAN_MANAGE: [group_name='{everyone}']")]
    some = field("[group_name='team']", "CAN_VIEW", {"level": "CAN_MANAGE"})
    change = ResourceChange(key="jobs.x.permissions", action="update", fields=some)
    assert verdicts(change) == [("warn", "a right is changed: [group_name='team']")]


@pytest.mark.parametrize("spelt", ["ALL_PRIVILEGES", "ALL PRIVILEGES"])
def test_all_privileges_are_known_in_both_spellings(spelt: str) -> None:
    fields = field("[principal='x']", {"privileges": ["SELECT"]}, {"privileges": [spelt]})
    change = ResourceChange(key="schemas.x.grants", action="update", fields=fields)
    assert verdicts(change) == [("warn", "all privileges are granted: [principal='x']")]


@pytest.mark.parametrize(("hour", "expected"), [(18, "allow"), (20, "refuse")])
def test_the_last_day_of_an_exception_ends_in_utc(hour: int, expected: str) -> None:
    allow = Allow(key="volumes.x", reason="moved", until=date(2026, 11, 23))
    now = datetime(2026, 11, 23, hour, tzinfo=timezone(timedelta(hours=-5)))
    found = evaluate(
        [ResourceChange(key="volumes.x", action="delete")], situation(policy(allow), now=now)
    )
    assert [v.action for v in found] == [expected]


def test_of_two_exceptions_for_a_key_the_one_that_is_left_counts() -> None:
    spent = Allow(key="volumes.x", reason="first", until=date(2026, 11, 30))
    left = Allow(key="volumes.x", reason="second", until=UNTIL)
    now = situation(policy(spent, left), consumed=frozenset({spent.id}))
    found = evaluate([ResourceChange(key="volumes.x", action="delete")], now)
    reason = "would lose its data (delete); allowed until 2026-12-01: second"
    assert [v.reason for v in found] == [reason]
    assert consumed_exceptions(found, now) == [left.id]


def test_a_lost_job_that_is_named_may_go_and_the_others_may_not() -> None:
    state: dict[str, dict[str, str]] = {f"jobs.j{n}": {} for n in range(4)}
    changes = [ResourceChange(key=f"jobs.j{n}", action="delete") for n in range(2)]
    found = evaluate(changes, situation(state=state, allow_destroy={"jobs.j0": "old"}))
    assert [(v.key, v.action) for v in found] == [("jobs.j0", "allow"), ("jobs.j1", "refuse")]
    assert found[0].reason == "2 of 4 jobs would be deleted; allowed on the command line: old"


EVERYONE = "[group_name='users']"


def test_rights_that_are_created_are_judged_like_those_that_change() -> None:
    wide = ResourceChange(
        key="jobs.x.permissions", action="create", fields=field(EVERYONE, new="CAN_MANAGE")
    )
    assert verdicts(wide) == [("warn", f"all users get CAN_MANAGE: {EVERYONE}")]
    given = ResourceChange(
        key="jobs.x.permissions", action="create", fields=field(EVERYONE, new="CAN_VIEW")
    )
    assert verdicts(given) == [("warn", f"a right is added: {EVERYONE}")]


def test_the_first_rights_of_something_new_are_no_widening_unless_they_are_too_wide() -> None:
    for level, expected in (("CAN_VIEW", []), ("CAN_MANAGE", ["jobs.x.permissions"])):
        rights = ResourceChange(
            key="jobs.x.permissions", action="create", fields=field(EVERYONE, new=level)
        )
        found = evaluate([ResourceChange(key="jobs.x", action="create"), rights], situation())
        assert [verdict.key for verdict in found] == expected


def test_an_exception_is_not_spent_on_what_would_be_marked_alone() -> None:
    allow = Allow(key=RIGHT.key, reason="asked for", until=date(2026, 12, 1))
    given = situation(policy(allow))
    found = evaluate([RIGHT], given)
    assert [verdict.action for verdict in found] == ["warn"]
    assert consumed_exceptions(found, given) == []


RELEASES = [f"/x/releases/2026.11.2{n}-g0123456{n}/files/src" for n in (1, 2)]


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("libraries[0].file.path", f"{RELEASES[0]}/a.py", f"{RELEASES[1]}/b.py"),
        (
            "libraries",
            [{"file": {"path": "a"}}, {"file": {"path": "b"}}],
            [{"file": {"path": "a"}}],
        ),
        ("libraries[1]", {"file": {"path": "b"}}, None),
    ],
)
def test_a_library_that_is_replaced_is_as_good_as_removed(path: str, old: Any, new: Any) -> None:
    change = ResourceChange(key="pipelines.x", action="update", fields=field(path, old, new, old))
    ((verdict, reason),) = verdicts(change)
    assert verdict == "refuse"
    assert "a library is removed or replaced" in reason


def test_libraries_of_another_release_or_place_are_the_same() -> None:
    moved = field("libraries[0].file.path", f"{RELEASES[0]}/a.py", f"{RELEASES[1]}/a.py")
    assert verdicts(ResourceChange(key="pipelines.x", action="update", fields=moved)) == []
    shifted = [
        *field("libraries[0].file.path", "a", "new"),
        *field("libraries[1]", None, {"file": {"path": "a"}}),
    ]
    assert verdicts(ResourceChange(key="pipelines.x", action="update", fields=shifted)) == []


@pytest.mark.parametrize(
    ("planned", "left", "fails"),
    [
        ([], {"resources.jobs.x": {"action": "create"}}, False),
        (["volumes.x"], {"resources.volumes.x": {"action": "delete"}}, False),
        ([], {"resources.volumes.x": {"action": "recreate"}}, True),
    ],
)
def test_a_second_try_destroys_nothing_that_was_not_judged(
    planned: list[str], left: dict[str, Any], fails: bool
) -> None:
    changes = [ResourceChange(key=key, action="delete") for key in planned]
    prepared: Any = SimpleNamespace(
        plan=SimpleNamespace(changes=changes), cli=SimpleNamespace(plan=lambda: {"plan": left})
    )
    if fails:
        with pytest.raises(CliError, match="it broke"):
            remaining_plan(prepared, CliError("deploy", "it broke"))
    else:
        assert remaining_plan(prepared, CliError("deploy", "it broke")) == {"plan": left}


def test_an_earlier_release_s_exceptions_do_not_count_when_it_returns() -> None:
    allow = Allow(key="volumes.x", reason="moved", until=date(2026, 12, 1))
    gone = ResourceChange(key="volumes.x", action="delete")
    assert verdicts(gone, given=policy(allow))[0][0] == "allow"
    assert verdicts(gone, given=policy(allow), is_rollback=True)[0][0] == "refuse"
    assert (
        verdicts(gone, given=policy(), is_rollback=True, allow_destroy={"volumes.x": "x"})[0][0]
        == "allow"
    )


# --- what changing the guard a line at a time did not turn red ---

REFRESH = {"tasks": [{"task_key": "a", "pipeline_task": {"full_refresh": True}}]}
TASK = "tasks[task_key='a'].pipeline_task"


def test_a_job_that_is_made_again_with_a_full_refresh_is_refused(tmp_path: Path) -> None:
    again = ResourceChange(key="jobs.x", action="recreate")
    found = verdicts(again, tree=tree(tmp_path, {"x": REFRESH}))
    assert [v for v, reason in found if "full_refresh" in reason] == ["refuse"]


def test_a_task_that_had_its_full_refresh_before_may_change_otherwise() -> None:
    old, new = ({"full_refresh": True, "pipeline_id": name} for name in ("a", "b"))
    for fields in (field(TASK, old, new), field("max_concurrent_runs", 1, 2)):
        assert verdicts(ResourceChange(key="jobs.x", action="update", fields=fields)) == []


def test_an_exception_ends_with_its_day_in_utc_wherever_the_machine_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    strict = policy(Allow(key=RIGHT.key, reason="x", until=UNTIL), rights={"prod": "refuse"})
    try:
        for minutes, verdict in ((0, "allow"), (1439, "allow"), (1440, "refuse")):
            now = datetime(2026, 12, 1, tzinfo=UTC) + timedelta(minutes=minutes)
            assert [v for v, _ in verdicts(RIGHT, given=strict, now=now)] == [verdict]
    finally:
        monkeypatch.undo()
        time.tzset()
