"""GitLab's pipelines, run: from a request to prod and back, against an emulated workspace.

gitlab-ci-local runs the jobs as they are written, each in a checkout of its own. It has no
approvals, no locks and no id tokens: an approval is a manual job that is run by name, and each
environment has a variable that stands for the id token of its jobs. `test_gitlab_pipelines.py`
covers those by reading.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import fake_cli
import pytest
from conftest import Bake
from fake_workspace import Workspace
from harness import gitlab_ci
from harness.archives import forge_store, swapped
from harness.baking import git
from harness.delivering import TARGETS, Sandbox, furnish, lock_file, prepare
from harness.fake_forge import Forge
from harness.gitlab_ci import GitLab, Started

pytestmark = pytest.mark.slow

DELIVERED = ["started", "deployed", "verified"]
WENT_BACK = ["started", "deployed", "failed", "blocked", "started", "rolled_back", "verified"]
TOOL = "tools/delivery/src/delivery/__init__.py"
LATE = 'feature/late$(touch$IFSgone)`touch$IFSgone`;touch$IFSgone;"&&--first'
JOB = "resources/flights/job.yml"
# Whoever types this as a shell would, finds files that were not there.
EVIL = 'totals; touch gone $(touch gone) `touch gone` " --allow-destroy=x ::set-output name=x::y'


@pytest.fixture
def gitlab(
    request: pytest.FixtureRequest,
    bake: Bake,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[GitLab]:
    """A project on GitLab with its settings; nothing is delivered."""
    gitlab_ci.program()
    project = bake(branching=request.param)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = prepare(project, lock_file(project, tmp_path / "lock"), tmp_path / "work", port)
    gitlab_ci.settle(path, f"http://127.0.0.1:{port}")
    gitlab_ci.install(fake_cli.install(tmp_path / "bin").parent)
    with Workspace(port=port) as workspace, Forge() as forge:
        furnish(workspace, path.name)
        bytecode = tmp_path_factory.getbasetemp() / "bytecode"
        sandbox = Sandbox(path, workspace, tmp_path / "bin", tmp_path / "home", bytecode=bytecode)
        yield gitlab_ci.host(sandbox, forge)
    assert (workspace.unknown, forge.unknown) == ([], [])


@pytest.mark.longest
@pytest.mark.parametrize("gitlab", ["trunk", "environments"], indirect=True)
def test_a_change_goes_from_a_request_to_prod_and_back(gitlab: GitLab) -> None:
    waiting = deliver(gitlab, PIPELINE="deliver", DELIVERY_FIRST="true")
    assert_prod_waits_for_its_plan_to_be_approved(gitlab, waiting)
    first = approve(gitlab, waiting)
    assert_a_request_is_planned_by_the_tool_of_main(gitlab)
    second = approve(gitlab, deliver(gitlab))
    assert_what_fails_goes_back_by_itself(gitlab, second)
    assert not [*gitlab.origin.parent.rglob("gone")]
    assert_prod_goes_back_by_hand(gitlab, first)
    if by_digest(gitlab):
        assert_a_release_is_blocked_and_unblocked_by_hand(gitlab, first)
    else:
        assert_a_promotion_has_the_plan_as_its_comment(gitlab)
    if gitlab.branch("prod") != "main":
        assert_a_hotfix_reaches_prod_without_what_waits(gitlab)
    assert_drift_fails_the_night(gitlab)
    for target in TARGETS:
        print(f"{target}: {' '.join(gitlab.sandbox.ledger(target))}")
        assert gitlab.sandbox.leftovers(target) == []


def news(gitlab: GitLab, target: str) -> list[str]:
    """The events since the last time that this was asked."""
    events = gitlab.sandbox.ledger(target)
    new_events = events[gitlab.seen.get(target, 0) :]
    gitlab.seen[target] = len(events)
    return new_events


def deliver(gitlab: GitLab, **form: str) -> Started:
    """What is on main goes to staging and is planned for prod; gives the pipeline that waits."""
    staging = gitlab.merged("staging", **form)
    trunk = gitlab.branch("prod") == "main"
    ran = staging.passes("--needs", "plan-prod" if trunk else "staging")
    planned = ["receipt", "plan-prod"] if trunk else []
    assert ran == {"check:", "release", "staging", *planned}
    assert (news(gitlab, "staging"), news(gitlab, "prod")) == (DELIVERED, [])
    if trunk:
        return staging
    prod = gitlab.merged("prod", **form)
    if not form:
        assert_what_staging_s_owner_swapped_stops_at_the_rebuild(gitlab, prod)
    ran = prod.passes("--needs", "plan-prod")
    assert ran == {"check:", "fetch", "rebuild", "plan-prod"}
    return prod


def assert_what_staging_s_owner_swapped_stops_at_the_rebuild(
    gitlab: GitLab, pipeline: Started
) -> None:
    """Staging's store and its ledger fit each other, but not git."""
    sandbox = gitlab.sandbox
    held, release = dict(sandbox.workspace.files), sandbox.running("staging")
    archive = gitlab.origin.parent / f"{release}.tar.gz"
    kept = f"{sandbox.root('staging')}/archives/{release}/release.tar.gz"
    archive.write_bytes(sandbox.workspace.files[kept])
    forge_store(sandbox, swapped(archive, gitlab.origin.parent / "evil"))
    assert pipeline.passes("fetch") == {"fetch"}
    result = pipeline.run("rebuild")
    assert result.ended("FAIL") == {"rebuild"}
    assert "but a build of its commit has" in result.text
    sandbox.workspace.files.update(held)


