"""Drift: what hands changed is found, nothing else, and what is proposed makes it the project's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from conftest import Source
from harness.delivering import MORE, Sandbox

pytestmark = pytest.mark.slow


def test_what_hands_changed_is_found_and_nothing_else(delivered: Sandbox) -> None:
    assert delivered.done("drift", "staging", "--output", "json", who="planner").json == []
    delivered.job("staging", "flights_daily")["timeout_seconds"] = 77
    folder = f"{delivered.root('staging')}/releases/"
    edited = next(n for n in delivered.workspace.files if folder in n and n.endswith("tasks.py"))
    delivered.workspace.files[edited] = b"# by hand\n"
    result = delivered.run("drift", "staging", "--output", "json", who="planner")
    assert result.code == 2
    found = {(one["key"], one["path"]): one for one in result.json}
    assert set(found) == {
        ("jobs.flights_daily", "timeout_seconds"),
        ("file", f"{edited.partition('/files/')[2]} was edited"),
    }
    one = found["jobs.flights_daily", "timeout_seconds"]
    assert (one["expected"], one["actual"]) == (1200, 77)
    assert "timeout_seconds: 77" in one["patch"]


def _rights(sandbox: Sandbox) -> list[dict[str, str]]:
    """The rights on the job that was delivered."""
    identity = sandbox.state("staging")["resources.jobs.flights_daily"]["__id__"]
    return sandbox.workspace.permissions[f"/jobs/{identity}"]


@pytest.mark.parametrize("who", ["planner", "deployer"])
def test_rights_that_hands_gave_to_the_planner_are_seen_by_all(
    delivered: Sandbox, who: str
) -> None:
    planner = delivered.workspace.identity("planner").principal
    for right in _rights(delivered):
        if right.get("service_principal_name") == planner:
            right["permission_level"] = "CAN_MANAGE"
    result = delivered.run("drift", "staging", "--output", "json", who=who)
    (one,) = result.json
    assert (result.code, one["key"]) == (2, "jobs.flights_daily.permissions")
    assert (one["expected"], one["actual"]) == ("CAN_VIEW", "CAN_MANAGE")
    assert "service_principal_name: ${var.planner}" in one["patch"]


def test_an_owner_that_hands_put_there_is_not_proposed(delivered: Sandbox) -> None:
    deployer = delivered.workspace.identity("deployer").principal
    rights = _rights(delivered)
    rights[:] = [one for one in rights if one.get("service_principal_name") != deployer]
    rights.append({"user_name": "mallory@example.com", "permission_level": "IS_OWNER"})
    found = delivered.run("drift", "staging", "--output", "json", who="planner").json
    assert {one["path"].partition("]")[0] for one in found} == {
        f"[service_principal_name='{deployer}'",
        "[user_name='mallory@example.com'",
    }
    assert {one["patch"] for one in found} == {""}
    assert all("the owner is always the deployer" in one["hint"] for one in found)


def test_whom_hands_let_a_job_run_as_is_not_proposed(delivered: Sandbox) -> None:
    delivered.job("staging", "flights_daily")["run_as"] = {"user_name": "mallory@example.com"}
    found = delivered.run("drift", "staging", "--output", "json", who="planner").json
    assert found
    assert all(one["path"].startswith("run_as") for one in found)
    assert all("every resource must run as the runner" in one["hint"] for one in found), found


def test_a_job_deleted_by_hand_is_drift(delivered: Sandbox) -> None:
    delivered.workspace.jobs.clear()
    result = delivered.run("drift", "staging", "--output", "json")
    assert result.code == 2
    assert ("jobs.flights_daily", "deleted outside delivery") in {
        (o["key"], o["path"]) for o in result.json
    }


NOTEBOOKS = {
    "look.py": "# Databricks notebook source\nprint(1)\n",
    "count.sql": "-- Databricks notebook source\nselect 1\n",
    "more/sum.scala": "// Databricks notebook source\r\n1\r\n",
    "more/mean.r": "# Databricks notebook source\n1\n",
    "note.ipynb": json.dumps(
        {"cells": [], "metadata": {"language_info": {"name": "python"}}, "nbformat": 4,
         "nbformat_minor": 5}
    ),
}  # fmt: skip


def _in_release(sandbox: Sandbox, name: str) -> str:
    folder = f"{sandbox.root('staging')}/releases/"
    (found,) = [f for f in sandbox.workspace.files if folder in f and f.endswith(f"/{name}")]
    return found


def test_notebooks_are_told_from_files_and_judged_by_the_workspaces_clock(sandbox: Sandbox) -> None:
    for name, text in NOTEBOOKS.items():
        sandbox.write(f"src/notebooks/{name}", text)
    sandbox.done("deploy", "staging", "--first", "--archive", sandbox.release("notebooks"))
    assert sandbox.done("drift", "staging", "--output", "json").json == []
    files = sandbox.workspace.files
    files[_in_release(sandbox, "notebooks/look")] = b"# Databricks notebook source\nevil()\n"
    files[_in_release(sandbox, "more/mean")] = b"# Databricks notebook source\n1\n"  # rewritten
    del files[_in_release(sandbox, "notebooks/note")]
    files[_in_release(sandbox, "flights/tasks.py")] = b"# Databricks notebook source\nevil()\n"
    result = sandbox.run("drift", "staging", "--output", "json", who="planner")
    assert result.code == 2
    assert {one["path"] for one in result.json} == {
        "src/lakehouse/flights/tasks.py was edited",
        "src/notebooks/look.py was edited",
        "src/notebooks/more/mean.r was edited",
        "src/notebooks/note.ipynb was deleted",
    }
    sandbox.done("deploy", "staging", "--archive", sandbox.code("put back"))
    assert sandbox.done("drift", "staging", "--output", "json").json == []


def test_what_a_deploy_that_was_cut_off_left_is_no_drift(delivered: Sandbox) -> None:
    name = f"{delivered.root('staging')}/state/resources.json"
    document = json.loads(delivered.workspace.files[name])
    document["state"]["resources.jobs.flights_daily"]["state"]["timeout_seconds"] = 4000
    del document["state"]["resources.volumes.flights_landing"]
    delivered.workspace.files[name] = json.dumps(document).encode()
    delivered.job("staging", "flights_daily")["timeout_seconds"] = 4000
    delivered.workspace.volumes.clear()
    assert delivered.done("drift", "staging", "--output", "json").json == []
    (status,) = delivered.done("status", "staging", "--drift", "--output", "json").json
    assert (status["sync"], status["drifted"]) == ("in sync", [])
    delivered.job("staging", "flights_daily")["max_concurrent_runs"] = 7
    (one,) = delivered.run("drift", "staging", "--output", "json").json
    assert (one["key"], one["path"]) == ("jobs.flights_daily", "max_concurrent_runs")


def test_a_secret_is_neither_shown_nor_proposed(delivered: Sandbox) -> None:
    delivered.job("staging", "flights_daily")["tags"]["password"] = "hunter2hunter2"
    result = delivered.run("drift", "staging", "--output", "json")
    (one,) = result.json
    assert (one["actual"], one["patch"]) == ("(hidden)", "")
    assert "the value contains a secret" in one["hint"]
    assert "hunter2" not in result.out + result.err


# --- what is proposed ---


EXTRA = {
    "task_key": "extra",
    "notebook_task": {"notebook_path": "/Shared/x", "source": "WORKSPACE"},
    "email_notifications": {},
    "run_if": "ALL_SUCCESS",
    "timeout_seconds": 0,
}


def _change_everything(sandbox: Sandbox, ids: dict[str, str]) -> None:
    """A change by hand of every kind."""
    workspace, name = sandbox.workspace, sandbox.name.replace("-", "_")
    job = sandbox.job("staging", "flights_daily")
    tasks = {task["task_key"]: task for task in job["tasks"]}
    job["timeout_seconds"] = 77
    job["description"] = "x: '1'\n" * 100  # longer than what is shown
    job["tags"] |= {"hotfix": "yes", "number": "1e3", "octal": "0o17", "it's": "12:30"}
    job["email_notifications"]["on_failure"] = ["boss@example.com"]
    job["schedule"]["quartz_cron_expression"] = "0 0 7 * * ?"
    job["health"]["rules"][0]["value"] = 60
    del job["tags"]["domain"]
    del job["email_notifications"]["on_duration_warning_threshold_exceeded"]
    tasks["bronze"]["timeout_seconds"] = 99
    tasks["bronze"]["python_wheel_task"]["named_parameters"]["landing"] = "/Volumes/elsewhere"
    del tasks["bronze"]["max_retries"]
    job["tasks"] = [tasks["bronze"], tasks["silver"]]  # no gold
    job["tasks"].append(EXTRA)
    tasks["silver"]["depends_on"] = [{"task_key": "bronze"}, {"task_key": "extra"}]
    job["environments"][0]["spec"]["dependencies"].append("numpy")
    rights = workspace.permissions[f"/jobs/{ids['jobs.flights_daily']}"]
    rights[:] = [entry for entry in rights if entry.get("group_name") != "account users"]
    rights.append({"group_name": "everyone", "permission_level": "CAN_MANAGE_RUN"})
    bronze, raw = f"{name}_staging.flights_bronze", f"{name}_staging.extra_raw"
    workspace.schemas[bronze]["comment"] = "by hand"
    del workspace.schemas[raw]["comment"]
    grants = workspace.grants["schema", bronze]
    grants |= {"intruders": ["SELECT"], "account users": ["USE_SCHEMA"]}
    del workspace.grants["volume", f"{raw}.extra_files"]["account users"]
    workspace.secret_scopes["extra_scope"]["acls"]["users"] = "READ"
    pipeline = workspace.pipelines[ids["pipelines.extra_pipe"]]["spec"]
    pipeline["configuration"] = {"speed": "1"}
    workspace.dashboards[ids["dashboards.extra_dash"]]["etag"] = "99"


def _by_hand(sandbox: Sandbox, ids: dict[str, str]) -> str:
    """What is there, the same for every release."""
    workspace = sandbox.workspace
    job = sandbox.job("staging", "flights_daily")
    job["tasks"].sort(key=lambda task: str(task["task_key"]))
    found = [
        job,
        sorted(map(str, workspace.permissions[f"/jobs/{ids['jobs.flights_daily']}"])),
        {
            str(key): {p: sorted(r) for p, r in held.items()}
            for key, held in workspace.grants.items()
        },
        {name: schema.get("comment") for name, schema in workspace.schemas.items()},
        workspace.secret_scopes["extra_scope"]["acls"],
        workspace.pipelines[ids["pipelines.extra_pipe"]]["spec"]["configuration"],
    ]
    text = json.dumps(found, sort_keys=True, indent=1)
    text = re.sub(r"/releases/[^/]+/", "/releases/*/", text)
    return re.sub(r"-[^-/]+\+g[0-9a-f]{8}-", "-*-", text)


KEYS = ("task_key", "environment_key", "job_cluster_key")


def _merged(one: Any, other: Any) -> Any:
    """YAML merged as people are told to: what has a key by its key, other lists as a whole."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {key: _merged(one.get(key), value) for key, value in other.items()}
    if isinstance(one, list) and isinstance(other, list):
        by = next((key for key in KEYS if other and key in other[0]), "")
        if by and set(other[0]) != {by}:
            entries = {entry[by]: entry for entry in one}
            new = {entry[by]: _merged(entries.get(entry[by]), entry) for entry in other}
            return list((entries | new).values())
    return other


