"""The workflows of GitHub, carried out by act: from a pull request to prod, and back.

act emulates neither approvals nor branch rules: who is asked is the emulated forge's word, and that
no request reaches prod is proven in `test_pipelines.py`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Bake, Source
from fake_workspace import Workspace
from harness.archives import forge_store, swapped
from harness.baking import commit, git
from harness.delivering import Sandbox, furnish, lock_file, prepare
from harness.fake_forge import Forge
from harness.github_ci import ACT, GitHub, WorkflowResult

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ACT is None, reason="WORKFLOWS NOT RUN: act is not on the PATH"),
]
DONE = ["started", "deployed", "verified"]
EVIL_BRANCH = "feature/x$(touch$IFSspied)`touch$IFSspied`;touch$IFSspied;'\"&&--break-lock"
EVIL_TITLE = "$(touch spied); `touch spied` ::set-output name=RELEASE::x ##[add-mask]x --first"
HOSTILE = "it's $(touch spied) \"; ::add-mask::x ##[add-mask]x --break-lock"


@pytest.fixture
def github(sandbox: Sandbox, tmp_path: Path) -> Iterator[GitHub]:
    """A repository on GitHub in which delivery is switched on."""
    with Forge(reviewers={"prod": ["bo"]}, agreeing={"prod": ["bo"]}) as forge:
        yield GitHub(sandbox, forge, tmp_path / "github")
    assert forge.unknown == []


@pytest.fixture
def started(github: GitHub, holdings: dict[str, object], delivered: Sandbox) -> GitHub:
    """The same, after the first delivery to staging."""
    return github


def ended(ran: WorkflowResult, **jobs: str) -> None:
    """How each job must have ended; act's log is told where it did not."""
    assert {name: ran.jobs.get(name, "skipped") for name in jobs} == jobs, ran.problems[-9000:]


def merge(sandbox: Sandbox, branch: str, into: str = "main") -> None:
    """Merge a branch, as the forge does it."""
    git(sandbox.path, "checkout", "--quiet", into)
    git(
        sandbox.path,
        "merge",
        "--quiet",
        "--no-ff",
        "--no-verify",
        f"--message=merge {branch}",
        branch,
    )


def change(sandbox: Sandbox, text: str, branch: str = "feature/x", title: str = "") -> None:
    """A change of code, on a branch of its own."""
    git(sandbox.path, "checkout", "--quiet", "-b", branch)
    sandbox.write("src/lakehouse/version_of_the_test.py", f'"""{text}."""\n')
    commit(sandbox.path, f"feat: {title or text}")


def print_events(sandbox: Sandbox, target: str) -> None:
    """Print the events of a target."""
    for event in reversed(sandbox.done("history", target, "--output", "json", who="planner").json):
        words = (event["seq"], event["kind"], event["release"], event["actor"])
        print(f"{target}:", *words, event["approved_by"], event["reason"])


@pytest.mark.longest
def test_from_a_request_to_prod_and_back(github: GitHub) -> None:
    sandbox, forge = github.sandbox, github.forge
    github.first = True  # act does not hand inputs on to a workflow that is called
    ended(github.push("main"), staging="success", prod="success")
    github.first = False
    assert sandbox.ledger("staging") == sandbox.ledger("prod") == DONE
    forge.waiting = {("deliver.yml", "main"): [0]}  # act's own run is 1

    change(sandbox, "better", EVIL_BRANCH, EVIL_TITLE)
    before = sandbox.ledger("staging")
    ended(github.request("plan.yml"), build="success", plan="success", comment="success")
    ended(github.request("plan.yml"), comment="success")
    (comment,) = forge.comments
    assert "### Plan for staging" in comment.body
    assert "refuse" not in comment.body
    assert sandbox.ledger("staging") == before

    merge(sandbox, EVIL_BRANCH)
    github.page = True
    ended(github.push("main"), release="success", staging="success", prod="success", page="success")
    github.page = False
    for after in ("staging", "prod"):
        name = f"status-page-{after}"
        page = (github.artifacts(name) / "index.html").read_text(encoding="utf-8")
        assert "<h2>staging</h2>" in page
        assert "<h2>prod</h2>" in page
    assert sandbox.ledger("prod") == 2 * DONE
    assert forge.ended == [0]
    (status,) = sandbox.done("status", "prod", "--output", "json").json
    head = git(sandbox.path, "rev-parse", "HEAD").strip()
    assert (status["commit"], status["approved_by"], status["actor"]) == (head, "bo", "ana")
    good = status["release"]

    change(sandbox, "a mistake", "feature/y")
    merge(sandbox, "feature/y")
    outcomes = ["fail", "succeed"]
    sandbox.workspace.on_run("flights_daily", lambda _: outcomes.pop(0) if outcomes else "succeed")
    ended(github.push("main"), staging="failure", prod="skipped")
    assert sandbox.ledger("staging")[-5:] == [
        "failed",
        "blocked",
        "started",
        "rolled_back",
        "verified",
    ]
    again = github.push("main")
    ended(again, staging="failure", prod="skipped")
    assert "is blocked" in again.log
    change(sandbox, "a mend", "hotfix/y")
    merge(sandbox, "hotfix/y")
    ended(github.push("main"), staging="success", prod="success")

    rolled = github.dispatch("rollback.yml", target="prod", release="", reason=HOSTILE)
    ended(rolled, plan="success", rollback="success")
    (status,) = sandbox.done("status", "prod", "--output", "json").json
    assert status["release"] == good
    assert [*status["blocked"].values()] == [HOSTILE]
    assert not list(github.folder.rglob("spied"))
    print_events(sandbox, "staging")
    print_events(sandbox, "prod")