def approve(gitlab: GitLab, pipeline: Started) -> str:
    """Whoever has seen the plan approves it; gives the release that prod has now."""
    plan = json.loads(pipeline.artifact("plan-prod", "plan/plan.json"))
    if by_digest(gitlab):
        assert pipeline.passes("prod", PLAN_DIGEST=plan["digest"]) == {"prod"}
    else:
        gitlab.forge.reviewers = gitlab.forge.approvals = {"prod": ["ana"]}
        assert pipeline.passes("prod") == {"prod"}
    assert (news(gitlab, "staging"), news(gitlab, "prod")) == ([], DELIVERED)
    approved = gitlab.sandbox.events("prod")[-1]["approved_by"]
    assert approved == ("" if by_digest(gitlab) else "ana")
    return str(plan["plan"]["release"])


def by_digest(gitlab: GitLab) -> bool:
    """Whether prod is approved by the digest of its plan; otherwise by reviewers of the forge."""
    return "  prod: dispatch" in gitlab.sandbox.text("delivery.yml")


def assert_prod_waits_for_its_plan_to_be_approved(gitlab: GitLab, pipeline: Started) -> None:
    """Without the digest, or where the forge asks nobody, nothing happens."""
    result = pipeline.run("prod")
    assert result.ended("FAIL") == {"prod"}
    assert (
        "the digest of the plan" if by_digest(gitlab) else "no required reviewers"
    ) in result.text
    assert news(gitlab, "prod") == []


def assert_a_request_is_planned_by_the_tool_of_main(gitlab: GitLab) -> None:
    """The code of a request is built without an identity; with one, it never runs."""
    sandbox = gitlab.sandbox
    gitlab.branch_off(LATE)
    innocent = sandbox.text(TOOL)
    spy = f'import os\nif "DATABRICKS_OIDC_TOKEN" in os.environ: open("{gitlab.typed}", "w")\n'
    sandbox.write(TOOL, innocent + spy)
    sandbox.edit(JOB, "timeout_seconds: 1200", "timeout_seconds: 900")
    gitlab.push(f"feat: {EVIL}")
    gitlab.typed.unlink()
    before, request = sandbox.workspace.snapshot(), gitlab.requested(LATE, "main")
    assert request.passes() == {"check:", "build", "plan"}
    assert set(gitlab.typed.read_text(encoding="utf-8").split("\n")) == {
        "make setup", "make tool", "make cli", "make check", "make test", "",
    }  # fmt: skip
    report = request.artifact("plan", "plan.md")
    for part in ("timeout_seconds", "jobs.flights_daily"):
        assert part in report
    assert sandbox.workspace.snapshot() == before
    sandbox.write(TOOL, innocent)
    gitlab.push("feat: without a spy")
    gitlab.merge(LATE, "main")


def assert_what_fails_goes_back_by_itself(gitlab: GitLab, running: str) -> None:
    """A release whose job fails on staging is blocked there and never reaches prod."""
    outcomes = iter(["fail", "succeed"])
    gitlab.sandbox.workspace.on_run("flights_daily", lambda run: next(outcomes))
    gitlab.branch_off("fix/broken")
    gitlab.sandbox.write("src/lakehouse/broken.py", '"""Broken."""\n')
    gitlab.push("fix: break it")
    gitlab.merge("fix/broken", "main")
    pipeline = gitlab.merged("staging")
    assert pipeline.fails("--needs", "staging") == {"staging"}
    assert (news(gitlab, "staging"), news(gitlab, "prod")) == (WENT_BACK, [])
    assert gitlab.sandbox.running("staging") == running
    gitlab.sandbox.workspace.on_run("flights_daily", "succeed")
    if gitlab.branch("prod") != "main":  # staging has not verified these files
        result = gitlab.merged("prod").run("fetch")
        assert result.ended("FAIL") == {"fetch"}
        assert "Merge it to staging first, or see why its deploy failed" in result.text


