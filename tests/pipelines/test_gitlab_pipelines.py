"""GitLab's pipelines, read: every pipeline that there can be, its jobs, and what they may touch."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import Bake
from harness import gitlab_ci
from harness.baking import TEMPLATE, Baked, expect_success, git
from harness.gitlab_ci import Definition, Job, Pipeline

sys.path.insert(0, str(TEMPLATE / "tools/delivery/src"))

BIN = Path(sys.executable).parent
SETS = [
    {},
    {"ci": "gitlab"},
    {"branching": "environments"},
    {"ci": "gitlab", "branching": "environments"},
]
WRITERS = {"staging", "prod", "preview/42", "preview/sweep"}
READERS = {"staging-plan", "prod-plan"}
READS = {"plan", "fetch", "drift", "status", "rollback --dry-run"}

# The environment of the tool alone.
TOOL = ".venv-tool/bin/delivery"

# What a script may say, apart from `delivery …`.
PLAIN = {
    "make setup",
    "make tool",
    "make cli",
    "make check",
    "make test",
    'git clone --quiet --branch="$CI_MERGE_REQUEST_TARGET_BRANCH_NAME" '
    '-- "$CI_REPOSITORY_URL" base',
    "cd base",
    'git clone --quiet --no-checkout -- "$CI_REPOSITORY_URL" code',
    "cd code",
    'git checkout --quiet --detach "$CI_COMMIT_SHA"',
    "test -s public/index.html",
    "mkdir looks",
}
# Texts that whoever starts a pipeline by hand writes as they like.
FREE = {"REASON", "RELEASE", "TARGET", "KEY", "ID"}
# What jobs of this very pipeline made, and numbers; nothing that an author of a change words.
MADE = {"PLAN_DIGEST", "CI_MERGE_REQUEST_IID"}


@pytest.fixture(scope="module", params=SETS, ids=str)
def project(request: pytest.FixtureRequest, bake: Bake) -> Baked:
    return bake(**request.param)


@pytest.fixture(scope="module")
def definition(project: Baked) -> Definition:
    return gitlab_ci.read(project.path)


@pytest.fixture(scope="module")
def pipelines(definition: Definition) -> list[Pipeline]:
    found = list(gitlab_ci.pipelines(definition))
    assert len(found) > 100
    return found


def has_identity(job: Job) -> bool:
    return "id_tokens" in job


def environment_of(job: Job, pipeline: Pipeline) -> str:
    """The environment that a job's variables, and so its identity, come from."""
    name = job.get("environment", {}).get("name", "")
    return pipeline.expanded(name)


def identities(definition: Definition, pipeline: Pipeline) -> dict[str, str]:
    """The jobs of a pipeline that have an identity, and which one."""
    jobs = {name: definition.jobs[name] for name in pipeline.jobs}
    return {n: environment_of(job, pipeline) for n, job in jobs.items() if has_identity(job)}


def needed(job: Job, pipeline: Pipeline | None = None) -> list[str]:
    """What must have run before a job; what is optional only where the pipeline has it."""
    needs = [{"job": n} if isinstance(n, str) else n for n in job.get("needs", [])]
    there = pipeline.jobs if pipeline else ()
    return [n["job"] for n in needs if not n.get("optional") or n["job"] in there]


def taken(definition: Definition, name: str, pipeline: Pipeline) -> set[str]:
    """The jobs whose artifacts are unpacked where a job starts."""
    job = definition.jobs[name]
    if "dependencies" in job:
        return {*job["dependencies"]}
    if "needs" in job:
        needs = [{"job": n} if isinstance(n, str) else n for n in job["needs"]]
        named = {n["job"] for n in needs if n.get("artifacts", True)}
    else:
        order = definition.stages.index
        jobs = {other: definition.jobs[other] for other in pipeline.jobs}
        named = {n for n, other in jobs.items() if order(other["stage"]) < order(job["stage"])}
    return {other for other in named if definition.jobs[other].get("artifacts")}


def script(job: Job) -> list[str]:
    return [*job["before_script"], *job["script"]]