def test_exceptions_are_carried_out_and_written_down(started: GitHub) -> None:
    sandbox, release = started.sandbox, "2026.11.23-g01234567"
    given = {"target": "staging", "subject": release, "id": "", "reason": "wrong totals"}
    ended(started.dispatch("operate.yml", command="block", **given), operate="success")
    ended(started.dispatch("operate.yml", command="unblock", **given), operate="success")
    assert sandbox.ledger("staging") == [*DONE, "blocked", "unblocked"]
    assert "blocked" not in sandbox.ledger("prod")  # nothing was ever delivered there
    failed = started.dispatch("operate.yml", command="block", **{**given, "subject": "--help"})
    ended(failed, operate="failure")
    assert "given '--help', expected a release such as 2026.11.23" in failed.log


def test_drift_is_one_issue_that_comes_and_goes(started: GitHub) -> None:
    job = started.sandbox.job("staging", "flights_daily")
    before, job["timeout_seconds"] = job["timeout_seconds"], 77
    ended(started.dispatch("drift.yml"), look="failure", tell="failure")  # prod was never delivered
    (issue,) = started.forge.issues
    assert issue.title == "drift on staging"
    assert "timeout_seconds" in issue.body
    job["timeout_seconds"] = before
    started.dispatch("drift.yml")
    assert [i.open for i in started.forge.issues] == [False]


def test_a_preview_comes_with_its_label_and_goes_with_the_request(github: GitHub) -> None:
    sandbox = github.sandbox
    github.preview_here()
    change(sandbox, "a change to look at")
    before = sandbox.workspace.snapshot(files=False)
    ended(github.request("preview.yml", "synchronize"), up="skipped")
    up = github.request("preview.yml", "labeled", ("preview",))
    ended(up, up="success", comment="success", down="skipped")
    (job,) = sandbox.workspace.jobs.values()
    assert job["settings"]["name"] == "[pr7] flights_daily"
    assert "`pr7` is up" in github.forge.comments[0].body
    ended(github.request("preview.yml", "closed", ("preview",)), down="success", up="skipped")
    assert sandbox.workspace.snapshot(files=False) == before


def test_without_the_switch_nothing_reaches_for_a_workspace(github: GitHub) -> None:
    github.variables.clear()
    ended(github.push("main"), release="skipped", staging="skipped")
    assert not [call for call in github.sandbox.workspace.requests if call.path.startswith("/api")]


def test_what_fails_its_check_is_not_delivered(started: GitHub) -> None:
    started.checked = True
    before = started.sandbox.ledger("staging")
    started.sandbox.write("fails", "")
    commit(started.sandbox.path, "feat: a test fails")
    ended(started.push("main"), check="failure", staging="skipped")
    assert started.sandbox.ledger("staging") == before


def test_prod_without_reviewers_is_refused(started: GitHub) -> None:
    started.forge.reviewers.clear()
    started.first = True
    result = started.push("main")
    ended(result, staging="success", prod="failure")
    assert "the environment prod has no required reviewers" in result.log
    given = {"target": "prod", "subject": "2026.11.23-g01234567", "id": "", "reason": "x"}
    block = started.dispatch("operate.yml", command="block", **given)
    ended(block, operate="failure")
    assert "the environment prod has no required reviewers" in block.log
    assert started.sandbox.ledger("prod") == []


