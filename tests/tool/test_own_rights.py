"""Rights of deployer, planner and who plans: the same for all of them, and drift is seen."""

from typing import Any

import pytest
from delivery.config.identities import Identities
from delivery.config.yaml import Mark, YamlList, YamlMapping
from delivery.plan.model import ResourceChange
from delivery.plan.normalize import normalize
from delivery.plan.own_rights import add_permission_changes

KNOWN = Identities("deployer", "runner", "planner")
DECLARED = [("planner", "CAN_VIEW"), ("viewers", "CAN_VIEW")]
GIVEN = [("planner", "CAN_VIEW"), ("viewers", "CAN_VIEW"), ("deployer", "IS_OWNER")]


def entry(name: str, level: str) -> dict[str, str]:
    key = {"viewers": "group_name"}.get(
        name, "user_name" if "@" in name else "service_principal_name"
    )
    return {"level": level, key: name}


def tree(kind: str, rights: list[tuple[str, str]]) -> YamlMapping:
    items, resource, found = YamlList(), YamlMapping(), YamlMapping()
    for name, level in rights:
        one = YamlMapping()
        one.update(entry(name, level))
        items.put(one, Mark("x.yml", 1))
    resource["permissions"] = items
    for key in ("x", kind, "resources"):
        found = YamlMapping()
        found[key] = resource
        resource = found
    return found


def plan(
    me: str,
    remote: list[tuple[str, str]],
    kind: str = "jobs",
    given: list[tuple[str, str]] = GIVEN,
    declared: list[tuple[str, str]] = DECLARED,
    retained: bool = False,
) -> list[ResourceChange]:
    """The changes of the plan that the CLI makes as `me`."""
    owned = "IS_OWNER" if kind == "jobs" else "CAN_MANAGE"
    wanted = [one for one in declared if one[0] != me] + [(me, owned)]
    old, new, seen = dict(given), dict(wanted), dict(remote)
    changes = {
        f"[{next(k for k in entry(n, '') if k != 'level')}='{n}'].level": {
            "action": "update", "old": old.get(n), "new": new.get(n), "remote": seen.get(n)
        }
        for n in {*old, *new, *seen}
        if not old.get(n) == new.get(n) == seen.get(n)
    }  # fmt: skip
    node: dict[str, Any] = {
        "action": "update" if changes else "skip",
        "changes": changes,
        "remote_state": {"object_id": "/x/1", "__embed__": [entry(*one) for one in remote]},
    }
    raw = {"plan": {f"resources.{kind}.x.permissions": node}}
    state = {f"{kind}.x.permissions": {"state": {"__embed__": [entry(*one) for one in given]}}}
    normalized = normalize(raw, {*KNOWN[::2], me})
    known = YamlMapping() if retained else tree(kind, declared)
    return add_permission_changes(normalized, raw, known, state, KNOWN, me)


@pytest.mark.parametrize("hand", [
    [],
    [("planner", "CAN_MANAGE")],
    [("deployer", "CAN_VIEW"), ("mallory@x.example", "IS_OWNER")],
    [("viewers", "CAN_MANAGE")],
    [("runner", "CAN_MANAGE_RUN")],
    [("planner", "CAN_MANAGE"), ("viewers", "CAN_RUN"), ("mallory@x.example", "CAN_MANAGE")],
])  # fmt: skip
def test_all_see_the_same_and_what_hands_did(hand: list[tuple[str, str]]) -> None:
    remote = [*{**dict(GIVEN), **dict(hand)}.items()]
    mine, theirs = plan("deployer", remote), plan("planner", remote)
    assert mine == theirs
    fields = {f.path.partition("'")[2].partition("'")[0]: f for c in mine for f in c.fields}
    assert {name: str(field.remote) for name, field in fields.items()} == dict(hand)
    assert all(field.is_drift for field in fields.values())


def test_what_was_taken_from_them_is_seen() -> None:
    (change,) = plan("planner", [("viewers", "CAN_VIEW")])
    assert [(f.path, f.old, f.new, f.remote) for f in change.fields] == [
        ("[service_principal_name='deployer']", "IS_OWNER", "IS_OWNER", None),
        ("[service_principal_name='planner']", "CAN_VIEW", "CAN_VIEW", None),
    ]


def test_what_a_release_changes_is_no_drift() -> None:
    declared = [("planner", "CAN_MANAGE_RUN"), ("viewers", "CAN_VIEW")]
    (change,) = plan("planner", GIVEN, declared=declared)
    ((path, old, new),) = [(f.path, f.old, f.new) for f in change.fields]
    assert (path, old, new) == (
        "[service_principal_name='planner']", "CAN_VIEW", "CAN_MANAGE_RUN"
    )  # fmt: skip
    assert not change.is_drift
    assert plan("planner", GIVEN, declared=declared) == plan("deployer", GIVEN, declared=declared)


def test_what_a_deploy_gave_before_it_was_cut_off_is_no_change() -> None:
    for known in (GIVEN[:2], GIVEN[1:2], GIVEN[1:]):  # to the state
        assert plan("deployer", GIVEN, given=known) == []


def test_who_else_plans_sees_its_own_rights_too() -> None:
    remote = [*GIVEN, ("admin@x.example", "CAN_MANAGE")]
    (change,) = plan("admin@x.example", remote)
    assert [(f.path, f.remote) for f in change.fields] == [
        ("[user_name='admin@x.example']", "CAN_MANAGE")
    ]


@pytest.mark.parametrize("kind", ["dashboards", "apps", "experiments"])
def test_of_kinds_without_an_owner_the_deployer_manages(kind: str) -> None:
    given = [("planner", "CAN_VIEW"), ("viewers", "CAN_VIEW"), ("deployer", "CAN_MANAGE")]
    assert plan("deployer", given, kind, given) == plan("planner", given, kind, given) == []


@pytest.mark.parametrize("kind", ["pipelines", "dashboards"])
def test_what_is_retained_keeps_the_rights_that_it_has(kind: str) -> None:
    own = "IS_OWNER" if kind == "pipelines" else "CAN_MANAGE"
    given = [("planner", "CAN_VIEW"), ("viewers", "CAN_VIEW"), ("deployer", own)]
    known: dict[str, Any] = {"kind": kind, "given": given, "declared": given, "retained": True}
    assert plan("deployer", given, **known) == []
    hand = [("planner", "CAN_MANAGE"), *given[1:]]
    (change,) = plan("deployer", hand, **known)
    assert [(f.old, f.new, f.remote) for f in change.fields] == [
        ("CAN_VIEW", "CAN_VIEW", "CAN_MANAGE")
    ]
