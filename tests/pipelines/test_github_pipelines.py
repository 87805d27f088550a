"""Pipelines: linted by those who know, thin, pinned, and able to nothing but check."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from harness.baking import ROOT, TEMPLATE, Baked, expect_success, git, run, template_files

BIN = Path(sys.executable).parent
GITHUB_SETS = [{}, {"ci": "github"}, {"branching": "environments"}]


def workflow_files(folder: Path) -> list[Path]:
    return sorted((folder / ".github").rglob("*.yml"))


def workflows(folder: Path) -> dict[str, dict[Any, Any]]:
    """Every workflow, parsed; YAML 1.1 reads the key `on` as true."""
    files = sorted((folder / ".github/workflows").glob("*.yml"))
    return {file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


def jobs(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file, workflow in workflows(folder).items():
        for name, job in workflow["jobs"].items():
            yield f"{file}:{name}", job


def steps(folder: Path) -> Iterator[dict[str, Any]]:
    for _, job in jobs(folder):
        yield from job.get("steps", [])
    for file in (folder / ".github/actions").rglob("action.yml"):
        yield from yaml.safe_load(file.read_text(encoding="utf-8"))["runs"]["steps"]


@pytest.fixture(params=[*GITHUB_SETS, None], ids=str)
def github(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Each kind of project with GitHub Actions, and the template's own repository."""
    return ROOT if request.param is None else bake(**request.param).path


@pytest.fixture(params=GITHUB_SETS, ids=str)
def delivering(request: pytest.FixtureRequest, bake: Bake) -> Baked:
    """Each kind of project that GitHub delivers."""
    return bake(**request.param)


