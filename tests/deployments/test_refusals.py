"""What a delivery refuses, and that a refusal changes nothing."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Source
from fake_workspace import Workspace
from harness.baking import commit, expect_success, git
from harness.delivering import Sandbox

pytestmark = pytest.mark.slow

SCHEMA = "resources/flights/schemas.yml"


@pytest.fixture
def untouched(delivered: Sandbox) -> Iterator[Sandbox]:
    """A target that must be the same after the test."""
    before = delivered.workspace.snapshot()
    yield delivered
    assert delivered.workspace.snapshot() == before


def deploy(source: Source, **options: object) -> tuple[object, ...]:
    """The command that delivers the newer release to staging."""
    arguments = [
        part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", value)
    ]
    return "deploy", "staging", "--archive", source.more, *arguments


# --- saved plans ---


@pytest.fixture
def saved(delivered: Sandbox, source: Source, tmp_path: Path) -> Path:
    """A plan of the newer release for staging."""
    file = tmp_path / "plan.json"
    delivered.done("plan", "staging", "--archive", source.more, "--save", file)
    return file


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("release", "2026.01.01-g00000000", "edited"),
        ("expires_at", "2199-01-01T00:00:00Z", "edited"),
        ("changes", [], "edited"),
        ("schema", 3, "update the delivery tool"),
        ("schema", 1, "an earlier version of delivery made this plan"),
    ],
)
def test_a_plan_that_was_edited_is_refused(
    untouched: Sandbox, source: Source, saved: Path, field: str, value: object, reason: str
) -> None:
    document = json.loads(saved.read_text(encoding="utf-8"))
    document["plan"][field] = value
    saved.write_text(json.dumps(document), encoding="utf-8")
    result = untouched.run(*deploy(source, plan=saved))
    assert result.code in (3, 4)
    assert reason in result.err


def test_a_plan_is_carried_out_once(delivered: Sandbox, source: Source, saved: Path) -> None:
    delivered.done(*deploy(source, plan=saved))
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    delivered.done("unblock", "staging", source.more.name.removesuffix(".tar.gz"), "--reason", "ok")
    error = delivered.refused(*deploy(source, plan=saved))
    assert "the target or the release changed since the approval" in error
    assert "serial: approved" in error


def test_a_plan_for_another_release_is_refused(
    untouched: Sandbox, source: Source, saved: Path
) -> None:
    error = untouched.refused("deploy", "staging", "--archive", source.after, "--plan", saved)
    assert "release: approved" in error


def test_a_hand_edit_after_the_plan_is_refused_by_name(
    delivered: Sandbox, source: Source, saved: Path
) -> None:
    delivered.workspace.job("flights_daily")["settings"]["timeout_seconds"] = 77
    error = delivered.refused(*deploy(source, plan=saved))
    assert "jobs.flights_daily" in error
    assert "77" in error
    assert delivered.ledger("staging") == ["started", "deployed", "verified"]


@pytest.mark.parametrize("renewed", [600, 3600])
def test_a_deploy_does_not_begin_with_a_token_that_it_could_outlive(
    delivered: Sandbox, renewed: int
) -> None:
    archive, workspace = delivered.code("second"), delivered.workspace
    identity = {
        "DATABRICKS_AUTH_TYPE": "env-oidc",
        "DATABRICKS_OIDC_TOKEN": "of-the-job",
        "DATABRICKS_CLIENT_ID": workspace.identities.all["deployer"].principal,
    }
    workspace.token_seconds = 600
    workspace.fault("POST", "/workspace/import$", lambda: _live(workspace, renewed))
    result = delivered.run("deploy", "staging", "--archive", archive, **identity)
    if renewed == 600:
        assert result.code == 3
        assert "token: expires in 10 minutes, expected at least 50" in result.err
        assert delivered.ledger("staging") == ["started", "deployed", "verified"]
    else:
        assert (result.code, delivered.ledger("staging")[-1]) == (0, "verified")


def _live(workspace: Workspace, seconds: int) -> None:
    workspace.token_seconds = seconds


# --- targets ---


def _marker(sandbox: Sandbox) -> str:
    return f"{sandbox.root('staging')}/TARGET.json"


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (None, 4, "is not visible"),
        (b"{", 4, "cannot be parsed"),
        (b'{"project": "11111111-1111-4111-8111-111111111111"}', 3, "belongs to the project"),
    ],
)
def test_a_target_that_is_not_ours_is_refused(
    delivered: Sandbox, source: Source, content: bytes | None, code: int, reason: str
) -> None:
    files = delivered.workspace.files
    if content is None:
        del files[_marker(delivered)]
    else:
        files[_marker(delivered)] = content
    before = delivered.workspace.snapshot()
    for command in (
        deploy(source),
        ("plan", "staging", "--archive", source.more),
        ("status", "staging"),
    ):
        assert reason in delivered.refused(*command, code=code)
    assert delivered.workspace.snapshot() == before


def test_a_state_that_no_event_explains_is_refused(delivered: Sandbox, source: Source) -> None:
    files = delivered.workspace.files
    for name in [name for name in files if "/staging/ledger/" in name]:
        del files[name]
    assert "that no event records" in delivered.refused(*deploy(source), "--first")[:400]


# --- the ledger ---


def _event(sandbox: Sandbox, kind: str) -> str:
    folder = f"{sandbox.root('staging')}/ledger/"
    return next(n for n in sandbox.workspace.files if folder in n and f"-{kind}-" in n
                and ".state." not in n)  # fmt: skip


def _changed(content: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(content), **changes}).encode()


FORGERIES: dict[str, Callable[[bytes], bytes | None]] = {
    "deleted": lambda content: None,
    "garbage": lambda content: b"\x00",
    "edited": lambda content: _changed(content, actor="somebody"),
    "of another project": lambda content: _changed(content, project="x"),
    "newer": lambda content: _changed(content, schema=99),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_ledger_that_was_changed_is_told(delivered: Sandbox, forgery: str) -> None:
    name = _event(delivered, "started")
    forged = FORGERIES[forgery](delivered.workspace.files[name])
    if forged is None:
        del delivered.workspace.files[name]
    else:
        delivered.workspace.files[name] = forged
    code = 4 if forgery == "newer" else 3
    error = delivered.refused("history", "staging", code=code)
    assert "ledger of staging" in error


# --- receipts and releases ---


def _fetched(sandbox: Sandbox, folder: Path) -> tuple[Path, dict[str, Any]]:
    found = sandbox.done("fetch", "staging", "--into", folder, "--output", "json").json
    file = Path(found["receipt"])
    return file, json.loads(file.read_text(encoding="utf-8"))


FORGED_RECEIPTS = [
    ({"digest": 64 * "0"}, "has another release or digest"),
    ({"kind": "deployed"}, 'expected "verified" on staging'),
    ({"target": "dev"}, 'expected "verified" on staging'),
    ({"project": "another"}, 'expected "verified" on staging'),
]


def test_a_forged_receipt_is_refused(delivered: Sandbox, source: Source, tmp_path: Path) -> None:
    file, receipt = _fetched(delivered, tmp_path)
    options = ("--archive", source.first, "--receipt", file, "--first")
    saved = tmp_path / "plan.json"
    for changes, reason in FORGED_RECEIPTS:
        file.write_text(json.dumps({**receipt, **changes}), encoding="utf-8")
        plan = delivered.done("plan", "prod", *options, "--save", saved, "--output", "json").json
        assert any(reason in verdict["reason"] for verdict in plan["decisions"])
    approved = ("--plan", saved, "--approved-by", "ana")
    assert reason in delivered.refused("deploy", "prod", *options, *approved)


def test_a_receipt_ends_when_its_target_leaves_the_release(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    file, _ = _fetched(delivered, tmp_path)
    release = source.first.name.removesuffix(".tar.gz")
    delivered.done("block", "staging", release, "--reason", "totals are wrong")
    options = ("--archive", source.first, "--receipt", file, "--first", "--output", "json")
    (verdict,) = delivered.done("plan", "prod", *options).json["decisions"]
    assert verdict["action"] == "refuse"
    assert "was blocked on staging after the receipt" in verdict["reason"]


def test_a_named_key_to_which_nothing_happens_is_told(delivered: Sandbox, source: Source) -> None:
    named = ("--allow-destroy", "volumes.flihgts_landing", "--reason", "moved")
    command = ("plan", "staging", "--archive", source.more, *named, "--output", "json")
    (verdict,) = [v for v in delivered.done(*command).json["decisions"] if "flihgts" in v["key"]]
    assert verdict["reason"] == "may be destroyed, but this plan does not change it"


def test_a_token_of_nobody_is_a_bad_set_up(untouched: Sandbox, source: Source) -> None:
    result = untouched.run("status", "staging", DATABRICKS_TOKEN="of-nobody")
    assert (result.code, result.out) == (4, "")
    assert f"credentials for {untouched.workspace.url}" in result.err


def test_blocking_explains_no_state(delivered: Sandbox, source: Source) -> None:
    files = delivered.workspace.files
    for name in [name for name in files if "/staging/ledger/" in name]:
        del files[name]
    delivered.done("block", "staging", "2026.11.23-g01234567", "--reason", "to get on")
    assert "that no event records" in delivered.refused(*deploy(source))


def test_prod_asks_for_receipt_plan_and_approval(delivered: Sandbox, source: Source) -> None:
    error = delivered.refused("deploy", "prod", "--archive", source.first, "--first")
    assert "approval of prod" in error


def test_a_blocked_release_reaches_no_later_target(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    release = source.first.name.removesuffix(".tar.gz")
    delivered.done("block", "staging", release, "--reason", "wrong totals")
    assert "wrong totals" in delivered.refused("deploy", "staging", "--archive", source.first)
    assert "blocked" in delivered.refused("fetch", "staging", "--into", tmp_path)
    delivered.done("unblock", "staging", release, "--reason", "it was the source")
    delivered.done("fetch", "staging", "--into", tmp_path)


# --- the guard ---


def test_what_holds_data_goes_only_when_it_is_named(delivered: Sandbox, source: Source) -> None:
    delivered.done(*deploy(source))
    error = delivered.refused("deploy", "staging", "--archive", source.after)
    assert "volumes.extra_files" in error
    assert "--allow-destroy volumes.extra_files" in error
    assert "1 of 2 jobs would be deleted" in error
    command = ("deploy", "staging", "--archive", source.after, "--reason", "copied")
    keys = ("schemas.extra_raw", "volumes.extra_files", "secret_scopes.extra_scope",
            "pipelines.extra_pipe", "dashboards.extra_dash", "jobs.extra_job")  # fmt: skip
    named = [part for key in keys for part in ("--allow-destroy", key)]
    delivered.done(*command, *named)
    assert not any("extra" in name for name in delivered.workspace.volumes)


def test_a_planner_may_look_and_nothing_else(untouched: Sandbox, source: Source) -> None:
    untouched.done("plan", "staging", "--archive", source.more, who="planner")
    untouched.done("status", "staging", who="planner")
    untouched.done("history", "staging", who="planner")
    result = untouched.run(*deploy(source), who="planner")
    assert result.code == 1
    assert "Traceback" not in result.err


# --- two at once ---


def _both(
    sandbox: Sandbox, one: tuple[object, ...], other: tuple[object, ...]
) -> list[tuple[int, str]]:
    """Run two commands at the same instant."""
    sandbox.workspace.latency = 0.02
    processes = [sandbox.start(*command) for command in (one, other)]
    results = [(process.communicate(timeout=300), process.wait()) for process in processes]
    sandbox.workspace.latency = 0
    return sorted((code, err) for (_, err), code in results)


@pytest.mark.parametrize("pair", ["two releases", "the same release", "a deploy and a rollback"])
def test_of_two_at_once_one_wins_and_the_other_is_told_who(
    delivered: Sandbox, source: Source, pair: str
) -> None:
    one: tuple[object, ...] = ("deploy", "staging", "--archive", source.after)
    other = deploy(source)
    if pair == "a deploy and a rollback":
        delivered.done("deploy", "staging", "--archive", delivered.code("second"))
        one = ("deploy", "staging", "--archive", delivered.code("third"))
        other = ("rollback", "staging", "--reason", "totals are wrong")
    elif pair == "the same release":
        one = other
    (first, _), (second, errors) = _both(delivered, one, other)
    assert (first, second) == (0, 3), errors
    assert any(reason in errors for reason in ("held by", "is blocked", "is older than"))
    assert delivered.leftovers("staging") == []
    delivered.done("history", "staging")


def test_of_two_first_deploys_one_wins(sandbox: Sandbox, source: Source) -> None:
    one = ("deploy", "staging", "--first", "--archive", source.first)
    (first, _), (second, errors) = _both(sandbox, one, one)
    assert (first, second) == (0, 3), errors
    assert len(sandbox.workspace.jobs) == 1
    assert sandbox.leftovers("staging") == []


def test_a_second_deploy_may_wait(delivered: Sandbox, source: Source) -> None:
    waiting = deploy(source, wait="120s")
    (first, _), (second, errors) = _both(
        delivered, waiting, ("deploy", "staging", "--archive", source.after, "--wait", "120s")
    )
    assert first == 0
    assert second in (0, 3), errors
    assert delivered.leftovers("staging") == []


def test_a_plan_on_the_same_machine_does_not_disturb_a_deploy(
    delivered: Sandbox, source: Source
) -> None:
    delivered.workspace.latency = 0.02
    process = delivered.start(*deploy(source))
    while process.poll() is None:
        delivered.done("plan", "staging", "--archive", source.after)
        time.sleep(0.1)
    assert process.wait() == 0, process.communicate()


# --- forks ---


def test_a_second_project_of_the_same_name_is_refused(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    other = Sandbox(tmp_path / "fork" / delivered.name, delivered.workspace, delivered.programs,
                 tmp_path / "elsewhere")  # fmt: skip
    shutil.copytree(delivered.path, other.path, symlinks=True)
    uuid = other.path / "targets/identity.yml"
    text = uuid.read_text(encoding="utf-8").splitlines()
    uuid.write_text("\n".join("  uuid: 11111111-1111-4111-8111-111111111111" if "uuid:" in line
                              else line for line in text), encoding="utf-8")  # fmt: skip
    commit(other.path, "a project of its own")
    archive = other.release("a project of its own")
    error = other.refused("deploy", "staging", "--first", "--archive", archive)
    assert "belongs to the project" in error


# --- who else is at work ---


def test_the_cli_s_lock_of_somebody_else_is_not_taken(delivered: Sandbox) -> None:
    name = f"{delivered.root('staging')}/state/deploy.lock"
    held = {"ID": "11111111-1111-4111-8111-111111111111", "User": "bo", "IsForced": False}

    def strike() -> None:
        lock = {**held, "AcquisitionTime": "2099-01-01T00:00:00Z"}
        delivered.workspace.files[name] = json.dumps(lock).encode()

    delivered.workspace.fault("POST", r"deploy\.lock", strike)
    error = delivered.refused("deploy", "staging", "--archive", delivered.code("second"))
    assert "held by bo since 2099-01-01T00:00:00Z, who deploys outside delivery" in error
    assert json.loads(delivered.workspace.files[name])["User"] == "bo"
    assert "blocked" not in delivered.ledger("staging")


# --- what a release may not do to itself ---


def test_a_release_does_not_drop_its_own_proof(delivered: Sandbox) -> None:
    before = len(delivered.workspace.runs)
    delivered.edit("delivery.yml", "jobs:\n    flights: flights_daily", "jobs: {}")
    delivered.done("deploy", "staging", "--archive", delivered.code("without proof"))
    assert len(delivered.workspace.runs) == before + 1
    result = delivered.done("plan", "staging", "--archive", delivered.code("again")).out
    assert "nothing verifies this release" in result


def test_rights_of_the_planner_are_seen_by_all(delivered: Sandbox) -> None:
    delivered.edit(
        "databricks.yml",
        "level: CAN_VIEW\n        service_principal_name: ${var.planner}",
        "level: CAN_MANAGE\n        service_principal_name: ${var.planner}",
    )
    archive = ("--archive", delivered.code("the planner manages"), "--output", "json")
    plans = [
        delivered.done("plan", "staging", *archive, who=w).json for w in ("deployer", "planner")
    ]
    assert plans[0]["digest"] == plans[1]["digest"]
    (change,) = [c for c in plans[0]["changes"] if c["key"] == "jobs.flights_daily.permissions"]
    assert [(f["old"], f["new"]) for f in change["fields"]] == [("CAN_VIEW", "CAN_MANAGE")]
    assert ("jobs.flights_daily.permissions", "warn") in [
        (v["key"], v["action"]) for v in plans[0]["decisions"]
    ]


# --- clocks ---


def commit_at(sandbox: Sandbox, time: str) -> None:
    """Commit something, by a clock that says so."""
    sandbox.write("src/lakehouse/more.py", "")
    git(sandbox.path, "add", "--all")
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com")
    command = ("commit", "--quiet", "--no-verify", "--message=another clock")
    expect_success("git", *identity, *command, cwd=sandbox.path, GIT_COMMITTER_DATE=time)


def test_a_commit_of_the_future_becomes_no_release(delivered: Sandbox) -> None:
    commit_at(delivered, "2099-01-01T00:00Z")
    assert "the commit is dated 2099.01.01, in the future" in delivered.refused("release")


def test_order_is_told_by_git_and_not_by_clocks(delivered: Sandbox) -> None:
    commit_at(delivered, "2020-01-01T00:00Z")
    archive = delivered.release("of a slow clock")
    delivered.done("deploy", "staging", "--archive", archive)
    (status,) = delivered.done("status", "staging", "--no-drift", "--output", "json").json
    assert f"{status['release']}.tar.gz" == archive.name
