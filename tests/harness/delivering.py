"""A generated project and an emulated workspace, delivered to as a pipeline does it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml
from fake_workspace import Workspace

from harness import warm
from harness.baking import Baked, commit, environment, expect_success, git

TARGETS = ("staging", "prod")
TOOL = "tools/delivery/src"

# What a newer release adds, of every kind that holds data, and a job.
MORE = """
resources:
  schemas:
    extra_raw:
      catalog_name: ${var.catalog}
      name: extra_raw
      comment: more
      grants: ${var.schema_grants}
  volumes:
    extra_files:
      catalog_name: ${var.catalog}
      schema_name: ${resources.schemas.extra_raw.name}
      name: extra_files
      volume_type: MANAGED
      grants: [{principal: account users, privileges: [READ_VOLUME]}]
  secret_scopes:
    extra_scope:
      name: extra_scope
      permissions: [{level: READ, service_principal_name: "${var.runner}"}]
  pipelines:
    extra_pipe:
      name: extra_pipe
      catalog: ${var.catalog}
      schema: ${resources.schemas.extra_raw.name}
      serverless: true
      tags: {project: "${bundle.name}", domain: extra}
      run_as: ${var.run_as}
      permissions: ${var.job_permissions}
      libraries: [{file: {path: ../../src/lakehouse/entry.py}}]
  dashboards:
    extra_dash:
      display_name: extra
      warehouse_id: abc
      serialized_dashboard: "{}"
      permissions: [{level: CAN_READ, group_name: users}]
  jobs:
    extra_job:
      name: extra_job
      tags: {project: "${bundle.name}", domain: extra}
      run_as: ${var.run_as}
      permissions: ${var.job_permissions}
      email_notifications: {on_failure: ["${var.owner}"]}
      schedule: {quartz_cron_expression: "0 0 4 * * ?", timezone_id: UTC, pause_status: UNPAUSED}
      tasks: [{task_key: a, notebook_task: {notebook_path: /Shared/x}}]
"""


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document that it printed."""
        return json.loads(self.out)