def test_zizmor_finds_nothing(github: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(github / ".github", copy / ".github")
    (copy / ".git").mkdir()
    expect_success(
        BIN / "zizmor", "--offline", "--persona=pedantic", "--no-progress", ".", cwd=copy
    )


def test_workflows_fit_their_published_schemas(github: Path) -> None:
    kinds = {
        "workflows": "github-workflows",
        "actions": "github-actions",
        "dependabot.yml": "dependabot",
    }
    for part, kind in kinds.items():
        files = [f for f in workflow_files(github) if part in f.relative_to(github).parts]
        if files:
            options: list[str | Path] = ["--builtin-schema", f"vendor.{kind}", *files]
            expect_success(BIN / "check-jsonschema", *options, cwd=github)


def test_actionlint_finds_nothing(github: Path, tmp_path: Path) -> None:
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint is not on the PATH: go install github.com/rhysd/actionlint")
    copy = tmp_path / "copy"
    shutil.copytree(github / ".github", copy / ".github")
    git(copy, "init", "--quiet", "--template=")
    expect_success(actionlint, cwd=copy)


def test_yamllint_finds_nothing(github: Path) -> None:
    command = "yamllint --strict --config-file '$(PROJECT)/.yamllint.yaml' .github"
    assert command in (ROOT / "Makefile").read_text(encoding="utf-8")
    options = ("--strict", "--config-file", TEMPLATE / ".yamllint.yaml")
    expect_success(BIN / "yamllint", *options, ".github", cwd=github)


def test_every_action_is_pinned_by_its_commit(github: Path) -> None:
    used = [step["uses"] for step in steps(github) if "uses" in step]
    assert used
    for action in used:
        assert action.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action


def test_a_pin_tells_its_version(github: Path) -> None:
    for file in workflow_files(github):
        for line in file.read_text(encoding="utf-8").splitlines():
            if re.match(r"\s*(- )?uses: [^.]", line):
                assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_no_job_has_rights_by_default_and_none_runs_for_ever(github: Path) -> None:
    for name, workflow in workflows(github).items():
        assert workflow["permissions"] == {}, name
    for name, job in jobs(github):
        assert "uses" in job or job["timeout-minutes"] <= 120, name


def _is_checkout(step: dict[str, Any]) -> bool:
    return str(step.get("uses", "")).startswith("actions/checkout@")


def test_a_checkout_keeps_no_credentials(github: Path) -> None:
    checkouts = [step for step in steps(github) if _is_checkout(step)]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_a_step_is_one_command_that_a_person_can_type(github: Path) -> None:
    commands = [step["run"] for step in steps(github) if "run" in step]
    assert commands
    for command in commands:
        assert re.fullmatch(r"make \w+|\.venv-tool/bin/delivery [^;&|`\n]+", command.strip()), (
            command
        )
        named = re.sub(r'="\$[A-Z_]+"|(?<= )"\$[A-Z_]+"', "", command)
        assert "$" not in named, f"{command}: every value is quoted, behind = or --"


def test_values_that_people_type_are_no_options(delivering: Baked) -> None:
    """A name that begins with two hyphens stands behind `=` or `--`."""
    for step in steps(delivering.path):
        command = step.get("run", "")
        options, _, positional = command.partition(" -- ")
        for value in re.findall(
            r'"\$(TARGET|RELEASE|SUBJECT|REASON|ID|DIGEST|PLAN_DIGEST|TREE|REQUEST)"', command
        ):
            assert f'="${value}"' in options or f'"${value}"' in positional, command


def test_github_checks_every_request_and_the_branches_that_deliver(bake: Bake) -> None:
    for options in GITHUB_SETS:
        project = bake(**options)
        triggers = project.yaml(".github/workflows/check.yml")[True]  # YAML 1.1 reads `on` as true
        delivered = set(project.yaml("delivery.yml")["branches"]["targets"].values())
        pushed = set(triggers.get("push", {}).get("branches", ()))
        assert {"pull_request", "workflow_call"} <= set(triggers)
        deliver = workflows(project.path)["deliver.yml"]
        assert set(deliver[True]["push"]["branches"]) | pushed == delivered | {"main"}
        assert deliver["jobs"]["check"]["uses"] == "./.github/workflows/check.yml"
        assert "if" not in deliver["jobs"]["check"]
        check = workflows(project.path)["check.yml"]["jobs"]["check"]
        commands = [step.get("run") for step in check["steps"]]
        assert commands[-2:] == ["make check", "make test"]


def test_github_and_gitlab_check_on_the_same_pythons(bake: Bake) -> None:
    project = bake()
    github = project.yaml(".github/workflows/check.yml")["jobs"]["check"]["strategy"]["matrix"]
    gitlab = project.yaml(".gitlab/ci/check.yml")["check"]["parallel"]["matrix"]
    assert github["python"] == gitlab[0]["PYTHON"] == ["3.11", "3.12"]


def test_no_expression_stands_in_a_command(github: Path) -> None:
    assert not [step for step in steps(github) if "${{" in step.get("run", "")]


# --- who may do what on GitHub ---

TARGETS = ("staging", "prod")
PLANNERS = {"staging-plan", "prod-plan"}
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
WRITES = {
    ("plan.yml", "comment", "pull-requests"),
    ("preview.yml", "comment", "pull-requests"),
    ("drift.yml", "tell", "issues"),
    ("status.yml", "pages", "pages"),
    ("promote.yml", "end-older", "actions"),
}


@dataclass(frozen=True)
class Job:
    """A job as somebody sees it who wants to misuse it.

    Attributes:
        events: what starts it, those of workflows that call its own among them.
        code: whose code runs: `change`, `base`, or that of the event's own commit.
        needs: it and everything that must have run before, by name.
    """

    workflow: str
    name: str
    events: frozenset[str]
    environments: frozenset[str]
    rights: dict[str, str]
    code: str
    conditions: str
    uses: tuple[str, ...]

    @property
    def has_identity(self) -> bool:
        return self.rights.get("id-token") == "write"

    @property
    def is_of_request(self) -> bool:
        return "pull_request" in self.events


def read_jobs(folder: Path) -> list[Job]:
    known = workflows(folder)
    return [
        _job(known, file, name)
        for file, workflow in known.items()
        for name, job in workflow["jobs"].items()
        if "uses" not in job
    ]


def _job(known: dict[str, dict[Any, Any]], file: str, name: str) -> Job:
    workflow, job = known[file], known[file]["jobs"][name]
    refs = [s.get("with", {}).get("ref", "") for s in job["steps"] if _is_checkout(s)]
    ours = "github.event.pull_request.base.sha"
    events = _events(known, file)
    head = any(ours not in ref for ref in refs)
    return Job(
        workflow=file,
        name=name,
        events=frozenset(events),
        environments=frozenset(_environments(job)),
        rights=job["permissions"],
        code="change" if head and "pull_request" in events else "base" if refs else "none",
        conditions=" ".join(_conditions(workflow["jobs"], name)),
        uses=tuple(_used(job)),
    )


def _events(known: dict[str, dict[Any, Any]], file: str) -> set[str]:
    """What starts a workflow, by itself or by those that call it."""
    own = {event for event in known[file][True] if event != "workflow_call"}
    for caller, workflow in known.items():
        used = [str(job.get("uses", "")) for job in workflow["jobs"].values()]
        if caller != file and any(name.endswith(f"/{file}") for name in used):
            own |= _events(known, caller)
    return own


def _environments(job: dict[str, Any]) -> set[str]:
    given = job.get("environment", "")
    name = given["name"] if isinstance(given, dict) else given
    found = re.fullmatch(r"\$\{\{ (?:inputs|matrix)\.target \}\}(.*)", name)
    return {f"{target}{found[1]}" for target in TARGETS} if found else {name} - {""}


def _conditions(known: dict[str, Any], name: str) -> Iterator[str]:
    """Everything that must be true before a job starts, in it and in what it needs."""
    job = known[name]
    yield str(job.get("if", ""))
    needs = job.get("needs", [])
    for other in [needs] if isinstance(needs, str) else needs:
        yield from _conditions(known, other)


def _used(job: dict[str, Any]) -> Iterator[str]:
    for step in job["steps"]:
        name = str(step.get("uses", "")).partition("@")[0]
        cached = name == "./.github/actions/setup" and step.get("with", {}).get("cache") == "true"
        yield "cache" if cached or name == "actions/cache" else name


def test_a_request_reaches_the_planner_of_staging_and_its_own_preview_alone(
    delivering: Baked,
) -> None:
    of_requests = [job for job in read_jobs(delivering.path) if job.is_of_request]
    assert len(of_requests) > 5
    for job in of_requests:
        assert job.environments <= {"staging-plan", "preview"}, job
        assert bool(job.environments) == job.has_identity, job
        assert not job.has_identity or SAME_REPOSITORY in job.conditions or job.name == "sweep", job


def test_the_code_of_a_request_may_read_and_has_no_identity_but_its_preview_s(
    delivering: Baked,
) -> None:
    of_changes = [job for job in read_jobs(delivering.path) if job.code == "change"]
    assert {"check", "build", "up"} <= {job.name for job in of_changes}
    for job in of_changes:
        rights = {"contents": "read"} | ({"id-token": "write"} if job.environments else {})
        assert job.rights == rights, job
        assert job.environments <= {"preview"}, job


def test_targets_are_reached_from_protected_branches_alone(delivering: Baked) -> None:
    known, branches = workflows(delivering.path), delivering.yaml("delivery.yml")["branches"]
    protected = {"main", *branches["targets"].values()}
    for job in read_jobs(delivering.path):
        if job.environments & {*TARGETS, "prod-plan"}:
            assert job.events <= {"push", "schedule", "workflow_dispatch"}, job
        pushed = (known[job.workflow][True] or {}).get("push") or {"branches": []}
        assert set(pushed["branches"]) <= protected, job


def test_who_may_write_has_no_identity_and_runs_no_code_of_a_change(delivering: Baked) -> None:
    written = {
        (job.workflow, job.name, right)
        for job in read_jobs(delivering.path)
        for right, level in job.rights.items()
        if level == "write" and right != "id-token"
    }
    assert written == WRITES
    for job in read_jobs(delivering.path):
        writes = {level for right, level in job.rights.items() if right != "id-token"}
        if "write" in writes and "pages" not in job.rights:
            assert (job.has_identity, job.code) in ((False, "base"), (False, "none")), job


def test_who_has_an_identity_or_may_write_uses_no_cache(delivering: Baked) -> None:
    """What a request leaves in a cache must not run with more rights than it had."""
    known = read_jobs(delivering.path)
    assert {job.name for job in known if "cache" in job.uses} == {"check", "release"}
    for job in known:
        if "cache" in job.uses:
            assert job.rights == {"contents": "read"}, job


def test_beside_an_identity_or_a_right_to_write_is_the_tool_alone(delivering: Baked) -> None:
    """Only what checks has libraries for development; it may read the code and nothing else."""
    known = {f"{job.workflow}:{job.name}": job for job in read_jobs(delivering.path)}
    whole = set()
    for name, job in jobs(delivering.path):
        steps = job.get("steps", [])
        given = [s.get("with", {}) for s in steps if s.get("uses") == "./.github/actions/setup"]
        commands = [str(s["run"]) for s in steps if "run" in s]
        is_whole = any(inputs.get("development", "false") != "false" for inputs in given)
        whole |= {name} if is_whole or any(c.startswith("make ") for c in commands) else set()
        assert not [c for c in commands if "delivery" in c and "-tool/bin/" not in c], name
        assert given or not commands, name
    assert whole == {"check.yml:check"}
    assert known["check.yml:check"].rights == {"contents": "read"}
    assert not known["check.yml:check"].environments
    action = delivering.yaml(".github/actions/setup/action.yml")
    assert action["inputs"]["development"]["default"] == "false"
    made = {s["run"]: s["if"] for s in action["runs"]["steps"] if "run" in s}
    assert made == {
        "make setup": "inputs.development == 'true'",
        "make tool": "inputs.development != 'true'",
        "make cli": "inputs.cli == 'true'",
    }


def test_an_identity_is_of_an_environment(delivering: Baked) -> None:
    deciding = {"staging", "prod", "preview", "github-pages", *PLANNERS}
    found = [job for job in read_jobs(delivering.path) if job.has_identity]
    assert {name for job in found for name in job.environments} == deciding
    for job in found:
        assert len(job.environments) in (1, 2), job


def test_what_a_request_made_is_unpacked_beside_the_code_that_runs(delivering: Baked) -> None:
    for name, job in jobs(delivering.path):
        for step in job.get("steps", []):
            if str(step.get("uses", "")).startswith("actions/download-artifact@"):
                assert step["with"]["path"] not in (".", "", "tools", ".venv"), name


def test_address_and_identity_come_from_the_forge_s_settings(delivering: Baked) -> None:
    names = {"DATABRICKS_HOST", "DATABRICKS_CLIENT_ID", "DATABRICKS_TOKEN_AUDIENCE"}
    for name, job in jobs(delivering.path):
        given = {k: v for k, v in job.get("env", {}).items() if k in names}
        if job.get("environment") not in (None, "github-pages"):
            assert given == {key: f"${{{{ vars.{key} }}}}" for key in names}, name
            assert job["env"]["DATABRICKS_AUTH_TYPE"] == "github-oidc", name
        else:
            assert not given, name


def test_no_event_lends_a_request_the_rights_of_the_repository(delivering: Baked) -> None:
    for name, workflow in workflows(delivering.path).items():
        assert not {*workflow[True]} & {"pull_request_target", "workflow_run", "issue_comment"}, (
            name
        )


def test_nothing_that_waits_for_people_or_deploys_is_cancelled(delivering: Baked) -> None:
    for file, workflow in workflows(delivering.path).items():
        for name, job in workflow["jobs"].items():
            place = job.get("environment")
            if place in ("staging", "prod", "preview", "${{ inputs.target }}"):
                for limit in (job.get("concurrency"), workflow.get("concurrency")):
                    assert not limit or limit["cancel-in-progress"] is False, (file, name)
            if place in ("prod", "${{ inputs.target }}"):
                assert "concurrency" not in job, (file, name)
                assert "github.run_id" in workflow["concurrency"]["group"], (file, name)


def test_nothing_reaches_for_a_workspace_before_it_is_switched_on(delivering: Baked) -> None:
    for job in read_jobs(delivering.path):
        assert not job.has_identity or "vars.DELIVERY == 'on'" in job.conditions, job


def test_what_starts_by_itself_comes_from_a_branch_that_its_environment_admits(
    delivering: Baked,
) -> None:
    """The first day names the branches; doctor asks for the same."""
    branches = delivering.yaml("delivery.yml")["branches"]
    admitted = {target: {branch} for target, branch in branches["targets"].items()}
    admitted["prod-plan"] = {branches["integration"], *branches["targets"].values()}
    known = workflows(delivering.path)
    started = [(job, _refs(known, job.workflow, job.name)) for job in read_jobs(delivering.path)]
    for job, refs in started:
        for environment in job.environments & {*admitted}:
            assert refs <= admitted[environment], (job.workflow, job.name, environment)
    assert any(refs for job, refs in started if "prod-plan" in job.environments)


def _refs(known: dict[str, dict[Any, Any]], file: str, name: str) -> set[str]:
    """The branches from which events start a job; nights are those of the default branch."""
    triggers = known[file][True]
    refs = {*(triggers.get("push") or {}).get("branches", ())}
    refs |= {"main"} if "schedule" in triggers else set()
    for caller, workflow in known.items():
        for other, job in workflow["jobs"].items():
            if str(job.get("uses", "")).endswith(f"/{file}"):
                refs |= _refs(known, caller, other)
    named = set(re.findall(r"github\.ref_name == '(\w+)'", _asked(known[file]["jobs"], name)))
    return refs & named if named else refs


def _asked(jobs: dict[str, Any], name: str) -> str:
    """The conditions of a job, and of those before it unless it starts whatever they do."""
    own, needs = str(jobs[name].get("if", "")), jobs[name].get("needs", [])
    before = [] if "!cancelled()" in own else [needs] if isinstance(needs, str) else needs
    return " ".join([own, *(_asked(jobs, other) for other in before)])


def test_what_the_code_of_a_request_wrote_is_posted_as_text(delivering: Baked) -> None:
    steps_of = workflows(delivering.path)["preview.yml"]["jobs"]["comment"]["steps"]
    (posted,) = [step["run"] for step in steps_of if " forge " in step.get("run", "")]
    assert posted.split()[1:4] == ["forge", "comment", "--plain"]


def test_nothing_is_delivered_before_it_is_checked(delivering: Baked) -> None:
    jobs = workflows(delivering.path)["deliver.yml"]["jobs"]
    for name in {*jobs} - {"check", "status", "status-of-prod"}:  # pages tell of failures, too
        assert "check" in _before(jobs, name), name


def _before(jobs: dict[str, Any], name: str) -> set[str]:
    """The jobs that must have ended well before a job starts."""
    needs = jobs[name].get("needs", [])
    direct = {needs} if isinstance(needs, str) else {*needs}
    return direct.union(*(_before(jobs, other) for other in direct))


def test_going_back_is_held_to_the_plan_that_was_approved(delivering: Baked) -> None:
    done = workflows(delivering.path)["rollback.yml"]["jobs"]
    (planned,) = [s["run"] for s in done["plan"]["steps"] if "delivery" in s.get("run", "")]
    (gone,) = [s["run"] for s in done["rollback"]["steps"] if "delivery" in s.get("run", "")]
    assert "--dry-run --save=plan.json" in planned
    assert '--plan=plan/plan.json --plan-digest="$PLAN_DIGEST"' in gone
    assert done["rollback"]["env"]["PLAN_DIGEST"] == "${{ needs.plan.outputs.digest }}"
    assert "PLAN_DIGEST" in done["plan"]["outputs"]["digest"]


# --- the digest travels ---

BUILT = "${{ inputs.built || needs.rebuild.outputs.digest }}"
OPENS = r"delivery (plan prod|deploy|adopt|fetch)"


def _commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job.get("steps", []) if " " in step.get("run", "")]


