"""GitHub's part in a story: workflows run by act, on this machine, offline.

act knows neither environments nor id tokens. Both are given to each job as GitHub would: the
variables of its own environment, and an id token that names it if the job may ask for one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from fake_workspace.identities import service_principal

from harness import warm
from harness.baking import commit, environment, git
from harness.delivering import Sandbox
from harness.fake_forge import NAME, Forge, id_token

ACT = shutil.which("act")
AUDIENCE = "of-this-test"
TOKEN = "-".join(("a", "token", "of", "the", "job"))  # long enough to be masked
ENVIRONMENTS = ("staging", "staging-plan", "prod", "prod-plan", "preview")
_SERVERS = ("--artifact-server-addr", "127.0.0.1", "--cache-server-addr", "127.0.0.1")
_OPTIONS = (
    *("-P", "ubuntu-24.04=-self-hosted", "--container-daemon-socket", "-", "--no-cache-server"),
    *(*_SERVERS, "--concurrent-jobs", "1", "--actor", "ana"),
    *("-s", f"GITHUB_TOKEN={TOKEN}"),
)
_STUBS = {
    "actions/upload-artifact": (
        'mkdir -p "$STUB/$NAME"; if [ -d "$FROM" ]; then FROM=$FROM/.; fi; '
        'cp -r "$FROM" "$STUB/$NAME/"'
    ),
    "actions/download-artifact": (
        'mkdir -p "${TO:-.}" && for folder in "$STUB"/${NAME:-$PATTERN}; do '
        'cp -r "$folder"/. "${TO:-.}"; done'
    ),
    "actions/setup-python": "true",
    "actions/cache": "true",
}


@dataclass
class WorkflowResult:
    """How a workflow ended."""

    code: int
    log: str
    jobs: dict[str, str]

    @property
    def problems(self) -> str:
        """What the steps said, without act's own words."""
        own = ("⭐", "✅", "🏁", "🧪")
        lines = self.log.splitlines()
        return "\n".join(line for line in lines if not any(sign in line for sign in own))


