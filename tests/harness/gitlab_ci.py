"""GitLab's pipelines of a project: as GitLab reads them, and run on this machine."""

from __future__ import annotations

import copy
import itertools
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_workspace.identities import service_principal

from harness import warm
from harness.baking import Baked, commit, expect_success, git
from harness.delivering import Sandbox, identities
from harness.fake_forge import Forge

VERSION = "4.73.0"  # newer ones need Node 22
TARGETS = ("staging", "prod")
REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "42",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature/late",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED": "true",
}
REMOTE = "https://gitlab.example.com/acme/lakehouse.git"
INSTALL = f"npm install gitlab-ci-local@{VERSION}, apt-get install rsync"
# Keys of a GitLab file that are no jobs.
_GLOBAL = {"default", "include", "stages", "variables", "workflow"}

Job = dict[str, Any]


# --- as GitLab reads them ---


@dataclass(frozen=True)
class Definition:
    """The files of a project, with what they include and extend put together.

    Attributes:
        jobs: without the hidden ones.
    """

    jobs: Mapping[str, Job]
    workflow: list[Job]
    variables: Mapping[str, Any]
    stages: list[str]

    def defaults(self) -> dict[str, str]:
        """What global variables are before anybody sets them."""
        items = self.variables.items()
        return {k: str(v["value"] if isinstance(v, dict) else v) for k, v in items}


