"""Plans, where the other tests leave room."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from delivery.errors import DeliveryError
from delivery.plan.model import FieldChange, ResourceChange, expiry, plan_differences, read_plan
from delivery.plan.normalize import normalize

from tool.test_plan import NOW, ONE, TWO, one, plan, update

CODE = FieldChange(
    path="p", old=f"/x/releases/{ONE}/f", new=f"/x/releases/{TWO}/f", remote=f"/x/releases/{ONE}/f"
)


def test_changes_and_fields_are_sorted_whatever_order_the_cli_tells_them_in() -> None:
    fields = {path: {"action": "update", "new": 1} for path in ("b", "a")}
    entry = {"action": "update", "changes": fields}
    raw = {"plan": {"resources.jobs.b": entry, "resources.jobs.a": entry}}
    found = normalize(raw, set())
    assert [change.key for change in found] == ["jobs.a", "jobs.b"]
    assert [field.path for field in found[0].fields] == ["a", "b"]


def test_only_what_is_created_has_a_digest_of_its_value() -> None:
    state = {"new_state": {"value": {"name": "x"}}}
    created = one("jobs.a", {"action": "create", **state})
    updated = one("jobs.a", {**update("x", new=1), **state})
    deleted = one("jobs.a", {"action": "delete", **state})
    assert created is not None
    assert len(created.value) == 64
    assert updated is not None
    assert deleted is not None
    assert (updated.value, deleted.value) == ("", "")


def test_another_value_of_what_is_created_is_another_plan() -> None:
    def made(name: str) -> str:
        state = {"value": {"name": name}}
        raw = {"plan": {"resources.jobs.a": {"action": "create", "new_state": state}}}
        return plan(changes=normalize(raw, set())).digest

    assert made("x") == made("x")
    assert made("x") != made("y")


@pytest.mark.parametrize("action", ["recreate", "delete", "update_id", "resize"])
def test_only_an_update_is_mere_code_or_mere_drift(action: Any) -> None:
    drift = FieldChange(path="x", old=1, new=1, remote=2)
    assert ResourceChange(key="jobs.a", action="update", fields=[CODE]).is_code
    assert not ResourceChange(key="jobs.a", action=action, fields=[CODE]).is_code
    assert ResourceChange(key="jobs.a", action="update", fields=[drift]).is_drift
    assert not ResourceChange(key="jobs.a", action=action, fields=[drift]).is_drift


def test_a_change_beside_the_code_is_no_mere_code() -> None:
    other = FieldChange(path="timeout", old=1, new=2, remote=1)
    assert not ResourceChange(key="jobs.a", action="update", fields=[CODE, other]).is_code


def test_a_plan_ends_in_utc() -> None:
    east = timezone(timedelta(hours=3))
    end = expiry(datetime(2026, 11, 23, 12, tzinfo=east), 1)
    assert end.isoformat() == "2026-11-23T10:00:00+00:00"


def test_a_value_of_300_characters_is_shown_and_a_longer_one_is_cut() -> None:
    def shown(length: int) -> str:
        change = one("jobs.a", update("x", new=length * "y"))
        assert change is not None
        return str(change.fields[0].new)

    assert shown(300) == 300 * "y"
    assert shown(301).startswith(300 * "y" + "… (sha256 ")
    assert shown(301) != shown(302)


@pytest.mark.parametrize(
    ("path", "value"),
    [("env['API_TOKEN']", "abc"), ("spark_conf['a.b.password']", "abc"), ("x.password", ["abc"]),
     ("x", {"a.password": "abc"}), ("x", {"y": [{"client_secret": "abc"}]})],
)  # fmt: skip
def test_a_value_is_hidden_by_the_name_of_its_key_at_any_depth(path: str, value: Any) -> None:
    change = one("jobs.a", update(path, old=value, new=value, remote=value))
    assert change is not None
    assert "abc" not in change.model_dump_json()
    assert change.model_dump_json().count("(hidden)") == 3


def test_a_reference_to_a_secret_is_no_secret() -> None:
    change = one("jobs.a", update("env['API_TOKEN']", new="{{secrets/scope/key}}"))
    assert change is not None
    assert change.fields[0].new == "{{secrets/scope/key}}"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("target", "staging", "target: approved 'prod', now 'staging'"),
        ("host", "https://other.example.com",
         "host: approved 'https://example.com', now 'https://other.example.com'"),
        ("project", "q", "project: approved 'p', now 'q'"),
        ("release", ONE, f"release: approved '{TWO}', now '{ONE}'"),
        ("release_digest", "b", f"release_digest: approved '{64 * 'a'}', now 'b'"),
        ("running", "", f"running: approved '{ONE}', now ''"),
        ("is_rollback", True, "is_rollback: approved False, now True"),
        ("lineage", "m", "lineage: approved 'l', now 'm'"),
        ("retained", ["volumes.v"], "retained: approved [], now ['volumes.v']"),
    ],
)  # fmt: skip
def test_what_moved_is_told_as_approved_and_as_it_is_now(
    name: str, value: Any, expected: str
) -> None:
    assert plan_differences(plan(), plan(**{name: value})) == [expected]
    assert plan_differences(plan(), plan(created_at=NOW + timedelta(hours=1))) == []


def test_of_a_plan_that_was_cut_off_a_part_may_be_left_and_nothing_else() -> None:
    right = FieldChange(path="[group_name='users']", new="CAN_VIEW")
    rights = ResourceChange(key="jobs.a.permissions", action="create", fields=[right], value="x")
    approved = plan(changes=[*plan().changes, rights])
    left = rights.model_copy(update={"action": "update", "value": ""})
    assert (
        plan_differences(approved, plan(running=TWO, serial=9, changes=[left]), started=True) == []
    )
    assert plan_differences(approved, plan(running=TWO, serial=9, changes=[]), started=True) == []
    wider = left.model_copy(update={"fields": [right.model_copy(update={"new": "CAN_MANAGE"})]})
    gone = ResourceChange(key="jobs.b", action="delete")
    for other in (wider, gone):
        assert plan_differences(approved, plan(changes=[other]), started=True)
    assert plan_differences(approved, plan(release=ONE, changes=[]), started=True)


def test_of_many_fields_the_first_three_are_told() -> None:
    fields = [FieldChange(path=f"f{n}", old=0, new=n, remote=0) for n in range(5)]
    fresh = plan(changes=[ResourceChange(key="jobs.a", action="update", fields=fields)])
    assert plan_differences(plan(changes=[]), fresh) == [
        "jobs.a: approved nothing, now update f0: 0 → 0, f1: 0 → 1, f2: 0 → 2"
    ]


def test_the_kind_of_rights_is_their_own() -> None:
    keys = ("jobs.a", "jobs.a.permissions", "schemas.s.grants", "volumes.grants.grants")
    kinds = [ResourceChange(key=key, action="delete").kind for key in keys]
    assert kinds == ["jobs", "permissions", "grants", "grants"]


def test_the_file_of_a_plan_names_the_digest_that_is_approved(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    plan().write(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["digest"] == plan().digest
    document["digest"] = plan(serial=4).digest
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DeliveryError, match="the plan was edited after it was made"):
        read_plan(file, NOW)


GRANTS = {"__embed__": [{"principal": "users", "privileges": ["SELECT"]}]}
LEVELS = {"__embed__": [{"level": "CAN_VIEW", "group_name": "users"},
                        {"level": "IS_OWNER", "service_principal_name": "d"}]}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("schemas.x.grants", GRANTS, [("[principal='users']", ["SELECT"])]),
        ("jobs.x.permissions", LEVELS, [("[group_name='users']", "CAN_VIEW")]),
        ("secret_scopes.x.permissions", {"acls": [{"principal": "users", "permission": "READ"}]},
         [("[principal='users']", "READ")]),
    ],
)  # fmt: skip
def test_rights_that_are_created_are_listed(key: str, value: Any, expected: Any) -> None:
    created = {"action": "create", "new_state": {"value": value}}
    (change,) = normalize({"plan": {f"resources.{key}": created}}, {"d"})
    assert [(field.path, field.new) for field in change.fields] == expected


def test_a_plan_of_the_cli_without_a_new_state_is_read() -> None:
    created = one("jobs.a", {"action": "create", "new_state": None})
    assert created == ResourceChange(key="jobs.a", action="create")


def test_a_plan_that_says_no_time_zone_or_is_too_deep_is_none(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    plan().write(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    document["plan"]["expires_at"] = "2026-11-26T00:00:00"
    for text in (json.dumps(document), "[" * 100_000):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(DeliveryError, match="expected a plan made by"):
            read_plan(file, NOW)


@pytest.mark.parametrize(
    ("path", "value"),
    [("env.password[0]", "x"), ("conf.['fs.account.key.sandbox.net']", "x"), ("password", 12345)],
)
def test_a_secret_is_hidden_in_a_list_by_a_dotted_name_and_as_a_number(
    path: str, value: Any
) -> None:
    change = one(
        "jobs.a", {"action": "update", "changes": {path: {"action": "update", "new": value}}}
    )
    assert change is not None
    assert change.fields[0].new == "(hidden)"


def test_other_content_under_the_same_action_is_told() -> None:
    before, after = (
        plan(changes=[ResourceChange(key="jobs.a", action="create", value=c * 64)]) for c in "ab"
    )
    assert plan_differences(before, after) == [
        "jobs.a: approved create of content aaaaaaaa, now create of content bbbbbbbb"
    ]


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("parameters[name='db_password'].default", "hunter2", "(hidden)"),
        ("env[name='API_KEY'].value", "hunter2", "(hidden)"),
        ("parameters", [{"name": "db_password", "default": "hunter2"}],
         [{"name": "db_password", "default": "(hidden)"}]),
        ("parameters[name='db_password']", {"name": "db_password", "default": "hunter2"},
         {"name": "db_password", "default": "(hidden)"}),
        ("tasks[task_key='a'].spark_python_task.parameters[1]", "--token=hunter2", "(hidden)"),
        ("parameters[name='day'].default", "monday", "monday"),
    ],
)  # fmt: skip
def test_a_secret_is_hidden_by_the_name_beside_it(path: str, value: object, shown: object) -> None:
    change = {"action": "update", "old": value, "new": value, "remote": value}
    raw = {"plan": {"resources.jobs.x": {"action": "update", "changes": {path: change}}}}
    (field,) = normalize(raw, set())[0].fields
    assert (field.old, field.new, field.remote) == (shown, shown, shown)
