"""What was built is what arrives, whoever owns the stage before."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from conftest import Source
from harness.archives import EVIL, contents, forge_store, swapped
from harness.baking import commit, expect_success, git
from harness.delivering import Sandbox

pytestmark = pytest.mark.slow


def digest_of(archive: Path) -> str:
    """What names an archive: the sha256 of its manifest."""
    return hashlib.sha256(contents(archive)["manifest.json"]).hexdigest()


def fetched(sandbox: Sandbox, folder: Path, *options: object) -> tuple[Path, Path]:
    """Archive and receipt, as staging's store has them."""
    found = sandbox.done("fetch", "staging", *options, "--into", folder, "--output", "json").json
    return Path(found["archive"]), Path(found["receipt"])


def test_what_staging_s_owner_put_into_its_store_does_not_reach_prod(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    built = digest_of(source.first)
    forge_store(delivered, swapped(source.first, tmp_path / "evil"))
    error = delivered.refused("fetch", "staging", "--digest", built, "--into", tmp_path)
    assert f"expected {built}, that of the built release" in error
    archive, receipt = fetched(delivered, tmp_path / "forged")
    options = ("--archive", archive, "--receipt", receipt, "--first", "--digest", built)
    assert f"expected {built}" in delivered.refused("plan", "prod", *options)
    plan = tmp_path / "plan.json"
    delivered.done("plan", "prod", *options[:-2], "--save", plan)
    approved = ("--plan", plan, "--approved-by", "ana")
    assert f"expected {built}" in delivered.refused("deploy", "prod", *options, *approved)
    error = delivered.refused("rebuild", receipt, "--into", tmp_path / "rebuilt")
    assert f"a build of its commit has {built}" in error
    assert delivered.ledger("prod") == []


def test_an_artifact_that_was_swapped_within_a_run_is_refused(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    before = delivered.workspace.snapshot()
    other = swapped(source.more, tmp_path / "evil")
    command = ("deploy", "staging", "--archive", other, "--digest", digest_of(source.more))
    assert "The archive was edited" in delivered.refused(*command)
    assert delivered.workspace.snapshot() == before
    delivered.done("deploy", "staging", "--archive", source.more, *command[-2:])


@pytest.mark.parametrize("lost", ["", "0" * 63, "G" * 64, f"{'0' * 64}\n"])
def test_a_digest_that_was_lost_on_its_way_is_not_any_digest(
    delivered: Sandbox, source: Source, lost: str
) -> None:
    for command in ("plan", "deploy"):
        error = delivered.refused(
            command, "staging", "--archive", source.more, f"--digest={lost}", code=4
        )
        assert "expected the 64 hex digits" in error
    assert "64 hex" in delivered.refused("fetch", "staging", f"--digest={lost}", code=4)


# --- where nothing was built in the run ---


def test_a_rebuild_gives_what_staging_verified(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    archive, receipt = fetched(delivered, tmp_path)
    git(delivered.path, "checkout", "--quiet", "-b", "feature/elsewhere")
    outputs = tmp_path / "outputs"
    options = ("--into", tmp_path / "rebuilt", "--outputs", outputs)
    tree = delivered.path
    first = json.loads(receipt.read_text(encoding="utf-8"))["commit"]
    delivered.done("rebuild", receipt, "--tree", first, *options)
    assert (tmp_path / "rebuilt" / archive.name).read_bytes() == archive.read_bytes()
    assert f"DIGEST={digest_of(source.first)}\n" in outputs.read_text(encoding="utf-8")
    assert git(tree, "status", "--porcelain") == ""
    error = delivered.refused("rebuild", receipt, "--tree", "HEAD")
    assert "its files differ from those of HEAD" in error


def test_a_commit_that_nobody_reviewed_is_not_rebuilt(delivered: Sandbox, tmp_path: Path) -> None:
    git(delivered.path, "checkout", "--quiet", "-b", "feature/evil")
    delivered.write(EVIL, '"""Evil."""\n')
    archive = delivered.release("evil")
    manifest = json.loads(contents(archive)["manifest.json"])
    file = tmp_path / "receipt.json"
    _, receipt = fetched(delivered, tmp_path / "good")
    event = json.loads(receipt.read_text(encoding="utf-8"))
    named = {"release": manifest["release"], "commit": manifest["commit"]}
    for commit_id in (manifest["commit"], "", "--all", "0" * 40, manifest["commit"][:8]):
        forged = {**event, **named, "commit": commit_id, "digest": digest_of(archive)}
        file.write_text(json.dumps(forged), encoding="utf-8")
        assert "is not on the branch main" in delivered.refused("rebuild", file)
    file.write_text(json.dumps({**event, "release": manifest["release"]}), encoding="utf-8")
    error = delivered.refused("rebuild", file)
    assert f"its commit belongs to the release {event['release']}" in error
    file.write_text(json.dumps({**event, "target": "dev"}), encoding="utf-8")
    assert "expected one of staging, prod" in delivered.refused("rebuild", file)


def test_git_says_which_tree_a_release_has_and_no_archive_does(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    """An archive in staging's store says that it has the files of what was merged to prod."""
    delivered.write(EVIL, '"""What is merged, and was never on staging."""\n')
    commit(delivered.path, "feat: merged to prod alone")
    tree = git(delivered.path, "rev-parse", "HEAD^{tree}").strip()
    forge_store(delivered, swapped(source.first, tmp_path / "evil", {"tree": tree}))
    seen = len(delivered.workspace.requests)
    error = delivered.refused("fetch", "staging", "--tree", "HEAD", "--into", tmp_path)
    assert "Merge it to main first" in error
    paths = [call.path for call in delivered.workspace.requests[seen:]]
    assert not [path for path in paths if "release.tar.gz" in path]  # to look at one field


def test_the_release_of_a_tree_is_found_by_its_commit(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    first = contents(source.first)["manifest.json"]
    commit_id = json.loads(first)["commit"]
    archive, _ = fetched(delivered, tmp_path, "--tree", commit_id)
    assert archive.name == source.first.name


# --- receipts ---


def test_a_receipt_is_asked_of_the_ledger_that_it_is_of(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    """Three edited fields make a receipt of what staging never saw."""
    _, file = fetched(delivered, tmp_path)
    receipt = json.loads(file.read_text(encoding="utf-8"))
    manifest = json.loads(contents(source.more)["manifest.json"])
    edited = {"release": manifest["release"], "digest": digest_of(source.more)}
    edited_receipt = {**receipt, **edited, "commit": manifest["commit"]}
    for changes in ({}, {"seq": 99}, {"id": "another"}):
        file.write_text(json.dumps({**edited_receipt, **changes}), encoding="utf-8")
        options = ("--archive", source.more, "--receipt", file, "--first", "--output", "json")
        (verdict,) = _refused(delivered, *options)
        assert "is not in the ledger of staging" in verdict


def test_a_ledger_with_a_gap_vouches_for_nothing(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    _, file = fetched(delivered, tmp_path)
    for name in [n for n in delivered.workspace.files if "/staging/ledger/00000002-" in n]:
        del delivered.workspace.files[name]
    options = ("--archive", source.first, "--receipt", file, "--first", "--output", "json")
    (verdict,) = _refused(delivered, *options)
    assert "ledger of staging: given event 3, expected 2" in verdict


def test_a_plan_says_how_old_the_word_of_staging_is(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    _, file = fetched(delivered, tmp_path)
    options = ("--archive", source.first, "--receipt", file, "--first")
    assert re.search(
        r"^verified on staging \d{4}-\d\d-\d\d \d\d:\d\d UTC, 0 h before this plan$",
        delivered.done("plan", "prod", *options).out,
        re.MULTILINE,
    )


def _refused(sandbox: Sandbox, *options: object) -> list[str]:
    plan = sandbox.done("plan", "prod", *options).json
    return [v["reason"] for v in plan["decisions"] if v["action"] == "refuse"]


# --- the approved plan ---


def test_going_back_is_held_to_the_digest_of_its_plan(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    delivered.done("deploy", "staging", "--archive", source.more)
    plan, outputs = tmp_path / "plan.json", tmp_path / "outputs"
    reason = ("--reason", "totals are wrong")
    saved = ("--dry-run", "--save", plan, "--outputs", outputs)
    delivered.done("rollback", "staging", *saved, *reason)
    values = dict(line.split("=", 1) for line in outputs.read_text("utf-8").splitlines())
    wrong = ("--plan", plan, "--plan-digest", 64 * "0", *reason)
    before = delivered.ledger("staging")
    assert "plan digest: given 000" in delivered.refused("rollback", "staging", *wrong)
    assert delivered.ledger("staging") == before
    right = ("--plan", plan, "--plan-digest", values["PLAN_DIGEST"], *reason)
    delivered.done("rollback", "staging", *right)


def test_what_going_back_leaves_can_be_blocked_where_it_is_on_its_way(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    """A run that waits for approval has its receipt; prod may not see the ledger of staging."""
    delivered.done(*waiting_for_prod(delivered, tmp_path / "first", "--first"), "--first")
    later = [delivered.code("one"), delivered.code("two")]
    for archive in later:
        delivered.done("deploy", "staging", "--archive", archive)
    waiting = waiting_for_prod(delivered, tmp_path / "after")
    plan, outputs = tmp_path / "back.json", tmp_path / "outputs"
    first, *left = (a.name.removesuffix(".tar.gz") for a in (source.first, *later))
    reason = ("--reason", "totals are wrong")
    saved = ("--dry-run", "--save", plan, "--outputs", outputs)
    delivered.done("rollback", "staging", first, *saved, *reason)
    values = dict(line.split("=", 1) for line in outputs.read_text("utf-8").splitlines())
    block = ("block", "prod", "--left-by", plan, *reason)
    assert "expected 000" in delivered.refused(*block, "--plan-digest", 64 * "0")
    assert "blocked" not in delivered.ledger("prod")
    result = delivered.done(*block, "--plan-digest", values["PLAN_DIGEST"], "--output", "json").json
    assert {event["release"] for event in result} == {*left}
    assert f"{left[-1]} is blocked: totals are wrong" in delivered.refused(*waiting)
    assert delivered.done(*block).out == "nothing to do: these releases are blocked already\n"


def waiting_for_prod(sandbox: Sandbox, folder: Path, *options: object) -> tuple[object, ...]:
    """What a run types once prod is approved: staging verified it, and its plan was seen."""
    archive, receipt = fetched(sandbox, folder)
    arguments = ("prod", "--archive", archive, "--receipt", receipt)
    sandbox.done("plan", *arguments, *options, "--save", folder / "plan.json")
    return ("deploy", *arguments, "--plan", folder / "plan.json", "--approved-by", "ana")


def test_only_a_plan_of_going_back_leaves_something(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    plan, reason = tmp_path / "plan.json", ("--reason", "totals are wrong")
    delivered.done("plan", "staging", "--archive", source.more, "--save", plan)
    error = delivered.refused("block", "staging", "--left-by", plan, *reason, code=4)
    assert "expected the plan of a rollback of this project" in error
    both = (source.first.name.removesuffix(".tar.gz"), "--left-by", plan)
    for given, typed in (("neither", ()), ("both", both)):
        error = delivered.refused("block", "staging", *typed, *reason, code=4)
        assert f"given {given}, expected a release, such as 2026.11.23-g3f2a9c10, or" in error


def test_a_clone_knows_the_branch_as_that_of_its_origin(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    """A job that rebuilds has the branch of staging as a remote one only."""
    _, receipt = fetched(delivered, tmp_path / "good")
    clone = tmp_path / "clone" / delivered.name
    clone.parent.mkdir()
    git(tmp_path, "clone", "--quiet", str(delivered.path), str(clone))
    expect_success("git", "checkout", "--quiet", "--detach", cwd=clone)
    git(clone, "branch", "--quiet", "--delete", "--force", "main")
    other = Sandbox(clone, delivered.workspace, delivered.programs, tmp_path / "home")
    result = other.done("rebuild", receipt, "--output", "json").json
    assert result["digest"] == digest_of(source.first)
