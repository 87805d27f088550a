"""Promises of the Databricks CLI that the delivery tool stands on, for the real one and ours.

Each scenario runs with the fake CLI, and with the real CLI if it is on the PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from fake_workspace import Workspace
from harness.baking import environment
from harness.delivering import CommandResult

ROOT = "/Workspace/Deployments/lake/prod"
JOB = "resources.jobs.daily"

# Where the last job of the sample starts, and another one in its place.
JOBS, REPORT = "resources/sales/jobs.yml", "    report:"
NEWER = "    newer:\n      name: newer\n"
FILES = {
    "databricks.yml": """
bundle:
  name: lake
include: [targets/*.yml, resources/*/*.yml, release*.yml]
sync:
  include: [dist/*.whl]
variables:
  catalog: {description: the catalog}
  release: {description: the release}
  runner: {default: RUNNER}
  readers:
    type: complex
    default:
      - {level: CAN_VIEW, group_name: users}
""",
    "targets/prod.yml": """
targets:
  prod:
    mode: production
    workspace:
      root_path: /Workspace/Deployments/${bundle.name}/${bundle.target}
      file_path: ${workspace.root_path}/releases/${var.release}/files
      artifact_path: ${workspace.root_path}/releases/${var.release}/artifacts
    run_as: {service_principal_name: "${var.runner}"}
    permissions:
      - {level: CAN_MANAGE, service_principal_name: DEPLOYER}
    variables: {catalog: prod}
    presets:
      trigger_pause_status: PAUSED
      tags: {environment: prod}
""",
    "resources/sales/jobs.yml": """
resources:
  jobs:
    daily:
      name: daily
      timeout_seconds: 3600
      schedule: {quartz_cron_expression: "0 0 6 * * ?", timezone_id: UTC}
      tags: {domain: sales}
      permissions: ${var.readers}
      tasks:
        - task_key: bronze
          environment_key: default
          python_wheel_task:
            package_name: lake
            entry_point: bronze
            named_parameters:
              landing: /Volumes/${var.catalog}/${resources.schemas.bronze.name}/landing
        - task_key: stream
          depends_on: [{task_key: bronze}]
          pipeline_task: {pipeline_id: "${resources.pipelines.stream.id}"}
      environments:
        - environment_key: default
          spec:
            environment_version: "4"
            dependencies: ["${workspace.file_path}/dist/lake-1.whl"]
    report:
      name: report
      tasks:
        - task_key: show
          notebook_task: {notebook_path: ../../src/report.py}
""",
    "resources/sales/data.yml": """
resources:
  pipelines:
    stream:
      name: stream
      catalog: ${var.catalog}
      schema: ${resources.schemas.bronze.name}
      serverless: true
      libraries:
        - file: {path: ../../src/stream.py}
  schemas:
    bronze:
      catalog_name: ${var.catalog}
      name: bronze
      comment: as it came
      grants: [{principal: users, privileges: [USE_SCHEMA, SELECT]}]
  volumes:
    landing:
      catalog_name: ${var.catalog}
      schema_name: bronze
      name: landing
""",
    "resources/sales/more.yml": """
resources:
  registered_models:
    forecast:
      catalog_name: ${var.catalog}
      schema_name: ${resources.schemas.bronze.name}
      name: forecast
      grants: [{principal: users, privileges: [EXECUTE]}]
  secret_scopes:
    vault:
      name: vault
      permissions: [{level: READ, group_name: users}]
  dashboards:
    overview:
      display_name: Overview
      warehouse_id: abc
      file_path: ../../src/overview.lvdash.json
      permissions: [{level: CAN_READ, group_name: users}]
""",
    "src/stream.py": "x = 1\n",
    "src/report.py": "# Databricks notebook source\nprint(1)\n",
    "src/overview.lvdash.json": '{"pages": []}',
    "src/notes.log": "not deployed",
    "dist/lake-1.whl": "wheel",
    ".gitignore": "dist/\n*.log\n",
}


@dataclass
class Target:
    """A project, a workspace, and the CLI that deploys one to the other."""

    programs: Path
    workspace: Workspace
    folder: Path
    home: Path

    def fresh(self, folder: Path) -> Target:
        """The same project where nothing is remembered."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(".databricks"))
        return Target(self.programs, self.workspace, folder, self.home)

    def settings(self, identity: str, **changes: str | None) -> dict[str, str]:
        """The environment of a command; a change to None takes a variable away."""
        settings: dict[str, str | None] = {
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "DATABRICKS_HOST": self.workspace.url,
            "DATABRICKS_TOKEN": self.workspace.token(identity),
            "DATABRICKS_AUTH_TYPE": "pat",
            "DATABRICKS_CONFIG_FILE": "/dev/null",
            "DATABRICKS_CLI_DISABLE_TELEMETRY": "1",
            "DATABRICKS_CACHE_ENABLED": "false",
            "DATABRICKS_RATE_LIMIT": "200",
            "DATABRICKS_BUNDLE_RETRY_INTERVAL_MS": "10",
            "BUNDLE_VAR_release": "r1",
        }
        given = {**settings, **changes}
        return environment(**{name: value for name, value in given.items() if value is not None})

    def start(
        self, *arguments: str, identity: str = "deployer", **changes: str | None
    ) -> subprocess.Popen[str]:
        """Start any command of the CLI."""
        return subprocess.Popen(
            ["databricks", *arguments],
            cwd=self.folder,
            env=self.settings(identity, **changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def command(
        self, *arguments: str, identity: str = "deployer", **changes: str | None
    ) -> CommandResult:
        """Run any command of the CLI."""
        process = self.start(*arguments, identity=identity, **changes)
        out, err = process.communicate(timeout=120)
        return CommandResult(process.returncode, out, err)

    def run(
        self, *arguments: str, identity: str = "deployer", **changes: str | None
    ) -> CommandResult:
        """Run a command about the bundle."""
        return self.command(
            *("bundle", *arguments, "--target", "prod"), identity=identity, **changes
        )

    def done(self, *arguments: str, **changes: str) -> CommandResult:
        result = self.run(*arguments, **changes)
        assert result.code == 0, result.err
        return result

    def plan(self, **changes: str) -> Any:
        return self.done("plan", "--output", "json", **changes).json

    def actions(self, **changes: str) -> dict[str, str]:
        """What a deploy would do, without what stays."""
        plan = self.plan(**changes)["plan"]
        return {key: one["action"] for key, one in plan.items() if one["action"] != "skip"}

    def remote(self, name: str = "resources.json") -> Any:
        """A file of the state; None when there is none."""
        file = self.workspace.files.get(f"{ROOT}/state/{name}")
        return json.loads(file) if file else None

    def identity(self, key: str) -> str:
        return str(self.remote()["state"][key]["__id__"])

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.folder / name
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def cut(self, name: str, start: str, instead: str = "") -> None:
        """Put something in the place of a file's end."""
        file = self.folder / name
        text = file.read_text(encoding="utf-8")
        file.write_text(text[: text.index(start)] + instead, encoding="utf-8")

    def job_names(self) -> list[str]:
        """The jobs that the workspace has."""
        return sorted(job["settings"]["name"] for job in self.workspace.jobs.values())

    def local(self, name: str) -> Path:
        return self.folder / ".databricks/bundle/prod" / name


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as one:
        one.add_catalog("prod", creators=["deployer"])
        one.grant_folder("/Workspace/Deployments", "deployer", "CAN_MANAGE")
        one.grant_folder("/Workspace/Deployments", "planner", "CAN_READ")
        yield one


@pytest.fixture
def target(programs: Path, workspace: Workspace, tmp_path: Path) -> Target:
    """The project, not deployed yet."""
    return project(programs, workspace, tmp_path)


def project(programs: Path, workspace: Workspace, folder: Path) -> Target:
    names = {name.upper(): workspace.identity(name).principal for name in ("deployer", "runner")}
    for name, text in FILES.items():
        for placeholder, value in names.items():
            text = text.replace(placeholder, value)
        file = folder / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (folder / "home").mkdir()
    return Target(programs, workspace, folder / "project", folder / "home")


@pytest.fixture
def deployed(target: Target) -> Target:
    """The project, deployed as release r1."""
    target.done("deploy")
    target.workspace.requests.clear()
    return target


def test_it_tells_its_version(target: Target) -> None:
    for arguments in (["version"], ["--version"]):
        assert re.fullmatch(r"Databricks CLI v\d+\.\d+\.\d+\n", target.command(*arguments).out)
    result = target.command("version", "--output", "json")
    assert re.fullmatch(r"\d+\.\d+\.\d+", result.json["Version"])


def test_offline_validate_fails_but_prints_the_merged_configuration(target: Target) -> None:
    nowhere = {"DATABRICKS_HOST": "", "DATABRICKS_TOKEN": "", "DATABRICKS_AUTH_TYPE": ""}
    result = target.run("validate", "--output", "json", **nowhere)
    assert result.code == 1
    assert "cannot configure default credentials" in result.err
    assert result.err.count("Error") == 1
    tree = result.json
    assert tree["include"] == [name for name in sorted(FILES) if name.startswith("targets")] + [
        name for name in sorted(FILES) if name.startswith("resources")
    ]
    assert tree["resources"]["pipelines"]["stream"]["catalog"] == "${var.catalog}"
    assert tree["bundle"] == {
        "environment": "prod",
        "mode": "production",
        "name": "lake",
        "target": "prod",
    }
    assert target.workspace.requests == []


def test_validate_writes_a_folder_and_plan_writes_nothing(target: Target) -> None:
    tree = target.done("validate", "--output", "json").json
    assert tree["variables"]["release"]["value"] == "r1"
    assert tree["workspace"]["file_path"] == f"{ROOT}/releases/r1/files"
    assert [entry.path for entry in target.workspace.writes()] == ["/api/2.0/workspace/mkdirs"]
    target.workspace.requests.clear()
    target.plan()
    assert target.workspace.writes() == []


def test_a_plan_of_a_new_target_creates_everything(target: Target) -> None:
    plan = target.plan()
    assert plan["plan_version"] == 2
    assert "lineage" not in plan
    assert "serial" not in plan
    assert {entry["action"] for entry in plan["plan"].values()} == {"create"}
    assert sorted(plan["plan"]) == [
        "resources.dashboards.overview",
        "resources.dashboards.overview.permissions",
        JOB,
        f"{JOB}.permissions",
        "resources.jobs.report",
        "resources.jobs.report.permissions",
        "resources.pipelines.stream",
        "resources.pipelines.stream.permissions",
        "resources.registered_models.forecast",
        "resources.registered_models.forecast.grants",
        "resources.schemas.bronze",
        "resources.schemas.bronze.grants",
        "resources.secret_scopes.vault",
        "resources.secret_scopes.vault.permissions",
        "resources.volumes.landing",
    ]


def test_a_planned_job_has_presets_run_as_and_paths_of_the_release(target: Target) -> None:
    entry = target.plan()["plan"][JOB]
    job = entry["new_state"]["value"]
    files = f"{ROOT}/releases/r1/files"
    assert entry["depends_on"] == [
        {"node": "resources.pipelines.stream", "label": "${resources.pipelines.stream.id}"},
        {"node": "resources.schemas.bronze", "label": "${resources.schemas.bronze.name}"},
    ]
    assert job["deployment"] == {
        "kind": "BUNDLE",
        "metadata_file_path": f"{ROOT}/state/metadata.json",
    }
    assert (job["edit_mode"], job["format"]) == ("UI_LOCKED", "MULTI_TASK")
    assert job["run_as"] == {
        "service_principal_name": target.workspace.identity("runner").principal
    }
    assert job["schedule"]["pause_status"] == "PAUSED"
    assert job["tags"] == {"domain": "sales", "environment": "prod"}
    assert job["queue"] == {"enabled": True}
    assert job["environments"][0]["spec"]["dependencies"] == [f"{files}/dist/lake-1.whl"]
    parameters = job["tasks"][0]["python_wheel_task"]["named_parameters"]
    assert parameters == {"landing": "/Volumes/prod/bronze/landing"}
    report = target.plan()["plan"]["resources.jobs.report"]["new_state"]["value"]
    assert report["tasks"][0]["notebook_task"]["notebook_path"] == f"{files}/src/report"


def test_whoever_plans_becomes_owner_in_the_plan(target: Target) -> None:
    for name in ("deployer", "planner"):
        plan = target.done("plan", "--output", "json", identity=name).json["plan"]
        owner = {
            "level": "IS_OWNER",
            "service_principal_name": target.workspace.identity(name).principal,
        }
        assert owner in plan[f"{JOB}.permissions"]["new_state"]["value"]["__embed__"]


def test_a_deploy_makes_resources_files_and_state(target: Target) -> None:
    result = target.done("deploy")
    assert "Resources: 15 created, 0 changed, 0 deleted, 0 unchanged" in result.err
    workspace = target.workspace
    stream = workspace.job("daily")["settings"]["tasks"][1]["pipeline_task"]["pipeline_id"]
    assert stream in workspace.pipelines
    assert target.identity("resources.pipelines.stream") == stream
    state = target.remote()
    assert (state["state_version"], state["serial"]) == (2, 1)
    assert state["state"][JOB]["state"]["name"] == "daily"
    assert target.remote("deployment.json")["seq"] == 1
    assert target.remote("deploy.lock") is None
    files = {
        path.removeprefix(f"{ROOT}/releases/r1/files/")
        for path in workspace.files
        if path.startswith(f"{ROOT}/releases/r1/files/")
    }
    kept = {*FILES, "src/report"} - {"src/report.py", "src/notes.log"}
    assert files == kept


def test_metadata_says_what_runs_from_where(deployed: Target) -> None:
    metadata = deployed.remote("metadata.json")
    config = metadata["config"]
    assert metadata["version"] == 1
    assert config["workspace"]["file_path"] == f"{ROOT}/releases/r1/files"
    assert config["resources"]["jobs"]["daily"] == {
        "id": deployed.identity(JOB),
        "relative_path": "resources/sales/jobs.yml",
    }


def test_after_a_deploy_nothing_is_left_to_do(deployed: Target, tmp_path: Path) -> None:
    assert deployed.actions() == {}
    elsewhere = deployed.fresh(tmp_path / "elsewhere")
    assert elsewhere.actions() == {}
    state = deployed.remote()
    elsewhere.done("deploy")
    assert deployed.remote() == state
    assert deployed.remote("deployment.json")["seq"] == 2


def test_a_plan_tells_which_state_it_was_made_for(deployed: Target) -> None:
    plan, state = deployed.plan(), deployed.remote()
    assert (plan["lineage"], plan["serial"]) == (state["lineage"], 1)
    paths = {entry.path.split("?")[0] for entry in deployed.workspace.requests}
    assert "/api/2.2/jobs/get" in paths
    assert deployed.workspace.writes() == []


def test_a_changed_field_is_told_by_its_path(deployed: Target) -> None:
    deployed.edit("resources/sales/jobs.yml", "3600", "7200")
    change = deployed.plan()["plan"][JOB]["changes"]["timeout_seconds"]
    assert change == {"action": "update", "old": 3600, "new": 7200, "remote": 3600}
    deployed.done("deploy")
    assert deployed.workspace.job("daily")["settings"]["timeout_seconds"] == 7200
    assert deployed.remote()["serial"] == 2
    assert deployed.actions() == {}


def test_another_release_changes_one_path_a_job(deployed: Target) -> None:
    plan = deployed.plan(BUNDLE_VAR_release="r2")["plan"]
    path = "environments[environment_key='default'].spec.dependencies[0]"
    changed = {name: one for name, one in plan[JOB]["changes"].items() if one["action"] != "skip"}
    assert changed == {
        path: {
            "action": "update",
            "old": f"{ROOT}/releases/r1/files/dist/lake-1.whl",
            "new": f"{ROOT}/releases/r2/files/dist/lake-1.whl",
            "remote": f"{ROOT}/releases/r1/files/dist/lake-1.whl",
        }
    }
    library = plan["resources.pipelines.stream"]["changes"]["libraries[0].file.path"]
    assert library["action"] == "update"


def test_what_is_added_and_removed(deployed: Target) -> None:
    deployed.cut(JOBS, REPORT, NEWER)
    report = "resources.jobs.report"
    newer = "resources.jobs.newer"
    assert deployed.actions() == {
        report: "delete",
        f"{report}.permissions": "delete",
        newer: "create",
        f"{newer}.permissions": "create",
    }
    result = deployed.done("deploy")  # jobs alone need no approval
    assert "Resources: 2 created, 0 changed, 2 deleted" in result.err
    assert deployed.job_names() == ["daily", "newer"]


def test_destroying_data_needs_approval(deployed: Target) -> None:
    deployed.edit(
        "resources/sales/data.yml", "name: bronze\n      comment", "name: b2\n      comment"
    )
    deployed.edit("resources/sales/data.yml", "schema_name: bronze", "schema_name: b2")
    plan = deployed.plan()["plan"]
    assert plan["resources.schemas.bronze"]["action"] == "recreate"
    assert plan["resources.schemas.bronze"]["changes"]["name"]["reason"] == "id_field"
    assert plan["resources.volumes.landing"]["action"] == "recreate"
    schemas = dict(deployed.workspace.schemas)
    result = deployed.run("deploy")
    assert result.code == 1
    assert "destructive actions" in result.err
    assert deployed.workspace.schemas == schemas
    assert deployed.remote("deploy.lock") is None
    deployed.done("deploy", "--auto-approve")
    assert sorted(deployed.workspace.schemas) == ["prod.b2"]
    # The state still has the old name of what was granted (mended in 1.25.0).
    print("ACTIONS", deployed.actions())


def test_a_renamed_volume_is_an_update_of_its_id(deployed: Target) -> None:
    deployed.edit("resources/sales/data.yml", "name: landing", "name: landed")
    assert deployed.actions()["resources.volumes.landing"] == "update_id"
    deployed.done("deploy")
    assert deployed.identity("resources.volumes.landing") == "prod.bronze.landed"


def test_hand_edits_show_as_drift(deployed: Target) -> None:
    workspace = deployed.workspace
    job = workspace.job("daily")
    job["settings"]["timeout_seconds"] = 99
    job["settings"]["tags"]["hotfix"] = "yes"
    job["settings"]["tasks"][0]["timeout_seconds"] = 7
    job["settings"]["schedule"]["pause_status"] = "UNPAUSED"
    workspace.schemas["prod.bronze"]["comment"] = "by hand"
    workspace.grants["schema", "prod.bronze"]["intruders"] = ["SELECT"]
    plan = deployed.plan()["plan"]
    changed = {path: one for path, one in plan[JOB]["changes"].items() if one["action"] != "skip"}
    assert changed == {
        "timeout_seconds": {"action": "update", "old": 3600, "new": 3600, "remote": 99},
        "tags['hotfix']": {"action": "update", "remote": "yes"},
        "tasks[task_key='bronze'].timeout_seconds": {"action": "update", "remote": 7},
        "schedule.pause_status": {
            "action": "update",
            "old": "PAUSED",
            "new": "PAUSED",
            "remote": "UNPAUSED",
        },
    }
    comment = plan["resources.schemas.bronze"]["changes"]["comment"]
    assert (comment["old"], comment["remote"]) == ("as it came", "by hand")
    grants = plan["resources.schemas.bronze.grants"]["changes"]["[principal='intruders']"]
    assert "old" not in grants
    assert grants["remote"]["privileges"] == ["SELECT"]
    deployed.done("deploy")
    assert workspace.job("daily")["settings"]["timeout_seconds"] == 3600
    assert "intruders" not in workspace.grants["schema", "prod.bronze"]
    assert deployed.actions() == {}


def test_permissions_edited_by_hand_show_in_a_node_of_their_own(deployed: Target) -> None:
    entry = {"group_name": "everyone", "permission_level": "CAN_MANAGE"}
    path = f"/api/2.0/permissions/jobs/{deployed.identity(JOB)}"
    call(deployed, "PATCH", path, {"access_control_list": [entry]})
    changes = deployed.plan()["plan"][f"{JOB}.permissions"]["changes"]
    assert changes == {
        "[group_name='everyone']": {
            "action": "update",
            "remote": {"level": "CAN_MANAGE", "group_name": "everyone"},
        }
    }


def test_a_job_deleted_by_hand_is_a_creation(deployed: Target) -> None:
    del deployed.workspace.jobs[int(deployed.identity("resources.jobs.report"))]
    entry = deployed.plan()["plan"]["resources.jobs.report"]
    assert entry["action"] == "create"
    assert "remote_state" not in entry
    assert "gone" not in entry
    assert "resources.jobs.report" in deployed.remote()["state"]


def test_what_is_gone_already_is_only_forgotten(deployed: Target) -> None:
    del deployed.workspace.jobs[int(deployed.identity("resources.jobs.report"))]
    deployed.cut(JOBS, REPORT)
    assert deployed.plan()["plan"]["resources.jobs.report"]["gone"] is True
    deployed.done("deploy")
    assert "resources.jobs.report" not in deployed.remote()["state"]


def test_a_held_lock_refuses_and_force_lock_takes_it_over(deployed: Target) -> None:
    hold_lock(deployed)
    before = deployed.remote("deployment.json")
    result = deployed.run("deploy")
    assert result.code == 1
    assert "deploy lock acquired by somebody at 2026-11-23 08:00:00" in result.err
    assert "--force-lock" in result.err
    assert deployed.remote("deployment.json") == before
    assert deployed.plan()
    deployed.done("deploy", "--force-lock")
    assert deployed.remote("deploy.lock") is None


def hold_lock(target: Target) -> None:
    lock = {
        "ID": "11111111-2222-4333-8444-555555555555",
        "AcquisitionTime": "2026-11-23T08:00:00Z",
        "IsForced": False,
        "User": "somebody",
    }
    call(
        target,
        "POST",
        f"/api/2.0/workspace-files/import-file/{ROOT.lstrip('/')}/state/deploy.lock?overwrite=true",
        lock,
    )


def call(target: Target, method: str, path: str, body: Any = None) -> Any:
    """Call the workspace as the deployer."""
    request = Request(
        target.workspace.url + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {target.workspace.token('deployer')}"},
        method=method,
    )
    with urlopen(request, timeout=10) as answer:
        content = answer.read()
    return json.loads(content) if content.strip() else {}


def test_a_saved_plan_is_applied_as_it_is(deployed: Target, tmp_path: Path) -> None:
    deployed.edit("resources/sales/jobs.yml", "3600", "7200")
    saved = save(deployed, tmp_path)
    deployed.edit("resources/sales/jobs.yml", "7200", "1")
    fresh = deployed.fresh(tmp_path / "fresh")
    fresh.done("deploy", "--plan", str(saved))
    assert deployed.workspace.job("daily")["settings"]["timeout_seconds"] == 7200


def save(target: Target, folder: Path, **changes: Any) -> Path:
    file = folder / "plan.json"
    file.write_text(json.dumps({**target.plan(), **changes}), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"serial": 9}, "plan serial 9 does not match state serial 1"),
        ({"lineage": "other"}, 'plan lineage "other" does not match state lineage'),
        ({"plan_version": 3}, "plan version mismatch"),
    ],
    ids=["serial", "lineage", "version"],
)
def test_a_stale_plan_is_refused_before_anything_is_written(
    deployed: Target, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    saved = save(deployed, tmp_path, **changes)
    deployed.workspace.requests.clear()
    result = deployed.run("deploy", "--plan", str(saved))
    assert result.code == 1
    assert message in result.err
    assert deployed.workspace.writes() == []


def test_a_plan_of_a_new_target_is_never_stale(target: Target, tmp_path: Path) -> None:
    """It has no lineage, so what another first deploy made is made again."""
    saved = save(target, tmp_path)
    target.done("deploy")
    second = target.fresh(tmp_path / "second").run("deploy", "--plan", str(saved))
    assert "cannot create resources.schemas.bronze" in second.err  # names of jobs are free
    assert target.job_names().count("report") == 2


def test_a_kill_leaves_the_lock_and_the_log_brings_it_back(target: Target) -> None:
    kill_in_first_deploy(target)
    assert target.remote("deploy.lock") is not None
    assert target.remote() is None
    assert target.workspace.job("report")
    assert target.local("resources.json.wal").exists()
    refused = target.run("deploy")
    assert refused.code == 1
    assert "lock" in refused.err
    target.done("deploy", "--force-lock")
    assert target.job_names() == ["daily", "report"]
    assert not target.local("resources.json.wal").exists()
    assert target.actions() == {}


def kill_in_first_deploy(target: Target) -> None:
    """Kill it when some resources are there, and the state is not."""
    target.workspace.fault("POST", "/api/2.0/pipelines", "hang", times=9, seconds=30)
    process = target.start("bundle", "deploy", "--target", "prod")
    wait_for_log(target)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    target.workspace.faults.clear()


def wait_for_log(target: Target) -> None:
    """Until it grows no more: what is made while the CLI dies is in no log."""
    size, deadline = -1, time.monotonic() + 30
    while time.monotonic() < deadline:
        log = target.local("resources.json.wal")
        text = log.read_text("utf-8") if log.exists() else ""
        if len(text) == size and '"resources.jobs.report"' in text:
            return
        size = len(text)
        time.sleep(0.4)
    raise AssertionError("the deploy did not get far enough")


def test_without_the_log_a_killed_first_deploy_is_doubled(target: Target, tmp_path: Path) -> None:
    kill_in_first_deploy(target)
    assert target.job_names() == ["report"]
    elsewhere = target.fresh(tmp_path / "elsewhere")
    elsewhere.run("deploy", "--force-lock")
    assert target.job_names().count("report") == 2


def test_an_orphan_is_bound_instead_of_doubled(target: Target) -> None:
    kill_in_first_deploy(target)
    shutil.rmtree(target.folder / ".databricks")
    identity = str(target.workspace.job("report")["job_id"])
    target.done(*("deployment", "bind", "report", identity, "--auto-approve", "--force-lock"))
    state = target.remote()
    assert state["state"]["resources.jobs.report"]["__id__"] == identity
    assert state["serial"] == 2
    print("ACTION", target.plan()["plan"]["resources.jobs.report"]["action"])
    again = target.run("deployment", "bind", "report", identity, "--auto-approve")
    assert again.code == 1
    assert f"is bound to the requested ID {identity}" in again.err


def test_unbind_forgets_a_resource_and_its_permissions(deployed: Target) -> None:
    deployed.done("deployment", "unbind", "report")
    assert not [key for key in deployed.remote()["state"] if "report" in key]
    assert deployed.workspace.job("report")
    assert deployed.remote()["serial"] == 2


def test_unbind_knows_only_what_is_in_the_yaml(deployed: Target) -> None:
    deployed.cut(JOBS, REPORT)
    result = deployed.run("deployment", "unbind", "report")
    assert result.code == 1
    assert "no such resource: report" in result.err
    assert "resources.jobs.report" in deployed.remote()["state"]


@pytest.mark.parametrize("command", ["plan", "deploy", "summary"])
def test_a_variable_without_a_value_is_refused(target: Target, command: str) -> None:
    result = target.run(command, BUNDLE_VAR_release=None)
    assert result.code == 1
    assert "no value assigned to required variable release" in result.err
    assert target.workspace.writes() == []


def test_a_variable_of_the_command_line_wins(target: Target) -> None:
    plan = target.done("plan", "--output", "json", "--var", "release=r9").json["plan"]
    spec = plan[JOB]["new_state"]["value"]["environments"][0]["spec"]
    assert spec["dependencies"] == [f"{ROOT}/releases/r9/files/dist/lake-1.whl"]
    assert target.run("plan", "--var", "nope=1").code == 1


def test_an_error_of_the_api_keeps_what_was_done(target: Target) -> None:
    target.workspace.fault("POST", "/api/2.0/pipelines", 400)
    result = target.run("deploy")
    assert result.code == 1
    assert "cannot create resources.pipelines.stream" in result.err
    assert "cannot create resources.jobs.daily: dependency failed" in result.err
    state = target.remote()["state"]
    assert "resources.jobs.report" in state
    assert JOB not in state
    assert target.remote("deploy.lock") is None
    assert target.remote("metadata.json") is None
    target.done("deploy")
    assert target.job_names() == ["daily", "report"]
    assert target.remote("metadata.json")


@pytest.mark.parametrize("status", [429, 503])
def test_busy_workspaces_are_asked_again(target: Target, status: int) -> None:
    faults = [
        target.workspace.fault("POST", "/api/2.2/jobs/create", status),
        target.workspace.fault("GET", "/api/2.0/preview/scim", status),
    ]
    target.done("deploy")
    assert [fault.fired for fault in faults] == [1, 1]
    assert target.job_names() == ["daily", "report"]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_creating_is_not_repeated_after_other_errors(target: Target, status: int) -> None:
    fault = target.workspace.fault("POST", "/api/2.2/jobs/create", status, times=9)
    assert target.run("deploy").code == 1
    assert fault.fired == 2  # two jobs, each once


@pytest.mark.parametrize("status", [500, 502, 504])
def test_reading_and_updating_is_repeated_twice(deployed: Target, status: int) -> None:
    deployed.workspace.fault("GET", "/api/2.1/unity-catalog/schemas", status, times=2)
    deployed.plan()
    fault = deployed.workspace.fault("GET", "/api/2.1/unity-catalog/schemas", status, times=9)
    result = deployed.run("plan")
    assert result.code == 1
    assert 'cannot plan resources.schemas.bronze: reading id="prod.bronze"' in result.err
    assert fault.fired == 3


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize("path", ["/scim/v2/Me", "workspace/get-status", "import-file"])
def test_calls_about_files_and_people_are_not_repeated(
    target: Target, status: int, path: str
) -> None:
    target.workspace.fault("*", path, status)
    assert target.run("deploy").code == 1
    (failed,) = [entry for entry in target.workspace.requests if entry.status == status]
    again = [
        entry
        for entry in target.workspace.requests
        if (entry.method, entry.path) == (failed.method, failed.path)
    ]
    assert again == [failed]


@pytest.mark.parametrize("kind", ["reset", "lost"])
def test_a_connection_cut_while_reading_is_survived(deployed: Target, kind: str) -> None:
    fault = deployed.workspace.fault("GET", "/api/2.2/jobs/get", kind)
    assert deployed.actions() == {}
    assert fault.fired == 1


def test_a_connection_cut_before_a_create_is_tried_again(target: Target) -> None:
    fault = target.workspace.fault("POST", "/api/2.2/jobs/create", "reset")
    target.done("deploy")
    assert fault.fired == 1
    assert target.job_names() == ["daily", "report"]


def test_a_lost_answer_to_a_create_leaves_a_job_that_only_its_deployment_tells(
    target: Target,
) -> None:
    """Why the delivery tool looks for orphans after a deploy that the CLI calls a success."""
    target.workspace.fault("POST", "/api/2.2/jobs/create", "lost")
    target.done("deploy")
    known = {target.identity(JOB), target.identity("resources.jobs.report")}
    (orphan,) = [job for key, job in target.workspace.jobs.items() if str(key) not in known]
    metadata_file = orphan["settings"]["deployment"]["metadata_file_path"]
    assert metadata_file == f"{ROOT}/state/metadata.json"


def test_a_call_that_hangs_ends_with_its_timeout(deployed: Target) -> None:
    deployed.workspace.fault("GET", "/api/2.2/jobs/get", "hang", times=9, seconds=20)
    result = deployed.run("plan", DATABRICKS_BUNDLE_HTTP_TIMEOUT_SECONDS="1")
    assert result.code == 1
    assert "request timed out after 1s of inactivity" in result.err


def test_the_planner_reads_and_may_not_deploy(deployed: Target) -> None:
    result = deployed.run("deploy", identity="planner")
    assert result.code == 1
    assert "access denied" in result.err
    assert deployed.remote("deployment.json")["seq"] == 1


def test_a_summary_knows_ids_and_addresses(deployed: Target, tmp_path: Path) -> None:
    deployed.cut(JOBS, REPORT, NEWER)
    fresh = deployed.fresh(tmp_path / "fresh")
    jobs = fresh.done("summary", "--output", "json", "--force-pull").json["resources"]["jobs"]
    identity = deployed.identity(JOB)
    assert jobs["daily"]["id"] == identity
    assert f"/jobs/{identity}" in jobs["daily"]["url"]
    assert jobs["newer"]["modified_status"] == "created"
    assert jobs["report"]["modified_status"] == "deleted"


def test_destroy_needs_approval_and_deletes_everything(deployed: Target) -> None:
    result = deployed.run("destroy")
    assert result.code == 1
    assert "--auto-approve" in result.err
    assert deployed.workspace.writes() == []
    deployed.done("destroy", "--auto-approve")
    assert deployed.workspace.jobs == {}
    assert deployed.workspace.schemas == {}
    assert not [path for path in deployed.workspace.files if path.startswith(ROOT)]


def test_what_the_state_holds_can_be_declared_again(deployed: Target) -> None:
    """A volume that the YAML lost is kept by an overlay made of its entry in the state."""
    entry = deployed.remote()["state"]["resources.volumes.landing"]["state"]
    deployed.cut("resources/sales/data.yml", "  volumes:")
    assert deployed.actions() == {"resources.volumes.landing": "delete"}
    overlay = {"resources": {"volumes": {"landing": entry}}}
    (deployed.folder / "release-retained.yml").write_text(json.dumps(overlay), encoding="utf-8")
    assert deployed.actions() == {}


def test_a_dashboard_edited_by_hand_stops_a_deploy_without_a_plan(
    deployed: Target, tmp_path: Path
) -> None:
    identity = deployed.identity("resources.dashboards.overview")
    body = {"display_name": "Overview", "serialized_dashboard": '{"pages": [{"name": "new"}]}'}
    call(deployed, "PATCH", f"/api/2.0/lakeview/dashboards/{identity}", body)
    result = deployed.run("deploy")
    assert result.code == 1
    assert "has been modified remotely" in result.err
    saved = save(deployed, tmp_path)
    deployed.done("deploy", "--plan", str(saved))
    assert deployed.actions() == {}


def test_a_prefix_marks_names_and_schemas(target: Target) -> None:
    target.edit("targets/prod.yml", "presets:", 'presets:\n      name_prefix: "[pr 42] "')
    plan = target.plan()["plan"]
    assert plan[JOB]["new_state"]["value"]["name"] == "[pr 42] daily"
    assert plan["resources.schemas.bronze"]["new_state"]["value"]["name"] == "pr_42_bronze"
    assert plan["resources.volumes.landing"]["new_state"]["value"]["name"] == "landing"


def test_files_of_the_release_before_stay(deployed: Target, tmp_path: Path) -> None:
    (deployed.folder / "src/stream.py").rename(deployed.folder / "src/streams.py")
    deployed.edit("resources/sales/data.yml", "stream.py", "streams.py")
    deployed.fresh(tmp_path / "second").done("deploy", BUNDLE_VAR_release="r2")
    files = deployed.workspace.files
    assert f"{ROOT}/releases/r1/files/src/stream.py" in files
    assert f"{ROOT}/releases/r2/files/src/streams.py" in files
    assert f"{ROOT}/releases/r2/files/src/stream.py" not in files


def test_the_host_of_the_yaml_beats_the_environment(target: Target) -> None:
    host = target.workspace.url
    target.edit("targets/prod.yml", "workspace:", f'workspace:\n      host: "{host}"')
    assert target.plan(DATABRICKS_HOST="http://127.0.0.1:9")["plan"]


def test_there_is_no_such_target(target: Target) -> None:
    result = target.command("bundle", "plan", "-t", "nope")
    assert result.code == 1
    assert "nope: no such target. Available targets: prod" in result.err
