"""The guard: what a deploy may not do by accident."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from delivery.config.policy import Allow, Branches, Guard, Policy, ProjectInfo
from delivery.config.yaml import YamlMapping, read_yaml
from delivery.plan.guard import GuardInput, consumed_exceptions, evaluate, holds_data
from delivery.plan.model import FieldChange, ResourceChange

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def policy(*allow: Allow, **guard: Any) -> Policy:
    return Policy(
        project=ProjectInfo(name="Demo", compute="serverless"),
        branches=Branches(integration="main", targets={"prod": "main"}, prefixes=["feature"]),
        guard=Guard(**guard),
        allow=list(allow),
    )


def tree(folder: Path, jobs: dict[str, Any]) -> YamlMapping:
    """A target's configuration with some jobs."""
    (folder / "x.yml").write_text(json.dumps({"resources": {"jobs": jobs}}), encoding="utf-8")
    return read_yaml(folder, "x.yml")


def situation(given: Policy | None = None, **changes: Any) -> GuardInput:
    values = {"target": "prod", "policy": given or policy(), "state": {}, "tree": YamlMapping(),
              "now": NOW}  # fmt: skip
    return GuardInput(**{**values, **changes})


def verdicts(change: ResourceChange, **changes: Any) -> list[tuple[str, str]]:
    found = evaluate([change], situation(**changes))
    return [(v.action, v.reason) for v in found]


def field(path: str, old: Any = None, new: Any = None, remote: Any = None) -> list[FieldChange]:
    return [FieldChange(path=path, old=old, new=new, remote=remote)]


KINDS = ["schemas", "volumes", "pipelines", "dashboards", "secret_scopes", "registered_models",
         "apps", "something_new"]  # fmt: skip
NO_DATA = {"alerts", "clusters", "instance_pools", "job_runs", "sql_warehouses"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ["delete", "recreate", "update_id"])
def test_what_holds_data_is_not_destroyed(kind: str, action: Any) -> None:
    ((verdict, reason),) = verdicts(ResourceChange(key=f"{kind}.x", action=action))
    assert verdict == "refuse"
    assert f"--allow-destroy {kind}.x" in reason


@pytest.mark.parametrize("kind", sorted(NO_DATA))
def test_what_holds_none_may_go(kind: str) -> None:
    gone = ResourceChange(key=f"{kind}.x", action="delete")
    assert verdicts(gone) == []
    reason = "holds no data, so this rollback deletes it"
    assert verdicts(gone, is_rollback=True) == [("warn", reason)]


def test_a_kind_that_no_rollback_retains_is_marked_when_it_is_first_added() -> None:
    ((verdict, reason),) = verdicts(ResourceChange(key="something_new.x", action="create"))
    assert verdict == "warn"
    assert reason == (
        "something_new cannot be retained: once it is deployed, a rollback to a release without "
        "it is refused; if this deploy fails, its jobs are paused instead"
    )
    assert verdicts(ResourceChange(key="something_new.x", action="update")) == []
    assert verdicts(ResourceChange(key="volumes.x", action="create")) == []


@pytest.mark.parametrize("action", ["create", "update", "resize"])
def test_what_loses_nothing_passes(action: Any) -> None:
    assert verdicts(ResourceChange(key="schemas.x", action=action)) == []


def test_rights_belong_to_no_data() -> None:
    assert not holds_data("schemas.x.grants")
    assert not holds_data("pipelines.x.permissions")
    assert holds_data("schemas.x")


@pytest.mark.parametrize("path", ["catalog", "schema", "storage", "target"])
def test_a_pipeline_stays_with_its_tables(path: str) -> None:
    change = ResourceChange(key="pipelines.x", action="update", fields=field(path, "a", "b", "a"))
    ((verdict, reason),) = verdicts(change)
    assert verdict == "refuse"
    assert reason.startswith(f"a new {path} would abandon the pipeline's existing tables")
    drift = ResourceChange(key="pipelines.x", action="update", fields=field(path, "a", "a", "b"))
    assert verdicts(drift) == []


def test_a_pipeline_keeps_its_libraries() -> None:
    path = "libraries[file.path='x.py']"
    gone = ResourceChange(key="pipelines.x", action="update", fields=field(path, {"a": 1}, None))
    assert verdicts(gone)[0][0] == "refuse"
    new = ResourceChange(key="pipelines.x", action="update", fields=field(path, None, {"a": 1}))
    assert verdicts(new) == []


def test_a_full_refresh_is_refused_in_changes_and_in_new_jobs(tmp_path: Path) -> None:
    path = "tasks[task_key='a'].pipeline_task.full_refresh"
    changed = ResourceChange(key="jobs.x", action="update", fields=field(path, False, True))
    assert verdicts(changed)[0][0] == "refuse"
    jobs = {"x": {"tasks": [{"task_key": "a", "pipeline_task": {"full_refresh": True}}]}}
    new = ResourceChange(key="jobs.x", action="create")
    assert verdicts(new, tree=tree(tmp_path, jobs))[0][0] == "refuse"
    assert verdicts(new, tree=tree(tmp_path, {"x": {"tasks": []}})) == []