@dataclass
class Sandbox:
    """A checkout of a project with its own home and CLI, and the workspace that it is delivered to.

    Attributes:
        programs: the folder of the CLI.
        home: where the machine's user keeps things; another one is another machine.
        extra: variables that every command gets.
        bytecode: where Python keeps what it compiled; shared, it saves a second a test.
    """

    path: Path
    workspace: Workspace
    programs: Path
    home: Path
    extra: dict[str, str] = field(default_factory=dict)
    bytecode: Path | None = None

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.path.name

    def root(self, target: str) -> str:
        """Where a target lives in the workspace."""
        return f"/Workspace/Deployments/{self.name}/{target}"

    # The tool

    def settings(self, who: str, **changes: str) -> dict[str, str]:
        """The surroundings of a command."""
        sources = os.pathsep.join(str(self.path / s) for s in (TOOL, "src"))
        settings = {
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "PYTHONPATH": sources,
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self.bytecode or self.home.parent / "bytecode"),
            "DATABRICKS_AUTH_TYPE": "pat",
            "DATABRICKS_HOST": self.workspace.url,
            "DATABRICKS_TOKEN": self.workspace.token(who),
            "DATABRICKS_CONFIG_FILE": os.devnull,
        }
        return environment(**{**settings, **self.extra, **changes})

    def start(self, *arguments: object, who: str = "deployer", **changes: str) -> warm.Started:
        """Begin a command of the tool."""
        env = self.settings(who, **changes)
        return warm.Started("delivery", [*map(str, arguments)], str(self.path), env)

    def run(self, *arguments: object, who: str = "deployer", **changes: str) -> CommandResult:
        """Run a command of the tool."""
        if any(name.startswith(("PYTHON", "LANG", "LC_")) for name in changes):
            command = (sys.executable, "-m", "delivery", *map(str, arguments))
            env = self.settings(who, **changes)  # read when Python starts
            done = subprocess.run(
                command, cwd=self.path, env=env, timeout=300, text=True, capture_output=True
            )
            return CommandResult(done.returncode, done.stdout, done.stderr)
        started = self.start(*arguments, who=who, **changes)
        out, err = started.communicate(timeout=300)
        return CommandResult(started.wait(), out, err)

    def done(self, *arguments: object, who: str = "deployer", **changes: str) -> CommandResult:
        """Run a command that must succeed."""
        result = self.run(*arguments, who=who, **changes)
        assert result.code == 0, f"{arguments}: {result.code}\n{result.out}\n{result.err}"
        return result

    def refused(self, *arguments: object, who: str = "deployer", code: int = 3) -> str:
        """Run a command that must be refused; gives the reason."""
        result = self.run(*arguments, who=who)
        assert result.code == code, f"{arguments}: {result.code}\n{result.out}\n{result.err}"
        assert result.out == ""
        assert "Traceback" not in result.err
        return self._without_entry(result.err) if code == 3 else result.err

    def _without_entry(self, err: str) -> str:
        """The message of a refusal; its last line names entries of the guide."""
        reason, last = err.rstrip("\n").rsplit("\n", 1)
        headings = (self.path / "docs/refusals.md").read_text(encoding="utf-8").splitlines()
        for name in last.removeprefix("    See ").split(", "):
            assert f"### {name.removeprefix('docs/refusals.md#')}" in headings, err
        return f"{reason}\n"

    # The project

    def write(self, name: str, text: str) -> None:
        """A file of the project."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def text(self, name: str) -> str:
        """What stands in a file of the project."""
        return (self.path / name).read_text(encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands in a file."""
        assert old in self.text(name), f"{name} has no {old!r}"
        self.write(name, self.text(name).replace(old, new))

    def release(self, message: str) -> Path:
        """Commit what there is, and build its release; gives the archive."""
        if git(self.path, "status", "--porcelain"):
            commit(self.path, message)
        return Path(self.done("release", "--output", "json").json["archive"])

    def code(self, message: str) -> Path:
        """A release in which only code differs."""
        self.write("src/lakehouse/version_of_the_test.py", f'"""{message}."""\n')
        return self.release(message)

    # What is there

    def ledger(self, target: str) -> list[str]:
        """The kinds of all events, in their order."""
        folder = f"{self.root(target)}/ledger/"
        names = [name.rpartition("/")[2] for name in self.workspace.files if folder in name]
        return [name.split("-")[1] for name in sorted(names) if re.match(r"\d{8}-[a-z_]+-", name)
                and ".state." not in name]  # fmt: skip

    def events(self, target: str) -> list[dict[str, Any]]:
        """All events, in their order."""
        folder = f"{self.root(target)}/ledger/"
        found = [n for n in self.workspace.files if re.match(rf"{folder}(\d{{8}}/)?\d{{8}}-", n)]
        names = sorted(found, key=lambda name: name.rpartition("/")[2])
        return [json.loads(self.workspace.files[n]) for n in names if ".state." not in n]

    def running(self, target: str) -> str:
        """The release that the last event of a delivery names."""
        kinds = ("deployed", "rolled_back", "verified")
        return str([e["release"] for e in self.events(target) if e["kind"] in kinds][-1])

    def state(self, target: str) -> Mapping[str, Any]:
        """What the CLI knows of what it made."""
        content = self.workspace.files.get(f"{self.root(target)}/state/resources.json")
        return json.loads(content)["state"] if content else {}

    def job(self, target: str, name: str) -> Any:
        """The settings of a target's job, as the workspace has them."""
        mine = f"{self.root(target)}/state/metadata.json"
        found = [job["settings"] for job in self.workspace.jobs.values()]
        (settings,) = [
            s for s in found if (s["name"], s["deployment"]["metadata_file_path"]) == (name, mine)
        ]
        return settings

    def leftovers(self, target: str) -> list[str]:
        """What a finished delivery must not leave: doubles, locks, dangling jobs, bad chains."""
        known = {str(e["__id__"]) for e in self.state(target).values()}
        mine = f"{self.root(target)}/state/metadata.json"
        found = []
        for identity, job in self.workspace.jobs.items():
            settings = job["settings"]
            if settings.get("deployment", {}).get("metadata_file_path") == mine:
                if str(identity) not in known:
                    found.append(f"orphan {settings['name']}")
                found += [f"{settings['name']} points at {p}" for p in self._dangling(settings)]
        for lock in ("state/deploy.lock", "ledger/lock.json"):
            if f"{self.root(target)}/{lock}" in self.workspace.files:
                found.append(lock)
        return found

    def _dangling(self, settings: Any) -> list[str]:
        """Files that a job names and that are not there."""
        named = set(re.findall(r"/Workspace/Deployments/[^\" ]+", json.dumps(settings)))
        return [n for n in named if "/files/" in n and n not in self.workspace.files]


def lock_file(project: Baked, folder: Path) -> Path:
    """The project's lock, as its users make it: resolved once for all tests."""
    copy = folder / project.path.name
    shutil.copytree(project.path, copy)
    expect_success("uv", "lock", "--quiet", cwd=copy)
    return copy / "uv.lock"


def prepare(project: Baked, lock: Path, folder: Path, port: int) -> Path:
    """A checkout whose targets are in the workspace at `port`, with its lock committed."""
    path = folder / project.path.name
    shutil.copytree(project.path, path)
    shutil.copy(lock, path / "uv.lock")
    ids = identities()
    for target in TARGETS:
        file = path / f"targets/{target}.yml"
        text = file.read_text(encoding="utf-8")
        text = re.sub(r'host: ".*"', f'host: "http://127.0.0.1:{port}"', text)
        for name, identity in ids.items():
            text = re.sub(rf"{name}: 0000\S+", f"{name}: {identity}", text)
        file.write_text(text, encoding="utf-8")
    if not (path / ".git").exists():
        git(path, "init", "--quiet", "--initial-branch=main", "--template=")
    commit(path, "start")
    return path


def identities() -> dict[str, str]:
    """The application ids of the emulated workspaces' service principals."""
    from fake_workspace.identities import service_principal

    names = ("deployer", "runner", "planner")
    return {name: service_principal(name).principal for name in names}


