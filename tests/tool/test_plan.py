"""Plans: normalised, without secrets, carried out as they were approved."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from delivery.errors import DeliveryError
from delivery.plan.model import (
    ContractChange,
    Decision,
    FieldChange,
    Plan,
    ResourceChange,
    TableChange,
    expiry,
    plan_differences,
    read_plan,
)
from delivery.plan.normalize import normalize
from delivery.refusals import Refusal
from delivery.release.manifest import sha256
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE, TWO = "2026.11.23-g00000001", "2026.11.24-g00000002"
DEPLOYER, PLANNER, RUNNER = "id-of-deployer", "id-of-planner", "id-of-runner"
HIDDEN = {DEPLOYER, PLANNER}


def update(path: str, **values: Any) -> dict[str, Any]:
    return {"action": "update", "changes": {path: {"action": "update", **values}}}


def one(node: str, entry: dict[str, Any]) -> ResourceChange | None:
    found = normalize({"plan": {f"resources.{node}": entry}}, HIDDEN)
    return found[0] if found else None


def plan(**changes: Any) -> Plan:
    values = {
        "target": "prod", "host": "https://example.com", "project": "p", "release": TWO,
        "release_digest": 64 * "a", "running": ONE, "lineage": "l", "serial": 3,
        "changes": [ResourceChange(key="jobs.a", action="create", value="x")],
        "created_at": NOW, "expires_at": expiry(NOW, 72),
    }  # fmt: skip
    return Plan.model_validate({**values, **changes})


def test_what_stays_is_no_change() -> None:
    assert one("jobs.a", {"action": "skip"}) is None
    entry = update("x", old=1, new=2, remote=1)
    entry["changes"]["x"]["action"] = "skip"
    assert one("jobs.a", entry) is None


def test_whoever_plans_is_not_in_the_plan() -> None:
    path = f"[service_principal_name='{PLANNER}']"
    assert one("jobs.a.permissions", update(path, remote={"level": "IS_OWNER"})) is None
    assert one("jobs.a.permissions", update(f"[service_principal_name='{RUNNER}']", new=1))
    assert one("jobs.a", update(path, new=1))  # elsewhere a name is only a name


@pytest.mark.parametrize(
    "rights",
    [
        lambda who: {"object_id": "", "__embed__": [
            {"level": "CAN_VIEW", "service_principal_name": RUNNER},
            {"level": "IS_OWNER", "service_principal_name": who}]},
        lambda who: {"scope_name": "s", "acls": [
            {"permission": "MANAGE", "principal": who},
            {"permission": "READ", "principal": RUNNER}]},
    ],
)  # fmt: skip
def test_new_rights_are_the_same_whoever_plans_them(
    rights: Callable[[str], dict[str, Any]],
) -> None:
    def value(who: str, key: str = "x.a.permissions") -> str:
        found = one(key, {"action": "create", "new_state": {"value": rights(who)}})
        assert found is not None
        return found.value

    assert value(DEPLOYER) == value(PLANNER)
    assert value(DEPLOYER) != value("somebody else")
    assert value(DEPLOYER, "x.a.grants") != value(PLANNER, "x.a.grants")


@given(st.permutations(["a", "b", "c"]))
def test_the_order_of_new_rights_does_not_count(names: list[str]) -> None:
    def digest(order: list[str]) -> str:
        entries = [{"level": "CAN_VIEW", "group_name": name} for name in order]
        state = {"value": {"__embed__": entries}}
        found = one("jobs.a.permissions", {"action": "create", "new_state": state})
        assert found is not None
        return found.value

    assert digest(names) == digest(["a", "b", "c"])


def test_another_release_folder_is_code_and_nothing_else() -> None:
    folder = "/Workspace/x/releases/{}/files/dist/app-0.1.0+{}-py3-none-any.whl"
    old, new = folder.format(ONE, ONE[-9:]), folder.format(TWO, TWO[-9:])
    change = one("jobs.a", update("environments", old=[old], new=[new], remote=[old]))
    assert change is not None
    assert change.is_code
    assert not change.is_drift
    other = one("jobs.a", update("environments", old=[old], new=[f"{new}x"], remote=[old]))
    assert other is not None
    assert not other.is_code


def test_what_hands_changed_is_drift() -> None:
    change = one("jobs.a", update("timeout", old=1, new=1, remote=2))
    assert change is not None
    assert change.is_drift
    assert not change.is_code


def test_no_secret_and_no_long_value_is_shown() -> None:
    token = "dapi" + 32 * "0"
    change = one("jobs.a", update("env", new={"API_TOKEN": token, "x": ["y" * 400, token]}))
    assert change is not None
    assert token not in change.model_dump_json()
    shown = change.fields[0].new
    assert shown["API_TOKEN"] == "(hidden)"
    assert shown["x"][0].startswith("y" * 300 + "… (sha256 ")


def test_counts_are_those_of_resources() -> None:
    changes = [
        ResourceChange(key="jobs.a", action="create"),
        ResourceChange(key="jobs.b", action="recreate"),
        ResourceChange(key="jobs.c", action="update_id"),
        ResourceChange(key="jobs.d", action="delete"),
    ]
    counts = plan(changes=changes, retained=["volumes.v"]).counts()
    assert counts == {"create": 2, "update": 1, "delete": 2, "retained": 1}


def test_a_digest_is_of_what_is_decided_on() -> None:
    refusal = Decision(key="jobs.a", action="refuse", reason="x", refusal=Refusal.RIGHTS)
    same = plan(created_at=NOW + timedelta(hours=1), commits=["x"], decisions=[refusal])
    assert same.digest == plan().digest
    assert same.refusals == [refusal]
    changes: tuple[dict[str, Any], ...] = (
        {"target": "staging"},
        {"host": "https://other.example.com"},
        {"release": ONE},
        {"release_digest": 64 * "b"},
        {"running": ""},
        {"serial": 4},
        {"lineage": "m"},
        {"changes": []},
        {"retained": ["volumes.v"]},
        {"is_rollback": True},
        {"project": "q"},
    )
    for change in changes:
        assert plan(**change).digest != plan().digest, change


def table(what: str = "column gate is dropped", **changes: Any) -> TableChange:
    change = ContractChange(key="tables.a.silver.b.gate", effect="destructive", what=what)
    values = {"table": "a.silver.b", "effect": "destructive", "changes": [change]}
    return TableChange.model_validate({**values, **changes})


def test_changes_of_tables_are_approved_too() -> None:
    before_there_were_any = "d68858145efe05423bc96b4fe4d413647daa85ae1c42d22f1c835add3b20f49f"
    assert plan().digest == plan(tables=[]).digest == before_there_were_any
    others = [table(), table("column x is dropped"), table(statements=["x"]), table(rebuilt=True)]
    digests = {plan(tables=[other]).digest for other in others}
    assert len({plan().digest, *digests}) == 5


def test_a_plan_that_was_saved_before_plans_had_tables_is_read(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    plan().write(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    del document["plan"]["tables"]
    text = json.dumps(document["plan"], sort_keys=True)
    document["checksum"] = sha256(text.encode())
    file.write_text(json.dumps(document), encoding="utf-8")
    assert read_plan(file, NOW) == plan()


def test_a_plan_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "plan.json"
    plan(tables=[table()]).write(file)
    assert read_plan(file, NOW) == plan(tables=[table()])
    assert [found.name for found in file.parent.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    "field", ["release", "expires_at", "host", "decisions", "changes", "created_at"]
)
def test_an_edited_plan_is_refused(tmp_path: Path, field: str) -> None:
    file = tmp_path / "plan.json"
    plan().write(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    other = plan(
        release=ONE, expires_at=NOW + timedelta(days=999), host="https://x.example.com", changes=[],
        decisions=[Decision(key="a", action="allow", reason="x")], created_at=NOW + timedelta(1),
    )  # fmt: skip
    document["plan"][field] = other.model_dump(mode="json")[field]
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DeliveryError, match="the plan was edited after it was made"):
        read_plan(file, NOW)


def test_a_plan_that_waited_too_long_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    plan().write(file)
    read_plan(file, NOW + timedelta(hours=72))
    with pytest.raises(DeliveryError, match="expired at 2026-11-26 12:00 UTC; make a new one"):
        read_plan(file, NOW + timedelta(hours=73))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"plan": {"schema": 0}}', '{"plan": []}', "\x00"]
)
def test_what_is_no_plan_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DeliveryError, match="expected a plan made by: delivery plan --save"):
        read_plan(file, NOW)


def test_a_plan_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"plan\.json: cannot be read: No such file"):
        read_plan(tmp_path / "plan.json", NOW)


def test_everything_that_moved_is_named() -> None:
    field = FieldChange(path="timeout", old=1, new=2, remote=7)
    fresh = plan(serial=4, changes=[ResourceChange(key="jobs.b", action="update", fields=[field])])
    assert plan_differences(plan(), plan(created_at=NOW + timedelta(1))) == []
    assert plan_differences(plan(), fresh) == [
        "serial: approved 3, now 4",
        "jobs.a: approved create of content x, now nothing",
        "jobs.b: approved nothing, now update timeout: 7 → 2",
    ]


def test_tables_that_changed_since_are_named() -> None:
    saved = plan(tables=[table(), table(table="a.gold.c")])
    fresh = plan(tables=[table("column x is dropped"), table(table="a.gold.d")])
    what = "column gate is dropped (destructive)"
    changed = f"table a.silver.b: approved {what}, now column x is dropped (destructive)"
    new = f"table a.gold.d: approved nothing, now {what}"
    assert plan_differences(saved, fresh) == [
        f"table a.gold.c: approved {what}, now nothing", new, changed
    ]  # fmt: skip
    assert plan_differences(saved, fresh, started=True) == [new, changed]
    assert plan_differences(saved, plan(), started=True) == []  # the release runs already
