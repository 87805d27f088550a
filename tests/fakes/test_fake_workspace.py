"""The emulated workspace: it answers as the service does, and the real CLI cannot tell."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from conftest import Bake
from fake_workspace import Identity, Workspace
from harness.baking import Baked

LEDGER = "/Workspace/Deployments/lakehouse/prod/ledger"
IDS = {
    name: f"00000000-0000-0000-0000-00000000000{i}"
    for i, name in enumerate(("deployer", "runner", "planner"), 1)
}
RELEASE = """
variables:
  release: {default: 2026.11.23-g3f2a9c10}
  wheel: {default: lakehouse-0.1.0-py3-none-any.whl}
"""
real_cli = [
    pytest.mark.real_cli,
    pytest.mark.skipif(
        shutil.which("databricks") is None,
        reason="REAL CLI NOT TESTED: databricks is not on the PATH",
    ),
]


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace(application_ids=IDS) as workspace:
        workspace.grant_folder("/Workspace/Deployments", "deployer", "CAN_MANAGE")
        workspace.grant_folder("/Workspace/Deployments", "planner", "CAN_READ")
        workspace.grant_folder("/Workspace/Deployments", "runner", "CAN_READ")
        workspace.add_catalog("main", creators=["deployer"])
        yield workspace
        assert workspace.unknown == []


@dataclass
class Caller:
    """Calls a workspace as one identity."""

    workspace: Workspace
    name: str

    def __call__(
        self, method: str, where: str, body: Any = None, /, **query: Any
    ) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        return self.raw(method, where, content, "application/json", **query)

    def raw(
        self, method: str, where: str, content: bytes, kind: str, /, **query: Any
    ) -> tuple[int, Any]:
        connection = HTTPConnection(self.workspace.url.removeprefix("http://"), timeout=10)
        token = self.workspace.token(self.name) if self.name else "unknown"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        target = quote(where) + ("?" + urlencode(query) if query else "")
        connection.request(method, target, content, headers)
        answer = connection.getresponse()
        received = answer.read()
        connection.close()
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(received) if is_json else received

    def upload(self, path: str, content: bytes, *, overwrite: bool = False) -> int:
        where = f"/api/2.0/workspace-files/import-file{path}"
        return self("POST", where, content, overwrite=str(overwrite).lower())[0]

    def upload_form(self, path: str, content: bytes, **more: str) -> tuple[int, Any]:
        fields = {"path": path, "format": "AUTO", **more}
        parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
        parts.append(b'name="content"; filename="content"\r\n\r\n' + content)
        edge = b"--edge\r\nContent-Disposition: form-data; "
        body = edge + (b"\r\n" + edge).join(parts) + b"\r\n--edge--\r\n"
        kind = "multipart/form-data; boundary=edge"
        return self.raw("POST", "/api/2.0/workspace/import", body, kind)

    def mkdirs(self, path: str) -> int:
        return self("POST", "/api/2.0/workspace/mkdirs", {"path": path})[0]

    def status(self, path: str) -> tuple[int, Any]:
        return self("GET", "/api/2.0/workspace/get-status", path=path)

    def create_job(self, name: str, **settings: Any) -> int:
        tasks = [{"task_key": "main", "notebook_task": {"notebook_path": "/n"}}]
        body = {"name": name, "tasks": tasks, **settings}
        return int(self("POST", "/api/2.2/jobs/create", body)[1]["job_id"])

    def run(self, job_id: int, **body: Any) -> tuple[int, Any]:
        return self("POST", "/api/2.2/jobs/run-now", {"job_id": job_id, **body})

    def state(self, run_id: int) -> dict[str, Any]:
        answer: dict[str, Any] = self("GET", "/api/2.2/jobs/runs/get", run_id=run_id)[1]["state"]
        return answer


@pytest.fixture
def deployer(workspace: Workspace) -> Caller:
    return Caller(workspace, "deployer")


@pytest.fixture
def planner(workspace: Workspace) -> Caller:
    return Caller(workspace, "planner")


@pytest.fixture
def runner(workspace: Workspace) -> Caller:
    return Caller(workspace, "runner")


# Calls and identities


def test_an_unknown_call_is_answered_with_501_and_noted(
    workspace: Workspace, deployer: Caller
) -> None:
    status, body = deployer("GET", "/api/2.0/nothing/here")
    assert (status, body["error_code"]) == (501, "NOT_IMPLEMENTED")
    assert body["message"] == "No stub for GET /api/2.0/nothing/here"
    assert workspace.unknown == ["GET /api/2.0/nothing/here"]
    workspace.unknown.clear()


def test_an_incomplete_body_is_noted_too(workspace: Workspace, deployer: Caller) -> None:
    assert deployer("POST", "/api/2.0/workspace/mkdirs")[0] == 400
    assert len(workspace.unknown) == 1
    workspace.unknown.clear()


def test_each_identity_is_told_who_it_is(workspace: Workspace, deployer: Caller) -> None:
    workspace.add_identity(Identity("bo", user_name="bo@example.com", groups=("analysts",)))
    me = "/api/2.0/preview/scim/v2/Me"
    assert deployer("GET", me)[1]["userName"] == IDS["deployer"]
    identity = Caller(workspace, "bo")("GET", me)[1]
    assert identity["userName"] == "bo@example.com"
    assert {group["display"] for group in identity["groups"]} == {"users", "analysts"}


def test_a_token_must_be_known_and_alive(workspace: Workspace, deployer: Caller) -> None:
    me = "/api/2.0/preview/scim/v2/Me"
    assert Caller(workspace, "")("GET", me)[0] == 401
    old = workspace.token("deployer")
    workspace.identities.expire("deployer")
    assert workspace.token("deployer") != old
    assert deployer("GET", me)[0] == 200
    connection = HTTPConnection(workspace.url.removeprefix("http://"))
    connection.request("GET", me, headers={"Authorization": f"Bearer {old}"})
    assert connection.getresponse().status == 403


def test_an_id_token_is_exchanged(workspace: Workspace) -> None:
    workspace.id_tokens = {IDS["runner"]: {"good"}}
    workspace.token_seconds = 60
    anyone = Caller(workspace, "")
    assert anyone("GET", "/.well-known/databricks-config")[1]["oidc_endpoint"].endswith("/oidc")
    endpoint = anyone("GET", "/oidc/.well-known/oauth-authorization-server")[1]["token_endpoint"]
    path = endpoint.removeprefix(workspace.url)

    def exchange(**form: str) -> tuple[int, Any]:
        kind = "application/x-www-form-urlencoded"
        return anyone.raw("POST", path, urlencode(form).encode(), kind)

    status, answer = exchange(client_id=IDS["runner"], subject_token="good")
    assert (status, answer["expires_in"]) == (200, 60)
    assert workspace.identities.peek(f"Bearer {answer['access_token']}").name == "runner"
    assert exchange(client_id=IDS["runner"], subject_token="forged")[0] == 401
    assert exchange(client_id="nobody", subject_token="good")[0] == 401
    assert exchange(client_id=IDS["deployer"], subject_token="good")[0] == 401


# Files


@pytest.mark.parametrize("way", ["file", "form"])
def test_of_many_that_create_a_file_one_wins(
    workspace: Workspace, deployer: Caller, way: str
) -> None:
    deployer.mkdirs(LEDGER)
    path = f"{LEDGER}/000001-started.json"

    def create(number: int) -> int:
        content = str(number).encode()
        if way == "file":
            return deployer.upload(path, content)
        status, body = deployer.upload_form(path, content)
        assert status == 200 or body["error_code"] == "RESOURCE_ALREADY_EXISTS"
        return status

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(create, range(16)))
    assert statuses.count(200) == 1
    assert set(statuses) == {200, 409 if way == "file" else 400}
    assert workspace.files[path] == str(statuses.index(200)).encode()


def test_bytes_come_back_as_they_were(workspace: Workspace, deployer: Caller) -> None:
    content = bytes(range(256)) + b"\r\n--not-the-edge\r\n"
    deployer.mkdirs(LEDGER)
    encoded = base64.b64encode(content).decode()
    assert deployer.upload(f"{LEDGER}/a.bin", content) == 200
    assert deployer.upload_form(f"{LEDGER}/b.bin", content)[0] == 200
    body = {"path": f"{LEDGER}/c.bin", "content": encoded, "format": "AUTO"}
    assert deployer("POST", "/api/2.0/workspace/import", body)[0] == 200
    for name in "abc":
        path, export = f"{LEDGER}/{name}.bin", "/api/2.0/workspace/export"
        assert deployer("GET", export, path=path, direct_download="true") == (200, content)
        assert deployer("GET", export, path=path)[1]["content"] == encoded
        assert workspace.files[path] == content


def test_a_file_needs_its_folder_and_a_limit(workspace: Workspace, deployer: Caller) -> None:
    assert deployer.upload(f"{LEDGER}/new", b"") == 404
    deployer.mkdirs(LEDGER)
    assert deployer.upload(f"{LEDGER}/new", b"x" * 10 * 2**20) == 200
    status, body = deployer.upload_form(f"{LEDGER}/large", b"x" * (10 * 2**20 + 1))
    assert (status, body["error_code"]) == (400, "MAX_NOTEBOOK_SIZE_EXCEEDED")


def test_an_overwritten_file_keeps_its_identity(workspace: Workspace, deployer: Caller) -> None:
    deployer.mkdirs(LEDGER)
    deployer.upload(f"{LEDGER}/a.json", b"1")
    first = deployer.status(f"{LEDGER}/a.json")[1]
    assert deployer.upload(f"{LEDGER}/a.json", b"2", overwrite=True) == 200
    second = deployer.status(f"{LEDGER}/a.json")[1]
    assert (second["object_id"], second["created_at"]) == (first["object_id"], first["created_at"])
    assert second["modified_at"] > first["modified_at"]


@pytest.mark.parametrize(
    ("suffix", "first"), [(".py", "#"), (".r", "#"), (".scala", "//"), (".sql", "--")]
)
def test_a_notebook_loses_its_extension(
    workspace: Workspace, deployer: Caller, suffix: str, first: str
) -> None:
    deployer.mkdirs(LEDGER)
    content = f"{first} Databricks notebook source\n1".encode()
    deployer.upload(f"{LEDGER}/n{suffix}", content)
    assert deployer.status(f"{LEDGER}/n")[1]["object_type"] == "NOTEBOOK"
    assert deployer.status(f"{LEDGER}/n{suffix}")[0] == 404
    deployer.upload(f"{LEDGER}/n.txt", content)
    assert deployer.status(f"{LEDGER}/n.txt")[1]["object_type"] == "FILE"


def test_folders_are_listed_and_deleted(workspace: Workspace, deployer: Caller) -> None:
    deployer.mkdirs(f"{LEDGER}/old")
    deployer.upload(f"{LEDGER}/old/a", b"")
    listed = deployer("GET", "/api/2.0/workspace/list", path=LEDGER)[1]["objects"]
    assert [one["path"] for one in listed] == [f"{LEDGER}/old"]
    without = deployer("GET", "/api/2.0/workspace/list", path=LEDGER.removeprefix("/Workspace"))
    assert without[1]["objects"][0]["path"] == f"{LEDGER}/old".removeprefix("/Workspace")
    delete = "/api/2.0/workspace/delete"
    assert deployer("POST", delete, {"path": f"{LEDGER}/old"})[0] == 400
    assert deployer("POST", delete, {"path": f"{LEDGER}/old", "recursive": True})[0] == 200
    assert list(workspace.files) == []
    assert deployer.status(f"{LEDGER}/old")[0] == 404


def test_a_test_edits_files_past_all_rights(workspace: Workspace, deployer: Caller) -> None:
    workspace.files[f"{LEDGER}/a"] = b"1"
    workspace.files[f"{LEDGER}/a"] = b"2"
    assert workspace.files[f"{LEDGER}/a"] == b"2"
    assert deployer.status(f"{LEDGER}/a")[0] == 200
    del workspace.files[f"{LEDGER}/a"]
    assert deployer.status(f"{LEDGER}/a")[0] == 404


# Rights on files


def test_only_the_deployer_writes_the_ledger(
    deployer: Caller, runner: Caller, planner: Caller
) -> None:
    deployer.mkdirs(LEDGER)
    assert deployer.upload(f"{LEDGER}/a", b"1") == 200
    for reader in (runner, planner):
        assert reader.status(f"{LEDGER}/a")[0] == 200
        assert reader.upload(f"{LEDGER}/b", b"2") == 403
        assert reader.upload(f"{LEDGER}/a", b"2", overwrite=True) == 403
        assert reader.mkdirs(f"{LEDGER}/new") == 403
        assert reader("POST", "/api/2.0/workspace/delete", {"path": f"{LEDGER}/a"})[0] == 403


def test_what_is_not_granted_is_closed(
    workspace: Workspace, deployer: Caller, planner: Caller
) -> None:
    home = f"/Workspace/Users/{IDS['deployer']}"
    assert deployer.upload(f"{home}/a", b"") == 200
    assert planner.status(f"{home}/a")[0] == 403
    workspace.tree.hidden_status = 404
    assert planner.status(f"{home}/a")[0] == 404
    assert planner.mkdirs("/Workspace/Elsewhere") == 403
    assert Caller(workspace, "admin").mkdirs("/Workspace/Elsewhere") == 200


def test_a_folder_above_a_readable_one_is_visible(workspace: Workspace) -> None:
    workspace.grant_folder("/Workspace/Deep/er", "person", "CAN_READ")
    workspace.grant_folder("/Workspace/Deep/hidden", "admin", "CAN_MANAGE")
    person = Caller(workspace, "person")
    assert person.status("/Workspace/Deep")[0] == 200
    listed = person("GET", "/api/2.0/workspace/list", path="/Workspace/Deep")[1]["objects"]
    assert [one["path"] for one in listed] == ["/Workspace/Deep/er"]


def test_permissions_of_a_folder_are_replaced(
    workspace: Workspace, deployer: Caller, runner: Caller
) -> None:
    deployer.mkdirs(LEDGER)
    key = deployer.status(LEDGER)[1]["object_id"]
    path = f"/api/2.0/permissions/directories/{key}"
    lines = [{"user_name": "ana@example.com", "permission_level": "CAN_READ"}]
    assert runner("PUT", path, {"access_control_list": lines})[0] == 403
    assert deployer("PUT", path, {"access_control_list": lines})[0] == 200
    assert Caller(workspace, "person").status(LEDGER)[0] == 200
    assert deployer("PUT", path, {"access_control_list": []})[0] == 200
    assert Caller(workspace, "person").status(LEDGER)[0] == 403
    permissions = deployer("GET", path)[1]["access_control_list"]
    assert all(line["all_permissions"][0]["inherited"] for line in permissions)


# Jobs and runs


def test_a_job_comes_back_with_defaults(workspace: Workspace, deployer: Caller) -> None:
    key = deployer.create_job("daily", tags={"a": "b"})
    assert key > 2**32
    job = deployer("GET", "/api/2.2/jobs/get", job_id=key)[1]
    assert job["creator_user_name"] == job["run_as_user_name"] == IDS["deployer"]
    settings = job["settings"]
    assert settings["email_notifications"] == settings["webhook_notifications"] == {}
    assert settings["tasks"][0]["run_if"] == "ALL_SUCCESS"
    assert settings["tasks"][0]["notebook_task"]["source"] == "WORKSPACE"
    assert workspace.job("daily")["settings"]["tags"] == {"a": "b"}
    with pytest.raises(KeyError, match="0 jobs"):
        workspace.job("weekly")


def test_jobs_are_listed_in_pages_without_tasks(deployer: Caller) -> None:
    made = [deployer.create_job(f"job-{i}") for i in range(45)]
    found: list[int] = []
    query: dict[str, Any] = {"limit": 20}
    while True:
        answer = deployer("GET", "/api/2.2/jobs/list", **query)[1]
        assert all("tasks" not in job["settings"] for job in answer["jobs"])
        found += [job["job_id"] for job in answer["jobs"]]
        if not answer["has_more"]:
            break
        query["page_token"] = answer["next_page_token"]
    assert sorted(found) == made
    named = deployer("GET", "/api/2.2/jobs/list", name="JOB-7", expand_tasks="true")[1]["jobs"]
    assert [job["settings"]["tasks"][0]["task_key"] for job in named] == ["main"]


def test_a_job_is_changed_in_part_and_as_a_whole(deployer: Caller) -> None:
    run_as = {"service_principal_name": IDS["runner"]}
    key = deployer.create_job("daily", tags={"a": "b"}, run_as=run_as)
    change = {"job_id": key, "new_settings": {"max_concurrent_runs": 3}}
    deployer("POST", "/api/2.2/jobs/update", {**change, "fields_to_remove": ["tags"]})
    settings = deployer("GET", "/api/2.2/jobs/get", job_id=key)[1]["settings"]
    assert (settings["max_concurrent_runs"], "tags" in settings) == (3, False)
    assert settings["tasks"]
    deployer("POST", "/api/2.2/jobs/reset", {"job_id": key, "new_settings": {"name": "new"}})
    settings = deployer("GET", "/api/2.2/jobs/get", job_id=key)[1]["settings"]
    assert (settings["name"], settings["run_as"]) == ("new", run_as)
    assert "max_concurrent_runs" not in settings
    assert deployer("POST", "/api/2.2/jobs/delete", {"job_id": key})[0] == 200
    status, body = deployer("GET", "/api/2.2/jobs/get", job_id=key)
    assert (status, body["message"]) == (400, f"Job {key} does not exist.")


def test_a_job_of_many_tasks_comes_in_pages(deployer: Caller) -> None:
    key = deployer.create_job("many", tasks=[{"task_key": f"t{i}"} for i in range(150)])
    first = deployer("GET", "/api/2.2/jobs/get", job_id=key)[1]
    token = first["next_page_token"]
    second = deployer("GET", "/api/2.2/jobs/get", job_id=key, page_token=token)[1]
    assert [len(one["settings"]["tasks"]) for one in (first, second)] == [100, 50]


def test_permissions_decide_who_sees_runs_and_changes_a_job(
    deployer: Caller, runner: Caller, planner: Caller
) -> None:
    key = deployer.create_job("daily")
    status, body = planner("GET", "/api/2.2/jobs/get", job_id=key)
    assert (status, body["error_code"]) == (403, "PERMISSION_DENIED")
    assert planner("GET", "/api/2.2/jobs/list")[1]["jobs"] == []
    owner = {"service_principal_name": IDS["deployer"], "permission_level": "IS_OWNER"}
    view = {"service_principal_name": IDS["planner"], "permission_level": "CAN_VIEW"}
    start = {"service_principal_name": IDS["runner"], "permission_level": "CAN_MANAGE_RUN"}
    path = f"/api/2.0/permissions/jobs/{key}"
    assert deployer("PUT", path, {"access_control_list": [view]})[0] == 400
    lines = {"access_control_list": [owner, view, start]}
    assert planner("PUT", path, lines)[0] == 403
    assert deployer("PUT", path, lines)[0] == 200
    assert planner("GET", "/api/2.2/jobs/get", job_id=key)[0] == 200
    assert len(planner("GET", "/api/2.2/jobs/list")[1]["jobs"]) == 1
    assert (planner.run(key)[0], runner.run(key)[0]) == (403, 200)
    change = {"job_id": key, "new_settings": {}}
    assert runner("POST", "/api/2.2/jobs/update", change)[0] == 403
    assert planner("GET", path)[0] == 200


def test_run_as_needs_the_role(workspace: Workspace, deployer: Caller, planner: Caller) -> None:
    body = {"name": "daily", "run_as": {"service_principal_name": IDS["runner"]}}
    status, answer = planner("POST", "/api/2.2/jobs/create", body)
    assert (status, "servicePrincipal/user" in answer["message"]) == (403, True)
    key = deployer("POST", "/api/2.2/jobs/create", body)[1]["job_id"]
    assert workspace.jobs[key]["run_as_user_name"] == IDS["runner"]
    workspace.allow_run_as("planner", "runner")
    assert planner("POST", "/api/2.2/jobs/create", body)[0] == 200


def test_runs_end_as_a_test_says(workspace: Workspace, deployer: Caller) -> None:
    key = deployer.create_job("daily")
    good = deployer.run(key)[1]["run_id"]
    assert deployer.state(good)["result_state"] == "SUCCESS"
    workspace.on_run("daily", "fail")
    bad = deployer.run(key)[1]["run_id"]
    state = deployer.state(bad)
    assert (state["life_cycle_state"], state["result_state"]) == ("INTERNAL_ERROR", "FAILED")
    assert "Task main failed" in state["state_message"]
    workspace.on_run("daily", lambda run: "fail" if run.get("job_parameters") else "succeed")
    parameters = deployer.run(key, job_parameters={"a": "b"})[1]["run_id"]
    assert deployer.state(parameters)["result_state"] == "FAILED"
    output = deployer("GET", "/api/2.2/jobs/runs/get-output", run_id=parameters)[1]
    assert "RuntimeError" in output["error"]
    with pytest.raises(ValueError, match="none of"):
        workspace.on_run("daily", "explode")


def test_a_run_takes_its_time_and_can_be_cancelled(workspace: Workspace, deployer: Caller) -> None:
    key = deployer.create_job("daily")
    workspace.run_seconds = 0.2
    deployer.run(key)

    def active() -> list[Any]:
        query = {"job_id": key, "active_only": "true"}
        runs: list[Any] = deployer("GET", "/api/2.2/jobs/runs/list", **query)[1]["runs"]
        return runs

    assert len(active()) == 1
    time.sleep(0.25)
    assert active() == []
    workspace.on_run("daily", "hang")
    hanging = workspace.start_run("daily")
    assert [run["trigger"] for run in active()] == ["PERIODIC"]
    deployer("POST", "/api/2.2/jobs/runs/cancel", {"run_id": hanging})
    assert deployer.state(hanging)["result_state"] == "CANCELED"


def test_a_job_has_as_many_runs_at_once_as_it_says(workspace: Workspace, deployer: Caller) -> None:
    one, two = deployer.create_job("one"), deployer.create_job("two", max_concurrent_runs=2)
    workspace.on_run("one", "hang")
    workspace.on_run("two", "hang")
    states = [deployer.state(deployer.run(key)[1]["run_id"]) for key in (one, one, two, two, two)]
    skipped = ("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED")
    assert [(s["life_cycle_state"], s.get("result_state", "")) for s in states] == [
        ("RUNNING", ""), skipped, ("RUNNING", ""), ("RUNNING", ""), skipped,
    ]  # fmt: skip


def test_runs_wait_in_their_order_where_the_job_has_a_queue(
    workspace: Workspace, deployer: Caller
) -> None:
    key = deployer.create_job("daily", queue={"enabled": True})
    workspace.on_run("daily", "hang")
    scheduled = workspace.start_run("daily")
    waiting = [deployer.run(key)[1]["run_id"] for _ in range(2)]
    assert [deployer.state(run)["life_cycle_state"] for run in waiting] == ["QUEUED", "QUEUED"]
    workspace.end_run(scheduled, "fail")
    assert [deployer.state(run)["life_cycle_state"] for run in waiting] == ["RUNNING", "QUEUED"]
    deployer("POST", "/api/2.2/jobs/runs/cancel", {"run_id": waiting[0]})
    assert deployer.state(waiting[0])["result_state"] == "CANCELED"
    assert deployer.state(waiting[1])["life_cycle_state"] == "RUNNING"


def test_runs_end_in_the_ways_of_the_service(workspace: Workspace, deployer: Caller) -> None:
    key = deployer.create_job("daily")
    for outcome, expected in (
        ("time out", ("TERMINATED", "TIMEDOUT")),
        ("skip", ("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED")),
        ("retry", ("TERMINATED", "SUCCESS")),
    ):
        workspace.on_run("daily", outcome)
        state = deployer.state(deployer.run(key)[1]["run_id"])
        assert (state["life_cycle_state"], state["result_state"]) == expected
    workspace.run_seconds = 0.2
    run = deployer.run(key)[1]["run_id"]
    time.sleep(0.12)
    assert deployer.state(run)["life_cycle_state"] == "WAITING_FOR_RETRY"


def test_a_repeated_start_is_one_run(workspace: Workspace, deployer: Caller) -> None:
    key = deployer.create_job("daily")
    started = {deployer.run(key, idempotency_token="one")[1]["run_id"] for _ in range(3)}
    assert len(started) == len(workspace.runs) == 1


# Unity Catalog, secrets


def test_a_schema_needs_its_catalog_and_the_right(deployer: Caller, runner: Caller) -> None:
    where = "/api/2.1/unity-catalog/schemas"
    nowhere = deployer("POST", where, {"name": "sales", "catalog_name": "nowhere"})
    assert (nowhere[0], nowhere[1]["error_code"]) == (404, "CATALOG_DOES_NOT_EXIST")
    body = {"name": "Sales", "catalog_name": "main"}
    assert runner("POST", where, body)[0] == 403
    assert deployer("POST", where, body)[1]["full_name"] == "main.sales"
    assert deployer("POST", where, body)[0] == 400
    assert runner("GET", f"{where}/main.sales")[0] == 403
    grants = "/api/2.1/unity-catalog/permissions/schema/main.sales"
    change = {"changes": [{"principal": IDS["runner"], "add": ["USE_SCHEMA", "READ_VOLUME"]}]}
    assert runner("PATCH", grants, change)[0] == 403
    assert deployer("PATCH", grants, change)[0] == 200
    assert runner("GET", f"{where}/main.sales")[0] == 200
    effective = runner("GET", grants.replace("permissions", "effective-permissions"))[1]
    mine = {line["principal"]: line["privileges"] for line in effective["privilege_assignments"]}
    assert mine[IDS["runner"]] == [{"privilege": "READ_VOLUME"}, {"privilege": "USE_SCHEMA"}]
    assert mine["account users"][0]["inherited_from_name"] == "main"
    assert runner("DELETE", f"{where}/main.sales")[0] == 403


def test_data_is_lost_when_a_volume_is_made_again(workspace: Workspace, deployer: Caller) -> None:
    where = "/api/2.1/unity-catalog"
    deployer("POST", f"{where}/schemas", {"name": "sales", "catalog_name": "main"})
    body = {"name": "in", "schema_name": "sales", "catalog_name": "main", "volume_type": "MANAGED"}
    deployer("POST", f"{where}/volumes", body)
    workspace.volumes["main.sales.in"]["data"] = {"a.csv": "1"}
    assert "data" not in deployer("GET", f"{where}/volumes/main.sales.in")[1]
    deployer("PATCH", f"{where}/volumes/main.sales.in", {"new_name": "out"})
    assert workspace.volumes["main.sales.out"]["data"] == {"a.csv": "1"}
    assert deployer("DELETE", f"{where}/schemas/main.sales")[0] == 400
    assert deployer("DELETE", f"{where}/schemas/main.sales", force="true")[0] == 200
    assert workspace.volumes == {}


def test_the_acl_of_a_scope_needs_manage_even_to_read(deployer: Caller, planner: Caller) -> None:
    deployer("POST", "/api/2.0/secrets/scopes/create", {"scope": "keys"})
    line = {"scope": "keys", "principal": IDS["planner"], "permission": "READ"}
    assert deployer("POST", "/api/2.0/secrets/acls/put", line)[0] == 200
    assert planner("GET", "/api/2.0/secrets/scopes/list")[1]["scopes"][0]["name"] == "keys"
    assert planner("GET", "/api/2.0/secrets/acls/list", scope="keys")[0] == 403
    assert len(deployer("GET", "/api/2.0/secrets/acls/list", scope="keys")[1]["items"]) == 2


# Faults


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_status_hits_the_nth_call_only(
    workspace: Workspace, deployer: Caller, status: int
) -> None:
    workspace.fault("POST", "mkdirs", status, nth=2, times=2, retry_after=1)
    assert [deployer.mkdirs(LEDGER) for _ in range(4)] == [200, status, status, 200]
    assert [entry.status for entry in workspace.requests] == [200, status, status, 200]


@pytest.mark.parametrize(("kind", "done"), [("reset", False), ("hang", False), ("lost", True)])
def test_a_cut_call_is_done_or_not(
    workspace: Workspace, deployer: Caller, kind: str, done: bool
) -> None:
    fault = workspace.fault("POST", "mkdirs$", kind, seconds=0.1)
    with pytest.raises((OSError, HTTPException)):
        deployer.mkdirs(LEDGER)
    assert (LEDGER in workspace.tree.nodes) == done
    assert (fault.fired, workspace.requests[-1].status) == (1, 0)
    assert deployer.mkdirs(LEDGER) == 200


def test_the_nth_call_of_any_kind_and_a_deed_before_a_call(
    workspace: Workspace, deployer: Caller
) -> None:
    workspace.fault_all(3, 503)
    statuses = [deployer.mkdirs(LEDGER), deployer.status(LEDGER)[0], deployer.status(LEDGER)[0]]
    assert statuses == [200, 200, 503]
    workspace.faults.clear()

    def edit() -> None:
        workspace.files[f"{LEDGER}/a"] = b"by hand"

    workspace.fault("GET", "get-status", edit)
    assert deployer.status(f"{LEDGER}/a")[0] == 200
    with pytest.raises(ValueError, match="none of"):
        workspace.fault("GET", "", "explode")


def test_a_hanging_call_does_not_stop_others(workspace: Workspace, deployer: Caller) -> None:
    workspace.fault("POST", "mkdirs", "hang", seconds=30)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(deployer.mkdirs, LEDGER)
        time.sleep(0.05)
        assert deployer.status("/Workspace")[0] == 200
        workspace.faults.close()
        with pytest.raises((OSError, HTTPException)):
            hanging.result()


def test_what_is_new_is_seen_late_when_told_so(workspace: Workspace, deployer: Caller) -> None:
    workspace.eventual = True
    key = deployer.create_job("daily")
    statuses = [deployer("GET", "/api/2.2/jobs/get", job_id=key)[0] for _ in range(2)]
    assert statuses == [400, 200]


def test_latency_and_the_log(workspace: Workspace, deployer: Caller) -> None:
    workspace.latency = 0.1
    start = time.monotonic()
    deployer.mkdirs(LEDGER)
    assert time.monotonic() - start >= 0.1
    (entry,) = workspace.writes()
    assert (entry.method, entry.identity, entry.status) == ("POST", "deployer", 200)


def test_calls_do_not_wait_for_each_other(workspace: Workspace, deployer: Caller) -> None:
    workspace.latency = 0.1
    start = time.monotonic()
    threads = [threading.Thread(target=deployer.status, args=("/Workspace",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - start < 1


def test_two_snapshots_differ_in_what_was_changed_only(
    workspace: Workspace, deployer: Caller
) -> None:
    before = workspace.snapshot()
    key = deployer.create_job("daily")
    after = workspace.snapshot()
    assert list(after["jobs"]) == ["daily"]
    deployer("POST", "/api/2.2/jobs/delete", {"job_id": key})
    assert workspace.snapshot() == before
    again = deployer.create_job("daily")
    assert again != key
    assert workspace.snapshot() == after


def test_it_serves_by_hand() -> None:
    command = [sys.executable, "-m", "fake_workspace", "--catalog", "main"]
    here = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        assert process.stdout.readline().startswith("deployer ")
        process.terminate()


# The Python SDK


def test_the_python_sdk_is_served(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sdk = pytest.importorskip("databricks.sdk")
    formats = pytest.importorskip("databricks.sdk.service.workspace").ImportFormat
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", os.devnull)
    client = sdk.WorkspaceClient(
        host=workspace.url, token=workspace.token("deployer"), auth_type="pat"
    )
    assert client.current_user.me().user_name == IDS["deployer"]
    client.workspace.mkdirs(LEDGER)
    client.workspace.upload(f"{LEDGER}/a.json", b"\x00\r\n", format=formats.AUTO)
    with pytest.raises(sdk.errors.ResourceAlreadyExists):
        client.workspace.upload(f"{LEDGER}/a.json", b"", format=formats.AUTO)
    with pytest.raises(sdk.errors.NotFound):
        client.workspace.download(f"{LEDGER}/b.json")
    assert client.workspace.download(f"{LEDGER}/a.json").read() == b"\x00\r\n"
    assert [one.path for one in client.workspace.list(LEDGER)] == [f"{LEDGER}/a.json"]
    key = client.jobs.create(name="daily").job_id
    assert [job.job_id for job in client.jobs.list()] == [key]
    run = client.jobs.run_now(key, idempotency_token="one")
    assert client.jobs.get_run(run.run_id).state.result_state.value == "SUCCESS"
    assert client.permissions.get("jobs", str(key)).object_id == f"/jobs/{key}"
    client.jobs.delete(key)
    with pytest.raises(sdk.errors.ResourceDoesNotExist):
        client.jobs.get(key)


# The real CLI

EVERYTHING = """
bundle: {name: everything}
variables:
  warehouse: {lookup: {warehouse: Serverless Starter Warehouse}}
  policy: {lookup: {cluster_policy: Job Compute}}
  cluster: {lookup: {cluster: shared}}
  pool: {lookup: {instance_pool: small}}
  runner: {lookup: {service_principal: runner}}
