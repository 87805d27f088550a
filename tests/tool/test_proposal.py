"""What is proposed for what hands changed, and which files are notebooks."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from delivery.config.target import read_target
from delivery.config.yaml import read_yaml
from delivery.plan.normalize import normalize, redact
from delivery.plan.planner import PlannedDeploy
from delivery.render.text import drift_as_text
from delivery.status.drift import Drift, is_notebook, resource_drift
from hypothesis import given
from hypothesis import strategies as st

from tool.test_screens import shown as seen

JOB = "jobs.shop_daily"
FILES = "/Workspace/Deployments/demo/staging/releases/r1/files"


def _prepared(root: Path, key: str, path: str, change: Any, remote: Any) -> PlannedDeploy:
    """A plan with one field that hands changed."""
    changes = {path: {"action": "update", **change}}
    raw = {"plan": {f"resources.{key}": {"action": "update", "changes": changes,
                                         "remote_state": remote}}}  # fmt: skip
    return cast(
        PlannedDeploy,
        SimpleNamespace(
            raw=raw,
            plan=SimpleNamespace(changes=normalize(raw, frozenset()), retained=[], release="r1"),
            state=SimpleNamespace(entries={"jobs.known": {}}),
            target=read_target(root, "staging", {"release": "r1"}),
            archive=SimpleNamespace(manifest=SimpleNamespace(wheel="app-1-py3-none-any.whl")),
        ),
    )


def _drift(root: Path, path: str, change: Any, remote: Any = None, key: str = JOB) -> Drift:
    (found,) = resource_drift(_prepared(root, key, path, change, remote), [])
    return found


def _proposed(root: Path, path: str, found: Any, remote: Any = None, key: str = JOB) -> Any:
    """The YAML below the resource."""
    kind, name = key.split(".")[:2]
    adopt = _drift(root, path, {"remote": found}, remote, key).patch
    return yaml.safe_load(adopt)["resources"][kind][name]


TASKS = {"tasks": [{"task_key": "count", "depends_on": [{"task_key": "load"}, {"task_key": "x"}]}]}


@pytest.mark.parametrize(
    ("path", "found", "remote", "expected"),
    [
        ("timeout_seconds", 99, None, {"timeout_seconds": 99}),
        ("schedule.pause_status", "PAUSED", None, {"schedule": {"pause_status": "PAUSED"}}),
        ("tags['hot''fix.1']", "yes", None, {"tags": {"hot'fix.1": "yes"}}),
        (
            "tasks[task_key='load'].timeout_seconds", 9, None,
            {"tasks": [{"task_key": "load", "timeout_seconds": 9}]},
        ),
        ("parameters[name='day'].default", "1", None,
         {"parameters": [{"name": "day", "default": "1"}]}),
        (
            "email_notifications.on_failure[0]", "b",
            {"email_notifications": {"on_failure": ["b", "c"]}},
            {"email_notifications": {"on_failure": ["b", "c"]}},
        ),
        (
            "tasks[task_key='count'].depends_on[task_key='x']", {"task_key": "x"}, TASKS,
            TASKS,
        ),
        (
            "tasks[task_key='count'].spark_python_task.parameters[0]", "a",
            {"tasks": [{"task_key": "count", "spark_python_task": {"parameters": ["a", "b"]}}]},
            {"tasks": [{"task_key": "count", "spark_python_task": {"parameters": ["a", "b"]}}]},
        ),
        ("x", f"{FILES}/a.py", None, {"x": "${workspace.file_path}/a.py"}),
        ("x", [{"y": "runner-of-staging"}], None, {"x": [{"y": "${var.runner}"}]}),
        ("x", f"{FILES}/dist/app-1-py3-none-any.whl", None,
         {"x": "${workspace.file_path}/dist/${var.wheel}"}),
        ("description", "x" * 400, None, {"description": "x" * 400}),
    ],
)  # fmt: skip
def test_every_path_becomes_yaml(
    project: Path, path: str, found: Any, remote: Any, expected: Any
) -> None:
    assert _proposed(project, path, found, remote) == expected


def test_rights_are_proposed_whole_but_for_the_deployers_own(project: Path) -> None:
    viewers = {"level": "CAN_VIEW", "group_name": "viewers"}
    owner = {"level": "IS_OWNER", "user_name": "ana@example.com"}
    own = {"level": "CAN_MANAGE", "service_principal_name": "deployer-of-staging"}
    rights = {"__embed__": [viewers, owner, own]}
    key = f"{JOB}.permissions"
    proposed = _proposed(project, "[group_name='viewers']", viewers, rights, key)
    assert proposed == {"permissions": [viewers]}
    acls = {"acls": [{"principal": "users", "permission": "READ"}]}
    key = "secret_scopes.s.permissions"
    proposed = _proposed(project, "acls[principal='users']", acls["acls"][0], acls, key)
    assert proposed == {"permissions": [{"level": "READ", "group_name": "users"}]}
    grant = {"principal": "deployer-of-staging", "privileges": ["SELECT"]}
    key = "schemas.shop_gold.grants"
    proposed = _proposed(project, "[principal='x']", grant, {"__embed__": [grant]}, key)
    assert proposed == {"grants": [{**grant, "principal": "${var.deployer}"}]}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tags['domain']", "tags: {project: demo"),
        ("tasks[task_key='load']", "- task_key: load"),
        ("tasks[task_key='count'].depends_on[task_key='load']", "depends_on:"),
        ("email_notifications.on_failure[0]", "email_notifications:"),
    ],
)
def test_of_what_was_removed_the_line_to_delete_is_told(
    project: Path, path: str, line: str
) -> None:
    found = _drift(project, path, {"old": "a", "new": "a"})
    assert found.patch == ""
    file, _, number = found.hint.removeprefix(f"to keep it, delete {path}: ").partition(":")
    assert line in (project / file).read_text(encoding="utf-8").splitlines()[int(number) - 1]


def test_of_what_no_line_declares_that_is_told(project: Path) -> None:
    hint = _drift(project, "tags['environment']", {"old": "a", "new": "a"}).hint
    assert hint == (
        "no line of jobs.shop_daily declares tags['environment']; see presets and variables; "
        "to revert it: delivery rollback staging r1 --reason …"
    )
    gone = _drift(project, "[principal='x']", {"old": 1, "new": 1}, {}, "schemas.shop_gold.grants")
    assert gone.patch == ""
    assert gone.hint.startswith("no line of schemas.shop_gold declares grants; see")


OWNER = {"level": "IS_OWNER", "user_name": "mallory@example.com"}
VIEWER = {"level": "CAN_VIEW", "group_name": "viewers"}


@pytest.mark.parametrize("beside", [[], [VIEWER]])
@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("[user_name='mallory@example.com']", [OWNER]),
        ("[user_name='mallory@example.com'].level", [OWNER]),
        ("[service_principal_name='deployer-of-staging']", [OWNER]),
    ],
)
def test_who_owns_what_was_delivered_is_never_adopted(
    project: Path, path: str, remote: list[Any], beside: list[Any]
) -> None:
    rights = {"__embed__": [*remote, *beside]}
    found = _drift(project, path, {"remote": OWNER}, rights, f"{JOB}.permissions")
    assert found.patch == ""
    assert found.hint == (
        "the owner is always the deployer; to revert it: delivery rollback staging r1 --reason …"
    )


@pytest.mark.parametrize("path", ["run_as", "run_as.service_principal_name", "run_as.user_name"])
def test_whom_hands_let_a_job_run_as_is_never_adopted(project: Path, path: str) -> None:
    found = _drift(project, path, {"old": "runner-of-staging", "new": "runner-of-staging",
                                   "remote": "mallory"})  # fmt: skip
    assert found.patch == ""
    assert found.hint.startswith("every resource must run as the runner; to revert it: ")


@pytest.mark.parametrize("key", ["volumes.kept", "volumes.kept.grants"])
def test_what_no_yaml_declares_has_nothing_to_adopt(project: Path, key: str) -> None:
    prepared = _prepared(project, key, "comment", {"remote": "by hand"}, {})
    prepared.plan.retained.append("volumes.kept")
    (found,) = resource_drift(prepared, [])
    assert found.patch == ""
    assert found.hint.startswith(
        "the resource is retained, and this release does not declare it; to revert it: "
    )


@pytest.mark.parametrize(("path", "found"), [
    ("tags['password']", "hunter2hunter2"),
    ("tasks[task_key='load']", {"task_key": "load", "conf": {"token": "abc"}}),
])  # fmt: skip
def test_a_secret_is_never_proposed(project: Path, path: str, found: Any) -> None:
    one = _drift(project, path, {"remote": found})
    assert (one.patch, "the value contains a secret" in one.hint) == ("", True)
    assert "hunter2" not in str(one)
    assert "abc" not in str(one)


def test_only_what_hands_changed_is_drift(project: Path) -> None:
    half_done = {"old": 4000, "new": 3600, "remote": 4000}
    assert list(resource_drift(_prepared(project, JOB, "x", half_done, {}), [])) == []
    by_hand = {"old": 3600, "new": 3600, "remote": 4000}
    assert list(resource_drift(_prepared(project, JOB, "x", by_hand, {}), ["jobs.*: x"])) == []
    assert _drift(project, "x", by_hand).actual == 4000
    rights = [{"principal": "users", "privileges": ["SELECT"]}]
    lost = {"old": {"full_name": "a.b", "__embed__": rights}, "new": rights}
    found = _drift(project, "", lost, {"full_name": "a.b"}, "schemas.shop_gold.grants")
    assert (found.path, "declares grants" in found.hint) == ("all entries", True)
    edited = {"old": "1", "remote": "2"}  # a dashboard's etag is in no YAML
    note = _drift(project, "etag", edited, key="dashboards.d").hint
    assert "databricks bundle generate dashboard --resource d" in note


def test_only_what_the_state_knows_was_deleted(project: Path) -> None:
    for key, expected in ((JOB, []), ("jobs.known", ["deleted outside delivery"])):
        prepared = _prepared(project, key, "x", {}, {})
        created = {"plan": {f"resources.{key}": {"action": "create"}}}
        changes = normalize(created, frozenset())
        one = cast(PlannedDeploy, SimpleNamespace(**{**vars(prepared), "plan": SimpleNamespace(
            changes=changes, release="r1")}))  # fmt: skip
        assert [drift.path for drift in resource_drift(one, [])] == expected


ODD = st.from_regex(r"\A[-+0-9.eExob_:naifNT -]{1,10}\Z")
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.text() | ODD | NUMBERS | st.booleans())
def test_the_cli_reads_of_the_yaml_what_was_found(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    from delivery.status.patch import _Step, _yaml

    folder = tmp_path_factory.mktemp("read")
    text = _yaml("jobs.a", [_Step("tags", "", 0), _Step("x", "", 0)], value)
    (folder / "a.yml").write_text(text, encoding="utf-8")
    read = read_yaml(folder, "a.yml")["resources"]["jobs"]["a"]["tags"]["x"]
    assert (type(read), read) == (type(value), value)


def test_a_long_text_is_whole_for_drift_and_short_elsewhere() -> None:
    assert redact("a", "x" * 400, whole=True) == "x" * 400
    assert len(redact("a", "x" * 400)) < 400
    assert redact("a.token", "x" * 400, whole=True) == "(hidden)"


def test_the_same_proposal_is_shown_once(project: Path) -> None:
    one = Drift(key="a", path="b", patch="x: 1\n")
    assert seen(drift_as_text("prod", [one, one])).count("x: 1") == 1
    other = one.model_copy(update={"patch": "y: 1\n", "hint": "see [there]"})
    text = seen(drift_as_text("prod", [one, other]))
    assert ("x: 1" in text, "y: 1" in text, "see [there]" in text) == (True, True, True)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.py", b"# Databricks notebook source\nx", True),
        ("a.py", b"# Databricks notebook source", True),
        ("a.sql", b"-- Databricks notebook source\r\nx", True),
        ("a.scala", b"// Databricks notebook source\n", True),
        ("a.R", b"# Databricks notebook source\n", True),
        ("a.ipynb", b"{}", True),
        ("a.py", b"# Databricks notebook sources\n", False),
        ("a.py", b"\n# Databricks notebook source\n", False),
        ("a.sql", b"# Databricks notebook source\n", False),
        ("a.txt", b"# Databricks notebook source\n", False),
        ("a", b"", False),
    ],
)
def test_a_notebook_is_told_by_its_first_line(name: str, content: bytes, expected: bool) -> None:
    assert is_notebook(name, content) is expected
