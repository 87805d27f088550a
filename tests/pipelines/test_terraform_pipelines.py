"""The pipelines of the platform: who may apply what, and the script that they run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Bake
from harness.baking import Baked, run
from harness.terraform import PLACE, copied

pytestmark = pytest.mark.slow

TARGETS = ["dev", "preview", "staging", "prod"]


@pytest.fixture(scope="session")
def platform(bake: Bake) -> Baked:
    """A project with pipelines of both forges."""
    return bake(include_terraform="yes")


IDENTITY = ("DATABRICKS_CLIENT_ID", "DATABRICKS_TOKEN_AUDIENCE", "STATE_TOKEN_AUDIENCE")


def test_github_applies_only_what_reviewers_saw(platform: Baked) -> None:
    workflow = platform.yaml(".github/workflows/terraform.yml")
    assert workflow["permissions"] == {}
    events = workflow[True]  # YAML 1.1 reads `on` as true
    assert {*events} == {"pull_request", "workflow_dispatch"}
    assert events["workflow_dispatch"]["inputs"]["stack"]["options"] == TARGETS
    jobs = workflow["jobs"]
    assert {*jobs} == {"check", "plan", "apply"}
    assert jobs["check"]["permissions"] == {"contents": "read"}
    assert "environment" not in jobs["check"]
    on_demand = "github.event_name == 'workflow_dispatch' && vars.TERRAFORM == 'on'"
    assert (jobs["plan"]["if"], jobs["plan"]["needs"]) == (on_demand, "check")
    assert jobs["apply"]["needs"] == "plan"
    assert "if" not in jobs["apply"]
    for name in ("plan", "apply"):
        assert jobs[name]["environment"] == "terraform"
        assert {*IDENTITY} <= jobs[name]["env"].keys()
        assert all(not str(v).startswith("${{ secrets") for v in jobs[name]["env"].values())
        assert "cache" not in str(jobs[name]["steps"])
    assert jobs["plan"]["outputs"] == {"digest": "${{ steps.plan.outputs.digest }}"}
    assert jobs["apply"]["env"]["DIGEST"] == "${{ needs.plan.outputs.digest }}"
    command = 'infra/terraform/ci.sh apply "$STACK" plan/platform.tfplan "$DIGEST"'
    assert jobs["apply"]["steps"][-1]["run"] == command


def test_gitlab_applies_only_what_approvers_saw(platform: Baked) -> None:
    jobs = platform.yaml(".gitlab/ci/terraform.yml")
    assert {"local": ".gitlab/ci/terraform.yml"} in platform.yaml(".gitlab-ci.yml")["include"]
    shared = jobs[".platform"]
    (rule,) = shared["rules"]
    assert rule["when"] == "manual"
    assert rule["allow_failure"] is False
    assert rule["if"].split(" && ") == [
        '$CI_PIPELINE_SOURCE == "web"', '$PIPELINE == "check"', '$STACK != ""',
        '$TERRAFORM == "on"', "$CI_COMMIT_BRANCH == $PROD_BRANCH",
        '$CI_COMMIT_REF_PROTECTED == "true"',
    ]  # fmt: skip
    assert shared["environment"]["name"] == "terraform"
    assert shared["resource_group"] == "terraform"
    assert {*shared["id_tokens"]} == {"DATABRICKS_OIDC_TOKEN", "STATE_TOKEN"}
    for name in ("terraform-plan", "terraform-apply"):
        assert jobs[name]["extends"] == ".platform"
        assert "rules" not in jobs[name]
    assert "id_tokens" not in jobs["terraform-check"]
    apply = jobs["terraform-apply"]
    assert apply["needs"] == ["terraform-plan"]
    assert apply["variables"] == {"GIT_STRATEGY": "empty"}  # the plan lies beside the code
    assert all(line.startswith(("code/", "export ")) for line in apply["script"])


def test_the_pipelines_of_a_project_without_terraform_are_those_of_one_with_it(bake: Bake) -> None:
    bare, full = (
        bake(**answers).yaml(".gitlab-ci.yml") for answers in ({}, {"include_terraform": "yes"})
    )
    full["include"].remove({"local": ".gitlab/ci/terraform.yml"})
    assert full == bare


GITHUB, GITLAB = ".github/workflows/terraform.yml", ".gitlab/ci/terraform.yml"
LINTERS = {
    "github": [
        ["zizmor", "--offline", "--persona=pedantic", ".github"],
        ["check-jsonschema", "--builtin-schema", "github-workflows", GITHUB],
        ["actionlint", GITHUB],
    ],
    "gitlab": [
        ["check-jsonschema", "--builtin-schema", "gitlab-ci", "--data-transform", "gitlab-ci",
         GITLAB],
    ],
}  # fmt: skip
OF_BOTH = [["yamllint", "--strict", "."], ["shellcheck", f"{PLACE}/ci.sh"]]


@pytest.mark.parametrize("ci", LINTERS)
def test_pipelines_pass_their_linters(ci: str, bake: Bake) -> None:
    project = bake(ci=ci, branching="environments", include_terraform="yes")
    programs = Path(sys.executable).parent
    missing = []
    for command in [*LINTERS[ci], *OF_BOTH]:
        if not (programs / command[0]).exists():
            missing.append(command[0])
            continue
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        result = run(programs / command[0], *command[1:], cwd=project.path, PATH=path)
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    if missing:
        pytest.skip(f"the rest passed; not here: {', '.join(missing)}")


def test_both_pages_tell_of_every_job(platform: Baked) -> None:
    page = platform.text("docs/how-to/terraform.md")
    workflow = platform.yaml(".github/workflows/terraform.yml")
    for name in workflow["jobs"]["apply"]["env"]:
        if name not in ("DIGEST", "STACK", "DATABRICKS_AUTH_TYPE"):
            assert f"`{name}`" in page, name


# --- the script of the pipelines ---


@pytest.fixture
def stub(platform: Baked, tmp_path: Path) -> tuple[Path, Path]:
    """A project, and a `terraform` that writes what it is asked for."""
    root = copied(platform, tmp_path / "lake")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "terraform").write_text(
        '#!/bin/sh\necho "$@" >>"$LOG"\nenv | grep -E "TOKEN_FILE|OIDC" >>"$LOG"\n'
        'for word; do case $word in -out=*) echo "the plan" >"${word#-out=}";; esac; done\n',
        encoding="utf-8",
    )
    (programs / "terraform").chmod(0o755)
    stack = root / PLACE / "stacks/staging"
    (stack / "backend.tf").write_text('terraform {\n  backend "s3" {}\n}\n', encoding="utf-8")
    (stack / ".terraform.lock.hcl").write_text("", encoding="utf-8")
    return root, programs


def ci(
    stub: tuple[Path, Path], *arguments: str, **changes: str
) -> subprocess.CompletedProcess[str]:
    root, programs = stub
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    log = {
        "LOG": str(root / "log"),
        "TMPDIR": str(root),
        "GITHUB_STEP_SUMMARY": str(root / "summary"),
    }
    return run(f"{PLACE}/ci.sh", *arguments, cwd=root, PATH=path, **{**log, **changes})


def log_of(stub: tuple[Path, Path]) -> list[str]:
    file = stub[0] / "log"
    return file.read_text("utf-8").splitlines() if file.exists() else []


def test_exactly_the_approved_plan_is_applied(stub: tuple[Path, Path]) -> None:
    root = stub[0]
    made = ci(stub, "plan", "staging", "plan/it.tfplan", GITHUB_OUTPUT=str(root / "out"))
    assert made.returncode == 0, made.stderr
    digest = (root / "out").read_text("utf-8").strip().removeprefix("digest=")
    assert len(digest) == 64
    assert f"digest of the plan: {digest}" in made.stdout
    assert "init -lockfile=readonly" in " ".join(log_of(stub))
    (root / "log").unlink()
    assert ci(stub, "apply", "staging", "plan/it.tfplan", digest).returncode == 0
    assert log_of(stub)[-1].endswith(f"apply -lock-timeout=5m {root / 'plan/it.tfplan'}")
    (root / "log").unlink()
    (root / "plan/it.tfplan").write_text("another", encoding="utf-8")
    refused = ci(stub, "apply", "staging", "plan/it.tfplan", digest)
    assert refused.returncode == 4
    assert "another plan than the approved one" in refused.stderr
    assert log_of(stub) == []


def test_every_stack_is_validated_and_every_module_tested(stub: tuple[Path, Path]) -> None:
    result = ci(stub, "check")
    assert result.returncode == 0, result.stderr
    called = [line.removeprefix("-chdir=") for line in log_of(stub)]
    place = stub[0] / PLACE
    for kind, command in (("stacks", "validate"), ("modules", "test")):
        for folder in (place / kind).iterdir():
            assert f"{folder} init -backend=false" in called
            assert f"{folder} {command}" in called
    assert f"fmt -check -diff -recursive {place}" in called
    assert not [line for line in called if "apply" in line or "plan" in line]


@pytest.mark.parametrize(
    ("file", "message"),
    [("backend.tf", "no backend.tf"), (".terraform.lock.hcl", "no .terraform.lock.hcl")],
)
def test_a_state_is_never_lost_with_a_runner(
    file: str, message: str, stub: tuple[Path, Path]
) -> None:
    (stub[0] / PLACE / "stacks/staging" / file).unlink()
    result = ci(stub, "plan", "staging", "it.tfplan")
    assert result.returncode == 4
    assert message in result.stderr
    assert log_of(stub) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["plan", "production", "x"],
            "stack: given 'production', expected one of dev github gitlab",
        ),
        (["plan", "", "x"], "stack: given ''"),
        ([], "expected install, check, plan or apply"),
    ],
)
def test_what_is_typed_wrongly_is_told(
    arguments: list[str], message: str, stub: tuple[Path, Path]
) -> None:
    result = ci(stub, *arguments)
    assert (result.returncode, log_of(stub)) == (4, [])
    assert message in result.stderr


def test_the_state_is_read_with_a_token_of_its_own(stub: tuple[Path, Path]) -> None:
    root = stub[0]
    token = {"STATE_TOKEN_AUDIENCE": "sts.amazonaws.com", "STATE_TOKEN": "of-the-job"}
    assert ci(stub, "plan", "staging", "it.tfplan", **token).returncode == 0
    file = root / "state-token"
    assert file.read_text("utf-8") == "of-the-job"
    assert file.stat().st_mode & 0o077 == 0
    assert {f"AWS_WEB_IDENTITY_TOKEN_FILE={file}", f"ARM_OIDC_TOKEN_FILE_PATH={file}",
            "ARM_USE_OIDC=true"} <= {*log_of(stub)}  # fmt: skip


def test_terraform_is_installed_by_its_hash(stub: tuple[Path, Path], tmp_path: Path) -> None:
    """Another archive than the one whose hash is committed is not unpacked."""
    releases = tmp_path / "releases/1.11.4"
    releases.mkdir(parents=True)
    (releases / "terraform_1.11.4_linux_amd64.zip").write_bytes(b"something else")
    result = ci(stub, "install", str(tmp_path / "bin"), TERRAFORM_RELEASES=releases.parent.as_uri())
    assert result.returncode != 0
    assert not (tmp_path / "bin/terraform").exists()
    assert "FAILED" in result.stdout + result.stderr