targets:
  prod:
    mode: production
    workspace: {host: HOST, root_path: /Workspace/Users/DEPLOYER/everything}
    permissions: [{level: CAN_MANAGE, service_principal_name: DEPLOYER}]
resources:
  jobs:
    nightly:
      name: nightly
      run_as: {service_principal_name: "${var.runner}"}
      tags: {pool: "${var.pool}", cluster: "${var.cluster}", policy: "${var.policy}"}
      schedule: {quartz_cron_expression: "0 0 3 * * ?", timezone_id: UTC}
      permissions: [{level: CAN_VIEW, group_name: users}]
      tasks:
        - task_key: first
          notebook_task: {notebook_path: ./notebook.py, warehouse_id: "${var.warehouse}"}
        - task_key: second
          depends_on: [{task_key: first}]
          pipeline_task: {pipeline_id: "${resources.pipelines.feed.id}"}
        - task_key: third
          spark_python_task: {python_file: ./file.py}
          new_cluster: {spark_version: 17.3.x-scala2.13, node_type_id: m, num_workers: 1}
  pipelines:
    feed:
      name: feed
      catalog: main
      schema: ${resources.schemas.sales.name}
      serverless: true
      libraries: [{file: {path: ./file.py}}]
      permissions: [{level: CAN_VIEW, group_name: users}]
  schemas:
    sales:
      name: Sales
      catalog_name: main
      comment: first
      grants: [{principal: users, privileges: [USE_SCHEMA, READ_VOLUME]}]
  volumes:
    landing:
      name: landing
      catalog_name: main
      schema_name: ${resources.schemas.sales.name}
      grants: [{principal: users, privileges: [READ_VOLUME]}]
  secret_scopes:
    keys: {name: keys, permissions: [{level: READ, group_name: users}]}
  dashboards:
    figures:
      display_name: figures
      warehouse_id: ${var.warehouse}
      file_path: ./figures.lvdash.json
      permissions: [{level: CAN_READ, group_name: users}]
  registered_models:
    forecast:
      name: forecast
      catalog_name: main
      schema_name: ${resources.schemas.sales.name}
      grants: [{principal: users, privileges: [EXECUTE]}]
  experiments:
    trial:
      name: /Workspace/Users/DEPLOYER/trial
      permissions: [{level: CAN_READ, group_name: users}]