def furnish(workspace: Workspace, name: str) -> None:
    """What an admin makes once: catalogs, and the folders that the deployer may write to."""
    for target in TARGETS:
        catalog = f"{name.replace('-', '_')}_{target}"
        workspace.add_catalog(catalog, creators=["deployer"], users=["runner", "planner"])
        workspace.bind_catalog(catalog)
        root = f"/Workspace/Deployments/{name}/{target}"
        workspace.grant_folder(root, "deployer", "CAN_MANAGE")
        for reader in ("runner", "planner"):
            workspace.grant_folder(root, reader, "CAN_READ")


# What a workspace holds, apart from who is known there and what goes wrong.
_HOLDINGS = (
    "bindings", "catalogs", "dashboards", "experiments", "external_locations", "grants", "jobs",
    "models",
    "permissions", "pipelines", "published", "runs", "schemas", "secret_scopes", "services", "tree",
    "volumes",
)  # fmt: skip


def hold(workspace: Workspace) -> dict[str, Any]:
    """All that a workspace holds."""
    return {name: copy.deepcopy(getattr(workspace, name)) for name in _HOLDINGS}


def restore(workspace: Workspace, held: Mapping[str, Any]) -> None:
    """Make a workspace hold what it, or another one, held then."""
    for name, value in held.items():
        setattr(workspace, name, copy.deepcopy(value))
    workspace.files = workspace.tree.files


def add_jobs(path: Path, count: int, domains: int = 20) -> None:
    """Declare many jobs of two tasks, in folders of their own domains."""
    for domain in range(min(domains, count)):
        name = f"area{domain:02d}"
        keys = [f"{name}_job{number}" for number in range(domain, count, domains)]
        file = path / f"resources/{name}/jobs.yml"
        file.parent.mkdir(parents=True)
        jobs = {key: _job(key, name) for key in keys}
        file.write_text(yaml.safe_dump({"resources": {"jobs": jobs}}), encoding="utf-8")
    policy = path / "delivery.yml"
    text = policy.read_text(encoding="utf-8")
    proofs = "".join(f"    area{d:02d}: area{d:02d}_job{d}\n" for d in range(min(domains, count)))
    policy.write_text(text.replace("  jobs:\n", f"  jobs:\n{proofs}", 1), encoding="utf-8")


def _job(key: str, domain: str) -> dict[str, Any]:
    task = {
        "environment_key": "default",
        "max_retries": 1,
        "python_wheel_task": {
            "package_name": "lakehouse",
            "entry_point": "lakehouse",
            "named_parameters": {
                "task": "flights.gold",
                "catalog": "${var.catalog}",
                **{layer: f"flights_{layer}" for layer in ("bronze", "silver", "gold", "ops")},
            },
        },
    }
    wheel = "${workspace.file_path}/dist/${var.wheel}"
    warning = {"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 900}
    return {
        "name": key,
        "timeout_seconds": 1200,
        "queue": {"enabled": True},
        "health": {"rules": [warning]},
        "tags": {"project": "${bundle.name}", "domain": domain},
        "run_as": "${var.run_as}",
        "permissions": "${var.job_permissions}",
        "email_notifications": {"on_failure": ["${var.owner}"]},
        "tasks": [{"task_key": name, **copy.deepcopy(task)} for name in ("one", "two")],
        "environments": [
            {
                "environment_key": "default",
                "spec": {"environment_version": "4", "dependencies": [wheel]},
            }
        ],
    }


def write_history(sandbox: Sandbox, target: str, releases: int, flat: bool = False) -> None:
    """Put events before those that a target has, as if so many releases had been delivered.

    Args:
        flat: as an earlier version of the tool did, which kept all of them in one folder.
    """
    folder, files = f"{sandbox.root(target)}/ledger/", sandbox.workspace.files
    names = sorted(n for n in files if re.match(rf"{folder}\d{{8}}-", n))
    kept = {name: files.pop(name) for name in names}
    last = [json.loads(kept[name]) for name in names if not name.endswith(".state.json")]
    events = [{**e, **_earlier(number)} for number in range(releases) for e in last]
    state = next(kept[name] for name in names if name.endswith(".state.json"))
    previous = 64 * "0"
    for seq, event in enumerate([*events, *last], start=1):
        body = json.dumps({**event, "seq": seq, "previous": previous}).encode()
        stem = f"-{event['kind']}-{event['release']}"
        within = "" if flat or seq < 1000 else f"{seq - seq % 1000:08d}/"
        files[f"{folder}{within}{seq:08d}{stem}.json"] = body
        if event["kind"] == "deployed":
            files[f"{folder}{within}{seq:08d}{stem}.state.json"] = state
        previous = hashlib.sha256(body).hexdigest()


def _earlier(number: int) -> dict[str, str]:
    """What an event of an earlier release says instead."""
    day = date(2023, 1, 1) + timedelta(days=number)
    return {"release": f"{day:%Y.%m.%d}-g{number:08x}", "at": f"{day}T00:00:00Z"}