def test_whoever_opens_a_release_with_a_right_to_deploy_is_told_its_digest(
    delivering: Baked,
) -> None:
    """Artifacts of a run can be replaced by each of its jobs; outputs of a job by no other one."""
    digests = {}
    for name, job in jobs(delivering.path):
        for command in _commands(job):
            if "--archive" in command and "--request" not in command:
                assert '--digest="$DIGEST"' in command, name
                digests[name] = job["env"]["DIGEST"]
    built = "${{ needs.release.outputs.digest }}"
    assert digests == {
        "deliver.yml:staging": built,
        "operate.yml:operate": built,
        "promote.yml:plan": BUILT,
        "promote.yml:prod": BUILT,
    }


def test_a_digest_comes_from_a_job_without_an_identity(delivering: Baked) -> None:
    known = workflows(delivering.path)
    given = {"release": ("deliver.yml", "operate.yml"), "rebuild": ("promote.yml",)}
    for name, files in given.items():
        for file in files:
            job = known[file]["jobs"][name]
            assert job["permissions"] == {"contents": "read"}
            assert job["outputs"]["digest"] == f"${{{{ steps.{name}.outputs.DIGEST }}}}"
            (step,) = [s for s in job["steps"] if s.get("id") == name]
            assert step["run"].split()[1] == name
            assert '--outputs "$GITHUB_OUTPUT"' in step["run"]
    for caller in known["deliver.yml"]["jobs"].values():
        if str(caller.get("uses", "")).endswith("promote.yml"):
            inputs = caller["with"]
            assert inputs.get("built", "${{ needs.release.outputs.digest }}") == (
                "${{ needs.release.outputs.digest }}"
            )
            assert ("built" in inputs) != ("tree" in inputs)  # built in this run, or once more


