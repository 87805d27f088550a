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
from harness.delivering import Lake, furnish, lock_file, prepare
from harness.fake_forge import Forge
from harness.github_ci import ACT, GitHub, Ran

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ACT is None, reason="WORKFLOWS NOT RUN: act is not on the PATH"),
]
DONE = ["started", "deployed", "verified"]
EVIL_BRANCH = "feature/x$(touch$IFSspied)`touch$IFSspied`;touch$IFSspied;'\"&&--break-lock"
EVIL_TITLE = "$(touch spied); `touch spied` ::set-output name=RELEASE::x ##[add-mask]x --first"
HOSTILE = "it's $(touch spied) \"; ::add-mask::x ##[add-mask]x --break-lock"


@pytest.fixture
def github(lake: Lake, tmp_path: Path) -> Iterator[GitHub]:
    """A repository on GitHub in which delivery is switched on."""
    with Forge(reviewers={"prod": ["bo"]}, agreeing={"prod": ["bo"]}) as forge:
        yield GitHub(lake, forge, tmp_path / "github")
    assert forge.unknown == []


@pytest.fixture
def started(github: GitHub, holdings: dict[str, object], delivered: Lake) -> GitHub:
    """The same, after the first delivery to staging."""
    return github


def ended(ran: Ran, **jobs: str) -> None:
    """How each job must have ended; act's log is told where it did not."""
    assert {name: ran.jobs.get(name, "skipped") for name in jobs} == jobs, ran.problems[-9000:]


def merge(lake: Lake, branch: str, into: str = "main") -> None:
    """Merge a branch, as the forge does it."""
    git(lake.path, "checkout", "--quiet", into)
    git(
        lake.path, "merge", "--quiet", "--no-ff", "--no-verify", f"--message=merge {branch}", branch
    )


def change(lake: Lake, text: str, branch: str = "feature/x", title: str = "") -> None:
    """A change of code, on a branch of its own."""
    git(lake.path, "checkout", "--quiet", "-b", branch)
    lake.write("src/lakehouse/version_of_the_test.py", f'"""{text}."""\n')
    commit(lake.path, f"feat: {title or text}")


def told(lake: Lake, target: str) -> None:
    """Print the events of a target."""
    for event in reversed(lake.done("history", target, "--output", "json", who="planner").json):
        words = (event["seq"], event["kind"], event["release"], event["actor"])
        print(f"{target}:", *words, event["approved_by"], event["reason"])


@pytest.mark.longest
def test_from_a_request_to_prod_and_back(github: GitHub) -> None:
    lake, forge = github.lake, github.forge
    github.first = True  # act does not hand inputs on to a workflow that is called
    ended(github.push("main"), staging="success", prod="success")
    github.first = False
    assert lake.ledger("staging") == lake.ledger("prod") == DONE
    forge.waiting = {("deliver.yml", "main"): [0]}  # act's own run is 1

    change(lake, "better", EVIL_BRANCH, EVIL_TITLE)
    before = lake.ledger("staging")
    ended(github.request("plan.yml"), build="success", plan="success", comment="success")
    ended(github.request("plan.yml"), comment="success")
    (comment,) = forge.comments
    assert "### Plan for staging" in comment.body
    assert "refuse" not in comment.body
    assert lake.ledger("staging") == before

    merge(lake, EVIL_BRANCH)
    github.page = True
    ended(github.push("main"), release="success", staging="success", prod="success", page="success")
    github.page = False
    for after in ("staging", "prod"):
        name = f"status-page-{after}"
        page = (github.artifacts(name) / "index.html").read_text(encoding="utf-8")
        assert "<h2>staging</h2>" in page
        assert "<h2>prod</h2>" in page
    assert lake.ledger("prod") == 2 * DONE
    assert forge.ended == [0]
    (status,) = lake.done("status", "prod", "--output", "json").json
    head = git(lake.path, "rev-parse", "HEAD").strip()
    assert (status["commit"], status["approved_by"], status["actor"]) == (head, "bo", "ana")
    good = status["release"]

    change(lake, "a mistake", "feature/y")
    merge(lake, "feature/y")
    outcomes = ["fail", "succeed"]
    lake.workspace.on_run("flights_daily", lambda _: outcomes.pop(0) if outcomes else "succeed")
    ended(github.push("main"), staging="failure", prod="skipped")
    assert lake.ledger("staging")[-5:] == [
        "failed",
        "blocked",
        "started",
        "rolled_back",
        "verified",
    ]
    again = github.push("main")
    ended(again, staging="failure", prod="skipped")
    assert "is blocked" in again.log
    change(lake, "a mend", "hotfix/y")
    merge(lake, "hotfix/y")
    ended(github.push("main"), staging="success", prod="success")

    rolled = github.dispatch("rollback.yml", target="prod", release="", reason=HOSTILE)
    ended(rolled, plan="success", rollback="success")
    (status,) = lake.done("status", "prod", "--output", "json").json
    assert status["release"] == good
    assert [*status["blocked"].values()] == [HOSTILE]
    assert not list(github.folder.rglob("spied"))
    told(lake, "staging")
    told(lake, "prod")