def assert_prod_goes_back_by_hand(gitlab: GitLab, release: str) -> None:
    """First what it would do, then doing it; the reason is text and nothing else."""
    branch = gitlab.branch("prod")
    pipeline = gitlab.by_hand(branch, PIPELINE="rollback", TARGET="prod", REASON=EVIL)
    assert "rollback-plan" in pipeline.passes("rollback-plan")
    assert news(gitlab, "prod") == []
    assert pipeline.passes("rollback") == {"rollback"}
    assert news(gitlab, "prod") == ["blocked", "started", "rolled_back", "verified"]
    assert gitlab.sandbox.running("prod") == release
    (event,) = [e for e in gitlab.sandbox.events("prod") if e["kind"] == "rolled_back"]
    assert event["reason"] == EVIL
    assert not [*pipeline.folder.rglob("gone")]


def assert_a_release_is_blocked_and_unblocked_by_hand(gitlab: GitLab, release: str) -> None:
    """The exceptions stand in the ledger."""
    branch = gitlab.branch("staging")
    for command in ("block", "unblock"):
        variables = {
            "PIPELINE": command,
            "TARGET": "staging",
            "RELEASE": release,
            "REASON": "a test",
        }
        assert gitlab.by_hand(branch, **variables).passes(command) == {command}
        assert news(gitlab, "staging") == [f"{command}ed"]


def assert_a_promotion_has_the_plan_as_its_comment(gitlab: GitLab) -> None:
    """A request from one protected branch to another sees the token that may write."""
    request = gitlab.requested("main", "staging", protected="true")
    assert request.passes("--needs", "comment") == {"build", "plan", "comment"}
    (comment,) = gitlab.forge.comments
    assert "Plan for staging" in comment.body


def assert_a_hotfix_reaches_prod_without_what_waits(gitlab: GitLab) -> None:
    """Staging becomes prod and the mend, verifies it, and gets what waited back later."""
    sandbox = gitlab.sandbox
    gitlab.branch_off("hotfix/urgent", "prod")
    sandbox.write("src/lakehouse/urgent.py", '"""Urgent."""\n')
    gitlab.push("fix: an urgent mend")
    gitlab.branch_off("hotfix/urgent-to-staging", "staging")
    git(sandbox.path, "restore", "--source=hotfix/urgent", "--staged", "--worktree", ".")
    gitlab.push("fix: staging is prod and the urgent mend")
    gitlab.merge("hotfix/urgent-to-staging", "staging")
    gitlab.pushed("staging").passes("--needs", "staging")
    assert news(gitlab, "staging") == DELIVERED
    gitlab.merge("hotfix/urgent", "prod")
    prod = gitlab.pushed("prod")
    prod.passes("--needs", "plan-prod")
    approve(gitlab, prod)


def assert_drift_fails_the_night(gitlab: GitLab) -> None:
    """What hands changed on prod fails its job; the report, an issue and the page say so."""
    gitlab.sandbox.job("prod", "flights_daily")["timeout_seconds"] = 77
    night = gitlab.start(gitlab.branch("prod"), CI_PIPELINE_SOURCE="schedule")
    result = night.run()
    assert result.ended("FAIL") == {"drift-prod"}
    assert result.ended("PASS") >= {"drift-staging", "sweep", "status"}
    assert "timeout_seconds" in night.artifact("drift-prod", "drift-prod.md")
    assert night.artifact("drift-staging", "drift-staging.md") == ""
    page = night.artifact("status", "public/index.html")
    assert all(part in page for part in (*TARGETS, gitlab.sandbox.running("prod")))
    assert [issue.title for issue in gitlab.forge.issues] == ["drift on prod"]
    gitlab.sandbox.job("prod", "flights_daily")["timeout_seconds"] = 900


@pytest.mark.parametrize("gitlab", ["trunk"], indirect=True)
def test_a_preview_is_up_while_it_is_wanted(gitlab: GitLab) -> None:
    before = gitlab.sandbox.workspace.snapshot(files=False)
    gitlab.branch_off(LATE)
    gitlab.sandbox.write("src/lakehouse/late.py", '"""Late."""\n')
    gitlab.push("feat: late arrivals")
    request = gitlab.requested(LATE, "main")
    assert request.passes("preview") == {"preview"}
    (job,) = gitlab.sandbox.workspace.jobs.values()
    assert "pr42" in job["settings"]["name"]
    assert "pr42" in request.artifact("preview", "preview.md")
    gitlab.merge(LATE, "main")
    gitlab.delete(LATE)
    assert request.passes("preview-down") == {"preview-down"}
    assert gitlab.sandbox.workspace.snapshot(files=False) == before