def test_prod_waits_for_the_rebuild_where_nothing_was_built(delivering: Baked) -> None:
    promote = workflows(delivering.path)["promote.yml"]["jobs"]
    assert promote["rebuild"]["if"] == "inputs.built == ''"
    right = "(needs.rebuild.result == 'success' || needs.rebuild.result == 'skipped')"
    assert right in promote["plan"]["if"]
    for name in ("plan", "prod"):
        assert "rebuild" in promote[name]["needs"]


def test_the_plan_that_is_approved_is_the_plan_that_is_carried_out(delivering: Baked) -> None:
    promote = workflows(delivering.path)["promote.yml"]["jobs"]
    chosen = "(needs.plan.outputs.approval != 'dispatch' && needs.plan.outputs.digest)"
    assert promote["prod"]["env"]["PLAN_DIGEST"] == f"${{{{ inputs.digest || {chosen} || '' }}}}"
    assert "PLAN_DIGEST" in promote["plan"]["outputs"]["digest"]
    shown, done = (c for c in _commands(promote["prod"]) if "delivery" in c)
    assert "delivery plan prod" in shown  # once more, for a planner may have shown something else
    assert '--plan plan/plan.json --plan-digest="$PLAN_DIGEST"' in done


def test_an_approval_is_counted_since_the_plan(delivering: Baked) -> None:
    known = workflows(delivering.path)
    for file, name in (("promote.yml", "prod"), ("rollback.yml", "rollback")):
        env = known[file]["jobs"][name]["env"]
        assert env["DELIVERY_APPROVED_BEFORE"] == "${{ needs.plan.outputs.approved }}"
        plan = known[file]["jobs"]["plan"]
        assert plan["outputs"]["approved"] == "${{ steps.plan.outputs.APPROVED_BEFORE }}"
        assert plan["permissions"]["actions"] == "read"


