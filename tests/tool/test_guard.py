"""The guard: what a deploy may not do by accident."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from delivery.bundle import Section, read_yaml
from delivery.guard import Situation, holds_data, judge, used_up
from delivery.plan import Change, Field
from delivery.policy import Allow, Branches, Guard, Policy, Project

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def policy(*allow: Allow, **guard: Any) -> Policy:
    return Policy(
        project=Project(name="Demo", compute="serverless"),
        branches=Branches(integration="main", targets={"prod": "main"}, prefixes=["feature"]),
        guard=Guard(**guard),
        allow=list(allow),
    )


def tree(folder: Path, jobs: dict[str, Any]) -> Section:
    """A target's configuration with some jobs."""
    (folder / "x.yml").write_text(json.dumps({"resources": {"jobs": jobs}}), encoding="utf-8")
    return read_yaml(folder, "x.yml")


def situation(given: Policy | None = None, **changes: Any) -> Situation:
    values = {"target": "prod", "policy": given or policy(), "state": {}, "tree": Section(),
              "now": NOW}  # fmt: skip
    return Situation(**{**values, **changes})


def verdicts(change: Change, **changes: Any) -> list[tuple[str, str]]:
    found = judge([change], situation(**changes))
    return [(v.verdict, v.reason) for v in found]


def field(path: str, old: Any = None, new: Any = None, remote: Any = None) -> list[Field]:
    return [Field(path=path, old=old, new=new, remote=remote)]


KINDS = ["schemas", "volumes", "pipelines", "dashboards", "secret_scopes", "registered_models",
         "apps", "something_new"]  # fmt: skip
NO_DATA = {"alerts", "clusters", "instance_pools", "job_runs", "sql_warehouses"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ["delete", "recreate", "update_id"])
def test_what_holds_data_is_not_destroyed(kind: str, action: Any) -> None:
    ((verdict, reason),) = verdicts(Change(key=f"{kind}.x", action=action))
    assert verdict == "refuse"
    assert f"--allow-destroy {kind}.x" in reason


@pytest.mark.parametrize("kind", sorted(NO_DATA))
def test_what_holds_none_may_go(kind: str) -> None:
    gone = Change(key=f"{kind}.x", action="delete")
    assert verdicts(gone) == []
    assert verdicts(gone, back=True) == [("mark", "holds no data: this rollback deletes it")]


def test_a_kind_that_no_rollback_retains_is_marked_when_it_is_first_added() -> None:
    ((verdict, reason),) = verdicts(Change(key="something_new.x", action="create"))
    assert verdict == "mark"
    assert reason == (
        "something_new cannot be retained: once it is delivered, a rollback to a release without "
        "it is refused, and when this delivery fails its jobs are paused instead"
    )
    assert verdicts(Change(key="something_new.x", action="update")) == []
    assert verdicts(Change(key="volumes.x", action="create")) == []


@pytest.mark.parametrize("action", ["create", "update", "resize"])
def test_what_loses_nothing_passes(action: Any) -> None:
    assert verdicts(Change(key="schemas.x", action=action)) == []


def test_rights_belong_to_no_data() -> None:
    assert not holds_data("schemas.x.grants")
    assert not holds_data("pipelines.x.permissions")
    assert holds_data("schemas.x")


@pytest.mark.parametrize("path", ["catalog", "schema", "storage", "target"])
def test_a_pipeline_stays_with_its_tables(path: str) -> None:
    change = Change(key="pipelines.x", action="update", fields=field(path, "a", "b", "a"))
    ((verdict, reason),) = verdicts(change)
    assert verdict == "refuse"
    assert reason.startswith(f"another {path} leaves the pipeline's tables behind")
    drift = Change(key="pipelines.x", action="update", fields=field(path, "a", "a", "b"))
    assert verdicts(drift) == []


def test_a_pipeline_keeps_its_libraries() -> None:
    path = "libraries[file.path='x.py']"
    gone = Change(key="pipelines.x", action="update", fields=field(path, {"a": 1}, None))
    assert verdicts(gone)[0][0] == "refuse"
    new = Change(key="pipelines.x", action="update", fields=field(path, None, {"a": 1}))
    assert verdicts(new) == []


def test_a_full_refresh_is_refused_in_changes_and_in_new_jobs(tmp_path: Path) -> None:
    path = "tasks[task_key='a'].pipeline_task.full_refresh"
    changed = Change(key="jobs.x", action="update", fields=field(path, False, True))
    assert verdicts(changed)[0][0] == "refuse"
    jobs = {"x": {"tasks": [{"task_key": "a", "pipeline_task": {"full_refresh": True}}]}}
    new = Change(key="jobs.x", action="create")
    assert verdicts(new, tree=tree(tmp_path, jobs))[0][0] == "refuse"
    assert verdicts(new, tree=tree(tmp_path, {"x": {"tasks": []}})) == []


def test_a_named_key_may_go_unless_it_is_protected() -> None:
    gone = Change(key="volumes.x", action="delete")
    ((verdict, reason),) = verdicts(gone, named={"volumes.x": "moved"})
    assert (verdict, reason.endswith("named: moved")) == ("allow", True)
    ((verdict, reason),) = verdicts(
        gone, given=policy(protected=["volumes.x"]), named={"volumes.x": "moved"}
    )
    assert (verdict, reason.endswith("guard.protected forbids it")) == ("refuse", True)