def test_a_named_key_may_go_unless_it_is_protected() -> None:
    gone = ResourceChange(key="volumes.x", action="delete")
    ((verdict, reason),) = verdicts(gone, allow_destroy={"volumes.x": "moved"})
    assert (verdict, reason.endswith("allowed on the command line: moved")) == ("allow", True)
    ((verdict, reason),) = verdicts(
        gone, given=policy(protected=["volumes.x"]), allow_destroy={"volumes.x": "moved"}
    )
    assert (verdict, reason.endswith("guard.protected lists it")) == ("refuse", True)


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
    now = situation(policy(allow), consumed=frozenset(used))
    found = evaluate([ResourceChange(key="volumes.x", action="delete")], now)
    assert [v.action for v in found] == [expected]
    assert consumed_exceptions(found, now) == ([allow.id] if expected == "allow" else [])


def test_what_is_named_uses_no_exception_up() -> None:
    allow = Allow(key="volumes.x", reason="moved", until=date(2026, 12, 1))
    now = situation(policy(allow), allow_destroy={"volumes.x": "today"})
    assert (
        consumed_exceptions(evaluate([ResourceChange(key="volumes.x", action="delete")], now), now)
        == []
    )


@pytest.mark.parametrize(
    ("lost", "total", "refused"),
    [(1, 4, 1), (1, 5, 0), (3, 15, 0), (4, 15, 4), (3, 100, 0), (4, 100, 4), (2, 9, 2)],
)
def test_more_jobs_than_three_or_a_fifth_are_not_lost_unnamed(
    lost: int, total: int, refused: int
) -> None:
    state: dict[str, Any] = {f"jobs.j{n}": {} for n in range(total)} | {"jobs.j0.permissions": {}}
    changes = [ResourceChange(key=f"jobs.j{n}", action="delete") for n in range(lost)]
    found = evaluate(changes, situation(state=state))
    assert sum(v.action == "refuse" for v in found) == refused
    assert evaluate(changes, situation(state=state, is_rollback=True)) == []


def test_a_job_by_another_key_is_offered_for_adoption(tmp_path: Path) -> None:
    state = {f"jobs.j{n}": {"state": {"name": f"n{n}"}} for n in range(9)}
    changes = [
        ResourceChange(key="jobs.j0", action="delete"),
        ResourceChange(key="jobs.new", action="create"),
    ]
    jobs = tree(tmp_path, {"new": {"name": "n0"}})
    found = evaluate(changes, situation(state=state, tree=jobs))
    assert [v.action for v in found] == ["warn"]
    assert "delivery adopt prod jobs.new --from jobs.j0 --reason" in found[0].reason


def test_a_renamed_job_that_is_refused_is_kept_by_adoption_first(tmp_path: Path) -> None:
    state = {"jobs.old": {"state": {"name": "n"}}}
    changes = [
        ResourceChange(key="jobs.old", action="delete"),
        ResourceChange(key="jobs.new", action="create"),
    ]
    found = evaluate(changes, situation(state=state, tree=tree(tmp_path, {"new": {"name": "n"}})))
    (refused,) = [v.reason for v in found if v.action == "refuse"]
    adopt = refused.index("delivery adopt prod jobs.new --from jobs.old --reason")
    assert adopt < refused.index("--allow-destroy jobs.old")


def test_a_job_that_runs_is_marked() -> None:
    change = ResourceChange(key="jobs.x", action="update")
    assert verdicts(change, active_jobs=frozenset({"jobs.x"})) == [("warn", "has an active run")]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (field("grants[0]", None, ["ALL_PRIVILEGES"]), "all privileges are granted"),
        (field("[group_name='users']", None, "CAN_MANAGE"), "all users get CAN_MANAGE"),
        (field("[group_name='x']", None, "CAN_VIEW"), "a right is added"),
        (field("[group_name='x']", "CAN_VIEW", None), "a right is removed"),
        (field("[group_name='x']", "CAN_VIEW", "CAN_RUN"), "a right is changed"),
    ],
)
def test_other_rights_are_marked_or_refused_as_policy_says(
    fields: list[FieldChange], reason: str
) -> None:
    change = ResourceChange(key="jobs.x.permissions", action="update", fields=fields)
    marked = [("warn", f"{reason}: {fields[0].path}")]
    assert verdicts(change) == marked
    strict = policy(rights={"prod": "refuse"})
    assert [v for v, _ in verdicts(change, given=strict)] == ["refuse"]
    assert verdicts(change, given=strict, is_rollback=True) == marked
    named = verdicts(change, given=strict, allow_destroy={change.key: "asked for"})
    assert [v for v, _ in named] == ["allow"]


def test_rights_that_hands_changed_are_put_back_without_a_word() -> None:
    fields = field("[group_name='x']", "CAN_VIEW", "CAN_VIEW", "CAN_MANAGE")
    assert verdicts(ResourceChange(key="jobs.x.permissions", action="update", fields=fields)) == []


def test_losing_all_rights_on_something_that_stays_is_seen() -> None:
    gone = ResourceChange(key="schemas.s.grants", action="delete")
    assert verdicts(gone) == [("warn", "everyone loses their rights")]
    strict = policy(rights={"prod": "refuse"})
    assert verdicts(gone, given=strict)[0][0] == "refuse"
    named = situation(allow_destroy={"schemas.s": "moved"})
    both = evaluate([gone, ResourceChange(key="schemas.s", action="delete")], named)
    assert [v.key for v in both] == ["schemas.s"]


@pytest.mark.parametrize("kind", ["jobs", "sql_warehouses"])
def test_what_is_protected_stays_whatever_it_is(kind: str) -> None:
    state: dict[str, Any] = {f"jobs.j{n}": {} for n in range(100)}
    change = ResourceChange(key=f"{kind}.x", action="delete")
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
    change = ResourceChange(key="jobs.x", action="update", fields=field(path, None, new))
    assert verdicts(change)[0][0] == "refuse"