def commands(job: Job) -> Iterator[str]:
    """The commands of the tool that a job types."""
    for line in job["script"]:
        words = shlex.split(line)
        if words[0] == TOOL:
            yield " ".join(words[1:3]) if words[1] in ("rollback", "preview") else words[1]


# --- shape ---


def test_every_file_fits_the_published_schema(project: Baked) -> None:
    files = [".gitlab-ci.yml", *sorted(n for n in project.files() if n.startswith(".gitlab/ci/"))]
    assert len(files) > 5
    options = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    expect_success(BIN / "check-jsonschema", *options, *files, cwd=project.path)


def test_versions_are_kept_up_to_date_by_renovate(project: Baked) -> None:
    options = ("--builtin-schema", "vendor.renovate")
    expect_success(BIN / "check-jsonschema", *options, "renovate.json", cwd=project.path)
    settings = json.loads(project.text("renovate.json"))
    assert {"gitlabci", "gitlabci-include", "pep621"} <= {*settings["enabledManagers"]}
    assert "docker:pinDigests" in settings["extends"]
    prefixes = project.yaml("delivery.yml")["branches"]["prefixes"]
    assert settings["branchPrefix"].rstrip("/") in prefixes


def test_going_back_is_held_to_the_plan_that_was_approved(definition: Definition) -> None:
    (planned,), (gone,) = (
        [line for line in definition.jobs[name]["script"] if "rollback" in line]
        for name in ("rollback-plan", "rollback")
    )
    assert "--dry-run --save=plan.json" in planned
    assert "--plan=../plan.json" in gone
    assert "rollback-plan" in needed(definition.jobs["rollback"])


def test_every_file_is_included(project: Baked) -> None:
    included = [entry["local"] for entry in project.yaml(".gitlab-ci.yml")["include"]]
    assert sorted(included) == sorted(n for n in project.files() if n.startswith(".gitlab/"))