# --- pipelines as they run ---


def test_no_job_depends_on_what_github_does_not_document(delivering: Baked) -> None:
    """Nothing says what subject and branch rules are where an environment has no deployment."""
    for name, job in jobs(delivering.path):
        assert isinstance(job.get("environment", ""), str), name


def test_the_token_that_may_write_is_on_the_step_that_uses_it(github: Path) -> None:
    for file in workflow_files(github):
        assert "secrets." not in file.read_text(encoding="utf-8"), file
    for name, job in jobs(github):
        assert "github.token" not in str(job.get("env", {})), name
        for step in job.get("steps", []):
            if "github.token" in str(step):
                user = "make example" if github == ROOT else ".venv-tool/bin/delivery"
                assert user in step["run"], name


def test_who_delivers_runs_where_a_variable_says(delivering: Baked) -> None:
    for name, job in jobs(delivering.path):
        if "uses" in job:
            continue
        expected = "ubuntu-24.04"
        if job["permissions"].get("id-token") == "write" and "pages" not in job["permissions"]:
            of_request = name in ("plan.yml:plan", "preview.yml:up", "preview.yml:down")
            runner = "RUNNER_FOR_REQUESTS" if of_request else "RUNNER"
            expected = f"${{{{ vars.{runner} || 'ubuntu-24.04' }}}}"
        assert job["runs-on"] == expected, name