"""


@dataclass
class Cli:
    """Runs the real CLI in a folder."""

    workspace: Workspace
    folder: Path
    target: str

    def command(self, *arguments: str, **login: str) -> subprocess.CompletedProcess[str]:
        """Runs any command with variables that say who one is."""
        environment = {
            "HOME": str(self.folder.parent),
            "PATH": os.environ["PATH"],
            "DATABRICKS_CONFIG_FILE": os.devnull,
            "DATABRICKS_CLI_DISABLE_TELEMETRY": "1",
            "DATABRICKS_CACHE_ENABLED": "false",
            "DATABRICKS_HOST": self.workspace.url,
            "DATABRICKS_RATE_LIMIT": "200",
        }
        return subprocess.run(
            ["databricks", *arguments],
            cwd=self.folder,
            env=environment | login,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        token = self.workspace.token(name)
        command = ("bundle", *arguments, "--target", self.target)
        return self.command(*command, DATABRICKS_AUTH_TYPE="pat", DATABRICKS_TOKEN=token)

    def expect(self, *arguments: str, name: str = "deployer") -> str:
        result = self.run(name, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def plan(self, name: str = "deployer") -> str:
        """What a plan counts."""
        return self.run(name, "plan").stdout.strip().splitlines()[-1].rsplit(",", 1)[0]


NOTHING = "Plan: 0 to add, 0 to change, 0 to delete"


@pytest.fixture
def everything(workspace: Workspace, tmp_path: Path) -> Cli:
    folder = tmp_path / "everything"
    folder.mkdir()
    text = EVERYTHING.replace("HOST", workspace.url).replace("DEPLOYER", IDS["deployer"])
    (folder / "databricks.yml").write_text(text, encoding="utf-8")
    (folder / "notebook.py").write_text("# Databricks notebook source\n", encoding="utf-8")
    (folder / "file.py").write_text("1\n", encoding="utf-8")
    (folder / "figures.lvdash.json").write_text('{"pages": [{"name": "one"}]}', encoding="utf-8")
    return Cli(workspace, folder, "prod")


@pytest.fixture
def project(workspace: Workspace, bake: Bake, tmp_path: Path) -> Cli:
    baked: Baked = bake()
    folder = tmp_path / "project"
    shutil.copytree(baked.path, folder)
    for file in (folder / "targets").glob("*.yml"):
        text = file.read_text(encoding="utf-8")
        host = "https://dbc-00000000-0000.cloud.databricks.com"
        file.write_text(text.replace(host, workspace.url), encoding="utf-8")
    (folder / "release.yml").write_text(RELEASE, encoding="utf-8")
    (folder / "dist").mkdir(exist_ok=True)
    (folder / "dist" / "lakehouse-0.1.0-py3-none-any.whl").touch()
    (folder / "requirements.txt").touch()
    workspace.add_catalog("acme_lakehouse_staging", creators=["deployer"])
    return Cli(workspace, folder, "staging")


class TestRealCli:
    pytestmark = real_cli

    def test_the_template_is_deployed_and_nothing_is_left_to_do(self, project: Cli) -> None:
        before = project.workspace.snapshot()
        project.expect("deploy")
        assert project.plan() == NOTHING
        assert project.workspace.job("flights_daily")["run_as_user_name"] == IDS["runner"]
        project.expect("summary", "--output", "json", "--force-pull")
        project.expect("destroy", "--auto-approve")
        after = project.workspace.snapshot()
        root = "/Workspace/Deployments/acme-lakehouse"
        after["folders"] = [one for one in after["folders"] if not one.startswith(root)]
        assert after == before

    def test_every_kind_of_resource_is_deployed_and_nothing_is_left_to_do(
        self, everything: Cli
    ) -> None:
        everything.expect("deploy")
        assert everything.plan() == NOTHING
        everything.expect("validate", "--strict")
        everything.expect("run", "nightly")
        everything.expect("run", "feed")
        file = everything.folder / "databricks.yml"
        changed = file.read_text("utf-8").replace("comment: first", "comment: second")
        changed = changed.replace("display_name: figures", "display_name: numbers")
        file.write_text(changed.replace("name: feed", "name: food"), encoding="utf-8")
        everything.expect("deploy", "--auto-approve")
        assert everything.plan() == NOTHING

    def test_a_failed_run_is_told(self, everything: Cli) -> None:
        everything.expect("deploy")
        everything.workspace.on_run("nightly", "fail")
        result = everything.run("deployer", "run", "nightly")
        assert result.returncode == 1
        assert "INTERNAL_ERROR FAILED Task first failed" in result.stderr

    def test_a_saved_plan_is_deployed(self, everything: Cli) -> None:
        plan = everything.run("deployer", "plan", "--output", "json").stdout
        (everything.folder / "plan.json").write_text(plan, encoding="utf-8")
        everything.expect("deploy", "--plan", "plan.json")
        assert everything.plan() == NOTHING

    def test_the_planner_plans_and_cannot_deploy(self, project: Cli) -> None:
        project.expect("deploy")
        project.workspace.requests.clear()
        # All that differs is who would own the job, the dashboard and the two alerts.
        assert project.plan("planner") == "Plan: 0 to add, 4 to change, 0 to delete"
        assert project.workspace.writes() == []
        before = project.workspace.snapshot()
        result = project.run("planner", "deploy")
        assert result.returncode == 1
        assert "access denied" in result.stderr
        assert project.workspace.snapshot() == before

    def test_a_hand_edit_and_a_deletion_by_hand_are_planned(self, everything: Cli) -> None:
        everything.expect("deploy")
        everything.workspace.job("nightly")["settings"]["max_concurrent_runs"] = 7
        assert "update jobs.nightly" in everything.expect("plan")
        del everything.workspace.jobs[everything.workspace.job("nightly")["job_id"]]
        assert "create jobs.nightly" in everything.expect("plan")
        everything.expect("deploy")
        assert everything.plan() == NOTHING

    def test_permissions_that_outlive_their_job_are_planned_for_ever(self, everything: Cli) -> None:
        everything.workspace.keeps_permissions = True
        everything.expect("deploy")
        del everything.workspace.jobs[everything.workspace.job("nightly")["job_id"]]
        everything.expect("deploy")
        assert everything.plan() == "Plan: 0 to add, 1 to change, 0 to delete"

    def test_a_job_is_unbound_and_bound(self, everything: Cli) -> None:
        everything.expect("deploy")
        key = everything.workspace.job("nightly")["job_id"]
        everything.expect("deployment", "unbind", "nightly")
        everything.expect("deployment", "bind", "nightly", str(key), "--auto-approve")
        everything.expect("deploy")
        assert everything.plan() == NOTHING
        assert everything.workspace.job("nightly")["job_id"] == key

    def test_of_two_deploys_at_once_one_is_refused(self, everything: Cli, tmp_path: Path) -> None:
        other = Cli(everything.workspace, tmp_path / "other", "prod")
        shutil.copytree(everything.folder, other.folder)
        everything.workspace.latency = 0.02
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(one.run, "deployer", "deploy") for one in (everything, other)]
        results = [run.result() for run in runs]
        assert sorted(result.returncode for result in results) == [0, 1]
        assert "deploy lock acquired by" in "".join(result.stderr for result in results)

    def test_a_busy_service_is_asked_again(self, everything: Cli) -> None:
        everything.workspace.fault("POST", "jobs/create", 429, times=2)
        everything.workspace.fault("POST", "/pipelines", 503)
        everything.expect("deploy")
        assert everything.plan() == NOTHING

    def test_a_lost_answer_doubles_a_job(self, everything: Cli) -> None:
        # The CLI asks again whenever a connection ends, even to create something.
        everything.workspace.fault("POST", "jobs/create", "lost")
        everything.expect("deploy")
        assert sorted(everything.workspace.snapshot()["jobs"]) == ["nightly", "nightly #2"]

    def test_a_deploy_replaces_who_may_read_the_root(self, everything: Cli) -> None:
        workspace = everything.workspace
        root = f"/Workspace/Users/{IDS['deployer']}/everything"
        workspace.grant_folder(root, "planner", "CAN_READ")
        everything.expect("deploy")
        assert Caller(workspace, "planner").status(root)[0] == 403
        # A planner that is told "it is not there" takes all for new.
        workspace.tree.hidden_status = 404
        shutil.rmtree(everything.folder / ".databricks")
        assert "0 to change, 0 to delete" in everything.plan("planner")

    def test_an_id_token_is_enough(self, everything: Cli) -> None:
        everything.workspace.id_tokens = {IDS["deployer"]: {"of-the-job"}}
        result = everything.command(
            *("current-user", "me", "--output", "json"),
            DATABRICKS_AUTH_TYPE="env-oidc",
            DATABRICKS_CLIENT_ID=IDS["deployer"],
            DATABRICKS_OIDC_TOKEN="of-the-job",
        )
        assert json.loads(result.stdout)["userName"] == IDS["deployer"], result.stderr
