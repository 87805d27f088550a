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
from harness.delivering import Lake

pytestmark = pytest.mark.slow


def digest_of(archive: Path) -> str:
    """What names an archive: the sha256 of its manifest."""
    return hashlib.sha256(contents(archive)["manifest.json"]).hexdigest()


def fetched(lake: Lake, folder: Path, *options: object) -> tuple[Path, Path]:
    """Archive and receipt, as staging's store has them."""
    found = lake.done("fetch", "staging", *options, "--into", folder, "--output", "json").json
    return Path(found["archive"]), Path(found["receipt"])


def test_what_staging_s_owner_put_into_its_store_does_not_reach_prod(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    built = digest_of(source.first)
    forge_store(delivered, swapped(source.first, tmp_path / "evil"))
    said = delivered.refused("fetch", "staging", "--digest", built, "--into", tmp_path)
    assert f"expected {built}, that of the built release" in said
    archive, receipt = fetched(delivered, tmp_path / "forged")
    told = ("--archive", archive, "--receipt", receipt, "--first", "--digest", built)
    assert f"expected {built}" in delivered.refused("plan", "prod", *told)
    plan = tmp_path / "plan.json"
    delivered.done("plan", "prod", *told[:-2], "--save", plan)
    approved = ("--plan", plan, "--approved-by", "ana")
    assert f"expected {built}" in delivered.refused("deploy", "prod", *told, *approved)
    said = delivered.refused("rebuild", receipt, "--into", tmp_path / "rebuilt")
    assert f"a build of its commit has {built}" in said
    assert delivered.ledger("prod") == []


def test_an_artifact_that_was_swapped_within_a_run_is_refused(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    before = delivered.workspace.snapshot()
    other = swapped(source.more, tmp_path / "evil")
    told = ("deploy", "staging", "--archive", other, "--digest", digest_of(source.more))
    assert "The archive was edited" in delivered.refused(*told)
    assert delivered.workspace.snapshot() == before
    delivered.done("deploy", "staging", "--archive", source.more, *told[-2:])


@pytest.mark.parametrize("lost", ["", "0" * 63, "G" * 64, f"{'0' * 64}\n"])
def test_a_digest_that_was_lost_on_its_way_is_not_any_digest(
    delivered: Lake, source: Source, lost: str
) -> None:
    for command in ("plan", "deploy"):
        said = delivered.refused(
            command, "staging", "--archive", source.more, f"--digest={lost}", code=4
        )
        assert "expected the 64 hex digits" in said
    assert "64 hex" in delivered.refused("fetch", "staging", f"--digest={lost}", code=4)


# --- where nothing was built in the run ---


def test_a_rebuild_gives_what_staging_verified(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    archive, receipt = fetched(delivered, tmp_path)
    git(delivered.path, "checkout", "--quiet", "-b", "feature/elsewhere")
    outputs = tmp_path / "outputs"
    told = ("--into", tmp_path / "rebuilt", "--outputs", outputs)
    tree = delivered.path
    first = json.loads(receipt.read_text(encoding="utf-8"))["commit"]
    delivered.done("rebuild", receipt, "--tree", first, *told)
    assert (tmp_path / "rebuilt" / archive.name).read_bytes() == archive.read_bytes()
    assert f"DIGEST={digest_of(source.first)}\n" in outputs.read_text(encoding="utf-8")
    assert git(tree, "status", "--porcelain") == ""
    said = delivered.refused("rebuild", receipt, "--tree", "HEAD")
    assert "its files differ from those of HEAD" in said


def test_a_commit_that_nobody_reviewed_is_not_rebuilt(delivered: Lake, tmp_path: Path) -> None:
    git(delivered.path, "checkout", "--quiet", "-b", "feature/evil")
    delivered.write(EVIL, '"""Evil."""\n')
    archive = delivered.release("evil")
    manifest = json.loads(contents(archive)["manifest.json"])
    file = tmp_path / "receipt.json"
    _, receipt = fetched(delivered, tmp_path / "good")
    event = json.loads(receipt.read_text(encoding="utf-8"))
    named = {"release": manifest["release"], "commit": manifest["commit"]}
    for commit_id in (manifest["commit"], "", "--all", "0" * 40, manifest["commit"][:8]):
        told = {**event, **named, "commit": commit_id, "digest": digest_of(archive)}
        file.write_text(json.dumps(told), encoding="utf-8")
        assert "is not on the branch main" in delivered.refused("rebuild", file)
    file.write_text(json.dumps({**event, "release": manifest["release"]}), encoding="utf-8")
    said = delivered.refused("rebuild", file)
    assert f"its commit belongs to the release {event['release']}" in said
    file.write_text(json.dumps({**event, "target": "dev"}), encoding="utf-8")
    assert "expected one of staging, prod" in delivered.refused("rebuild", file)


def test_git_says_which_tree_a_release_has_and_no_archive_does(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    """An archive in staging's store says that it has the files of what was merged to prod."""
    delivered.write(EVIL, '"""What is merged, and was never on staging."""\n')
    commit(delivered.path, "feat: merged to prod alone")
    tree = git(delivered.path, "rev-parse", "HEAD^{tree}").strip()
    forge_store(delivered, swapped(source.first, tmp_path / "evil", {"tree": tree}))
    seen = len(delivered.workspace.requests)
    said = delivered.refused("fetch", "staging", "--tree", "HEAD", "--into", tmp_path)
    assert "Merge it to main first" in said
    paths = [call.path for call in delivered.workspace.requests[seen:]]
    assert not [path for path in paths if "release.tar.gz" in path]  # to look at one field


def test_the_release_of_a_tree_is_found_by_its_commit(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    first = contents(source.first)["manifest.json"]
    commit_id = json.loads(first)["commit"]
    archive, _ = fetched(delivered, tmp_path, "--tree", commit_id)
    assert archive.name == source.first.name


# --- receipts ---


def test_a_receipt_is_asked_of_the_ledger_that_it_is_of(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    """Three edited fields make a receipt of what staging never saw."""
    _, file = fetched(delivered, tmp_path)
    receipt = json.loads(file.read_text(encoding="utf-8"))
    manifest = json.loads(contents(source.more)["manifest.json"])
    edited = {"release": manifest["release"], "digest": digest_of(source.more)}
    told = {**receipt, **edited, "commit": manifest["commit"]}
    for changes in ({}, {"seq": 99}, {"id": "another"}):
        file.write_text(json.dumps({**told, **changes}), encoding="utf-8")
        options = ("--archive", source.more, "--receipt", file, "--first", "--output", "json")
        (verdict,) = _refused(delivered, *options)
        assert "is not in the ledger of staging" in verdict


def test_a_ledger_with_a_gap_vouches_for_nothing(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    _, file = fetched(delivered, tmp_path)
    for name in [n for n in delivered.workspace.files if "/staging/ledger/00000002-" in n]:
        del delivered.workspace.files[name]
    told = ("--archive", source.first, "--receipt", file, "--first", "--output", "json")
    (verdict,) = _refused(delivered, *told)
    assert "ledger of staging: given event 3, expected 2" in verdict


def test_a_plan_says_how_old_the_word_of_staging_is(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    _, file = fetched(delivered, tmp_path)
    told = ("--archive", source.first, "--receipt", file, "--first")
    assert re.search(
        r"^verified on staging \d{4}-\d\d-\d\d \d\d:\d\d UTC, 0 h before this plan$",
        delivered.done("plan", "prod", *told).out,
        re.MULTILINE,
    )


def _refused(lake: Lake, *options: object) -> list[str]:
    plan = lake.done("plan", "prod", *options).json
    return [v["reason"] for v in plan["decisions"] if v["action"] == "refuse"]


# --- the approved plan ---


def test_going_back_is_held_to_the_digest_of_its_plan(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    delivered.done("deploy", "staging", "--archive", source.more)
    plan, outputs = tmp_path / "plan.json", tmp_path / "outputs"
    reason = ("--reason", "totals are wrong")
    saved = ("--dry-run", "--save", plan, "--outputs", outputs)
    delivered.done("rollback", "staging", *saved, *reason)
    told = dict(line.split("=", 1) for line in outputs.read_text("utf-8").splitlines())
    wrong = ("--plan", plan, "--plan-digest", 64 * "0", *reason)
    before = delivered.ledger("staging")
    assert "plan digest: given 000" in delivered.refused("rollback", "staging", *wrong)
    assert delivered.ledger("staging") == before
    right = ("--plan", plan, "--plan-digest", told["PLAN_DIGEST"], *reason)
    delivered.done("rollback", "staging", *right)


def test_what_going_back_leaves_can_be_blocked_where_it_is_on_its_way(
    delivered: Lake, source: Source, tmp_path: Path
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
    told = dict(line.split("=", 1) for line in outputs.read_text("utf-8").splitlines())
    block = ("block", "prod", "--left-by", plan, *reason)
    assert "expected 000" in delivered.refused(*block, "--plan-digest", 64 * "0")
    assert "blocked" not in delivered.ledger("prod")
    said = delivered.done(*block, "--plan-digest", told["PLAN_DIGEST"], "--output", "json").json
    assert {event["release"] for event in said} == {*left}
    assert f"{left[-1]} is blocked: totals are wrong" in delivered.refused(*waiting)
    assert delivered.done(*block).out == "nothing to do: these releases are blocked already\n"


def waiting_for_prod(lake: Lake, folder: Path, *options: object) -> tuple[object, ...]:
    """What a run types once prod is approved: staging verified it, and its plan was seen."""
    archive, receipt = fetched(lake, folder)
    told = ("prod", "--archive", archive, "--receipt", receipt)
    lake.done("plan", *told, *options, "--save", folder / "plan.json")
    return ("deploy", *told, "--plan", folder / "plan.json", "--approved-by", "ana")


def test_only_a_plan_of_going_back_leaves_something(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    plan, reason = tmp_path / "plan.json", ("--reason", "totals are wrong")
    delivered.done("plan", "staging", "--archive", source.more, "--save", plan)
    said = delivered.refused("block", "staging", "--left-by", plan, *reason, code=4)
    assert "expected the plan of a rollback of this project" in said
    both = (source.first.name.removesuffix(".tar.gz"), "--left-by", plan)
    for given, typed in (("neither", ()), ("both", both)):
        said = delivered.refused("block", "staging", *typed, *reason, code=4)
        assert f"given {given}, expected a release, such as 2026.11.23-g3f2a9c10, or" in said


def test_a_clone_knows_the_branch_as_that_of_its_origin(
    delivered: Lake, source: Source, tmp_path: Path
) -> None:
    """A job that rebuilds has the branch of staging as a remote one only."""
    _, receipt = fetched(delivered, tmp_path / "good")
    clone = tmp_path / "clone" / delivered.name
    clone.parent.mkdir()
    git(tmp_path, "clone", "--quiet", str(delivered.path), str(clone))
    expect_success("git", "checkout", "--quiet", "--detach", cwd=clone)
    git(clone, "branch", "--quiet", "--delete", "--force", "main")
    other = Lake(clone, delivered.workspace, delivered.programs, tmp_path / "home")
    said = other.done("rebuild", receipt, "--output", "json").json
    assert said["digest"] == digest_of(source.first)