@dataclass
class GitHub:
    """A repository on GitHub.

    Attributes:
        sandbox: the checkout, and the workspace that it is delivered to.
        folder: where artifacts, stubs and copies of workflows are kept.
        variables: those of the repository; those of environments are made from the workspace.
        first: nothing was ever delivered.
        page: also make the status page, at the end of a run.
        checked: also check what is pushed, before it is delivered.
    """

    sandbox: Sandbox
    forge: Forge
    folder: Path
    variables: dict[str, str] = field(default_factory=lambda: {"DELIVERY": "on"})
    first: bool = False
    page: bool = False
    checked: bool = False
    runs: int = 0

    @property
    def left_out(self) -> set[str]:
        """Jobs that would make every run of a story longer."""
        wanted = {"status": self.page, "status-of-prod": self.page, "check": self.checked}
        return {name for name, is_wanted in wanted.items() if not is_wanted}

    def __post_init__(self) -> None:
        """Trust each environment's jobs with its own identity, and with no other."""
        workspace, name = self.sandbox.workspace, self.sandbox.name
        workspace.add_identity(service_principal("previewer"))
        workspace.allow_run_as("previewer", "previewer")
        workspace.add_catalog(f"{name.replace('-', '_')}_preview", creators=["previewer"])
        previews = f"/Workspace/Deployments/{name}/previews"
        workspace.grant_folder(previews, "previewer", "CAN_MANAGE")
        workspace.id_tokens = {}
        for place in ENVIRONMENTS:
            trusted = workspace.id_tokens.setdefault(self._client(place), set())
            trusted.add(id_token(place, AUDIENCE))

    def _client(self, place: str) -> str:
        who = {"staging": "deployer", "prod": "deployer", "preview": "previewer"}
        return self.sandbox.workspace.identity(who.get(place, "planner")).application_id

    def push(self, branch: str) -> WorkflowResult:
        """What happens when a branch is pushed."""
        git(self.sandbox.path, "checkout", "--quiet", branch)
        return self.run("deliver.yml", "push", {"ref": f"refs/heads/{branch}"})

    def preview_here(self) -> None:
        """Let previews be in the emulated workspace, too."""
        text = self.sandbox.text("targets/preview.yml")
        host = f'host: "{self.sandbox.workspace.url}"'
        self.sandbox.write("targets/preview.yml", re.sub(r'host: ".*"', host, text))
        commit(self.sandbox.path, "chore: previews are here")

    def artifacts(self, name: str) -> Path:
        """What the last run left under a name."""
        return self.folder / f"run-{self.runs}" / "artifacts" / name

    def request(
        self, workflow: str, action: str = "opened", labels: tuple[str, ...] = ()
    ) -> WorkflowResult:
        """What happens to pull request 7, from the branch that is checked out into `main`."""
        head = git(self.sandbox.path, "rev-parse", "HEAD").strip()
        base = git(self.sandbox.path, "rev-parse", "main").strip()
        branch = git(self.sandbox.path, "rev-parse", "--abbrev-ref", "HEAD").strip()
        of = {"repo": {"full_name": NAME}}
        event = {
            "action": action,
            "pull_request": {
                "number": 7,
                "state": "closed" if action == "closed" else "open",
                "head": {"ref": branch, "sha": head, **of},
                "base": {"ref": "main", "sha": base, **of},
                "labels": [{"name": name} for name in labels],
            },
        }
        return self.run(workflow, "pull_request", event)

    def dispatch(self, workflow: str, **inputs: str | bool) -> WorkflowResult:
        """What a person starts by hand."""
        return self.run(workflow, "workflow_dispatch", {"inputs": inputs})

    def run(self, workflow: str, event: str, payload: Mapping[str, Any]) -> WorkflowResult:
        """Let act run one workflow, in a copy of the checkout."""
        self.runs += 1
        place = self.folder / f"run-{self.runs}"
        checkout = place / "checkout"
        shutil.copytree(self.sandbox.path, checkout, symlinks=True)
        git(checkout, "remote", "add", "origin", f"https://github.com/{NAME}.git")
        for file in (checkout / ".github/workflows").glob("*.yml"):
            _emulate(file, self.forge, self.left_out if file.name != "check.yml" else set())
            git(checkout, "update-index", "--assume-unchanged", str(file))
        (place / "event.json").write_text(
            json.dumps({"repository": {"full_name": NAME}, **payload}), encoding="utf-8"
        )
        command = [
            ACT or "act", event, *_OPTIONS, "-W", f".github/workflows/{workflow}",
            "-e", str(place / "event.json"), "--json",
            *(p for v in self._variables().items() for p in ("--var", "=".join(v))),
            *(p for v in self._environment(place).items() for p in ("--env", "=".join(v))),
            *(part for stub in self._stubs(checkout) for part in ("--local-repository", stub)),
        ]  # fmt: skip
        done = subprocess.run(
            command,
            cwd=checkout,
            env=environment(HOME=str(place / "home"), ACT_DISABLE_VERSION_CHECK="1"),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return _read(done)

    def _variables(self) -> dict[str, str]:
        given = {
            name: {
                "DATABRICKS_HOST": self.sandbox.workspace.url,
                "DATABRICKS_CLIENT_ID": self._client(name),
                "DATABRICKS_TOKEN_AUDIENCE": AUDIENCE,
            }
            for name in ENVIRONMENTS
        }
        return {**self.variables, "ENVIRONMENTS": json.dumps(given)}

    def _environment(self, place: Path) -> dict[str, str]:
        """What GitHub gives to every job, and what this machine has in place of the index."""
        programs = tools(self.folder / "programs", self.sandbox)
        home = place / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.pathsep.join(
                map(str, (programs, self.sandbox.programs, os.environ["PATH"]))
            ),
            "HOME": str(home),
            "STUB": str(place / "artifacts"),
            "PYTHONPYCACHEPREFIX": str(self.sandbox.bytecode),
            "DATABRICKS_CONFIG_FILE": os.devnull,
            **({"DELIVERY_FIRST": "true"} if self.first else {}),
        }

    def _stubs(self, checkout: Path) -> list[str]:
        """Actions of others, which act would fetch."""
        used = set()
        for file in (checkout / ".github").rglob("*.yml"):
            used |= set(re.findall(r"uses: ([\w-]+/[\w-]+@[0-9a-f]{40})", file.read_text("utf-8")))
        made = []
        for name in sorted(used):
            action = name.partition("@")[0]
            if action in _STUBS:
                folder = self.folder / "stubs" / action.replace("/", "-")
                _write_stub(folder, _STUBS[action])
                made.append(f"https://github.com/{name}={folder}")
        return made