def test_a_job_needs_jobs_that_are_there_and_come_before_it(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    for pipeline in pipelines:
        for name in pipeline.jobs:
            job = definition.jobs[name]
            for other in needed(job, pipeline):
                assert other in pipeline.jobs, f"{pipeline.name}: {name} needs {other}"
                stages = [definition.jobs[other]["stage"], job["stage"]]
                assert definition.stages.index(stages[0]) <= definition.stages.index(stages[1])


def test_a_form_starts_what_it_says(definition: Definition, pipelines: list[Pipeline]) -> None:
    form = definition.variables["PIPELINE"]
    assert form["value"] == "check"
    for choice in form["options"]:
        variables = {"web", choice, "DELIVERY=on"}
        jobs = {
            n for p in pipelines if variables <= set(re.split(r"[ (,]+", p.name)) for n in p.jobs
        }
        started = {"deliver": "prod"}.get(choice, choice)
        assert any(started in name for name in jobs), choice


def test_every_request_and_every_branch_that_delivers_is_checked(
    project: Baked, pipelines: list[Pipeline]
) -> None:
    branches = {*project.yaml("delivery.yml")["branches"]["targets"].values(), "main"}
    checked = {p.name.partition(" (")[0] for p in pipelines if "check" in p.jobs}
    requests = {p.name.partition(" (")[0] for p in pipelines if p.is_request}
    assert checked - requests >= {f"push {branch}" for branch in branches}
    assert requests <= checked
    pushed = {p.variables["CI_COMMIT_BRANCH"] for p in pipelines if "push" in p.name}
    assert pushed == branches


def test_nothing_is_delivered_before_it_is_checked(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    delivering = [p for p in pipelines if {"staging", "fetch"} & p.jobs.keys()]
    assert delivering
    for pipeline in delivering:
        assert "check" in pipeline.jobs, pipeline.name
        begins = {n for n in pipeline.jobs if n in ("staging", "fetch", "release")}
        for name in begins:
            assert needed(definition.jobs[name]) or "needs" not in definition.jobs[name], name
    assert definition.stages[0] == definition.jobs["check"]["stage"]


def test_until_delivery_is_on_nothing_reaches_for_a_workspace(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    off = [p for p in pipelines if not p.variables["DELIVERY"]]
    assert {name for p in off for name in p.jobs} == {"check", "build", "release"}
    assert all(identities(definition, pipeline) == {} for pipeline in off)


def test_without_a_lock_nothing_is_built_before_delivery_is_on(pipelines: list[Pipeline]) -> None:
    off = [p for p in pipelines if not p.variables["DELIVERY"] and p.variables["LOCK"] == "no"]
    assert {name for p in off for name in p.jobs} == {"check"}


@pytest.mark.slow
@pytest.mark.parametrize("branching", ["trunk", "environments"])
def test_gitlab_ci_local_reads_the_same_jobs(branching: str, bake: Bake, tmp_path: Path) -> None:
    program, project = gitlab_ci.program(), bake(branching=branching)
    copy = gitlab_ci.checkout(project, tmp_path)
    (copy / "uv.lock").touch()
    git(copy, "add", "--force", "uv.lock")
    settings = {"DELIVERY": "on", "CI_COMMIT_REF_PROTECTED": "true", "LOCK": "yes"}
    settings |= {"DELIVERY_TELLS": "on", "DELIVERY_DOCTOR": "on"}
    kinds = (
        r"request to main |request of a fork to main |push prod|push main|schedule|web rollback p"
    )
    found = [
        pipeline
        for pipeline in gitlab_ci.pipelines(gitlab_ci.read(project.path))
        if settings.items() <= pipeline.variables.items() and re.match(kinds, pipeline.name)
    ]
    assert len(found) >= 5
    for pipeline in found:
        branch = {"CI_COMMIT_BRANCH": "", **pipeline.variables}
        listed = json.loads(gitlab_ci.listed(program, copy, branch))
        starts = {job["name"].partition(":")[0]: job["when"] for job in listed}
        assert {n: w for n, w in starts.items() if w != "never"} == pipeline.jobs, pipeline.name


# --- identities ---


def test_an_identity_comes_from_an_environment_and_an_id_token(definition: Definition) -> None:
    for name, job in definition.jobs.items():
        place = job.get("environment", {}).get("name", "")
        assert has_identity(job) == (place not in ("", "forge", "doctor")), (
            name
        )  # these have tokens
        if has_identity(job):
            aud = {"aud": "$DATABRICKS_TOKEN_AUDIENCE"}
            assert job["id_tokens"] == {"DATABRICKS_OIDC_TOKEN": aud}
            assert job["variables"]["DATABRICKS_AUTH_TYPE"] == "env-oidc"
        given = {*job.get("variables", {})} & {"DATABRICKS_HOST", "DATABRICKS_CLIENT_ID"}
        assert not given, f"{name}: hosts and identities come from the forge's settings"


def test_a_request_reaches_the_planner_of_staging_and_its_own_preview_alone(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    seen = set()
    for pipeline in (p for p in pipelines if p.is_request):
        reached = identities(definition, pipeline)
        seen |= {*reached.items()}
        fork = "of a fork" in pipeline.name or "when it is open" in pipeline.name
        expected = {} if fork or not pipeline.variables["DELIVERY"] else {
            "plan": "staging-plan", "preview": "preview/42", "preview-down": "preview/42",
        }  # fmt: skip
        assert reached == expected, pipeline.name
    assert seen


def test_the_code_of_a_request_runs_without_an_identity_except_for_its_preview(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    for pipeline in (p for p in pipelines if p.is_request):
        for name in identities(definition, pipeline):
            if name != "preview":
                assert_runs_the_base_alone(definition, name)


def test_a_token_that_may_write_is_near_no_code_of_a_request(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    for pipeline in pipelines:
        for name in pipeline.jobs:
            place = environment_of(definition.jobs[name], pipeline)
            assert (place == "forge") == ("forge" in commands(definition.jobs[name])), name
    for pipeline in (p for p in pipelines if p.is_request):
        for name in pipeline.jobs:
            if "forge" in commands(definition.jobs[name]):
                assert_runs_the_base_alone(definition, name)
                assert not has_identity(definition.jobs[name])
    writers = {n for n, job in definition.jobs.items() if "forge" in commands(job)}
    assert writers == {"comment", "issue-staging", "issue-prod"}


def test_the_settings_are_looked_at_every_night(
    project: Baked, definition: Definition, pipelines: list[Pipeline]
) -> None:
    """A maintainer's token reads all variables: no code but the tool's is near it, no identity."""
    job, branch = definition.jobs["doctor"], project.yaml("delivery.yml")["branches"]["targets"]
    assert [*commands(job)] == ["doctor"]
    assert job["needs"] == []  # nothing that another job left
    beside = [n for n, j in definition.jobs.items() if "doctor" in str(j.get("environment"))]
    assert beside == ["doctor"]
    nights = [p for p in pipelines if "doctor" in p.jobs]
    assert {p.variables["CI_PIPELINE_SOURCE"] for p in nights} == {"schedule", "web"}
    for pipeline in nights:
        assert pipeline.is_protected
        assert pipeline.variables["CI_COMMIT_BRANCH"] == branch["prod"], pipeline.name


def assert_runs_the_base_alone(definition: Definition, name: str) -> None:
    """A job starts in an empty folder, with the branch that the request goes to."""
    job = definition.jobs[name]
    assert job["variables"]["GIT_STRATEGY"] == "empty", name
    first, second, *others = script(job)
    assert first.startswith('git clone --quiet --branch="$CI_MERGE_REQUEST_TARGET_BRANCH')
    assert second == "cd base"
    for line in others:
        outside = [word for word in shlex.split(line) if ".." in word]
        assert all(re.fullmatch(r"\.\./(release/\*\.tar\.gz|plan\.md)", w) for w in outside), line
    for other in needed(job):
        reports = definition.jobs[other].get("artifacts", {}).get("reports", {})
        assert "dotenv" not in reports, f"{other} could set variables of {name}"


@pytest.mark.parametrize("target", ["staging", "prod"])
def test_a_target_is_reached_from_its_own_protected_branch_alone(
    target: str, project: Baked, definition: Definition, pipelines: list[Pipeline]
) -> None:
    branch = project.yaml("delivery.yml")["branches"]["targets"][target]
    reached = []
    for pipeline in pipelines:
        for name, environment in identities(definition, pipeline).items():
            if environment == target or (target, environment) == ("prod", "prod-plan"):
                reached.append(name)
                assert pipeline.is_protected, f"{pipeline.name}: {name}"
                assert not pipeline.is_request
                assert pipeline.variables["CI_COMMIT_BRANCH"] == branch, f"{pipeline.name}: {name}"
    by_hand = {"rollback", "block", "unblock", "prune", "break-lock", "adopt"}
    planners = {"plan-prod", "drift-prod", "status-prod", "status-prod-after-prod", "rollback-plan"}
    if branch == "main":
        planners |= {"block-on-prod", "block-left-on-prod"}
    assert {*reached} == by_hand | {target} | (planners if target == "prod" else set())


def test_no_other_environment_is_known(definition: Definition, pipelines: list[Pipeline]) -> None:
    reached = {e for p in pipelines for e in identities(definition, p).values()}
    assert reached == WRITERS | READERS


def test_a_planner_only_reads(definition: Definition, pipelines: list[Pipeline]) -> None:
    for pipeline in pipelines:
        for name, environment in identities(definition, pipeline).items():
            job = definition.jobs[name]
            if environment in READERS:
                assert {*commands(job)} <= READS, name
                assert job["environment"]["action"] == "access", name  # it is no deployment


def test_prod_waits_for_people(definition: Definition, pipelines: list[Pipeline]) -> None:
    starts = {n: when for p in pipelines for n, when in p.jobs.items() if n in ("prod", "rollback")}
    assert starts == {"prod": "manual", "rollback": "manual"}
    for name in ("prod", "rollback"):
        assert all("allow_failure" not in rule for rule in definition.jobs[name]["rules"])
    operations = (
        "block",
        "block-on-prod",
        "block-left-on-prod",
        "unblock",
        "prune",
        "break-lock",
        "adopt",
    )
    sources = {p.name.split()[0] for p in pipelines for name in operations if name in p.jobs}
    assert sources == {"web"}


def test_who_approves_by_digest_has_seen_it(definition: Definition) -> None:
    prod = definition.jobs["prod"]
    assert prod["variables"]["PLAN_DIGEST"] == ""
    assert "reports" not in definition.jobs["plan-prod"]["artifacts"]
    for name in needed(prod):
        for line in definition.jobs[name]["script"]:
            assert "--outputs" not in line or "delivery plan" not in line


# --- the digest travels ---


def test_no_job_sets_variables_of_another(definition: Definition) -> None:
    """A report of variables beats those of the file: PYTHONPATH, LD_PRELOAD, an index."""
    for name, job in definition.jobs.items():
        assert "reports" not in job.get("artifacts", {}), name


def test_what_a_job_left_is_unpacked_beside_the_code_that_has_an_identity_or_writes(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    """Artifacts are unpacked over a checkout: over the tool, its Makefile, the settings of git."""
    beside = set()
    for pipeline in pipelines:
        for name in pipeline.jobs:
            job = definition.jobs[name]
            writes = environment_of(job, pipeline) == "forge"
            if (has_identity(job) or writes) and taken(definition, name, pipeline):
                beside.add(name)
                assert job["variables"]["GIT_STRATEGY"] == "empty", name
                first, second = job["before_script"][:2]
                folder = shlex.split(first)[-1]
                assert first.startswith("git clone --quiet ")
                assert second == f"cd {folder}"
                assert folder in ("base", "code")
    assert beside >= {"plan", "comment", "staging", "plan-prod", "prod", "rollback", "adopt"}


def test_a_clone_of_its_own_is_the_commit_of_the_pipeline(definition: Definition) -> None:
    for name, job in definition.jobs.items():
        if job["variables"].get("GIT_STRATEGY") == "empty" and "cd code" in job["before_script"]:
            assert job["before_script"][2] == 'git checkout --quiet --detach "$CI_COMMIT_SHA"', name


def test_prod_takes_its_release_from_a_job_without_an_identity(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    """Only a job itself writes what it leaves; nothing of staging's is unpacked beside prod."""
    delivering = [p for p in pipelines if "prod" in p.jobs]
    assert delivering
    for pipeline in delivering:
        (builder,) = taken(definition, "prod", pipeline) - {"plan-prod"}
        job = definition.jobs[builder]
        assert not has_identity(job)
        assert "environment" not in job
        assert job["artifacts"]["paths"] == ["release/"]
        for name in ("plan-prod", "prod"):
            lines = [line for line in definition.jobs[name]["script"] if "--archive" in line]
            assert lines
            assert all("--archive ../release/*.tar.gz" in line for line in lines)
            assert builder in taken(definition, name, pipeline)
    builders = {
        n for n, job in definition.jobs.items() if {"release", "rebuild"} & {*commands(job)}
    }
    assert builders <= {"build", "release", "rebuild"}


def test_what_is_built_once_more_is_of_the_commit_that_staging_verified(
    project: Baked, definition: Definition
) -> None:
    """Where staging and prod have branches of their own; elsewhere prod's pipeline builds it."""
    built = [s for s in definition.jobs.get("rebuild", {"script": []})["script"] if "rebuild" in s]
    assert len(built) == (project.answers.get("branching") == "environments")
    assert all("--tree=HEAD" in line and "receipt" in line for line in built)


def test_prod_shows_its_plan_once_more_before_it_deploys(definition: Definition) -> None:
    assert [*commands(definition.jobs["prod"])] == ["plan", "deploy"]


# --- safety ---


def test_a_deploy_is_never_cancelled_and_a_target_has_one_at_a_time(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    for pipeline in pipelines:
        for name, environment in identities(definition, pipeline).items():
            job = definition.jobs[name]
            if environment in WRITERS:
                assert job["interruptible"] is False, name
                group = pipeline.expanded(job.get("resource_group", ""))
                assert group == environment or name == "break-lock", name
            else:
                assert "resource_group" not in job, name  # nobody waits for who only looks


def test_what_waits_for_people_is_not_cancelled_by_the_next_merge(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    jobs = {name for p in pipelines if not p.is_request for name in p.jobs}
    assert {n for n in jobs if definition.jobs[n].get("interruptible")} == {"check"}


def test_no_job_with_an_identity_has_a_cache(definition: Definition) -> None:
    cached = {name for name, job in definition.jobs.items() if job.get("cache")}
    assert cached == {"check"}
    assert all(job["cache"] == [] for job in definition.jobs.values() if has_identity(job))


def test_beside_an_identity_or_a_right_to_write_is_the_tool_alone(definition: Definition) -> None:
    """Only what checks has libraries for development; it has no identity and no token."""
    whole = set()
    for name, job in definition.jobs.items():
        typed = {line for line in script(job) if line.startswith("make ")}
        whole |= {name} if typed - {"make tool", "make cli"} else set()
        assert "make tool" in typed or name == "check", name
        assert not [n for n in script(job) if "delivery" in n and not n.startswith(TOOL)], name
    assert whole == {"check"}
    assert not {"environment", "id_tokens"} & definition.jobs["check"].keys()


def test_what_fails_is_seen(definition: Definition) -> None:
    for name, job in definition.jobs.items():
        lenient = [rule for rule in [job, *job["rules"]] if rule.get("allow_failure")]
        assert not lenient or name in ("preview", "preview-down"), name


def test_scripts_are_commands_that_a_person_can_type(
    definition: Definition, project: Baked
) -> None:
    targets = set(re.findall(r"^([a-z]+):", project.text("Makefile"), re.MULTILINE))
    for name, job in definition.jobs.items():
        assert not {"after_script", "hooks", "run"} & job.keys(), name
        for line in script(job):
            if line in PLAIN:
                assert not line.startswith("make ") or line.split()[1] in targets, line
            else:
                assert_the_tool_takes(line)


def assert_the_tool_takes(line: str) -> None:
    """A command line of the tool, with no shell in it but quoted variables and a redirection."""
    from delivery.cli.app import build_app

    typed = re.sub(r" > looks/(staging|prod)\.json$", "", line)
    bare = re.sub(r'"[^"`]*"', "", typed)
    assert not re.search(r"[$`;&|<>(){}\n\\]", bare), f"shell in {line!r}"
    command, words = typer.main.get_command(build_app()), shlex.split(typed)
    assert words.pop(0) == TOOL, line
    context = None
    while hasattr(command, "commands"):
        context = typer.Context(command, parent=context)
        command = command.commands[words.pop(0)]
    with command.make_context("x", [*words], parent=context):
        pass


def test_free_text_is_an_option_s_value_or_stands_behind_two_hyphens(
    definition: Definition,
) -> None:
    known = FREE | MADE | {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CI_REPOSITORY_URL"}
    for job in definition.jobs.values():
        for line in job["script"]:
            words = shlex.split(line)
            behind = words.index("--") if "--" in words else len(words)
            assert {*re.findall(r"\$\{?(\w+)", line)} <= known, line
            for place, word in enumerate(words):
                if word.removeprefix("$") in FREE:
                    assert place > behind, line
            for variable in FREE & {*re.findall(r"\$(\w+)", line)}:
                assert re.search(rf'(--[a-z-]+=|)"\${variable}"', line), line


def test_a_preview_goes_by_itself(project: Baked, definition: Definition) -> None:
    up, down = definition.jobs["preview"], definition.jobs["preview-down"]
    assert up["environment"]["on_stop"] == "preview-down"
    assert down["environment"] == {"name": up["environment"]["name"], "action": "stop"}
    assert up["rules"] == down["rules"]  # GitLab refuses a pipeline in which one is missing
    days = project.yaml("delivery.yml")["preview_days"]
    assert up["environment"]["auto_stop_in"] == f"{days} days"


def test_a_plan_lives_as_long_as_its_papers(definition: Definition) -> None:
    for name in [*needed(definition.jobs["prod"]), "prod"]:
        artifacts: Any = definition.jobs[name].get("artifacts")
        assert artifacts is None or artifacts["expire_in"] == "30 days"


def test_a_job_runs_on_the_python_that_its_image_has(definition: Definition) -> None:
    for name, job in definition.jobs.items():
        literal = "python:3.11"  # Renovate adds the digest to what is literal
        assert job["image"] == (literal if name != "check" else "python:${PYTHON}"), name
    matrix = definition.jobs["check"]["parallel"]["matrix"]
    assert matrix == [{"PYTHON": ["3.11", "3.12"]}]


def test_every_job_ends(definition: Definition) -> None:
    assert {job["timeout"] for job in definition.jobs.values()} == {"20 minutes", "3 hours"}


def test_the_page_tells_of_staging_while_prod_waits(
    definition: Definition, pipelines: list[Pipeline]
) -> None:
    looks = ("status-staging", "status-prod")
    for pipeline in (p for p in pipelines if "prod" in p.jobs):
        for name in looks:
            before = {*needed(definition.jobs[name], pipeline)}
            assert "prod" not in before
            assert before == {"staging"} & pipeline.jobs.keys()
            assert pipeline.jobs[f"{name}-after-prod"] == "always"
            assert needed(definition.jobs[f"{name}-after-prod"]) == ["prod"]
        assert pipeline.jobs["status-after-prod"] == "always"
    by_hand = ("rollback", "block", "unblock", "prune", "break-lock", "adopt", "sweep")
    for pipeline in (p for p in pipelines if "status-staging" in p.jobs):
        looked_for = needed(definition.jobs["status-staging"], pipeline)
        assert not [name for name in looked_for if name.endswith("prod") and name != "drift-prod"]
        done = {n for n in by_hand if n in pipeline.jobs}
        assert done <= {*looked_for}, pipeline.name


def test_who_delivers_runs_where_a_variable_says(project: Baked, definition: Definition) -> None:
    of_requests = {"plan", "preview", "preview-down"}
    assert all(not job.get("tags") for job in definition.jobs.values())
    given = gitlab_ci.read(project.path, RUNNER="lake")
    for name, job in given.jobs.items():
        expected = ["$RUNNER"] if has_identity(job) and name not in of_requests else []
        assert job.get("tags", []) == expected, name
    given = gitlab_ci.read(project.path, RUNNER="lake", RUNNER_FOR_REQUESTS="other")
    assert {n for n, job in given.jobs.items() if job.get("tags") == ["$RUNNER_FOR_REQUESTS"]} == (
        of_requests
    )


def test_what_staging_blocks_is_blocked_on_prod(
    project: Baked, definition: Definition, pipelines: list[Pipeline]
) -> None:
    """Where prod has a branch of its own, only that branch reaches it."""
    trunk = project.yaml("delivery.yml")["branches"]["targets"]["prod"] == "main"
    blocking = [p for p in pipelines if "block" in p.jobs]
    assert blocking
    for pipeline in blocking:
        of_staging = pipeline.variables["TARGET"] == "staging"
        assert ("block-on-prod" in pipeline.jobs) == (of_staging and trunk), pipeline.name
    script = definition.jobs["block-on-prod"]["script"]
    assert script == ['.venv-tool/bin/delivery block --reason="$REASON" -- prod "$RELEASE"']
    leaving = [p for p in pipelines if "rollback" in p.jobs]
    assert leaving
    for pipeline in leaving:
        of_staging = pipeline.variables["TARGET"] == "staging"
        assert ("block-left-on-prod" in pipeline.jobs) == (of_staging and trunk), pipeline.name
    left = definition.jobs["block-left-on-prod"]
    assert left["script"][1:] == [
        '.venv-tool/bin/delivery block --left-by=../plan.json --reason="$REASON" -- prod'
    ]
    assert "rollback" in left["needs"]


def test_stages_are_used(definition: Definition) -> None:
    assert {job["stage"] for job in definition.jobs.values()} == {*definition.stages}
    assert all(one != other for one, other in pairwise(definition.stages))