def read(project: Path, **given: str) -> Definition:
    """Read the pipelines of a project, with what an admin has set."""
    root = yaml.safe_load((project / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    merged: Job = {}
    for entry in root.pop("include"):
        if not all(holds(rule["if"], given) for rule in entry.get("rules", ())):
            continue
        text = (project / entry["local"]).read_text(encoding="utf-8")
        _merge(merged, yaml.safe_load(text))
    _merge(merged, root)
    jobs = {name: _extended(name, merged) for name in merged.keys() - _GLOBAL}
    shown = {name: job for name, job in sorted(jobs.items()) if not name.startswith(".")}
    return Definition(shown, merged["workflow"]["rules"], merged["variables"], merged["stages"])


def _extended(name: str, jobs: Job) -> Job:
    job = copy.deepcopy(jobs[name])
    given = job.pop("extends", [])
    whole: Job = {}
    for parent in [given] if isinstance(given, str) else given:
        _merge(whole, _extended(parent, jobs))
    _merge(whole, job)
    return whole


def _merge(into: Job, other: Job) -> None:
    """As GitLab does it: mappings are merged, all else is replaced."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)


_TOKEN = re.compile(r'\s*(&&|\|\||==|!=|=~|!~|\(|\)|\$\w+|"[^"]*"|/(?:[^/\\]|\\.)*/|null)')


def holds(condition: str, variables: Mapping[str, str]) -> bool:
    """Whether a condition of `rules` is true."""
    tokens = []
    rest = condition.strip()
    while rest:
        found = _TOKEN.match(rest)
        assert found, f"not understood: {rest!r} in {condition!r}"
        tokens.append(found[1])
        rest = rest[found.end() :].strip()
    value = _any(tokens, variables)
    assert not tokens, f"left over: {tokens} of {condition!r}"
    return value


def _any(tokens: list[str], variables: Mapping[str, str]) -> bool:
    value = _all(tokens, variables)
    while tokens and tokens[0] == "||":
        tokens.pop(0)
        value = _all(tokens, variables) or value
    return value


def _all(tokens: list[str], variables: Mapping[str, str]) -> bool:
    value = _one(tokens, variables)
    while tokens and tokens[0] == "&&":
        tokens.pop(0)
        value = _one(tokens, variables) and value
    return value


def _one(tokens: list[str], variables: Mapping[str, str]) -> bool:
    if tokens[0] == "(":
        tokens.pop(0)
        value = _any(tokens, variables)
        assert tokens.pop(0) == ")"
        return value
    left = _value(tokens.pop(0), variables)
    if not tokens or tokens[0] not in ("==", "!=", "=~", "!~"):
        return bool(left)
    operator, token = tokens.pop(0), tokens.pop(0)
    if operator in ("=~", "!~"):
        return (re.search(token[1:-1], left or "") is not None) == (operator == "=~")
    return (left == _value(token, variables)) == (operator == "==")


def _value(token: str, variables: Mapping[str, str]) -> str | None:
    if token.startswith("$"):
        return variables.get(token[1:])
    return None if token == "null" else token[1:-1]


# --- every pipeline that there can be ---


@dataclass(frozen=True)
class Pipeline:
    """One kind of pipeline, and the jobs that it has.

    Attributes:
        jobs: by name, with how they start: `on_success`, `manual`, `always`.
    """

    name: str
    variables: Mapping[str, str]
    jobs: Mapping[str, str]

    @property
    def is_request(self) -> bool:
        """Somebody's change that nobody has approved yet."""
        return self.variables["CI_PIPELINE_SOURCE"] == "merge_request_event"

    @property
    def is_protected(self) -> bool:
        """On a branch that only reviewed changes reach."""
        return self.variables["CI_COMMIT_REF_PROTECTED"] == "true"

    def expanded(self, text: str) -> str:
        """A text with this pipeline's variables."""
        return re.sub(r"\$\{?(\w+)\}?", lambda m: self.variables.get(m[1], ""), text)


def pipelines(definition: Definition) -> Iterator[Pipeline]:
    """All kinds of pipelines: each event, branch and form, whatever an admin has set."""
    for name, given in _situations(definition):
        variables = {**definition.defaults(), **given}
        if any(holds(rule["if"], variables) for rule in definition.workflow):
            jobs = {n: _start(job, variables) for n, job in definition.jobs.items()}
            started = {n: when for n, when in jobs.items() if when != "never"}
            yield Pipeline(name, variables, started)


def _start(job: Job, variables: Mapping[str, str]) -> str:
    """How a job starts; `never` when no rule lets it."""
    for rule in job.get("rules", [{"if": '"" == ""'}]):
        exists = "exists" not in rule or variables["LOCK"] == "yes"
        if exists and holds(rule["if"], variables):
            return str(rule.get("when", "on_success"))
    return "never"


def _situations(definition: Definition) -> Iterator[tuple[str, dict[str, str]]]:
    forms = definition.variables["PIPELINE"]["options"]
    branches = ("main", "staging", "prod", "feature/x")
    events: list[tuple[str, dict[str, str]]] = []
    for source, target in itertools.product(("7", "8"), branches[:3]):
        variables = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": target}
        variables["CI_MERGE_REQUEST_SOURCE_PROJECT_ID"] = source
        kind = "request" if source == "7" else "request of a fork"
        events.append((f"{kind} to {target}", {**REQUEST, **variables}))
        variables = {**variables, "CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED": "false"}
        events.append((f"{kind} to {target} when it is open", {**REQUEST, **variables}))
    for source, branch in itertools.product(("push", "schedule", "api", "trigger"), branches):
        variables = {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": branch}
        events.append((f"{source} {branch}", variables))
    for form, target, branch in itertools.product(forms, (*TARGETS, "other"), branches):
        variables = {"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_BRANCH": branch}
        variables |= {"PIPELINE": form, "TARGET": target}
        events.append((f"web {form} {target} {branch}", variables))
    for name, event in events:
        for delivery, protected, token, lock in itertools.product(
            ("on", ""), ("true", "false"), ("secret", ""), ("yes", "no")
        ):
            settings = {"DELIVERY": delivery, "CI_COMMIT_REF_PROTECTED": protected, "LOCK": lock}
            if token:  # protected variables are for protected branches
                settings |= {"STATUS_PAGES": "on"}
                settings |= {"DELIVERY_TELLS": "on", "DELIVERY_DOCTOR": "on"}
            text = ", ".join(f"{k}={v}" for k, v in settings.items() if v)
            yield f"{name} ({text})", {**event, **settings}


# --- run on this machine ---


def program() -> Path:
    """Where gitlab-ci-local is."""
    found = shutil.which("gitlab-ci-local")
    if found is None or shutil.which("rsync") is None:
        pytest.skip(f"GITLAB NOT RUN: gitlab-ci-local and rsync are not on the PATH: {INSTALL}")
    return Path(found)


def checkout(project: Baked, folder: Path) -> Path:
    """A copy of a project that believes to come from GitLab."""
    path = folder / project.path.name
    shutil.copytree(project.path, path)
    git(path, "remote", "add", "origin", REMOTE)
    return path


def listed(program: Path, folder: Path, variables: Mapping[str, str]) -> str:
    """The jobs of a pipeline as gitlab-ci-local reads them, as JSON."""
    given = [part for item in variables.items() for part in ("--variable", "=".join(item))]
    names = ",".join(name for name in variables if name.startswith("CI_"))
    options = ("--list-json", "--ignore-predefined-vars", names)
    return expect_success(program, *options, *given, cwd=folder)


@dataclass(frozen=True)
class PipelineResult:
    """The exit code and the output of a pipeline."""

    code: int
    text: str

    def ended(self, word: str) -> set[str]:
        """The jobs that ended as `PASS` or `FAIL`."""
        plain = re.sub(r"\x1b\[[0-9;]*m", "", self.text)
        return set(re.findall(rf"^ {word}  (\S+)", plain, re.MULTILINE))


@dataclass(frozen=True)
class Started:
    """A pipeline: its checkout, and what it was started with."""

    gitlab: GitLab
    folder: Path
    variables: Mapping[str, str]

    def run(self, *jobs: str, **variables: str) -> PipelineResult:
        """Run some jobs, or all that start by themselves; what they need has run before."""
        given = {**self.variables, **variables}
        options = [part for item in given.items() for part in ("--variable", "=".join(item))]
        names = ",".join(name for name in given if name.startswith(("CI_", "GITLAB_")))
        command = [
            *(str(program()), *jobs, "--force-shell-executor", "--shell-isolation"),
            *("--no-artifacts-to-source", "--no-json-schema-validation"),
            *("--variables-file", f"../{self.gitlab.variables.name}"),
            *("--ignore-predefined-vars", names, *options),
        ]
        result = subprocess.run(
            command, cwd=self.folder, env=self.gitlab.settings(), capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        return PipelineResult(result.returncode, result.stdout + result.stderr)

    def passes(self, *jobs: str, **variables: str) -> set[str]:
        """Run jobs that must all succeed; gives all that ran."""
        result = self.run(*jobs, **variables)
        assert result.code == 0, result.text[-8000:]
        assert result.ended("FAIL") == set()
        return result.ended("PASS")

    def fails(self, *jobs: str, **variables: str) -> set[str]:
        """Run jobs of which some must fail; gives those."""
        result = self.run(*jobs, **variables)
        assert result.code != 0, result.text[-8000:]
        return result.ended("FAIL")

    def artifact(self, job: str, name: str) -> str:
        """A file that a job left."""
        file = self.folder / ".gitlab-ci-local/artifacts" / job / name
        return file.read_text(encoding="utf-8")


@dataclass
class GitLab:
    """A project on GitLab whose jobs run on this machine, against an emulated workspace.

    Attributes:
        sandbox: where its author works, and the workspace.
        forge: what its jobs may ask GitLab.
        origin: the repository.
        variables: what an admin has set, by environment.
        typed: every `make …` that a job typed.
        seen: how many events of each target a test has looked at.
    """

    sandbox: Sandbox
    forge: Forge
    origin: Path
    variables: Path
    typed: Path
    seen: dict[str, int] = field(default_factory=dict)
    _number: Iterator[int] = field(default_factory=itertools.count)

    def settings(self) -> dict[str, str]:
        """The surroundings of a runner: no identity."""
        kept = self.sandbox.settings("deployer")
        named = {n: v for n, v in kept.items() if not n.startswith(("DATABRICKS_", "PYTHONPATH"))}
        return {**named, "TYPED": str(self.typed)}

    def branch(self, target: str) -> str:
        """The branch that a target is delivered from."""
        policy = yaml.safe_load(self.sandbox.text("delivery.yml"))["branches"]["targets"]
        return str(policy[target])

    def branch_off(self, name: str, start: str = "main") -> None:
        """The author begins a change."""
        git(self.sandbox.path, "switch", "--quiet", "--create", name, start)

    def push(self, message: str) -> None:
        """The author commits and pushes what was changed."""
        commit(self.sandbox.path, message)
        git(self.sandbox.path, "push", "--quiet", "--no-verify", "origin", "HEAD")

    def merge(self, source: str, target: str) -> None:
        """A request is merged."""
        git(self.sandbox.path, "switch", "--quiet", target)
        options = ("--quiet", "--no-verify", "--no-ff", f"--message=merge {source}")
        git(self.sandbox.path, "merge", *options, source)
        git(self.sandbox.path, "push", "--quiet", "--no-verify", "origin", target)

    def delete(self, branch: str) -> None:
        """A branch that is merged goes."""
        git(self.sandbox.path, "push", "--quiet", "--no-verify", "--delete", "origin", branch)

    def merged(self, target: str, **form: str) -> Started:
        """The pipeline that delivers to a target, of the merge that starts it, or by hand."""
        branch = self.branch(target)
        if branch != "main":
            self.merge("main" if target == "staging" else self.branch("staging"), branch)
        return self.by_hand(branch, TARGET=target, **form) if form else self.pushed(branch)

    def start(self, branch: str, **variables: str) -> Started:
        """A pipeline of a branch."""
        folder = self.origin.parent / f"pipeline{next(self._number)}"
        git(self.origin, "clone", "--quiet", f"--branch={branch}", ".", str(folder))
        git(folder, "remote", "set-url", "origin", REMOTE)
        given = {"CI_REPOSITORY_URL": self.origin.as_uri(), "CI_COMMIT_REF_PROTECTED": "true"}
        environment = {**given, **self.forge.gitlab(), **variables}
        if environment["CI_COMMIT_REF_PROTECTED"] != "true":
            del environment["DELIVERY_FORGE_TOKEN"]  # a protected variable
        return Started(self, folder, environment)

    def pushed(self, branch: str) -> Started:
        """The pipeline of a merge."""
        return self.start(branch, CI_PIPELINE_SOURCE="push")

    def requested(self, branch: str, target: str, protected: str = "false") -> Started:
        """The pipeline of a request; it is protected when both of its branches are."""
        request = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": target, "CI_COMMIT_BRANCH": ""}
        request["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"] = branch
        return self.start(branch, **{**REQUEST, **request, "CI_COMMIT_REF_PROTECTED": protected})

    def by_hand(self, branch: str, **form: str) -> Started:
        """A pipeline that somebody started with the form."""
        return self.start(branch, CI_PIPELINE_SOURCE="web", **form)


ENVIRONMENTS = {
    "staging": "deployer",
    "staging-plan": "planner",
    "prod": "deployer",
    "prod-plan": "planner",
    "preview/*": "previewer",
}


def settle(project: Path, address: str) -> None:
    """Set what its owners set on the first day: where previews are, and how prod is approved.

    Each strategy shows one of the ways: trunk by digest, environments by the forge's reviewers.
    """
    preview, policy = project / "targets/preview.yml", project / "delivery.yml"
    text = re.sub(r'host: ".*"', f'host: "{address}"', preview.read_text(encoding="utf-8"))
    preview.write_text(text, encoding="utf-8")
    text = policy.read_text(encoding="utf-8")
    if 'prod: "main"' in text:
        text = text.replace("  prod: environment", "  prod: dispatch")
    policy.write_text(text, encoding="utf-8")
    commit(project, "settle")


def host(sandbox: Sandbox, forge: Forge) -> GitLab:
    """Put a project on GitLab: its repository, its settings, and what its runners have."""
    project, workspace, folder = sandbox.path, sandbox.workspace, sandbox.home.parent
    origin = folder / "origin.git"
    git(folder, "clone", "--quiet", "--bare", str(project), str(origin))
    git(project, "remote", "add", "origin", str(origin))
    workspace.add_identity(service_principal("previewer"))
    workspace.allow_run_as("previewer", "previewer")
    principals = {**identities(), "previewer": service_principal("previewer").principal}
    workspace.id_tokens = {
        principals[who]: {f"id-token-of-{name}" for name, one in ENVIRONMENTS.items() if one == who}
        for who in ENVIRONMENTS.values()
    }
    by_environment = {
        "DATABRICKS_HOST": dict.fromkeys(ENVIRONMENTS, workspace.url),
        "DATABRICKS_CLIENT_ID": {name: principals[who] for name, who in ENVIRONMENTS.items()},
        "DATABRICKS_TOKEN_AUDIENCE": {name: f"audience-of-{name}" for name in ENVIRONMENTS},
        "DATABRICKS_OIDC_TOKEN": {name: f"id-token-of-{name}" for name in ENVIRONMENTS},
    }
    settings: Job = {name: {"values": values} for name, values in by_environment.items()}
    variables = folder / "variables.yml"
    variables.write_text(yaml.safe_dump({"DELIVERY": "on", **settings}), encoding="utf-8")
    workspace.add_catalog(f"{sandbox.name.replace('-', '_')}_preview", creators=["previewer"])
    previews = f"/Workspace/Deployments/{sandbox.name}/previews"
    workspace.grant_folder(previews, "previewer", "CAN_MANAGE")
    return GitLab(sandbox, forge, origin, variables, folder / "typed")


def install(folder: Path) -> None:
    """What a job has: `make`, which takes notes, and sets up `delivery` of the job's checkout."""
    own = 'PYTHONPATH="$PWD/tools/delivery/src:$PWD/src"'
    tool = f"{own} {warm.program('delivery')}"
    _program(folder / "delivery", tool)
    program = shlex.quote(str(folder / "delivery"))
    copied = f"mkdir -p .venv-tool/bin && cp {program} .venv-tool/bin/"
    _program(folder / "make", f'echo "make $*" >> "$TYPED"\n[ "$1" != tool ] || {{ {copied}; }}')


def _program(file: Path, lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    file.chmod(0o755)