@pytest.mark.parametrize(
    ("until", "used", "expected"),
    [
        (date(2026, 11, 23), (), "allow"),
        (date(2026, 11, 22), (), "refuse"),
        (date(2026, 11, 23), ("volumes.x until 2026-11-23",), "refuse"),
    ],
)
def test_an_exception_counts_until_its_day_and_once(
    until: date, used: tuple[str, ...], expected: str
) -> None:
    allow = Allow(key="volumes.x", reason="moved", until=until)
    now = situation(policy(allow), used=frozenset(used))
    found = judge([Change(key="volumes.x", action="delete")], now)
    assert [v.verdict for v in found] == [expected]
    assert used_up(found, now) == ([allow.id] if expected == "allow" else [])


def test_what_is_named_uses_no_exception_up() -> None:
    allow = Allow(key="volumes.x", reason="moved", until=date(2026, 12, 1))
    now = situation(policy(allow), named={"volumes.x": "today"})
    assert used_up(judge([Change(key="volumes.x", action="delete")], now), now) == []


@pytest.mark.parametrize(
    ("lost", "total", "refused"),
    [(1, 4, 1), (1, 5, 0), (3, 15, 0), (4, 15, 4), (3, 100, 0), (4, 100, 4), (2, 9, 2)],
)
def test_more_jobs_than_three_or_a_fifth_are_not_lost_unnamed(
    lost: int, total: int, refused: int
) -> None:
    state: dict[str, Any] = {f"jobs.j{n}": {} for n in range(total)} | {"jobs.j0.permissions": {}}
    changes = [Change(key=f"jobs.j{n}", action="delete") for n in range(lost)]
    found = judge(changes, situation(state=state))
    assert sum(v.verdict == "refuse" for v in found) == refused
    assert judge(changes, situation(state=state, back=True)) == []


def test_a_job_by_another_key_is_offered_for_adoption(tmp_path: Path) -> None:
    state = {f"jobs.j{n}": {"state": {"name": f"n{n}"}} for n in range(9)}
    changes = [Change(key="jobs.j0", action="delete"), Change(key="jobs.new", action="create")]
    jobs = tree(tmp_path, {"new": {"name": "n0"}})
    found = judge(changes, situation(state=state, tree=jobs))
    assert [v.verdict for v in found] == ["mark"]
    assert "delivery adopt prod jobs.new --from jobs.j0 --reason" in found[0].reason


def test_a_renamed_job_that_is_refused_is_kept_by_adoption_first(tmp_path: Path) -> None:
    state = {"jobs.old": {"state": {"name": "n"}}}
    changes = [Change(key="jobs.old", action="delete"), Change(key="jobs.new", action="create")]
    found = judge(changes, situation(state=state, tree=tree(tmp_path, {"new": {"name": "n"}})))
    (refused,) = [v.reason for v in found if v.verdict == "refuse"]
    adopt = refused.index("delivery adopt prod jobs.new --from jobs.old --reason")
    assert adopt < refused.index("--allow-destroy jobs.old")


def test_a_job_that_runs_is_marked() -> None:
    change = Change(key="jobs.x", action="update")
    assert verdicts(change, active=frozenset({"jobs.x"})) == [("mark", "has a run going on")]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (field("grants[0]", None, ["ALL_PRIVILEGES"]), "gets all privileges"),
        (field("[group_name='users']", None, "CAN_MANAGE"), "everyone may manage it"),
        (field("[group_name='x']", None, "CAN_VIEW"), "gets a right"),
        (field("[group_name='x']", "CAN_VIEW", None), "loses a right"),
        (field("[group_name='x']", "CAN_VIEW", "CAN_RUN"), "gets other rights"),
    ],
)
def test_other_rights_are_marked_or_refused_as_policy_says(
    fields: list[Field], reason: str
) -> None:
    change = Change(key="jobs.x.permissions", action="update", fields=fields)
    marked = [("mark", f"{reason}: {fields[0].path}")]
    assert verdicts(change) == marked
    strict = policy(rights={"prod": "refuse"})
    assert [v for v, _ in verdicts(change, given=strict)] == ["refuse"]
    assert verdicts(change, given=strict, back=True) == marked
    named = verdicts(change, given=strict, named={change.key: "asked for"})
    assert [v for v, _ in named] == ["allow"]


def test_rights_that_hands_changed_are_put_back_without_a_word() -> None:
    fields = field("[group_name='x']", "CAN_VIEW", "CAN_VIEW", "CAN_MANAGE")
    assert verdicts(Change(key="jobs.x.permissions", action="update", fields=fields)) == []


def test_losing_all_rights_on_something_that_stays_is_seen() -> None:
    gone = Change(key="schemas.s.grants", action="delete")
    assert verdicts(gone) == [("mark", "everybody loses their rights")]
    strict = policy(rights={"prod": "refuse"})
    assert verdicts(gone, given=strict)[0][0] == "refuse"
    named = situation(named={"schemas.s": "moved"})
    both = judge([gone, Change(key="schemas.s", action="delete")], named)
    assert [v.key for v in both] == ["schemas.s"]


@pytest.mark.parametrize("kind", ["jobs", "sql_warehouses"])
def test_what_is_protected_stays_whatever_it_is(kind: str) -> None:
    state: dict[str, Any] = {f"jobs.j{n}": {} for n in range(100)}
    change = Change(key=f"{kind}.x", action="delete")
    found = verdicts(change, given=policy(protected=[f"{kind}.x"]), state=state)
    assert [verdict for verdict, _ in found] == ["refuse"]


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("tasks[task_key='r']", {"pipeline_task": {"full_refresh": True}}),
        ("tasks[task_key='r'].pipeline_task", {"full_refresh": True}),
        ("tasks", [{"for_each_task": {"task": {"pipeline_task": {"full_refresh": True}}}}]),
    ],
)
def test_a_full_refresh_is_found_at_any_depth(path: str, new: Any) -> None:
    change = Change(key="jobs.x", action="update", fields=field(path, None, new))
    assert verdicts(change)[0][0] == "refuse"
