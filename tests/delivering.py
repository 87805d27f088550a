"""A generated project and an emulated workspace, delivered to as a pipeline does it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baking import Baked, commit, environment, expect_success, git
from workspace import Workspace

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
      permissions: ${var.job_permissions}
      email_notifications: {on_failure: ["${var.owner}"]}
      tasks: [{task_key: a, notebook_task: {notebook_path: /Shared/x}}]
"""


@dataclass(frozen=True)
class Said:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document that it printed."""
        return json.loads(self.out)


@dataclass
class Lake:
    """A checkout of a project, and the workspace that it is delivered to.

    Attributes:
        programs: the folder of the CLI.
        home: where the machine's user keeps things; another one is another machine.
        extra: variables that every command gets.
    """

    path: Path
    workspace: Workspace
    programs: Path
    home: Path
    extra: dict[str, str] = field(default_factory=dict)

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
            "PYTHONPYCACHEPREFIX": str(self.home.parent / "bytecode"),
            "DATABRICKS_AUTH_TYPE": "pat",
            "DATABRICKS_HOST": self.workspace.url,
            "DATABRICKS_TOKEN": self.workspace.token(who),
            "DATABRICKS_CONFIG_FILE": os.devnull,
        }
        return environment(**{**settings, **self.extra, **changes})

    def start(
        self, *arguments: object, who: str = "deployer", **changes: str
    ) -> subprocess.Popen[str]:
        """Begin a command of the tool."""
        return subprocess.Popen(
            [sys.executable, "-m", "delivery", *map(str, arguments)],
            cwd=self.path,
            env=self.settings(who, **changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: object, who: str = "deployer", **changes: str) -> Said:
        """Run a command of the tool."""
        process = self.start(*arguments, who=who, **changes)
        out, err = process.communicate(timeout=300)
        return Said(process.returncode, out, err)

    def done(self, *arguments: object, who: str = "deployer", **changes: str) -> Said:
        """Run a command that must succeed."""
        said = self.run(*arguments, who=who, **changes)
        assert said.code == 0, f"{arguments}: {said.code}\n{said.out}\n{said.err}"
        return said

    def refused(self, *arguments: object, who: str = "deployer", code: int = 3) -> str:
        """Run a command that must be refused; gives the reason."""
        said = self.run(*arguments, who=who)
        assert said.code == code, f"{arguments}: {said.code}\n{said.out}\n{said.err}"
        assert said.out == ""
        assert "Traceback" not in said.err
        return said.err

    # The project

    def write(self, name: str, text: str) -> None:
        """A file of the project."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands in a file."""
        text = (self.path / name).read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new))

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
        names = [name.removeprefix(folder) for name in self.workspace.files if folder in name]
        return [name.split("-")[1] for name in sorted(names) if re.match(r"\d{8}-[a-z_]+-", name)
                and ".state." not in name]  # fmt: skip

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
    from workspace.identities import service_principal

    names = ("deployer", "runner", "planner")
    return {name: service_principal(name).principal for name in names}


def furnish(workspace: Workspace, name: str) -> None:
    """What an admin makes once: catalogs, and the folders that the deployer may write to."""
    for target in TARGETS:
        workspace.add_catalog(f"{name.replace('-', '_')}_{target}", creators=["deployer"])
        root = f"/Workspace/Deployments/{name}/{target}"
        workspace.grant_folder(root, "deployer", "CAN_MANAGE")
        for reader in ("runner", "planner"):
            workspace.grant_folder(root, reader, "CAN_READ")