def test_where_the_forge_has_no_reviewers_the_digest_approves(started: GitHub) -> None:
    sandbox = started.sandbox
    sandbox.edit("delivery.yml", "prod: environment", "prod: dispatch")
    commit(sandbox.path, "feat: approve by digest")
    started.first = True
    ended(started.push("main"), staging="success", plan="success", prod="skipped")
    assert sandbox.ledger("prod") == []
    (file,) = started.artifacts("plan-prod").glob("plan.json")
    archive = next(started.artifacts("release").glob("*.tar.gz"))
    plan = json.loads(file.read_text(encoding="utf-8"))
    release = plan["plan"]["release"]
    wrong = started.dispatch("promote.yml", release=release, digest=64 * "0")
    ended(wrong, prod="failure")
    assert sandbox.ledger("prod") == []
    held = dict(sandbox.workspace.files)
    forge_store(sandbox, swapped(archive, started.folder / "evil"))
    forged = started.dispatch("promote.yml", release=release, digest=plan["digest"])
    ended(forged, fetch="success", rebuild="failure", plan="skipped", prod="skipped")
    sandbox.workspace.files.update(held)
    right = started.dispatch("promote.yml", release=release, digest=plan["digest"])
    ended(right, rebuild="success", prod="success")
    assert sandbox.ledger("prod") == DONE


@pytest.mark.longest
def test_environments_deliver_by_merges_and_prod_takes_what_staging_verified(
    bake: Bake, programs: Path, tmp_path: Path, source: Source
) -> None:
    project = bake(branching="environments")
    folder = tmp_path / "project"
    shutil.copytree(project.path, folder / project.path.name)
    lock = lock_file(project, tmp_path / "lock")
    people = {"prod": ["bo"]}
    with Workspace() as workspace, Forge(reviewers=people, agreeing=people) as forge:
        port = int(workspace.url.rpartition(":")[2])
        path = prepare(project, lock, tmp_path / "checkout", port)
        furnish(workspace, path.name)
        sandbox = Sandbox(path, workspace, programs, tmp_path / "home")
        github = GitHub(sandbox, forge, tmp_path / "github")
        for branch in ("staging", "prod"):
            git(path, "branch", "--force", branch, "main")
        github.first = True
        ended(github.push("staging"), release="success", staging="success", prod="skipped")
        prod = github.push("prod")
        ended(prod, release="skipped", staging="skipped", rebuild="success", prod="success")
        github.first = False
        assert sandbox.ledger("staging") == sandbox.ledger("prod") == DONE

        change(sandbox, "better")
        merge(sandbox, "feature/x")
        merge(sandbox, "main", into="prod")  # past staging
        missing = github.push("prod")
        ended(missing, fetch="failure", prod="skipped")
        assert "Merge it to staging first" in missing.log
        git(path, "reset", "--quiet", "--hard", "prod~1")
        merge(sandbox, "main", into="staging")
        ended(github.push("staging"), staging="success")
        merge(sandbox, "staging", into="prod")
        ended(github.push("prod"), prod="success")

        assert sandbox.ledger("prod") == 2 * DONE
        _mend_past_what_waits(github)
        assert sandbox.ledger("prod") == 3 * DONE
        print_events(sandbox, "staging")
        print_events(sandbox, "prod")


def _mend_past_what_waits(github: GitHub) -> None:
    """A hotfix while staging holds what prod must not get yet, as the guide has it."""
    sandbox, path = github.sandbox, github.sandbox.path
    git(path, "checkout", "--quiet", "main")
    change(sandbox, "unfinished", "feature/w")
    for branch, into in (("feature/w", "main"), ("main", "staging")):
        merge(sandbox, branch, into=into)
    ended(github.push("staging"), staging="success")
    back = github.dispatch("rollback.yml", target="staging", release="", reason="make room")
    ended(back, rollback="success")
    git(path, "checkout", "--quiet", "prod")
    change(sandbox, "an urgent mend", "hotfix/u")
    git(path, "checkout", "--quiet", "-b", "hotfix/u-to-staging", "staging")
    git(path, "restore", "--source=hotfix/u", "--staged", "--worktree", ".")
    commit(path, "fix: staging is prod and the urgent mend")
    merge(sandbox, "hotfix/u-to-staging", into="staging")
    ended(github.push("staging"), staging="success")
    merge(sandbox, "hotfix/u", into="prod")
    ended(github.push("prod"), prod="success")