def test_exceptions_are_carried_out_and_written_down(started: GitHub) -> None:
    lake, release = started.lake, "2026.11.23-g01234567"
    given = {"target": "staging", "subject": release, "id": "", "reason": "wrong totals"}
    ended(started.dispatch("operate.yml", command="block", **given), operate="success")
    ended(started.dispatch("operate.yml", command="unblock", **given), operate="success")
    assert lake.ledger("staging") == [*DONE, "blocked", "unblocked"]
    assert "blocked" not in lake.ledger("prod")  # nothing was ever delivered there
    failed = started.dispatch("operate.yml", command="block", **{**given, "subject": "--help"})
    ended(failed, operate="failure")
    assert "given '--help', expected a release such as 2026.11.23" in failed.log


def test_drift_is_one_issue_that_comes_and_goes(started: GitHub) -> None:
    job = started.lake.job("staging", "flights_daily")
    before, job["timeout_seconds"] = job["timeout_seconds"], 77
    ended(started.dispatch("drift.yml"), look="failure", tell="failure")  # prod was never delivered
    (issue,) = started.forge.issues
    assert issue.title == "drift on staging"
    assert "timeout_seconds" in issue.body
    job["timeout_seconds"] = before
    started.dispatch("drift.yml")
    assert [i.open for i in started.forge.issues] == [False]


def test_a_preview_comes_with_its_label_and_goes_with_the_request(github: GitHub) -> None:
    lake = github.lake
    github.preview_here()
    change(lake, "a change to look at")
    before = lake.workspace.snapshot(files=False)
    ended(github.request("preview.yml", "synchronize"), up="skipped")
    up = github.request("preview.yml", "labeled", ("preview",))
    ended(up, up="success", comment="success", down="skipped")
    (job,) = lake.workspace.jobs.values()
    assert job["settings"]["name"] == "[pr7] flights_daily"
    assert "`pr7` is up" in github.forge.comments[0].body
    ended(github.request("preview.yml", "closed", ("preview",)), down="success", up="skipped")
    assert lake.workspace.snapshot(files=False) == before


def test_without_the_switch_nothing_reaches_for_a_workspace(github: GitHub) -> None:
    github.variables.clear()
    ended(github.push("main"), release="skipped", staging="skipped")
    assert not [call for call in github.lake.workspace.requests if call.path.startswith("/api")]


def test_what_fails_its_check_is_not_delivered(started: GitHub) -> None:
    started.checked = True
    before = started.lake.ledger("staging")
    started.lake.write("fails", "")
    commit(started.lake.path, "feat: a test fails")
    ended(started.push("main"), check="failure", staging="skipped")
    assert started.lake.ledger("staging") == before


def test_prod_without_reviewers_is_refused(started: GitHub) -> None:
    started.forge.reviewers.clear()
    started.first = True
    said = started.push("main")
    ended(said, staging="success", prod="failure")
    assert "the environment prod has no required reviewers" in said.log
    given = {"target": "prod", "subject": "2026.11.23-g01234567", "id": "", "reason": "x"}
    block = started.dispatch("operate.yml", command="block", **given)
    ended(block, operate="failure")
    assert "the environment prod has no required reviewers" in block.log
    assert started.lake.ledger("prod") == []