def test_the_cli_comes_from_where_a_variable_says(delivering: Baked) -> None:
    """A called workflow has no variables of its caller, and the action that installs knows none."""
    mirror = "${{ vars.DATABRICKS_CLI_RELEASES }}"
    for file, workflow in workflows(delivering.path).items():
        installs = "'cli': 'true'" in str(workflow)
        assert workflow.get("env", {}) == (
            {"DATABRICKS_CLI_RELEASES": mirror} if installs else {}
        ), file


def test_three_merges_are_three_deliveries(delivering: Baked) -> None:
    """GitHub replaces whoever waits in a group: of three merges the second would be cancelled."""
    for name, job in jobs(delivering.path):
        assert "concurrency" not in job, name
    staging = workflows(delivering.path)["deliver.yml"]["jobs"]["staging"]
    assert any("--wait 30m" in command for command in _commands(staging))


def test_the_page_tells_of_staging_while_prod_waits(delivering: Baked) -> None:
    known = workflows(delivering.path)["deliver.yml"]["jobs"]
    looks = {n: job for n, job in known.items() if str(job.get("uses", "")).endswith("status.yml")}
    after = [job["needs"] for job in looks.values()]
    if delivering.answers.get("branching") == "environments":
        assert after == [["staging", "prod"]]  # never both: each has a branch of its own
    else:
        assert after == ["staging", "prod"]
        names = [job["with"]["after"] for job in looks.values()]
        assert len({*names}) == len(names)