def _adopt(sandbox: Sandbox, found: list[dict[str, Any]]) -> None:
    """Do what is proposed: delete the lines that are named, merge the rest."""
    gone: dict[str, list[int]] = {}
    for one in found:
        if place := re.fullmatch(r"to keep it, delete (.+): (.+):(\d+)", one["hint"]):
            assert re.findall(r"\w+", place[1])[-1] in sandbox.text(place[2]).splitlines()[
                int(place[3]) - 1
            ]  # fmt: skip
            gone.setdefault(place[2], []).append(int(place[3]) - 1)
    for file, lines in gone.items():
        sandbox.write(file, _without(sandbox.text(file).splitlines(), lines))
    for declared in sandbox.path.glob("resources/*/*.yml"):
        document = yaml.safe_load(declared.read_text(encoding="utf-8"))
        for one in filter(None, (one["patch"] for one in found)):
            proposal = yaml.safe_load(one)
            ((kind, ((name, _),)),) = (
                (kind, tuple(named.items())) for kind, named in proposal["resources"].items()
            )
            if name in document["resources"].get(kind, {}):
                document = _merged(document, proposal)
        declared.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _without(lines: list[str], gone: list[int]) -> str:
    """Without these lines, and what is below them."""
    depth: Callable[[int], int] = lambda n: len(lines[n]) - len(lines[n].lstrip(" "))  # noqa: E731
    left_out = set()
    for start in gone:
        end = start + 1
        while end < len(lines) and depth(end) > depth(start):
            end += 1
        left_out |= set(range(start, end))
    return "\n".join(line for n, line in enumerate(lines) if n not in left_out) + "\n"


def test_the_proposed_yaml_keeps_all_that_hands_did(sandbox: Sandbox, source: Source) -> None:
    sandbox.write("resources/extra/all.yml", MORE)
    sandbox.edit(
        "delivery.yml", "flights: flights_daily", "flights: flights_daily\n    extra: extra_job"
    )
    sandbox.done("deploy", "staging", "--first", "--archive", source.more)
    ids = {
        k.removeprefix("resources."): str(e["__id__"]) for k, e in sandbox.state("staging").items()
    }
    _change_everything(sandbox, ids)
    before = _by_hand(sandbox, ids)
    result = sandbox.run("drift", "staging", "--output", "json")
    assert result.code == 2
    found = result.json
    assert all(one["patch"] or one["hint"] for one in found), found
    (dash,) = [one["hint"] for one in found if one["key"] == "dashboards.extra_dash"]
    assert "generate dashboard --resource extra_dash" in dash
    _adopt(sandbox, found)
    sandbox.done("deploy", "staging", "--archive", sandbox.release("adopted"))
    assert _by_hand(sandbox, ids) == before
    assert sandbox.done("drift", "staging", "--output", "json").json == []