def test_where_the_forge_has_no_reviewers_the_digest_approves(started: GitHub) -> None:
    lake = started.lake
    lake.edit("delivery.yml", "prod: environment", "prod: dispatch")
    commit(lake.path, "feat: approve by digest")
    started.first = True
    ended(started.push("main"), staging="success", plan="success", prod="skipped")
    assert lake.ledger("prod") == []
    (file,) = started.artifacts("plan-prod").glob("plan.json")
    archive = next(started.artifacts("release").glob("*.tar.gz"))
    plan = json.loads(file.read_text(encoding="utf-8"))
    release = plan["plan"]["release"]
    wrong = started.dispatch("promote.yml", release=release, digest=64 * "0")
    ended(wrong, prod="failure")
    assert lake.ledger("prod") == []
    held = dict(lake.workspace.files)
    forge_store(lake, swapped(archive, started.folder / "evil"))
    forged = started.dispatch("promote.yml", release=release, digest=plan["digest"])
    ended(forged, fetch="success", rebuild="failure", plan="skipped", prod="skipped")
    lake.workspace.files.update(held)
    right = started.dispatch("promote.yml", release=release, digest=plan["digest"])
    ended(right, rebuild="success", prod="success")
    assert lake.ledger("prod") == DONE


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
        lake = Lake(path, workspace, programs, tmp_path / "home")
        github = GitHub(lake, forge, tmp_path / "github")
        for branch in ("staging", "prod"):
            git(path, "branch", "--force", branch, "main")
        github.first = True
        ended(github.push("staging"), release="success", staging="success", prod="skipped")
        prod = github.push("prod")
        ended(prod, release="skipped", staging="skipped", rebuild="success", prod="success")
        github.first = False
        assert lake.ledger("staging") == lake.ledger("prod") == DONE

        change(lake, "better")
        merge(lake, "feature/x")
        merge(lake, "main", into="prod")  # past staging
        missing = github.push("prod")
        ended(missing, fetch="failure", prod="skipped")
        assert "Merge it to staging first" in missing.log
        git(path, "reset", "--quiet", "--hard", "prod~1")
        merge(lake, "main", into="staging")
        ended(github.push("staging"), staging="success")
        merge(lake, "staging", into="prod")
        ended(github.push("prod"), prod="success")

        git(path, "checkout", "--quiet", "prod")
        change(lake, "a mend", "hotfix/z")
        merge(lake, "hotfix/z", into="staging")
        ended(github.push("staging"), staging="success")
        merge(lake, "hotfix/z", into="prod")
        ended(github.push("prod"), prod="success")
        assert lake.ledger("prod") == 3 * DONE
        merge(lake, "hotfix/z", into="main")
        _mend_past_what_waits(github)
        assert lake.ledger("prod") == 4 * DONE
        told(lake, "staging")
        told(lake, "prod")


def _mend_past_what_waits(github: GitHub) -> None:
    """A hotfix while staging holds what prod must not get yet, as the guide has it."""
    lake, path = github.lake, github.lake.path
    git(path, "checkout", "--quiet", "main")
    change(lake, "unfinished", "feature/w")
    for branch, into in (("feature/w", "main"), ("main", "staging")):
        merge(lake, branch, into=into)
    ended(github.push("staging"), staging="success")
    back = github.dispatch("rollback.yml", target="staging", release="", reason="make room")
    ended(back, rollback="success")
    git(path, "checkout", "--quiet", "prod")
    change(lake, "an urgent mend", "hotfix/u")
    git(path, "checkout", "--quiet", "-b", "hotfix/u-to-staging", "staging")
    git(path, "restore", "--source=hotfix/u", "--staged", "--worktree", ".")
    commit(path, "fix: staging is prod and the urgent mend")
    merge(lake, "hotfix/u-to-staging", into="staging")
    ended(github.push("staging"), staging="success")
    merge(lake, "hotfix/u", into="prod")
    ended(github.push("prod"), prod="success")