def test_what_is_kept_has_one_name_a_run(delivering: Baked) -> None:
    """A workflow that is called twice in a run names what it keeps by what was done before."""
    kept = [
        step["with"]["name"]
        for job in workflows(delivering.path)["status.yml"]["jobs"].values()
        for step in job["steps"]
        if "upload" in str(step.get("uses"))
    ]
    assert len(kept) == 3
    for name in kept:
        assert "inputs.after" in name
    pages = workflows(delivering.path)["status.yml"]["jobs"]["pages"]["steps"]
    (made,), (published,) = (
        [step["with"][key] for step in pages if action in step["uses"]]
        for action, key in (("upload-pages", "name"), ("deploy-pages", "artifact_name"))
    )
    assert made == published
    assert "github.run_attempt" in made  # what an earlier attempt kept is still there


def test_requests_into_other_branches_are_only_checked(delivering: Baked) -> None:
    """The base of such a request is whatever its author wrote."""
    branches = delivering.yaml("delivery.yml")["branches"]
    delivered = {branches["integration"], *branches["targets"].values()}
    for file, workflow in workflows(delivering.path).items():
        request = (workflow[True] or {}).get("pull_request", False)
        if request is not False and file != "check.yml":
            assert delivered <= {*request["branches"]} <= {"main", "staging", "prod"}, file


def test_a_merge_queue_is_checked(delivering: Baked) -> None:
    assert "merge_group" in workflows(delivering.path)["check.yml"][True]


def test_what_staging_blocks_is_blocked_on_prod(delivering: Baked) -> None:
    job = workflows(delivering.path)["operate.yml"]["jobs"]["block-on-prod"]
    assert job["environment"] == "prod"
    assert "inputs.command == 'block' && inputs.target == 'staging'" in job["if"]
    assert "needs" not in job  # also where staging cannot be written to
    (command,) = [c for c in _commands(job) if "delivery" in c]
    assert command == '.venv-tool/bin/delivery block --reason="$REASON" -- prod "$SUBJECT"'


def test_what_staging_leaves_is_blocked_on_prod(delivering: Baked) -> None:
    job = workflows(delivering.path)["rollback.yml"]["jobs"]["block-on-prod"]
    assert job["environment"] == "prod"
    assert "inputs.target == 'staging'" in job["if"]
    assert {*job["needs"]} == {"plan", "rollback"}
    assert job["env"]["PLAN_DIGEST"] == "${{ needs.plan.outputs.digest }}"
    (command,) = [c for c in _commands(job) if "delivery" in c]
    assert '--left-by=plan/plan.json --plan-digest="$PLAN_DIGEST"' in command
    assert command.endswith(" -- prod")


def test_the_settings_are_looked_at_every_night(delivering: Baked) -> None:
    job = workflows(delivering.path)["drift.yml"]["jobs"]["doctor"]
    assert job["permissions"] == {"actions": "read", "contents": "read"}
    assert ".venv-tool/bin/delivery doctor" in _commands(job)