def tools(folder: Path, sandbox: Sandbox) -> Path:
    """`make` in jobs: what set-up would install is here already; all else is the real one."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = os.pathsep.join(["$PWD/tools/delivery/src", "$PWD/src"])
    # act says it is on github.com, whatever it is told.
    forge = f'GITHUB_API_URL="$FORGE" GITHUB_REPOSITORY="{NAME}"'
    run = f'{forge} PYTHONPATH="{sources}" {warm.program("delivery")}'
    delivery = f"#!/bin/sh\n{run}\n"
    script = f"""#!/bin/sh
case "$1" in
tool) mkdir -p .venv-tool/bin && cd .venv-tool/bin
cat > delivery <<'END' && chmod +x delivery
{delivery}END
;;
setup|cli|check) ;;
test) test ! -e fails ;;
wheel) mkdir -p dist && touch dist/lakehouse-0.1.0-py3-none-any.whl requirements.txt ;;
*) exec {shutil.which("make")} "$@" ;;
esac
"""
    program = folder / "make"
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    return folder


def _leave_out(jobs: dict[str, Any], left_out: set[str]) -> None:
    for name in left_out & {*jobs}:
        del jobs[name]
    for job in jobs.values():
        needs = job.get("needs", [])
        job["needs"] = sorted({needs} if isinstance(needs, str) else {*needs} - left_out)
        job["needs"] = [name for name in job["needs"] if name in jobs]


def _emulate(file: Path, forge: Forge, left_out: set[str]) -> None:
    """Give each job what GitHub would give it, for its environment and its rights."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document["on"] = document.pop(True)
    _leave_out(document["jobs"], left_out)
    for job in document["jobs"].values():
        place = job.pop("environment", "")
        name = place["name"] if isinstance(place, dict) else place
        settings = job.get("env", {})
        chosen = _expression(name)
        for key, value in settings.items():
            match = re.fullmatch(r"\$\{\{ vars\.(DATABRICKS_\w+) \}\}", str(value))
            if match:
                settings[key] = f"${{{{ fromJSON(vars.ENVIRONMENTS)[{chosen}].{match[1]} }}}}"
        job["steps"] = [one for step in job.get("steps", []) for one in _checked_out(step)]
        if "uses" in job:
            del job["steps"]
        else:
            job["env"] = {**settings, "FORGE": f"{forge.url}/github"}
        if job.get("permissions", {}).get("id-token") == "write" and "uses" not in job:
            address = f"{forge.url}/token?environment=${{{{ {chosen} }}}}"
            job["env"]["ACTIONS_ID_TOKEN_REQUEST_URL"] = address
            job["env"]["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "of-the-runner"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _checked_out(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A step; act checks out the event's commit alone, so that another one comes after it."""
    ref = step.get("with", {}).pop("ref", "")
    yield step
    if ref:
        yield {"run": 'git checkout --quiet --detach "$REF"', "env": {"REF": ref}}


def _expression(name: str) -> str:
    """The name of an environment, such as `${{ inputs.target }}-plan`, as one expression."""
    found = re.search(r"\$\{\{ ([\w.]+) \}\}", name)
    if not found:
        return f"'{name}'"
    return f"format('{name.replace(found[0], '{0}')}', {found[1]})"


def _write_stub(folder: Path, script: str) -> None:
    inputs = ("name", "path", "pattern", "python-version", "key", "restore-keys", "merge-multiple")
    known = {
        name: {"description": name, "required": False} for name in (*inputs, "if-no-files-found")
    }
    names = {"NAME": "name", "FROM": "path", "TO": "path", "PATTERN": "pattern"}
    step = {
        "shell": "sh",
        "run": script,
        "env": {key: f"${{{{ inputs.{name} }}}}" for key, name in names.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "name": folder.name,
        "inputs": known,
        "runs": {"using": "composite", "steps": [step]},
    }
    (folder / "action.yml").write_text(yaml.safe_dump(document), encoding="utf-8")


def _read(done: subprocess.CompletedProcess[str]) -> WorkflowResult:
    """What act said, without its own words."""
    lines, jobs = [], {}
    for line in done.stdout.splitlines():
        entry = json.loads(line)
        message = str(entry.get("msg", "")).rstrip()
        if not message.startswith("LocalRepositoryCache"):
            lines.append(f"[{entry.get('jobID', '')}] {message}")
        if "jobResult" in entry:
            jobs[entry["jobID"]] = entry["jobResult"]
    return WorkflowResult(done.returncode, "\n".join([*lines, done.stderr]), jobs)