# --- the template itself ---


def test_the_template_is_tested_as_its_readme_says() -> None:
    commands = {step["run"] for step in steps(ROOT) if "run" in step}
    assert commands == {
        f"make {name}" for name in ("check", "demo", "example", "terraform", "test")
    }
    assert run("sh", "-n", ".ci/run", cwd=ROOT).returncode == 0
    expect_success(BIN / "shellcheck", ".ci/run", cwd=ROOT)


@pytest.mark.parametrize(("check", "test"), [(0, 0), (2, 0), (0, 2), (2, 2)])
def test_the_pipeline_fails_when_its_checks_or_its_tests_do(
    check: int, test: int, tmp_path: Path
) -> None:
    lines = f'check) echo checked; exit {check};; test) echo "1 passed in 1s"; exit {test};;'
    result = ci_run(tmp_path, make=f'case "$1" in {lines} esac', rsync="true")
    assert (result.returncode != 0) == bool(check or test)
    assert result.stdout.splitlines() == ["checked", "1 passed in 1s"]


@pytest.mark.parametrize("ci", ["", "true"], ids=["laptop", "pipeline"])
def test_a_pipeline_without_rsync_fails(ci: str, tmp_path: Path) -> None:
    settings = {"CI": ci} if ci else {}
    result = ci_run(tmp_path, make="echo done", **{"apt-get": "exit 1"}, settings=settings)
    assert "no rsync" in result.stderr
    assert result.returncode == (4 if ci else 0)


def ci_run(
    folder: Path, settings: dict[str, str] | None = None, **programs: str
) -> subprocess.CompletedProcess[str]:
    """The template's pipeline, on a machine that has these programs alone."""
    for name in ("sh", "dirname"):
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return run("sh", ".ci/run", cwd=ROOT, PATH=str(folder), **(settings or {}))


def test_of_two_merges_each_has_its_result_and_the_nights_are_tested() -> None:
    workflow = workflows(ROOT)["test.yml"]
    assert {*workflow[True]} == {"merge_group", "pull_request", "push", "schedule"}
    assert workflow["concurrency"] == {
        "group": "test-${{ github.event.pull_request.number || github.run_id }}",
        "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
    }


def test_the_bot_finds_what_it_keeps_up_to_date() -> None:
    """No folder is named with braces, which stand for alternatives in these patterns."""
    found: dict[str, set[str]] = {}
    for update in yaml.safe_load((ROOT / ".github/dependabot.yml").read_text("utf-8"))["updates"]:
        for pattern in update["directories"]:
            assert "{" not in pattern
            inside = ".github/workflows" if update["package-ecosystem"] == "github-actions" else ""
            place = f"{pattern.strip('/')}/{inside if pattern == '/' else ''}".strip("/")
            folders = [*ROOT.glob(place)] if place else [ROOT]
            files = {f.relative_to(ROOT).as_posix() for one in folders for f in one.glob("*.*")}
            found.setdefault(update["package-ecosystem"], set()).update(files)
            assert files, pattern
    files = set(template_files())
    wanted = {f for f in files if ".github/" in f and f.endswith(".yml") and "dependabot" not in f}
    assert wanted - {f for f in wanted if f.endswith("zizmor.yml")} <= found["github-actions"]
    pinned = {f for f in files if f.endswith(("pyproject.toml", "requirements.txt"))}
    assert pinned | {"tests/constraints.txt"} <= found["pip"]


def test_the_hook_shim_is_sound_shell() -> None:
    expect_success(
        BIN / "shellcheck", "git-hook.sh", cwd=ROOT / "{{cookiecutter.project_slug}}/options"
    )


@pytest.mark.slow
def test_a_failing_test_fails_make(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_x():\n    assert False\n", encoding="utf-8")
    # The last `-n` counts: one process is enough for one test.
    tests, programs = f"TESTS={tmp_path} -n 0", f"BIN={sys.prefix}/bin"
    result = run("make", "test", tests, programs, "-o", ".venv/stamp", cwd=ROOT)
    assert result.returncode != 0
    assert "1 failed" in result.stdout.splitlines()[-1]
