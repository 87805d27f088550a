"""What a target says of itself: out of sight, edited, of other versions, of many years."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Source
from fake_workspace.files import CHILDREN
from fake_workspace.wire import Answer, Request
from harness.delivering import Sandbox, write_history

pytestmark = pytest.mark.slow

RELEASE = "2026.11.23-g01234567"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    delivered: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Call]:
    """Run a command in this process: many of them take a moment only."""
    from delivery.cli import app

    for name, value in delivered.settings("deployer").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(delivered.path)
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["delivery", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.main()
        result = capsys.readouterr()
        return int(ended.value.code or 0), result.out, result.err

    yield run
    signal.signal(signal.SIGTERM, before)


def commands(source: Source, folder: Path) -> dict[str, tuple[object, ...]]:
    """Every command that looks at a released target."""
    reason = ("--reason", "because")
    return {
        "status": ("status", "staging"),
        "status --drift": ("status", "staging", "--drift"),
        "history": ("history", "staging"),
        "drift": ("drift", "staging"),
        "doctor": ("doctor", "staging"),
        "fetch": ("fetch", "staging", "--into", folder),
        "plan": ("plan", "staging", "--archive", source.more),
        "deploy": ("deploy", "staging", "--archive", source.more),
        "deploy --dry-run": ("deploy", "staging", "--archive", source.more, "--dry-run"),
        "rollback": ("rollback", "staging", *reason),
        "prune": ("prune", "staging", *reason),
        "block": ("block", "staging", RELEASE, *reason),
        "unblock": ("unblock", "staging", RELEASE, *reason),
        "break-lock": ("break-lock", "staging", *reason),
        "adopt": ("adopt", "staging", "jobs.flights_daily", "--id", "1", "--archive",
                  source.first, *reason),
    }  # fmt: skip


# Which commands use what; all of them look at the marker and at the ledger.
WITHOUT_STATE = ("history", "fetch", "block", "unblock", "break-lock", "rollback")
BY_NAMES = ("block", "unblock", "break-lock", "prune", "rollback", "adopt")  # no event's body
PLACES = {"marker": "TARGET.json", "state": "state/resources.json", "ledger": "ledger"}


@pytest.mark.parametrize("status", [403, 404, 500])
@pytest.mark.parametrize("thing", PLACES)
def test_what_cannot_be_seen_is_never_taken_for_new(
    delivered: Sandbox, source: Source, tmp_path: Path, call: Call, thing: str, status: int
) -> None:
    before, faults = delivered.workspace.snapshot(), delivered.workspace.faults
    for name, command in commands(source, tmp_path / "fetched").items():
        faults.clear()
        path = rf"{delivered.root('staging')}/{PLACES[thing]}"
        fault = delivered.workspace.fault("GET", path, status, times=10**6)
        if thing == "state" and name in WITHOUT_STATE:
            continue
        code, out, err = call(*command)
        message = out if name == "doctor" else err
        assert fault.fired, name
        if status == 500:
            assert code == (2 if name == "doctor" else 1), (name, message)
        else:
            assert (code, "is not visible" in message) == (4, True), (name, message)
        assert not re.search("nothing (happened|delivered)", out), (name, out)
        faults.clear()
        assert delivered.workspace.snapshot() == before, name


def test_what_is_hidden_as_the_service_hides_it(
    delivered: Sandbox, source: Source, tmp_path: Path, call: Call
) -> None:
    tree = delivered.workspace.tree
    for node in [tree.nodes[delivered.root("staging")], *tree.nodes.values()]:
        if node.path.startswith(delivered.root("staging")):
            node.acl, node.owner = [], ""
    for tree.hidden_status in (403, 404):
        for name, command in commands(source, tmp_path / "fetched").items():
            code, out, err = call(*command)
            assert (code, "is not visible" in out + err) == (4, True), (name, out, err)


def test_what_is_gone_is_never_taken_for_new(
    delivered: Sandbox, source: Source, tmp_path: Path, call: Call
) -> None:
    files, nodes = delivered.workspace.files, delivered.workspace.tree.nodes
    whole = dict(nodes)
    for gone in ("state", "ledger"):
        nodes.clear()
        nodes.update(whole)
        for path in [path for path in nodes if f"/staging/{gone}" in path]:
            del nodes[path]
        before = dict(files)
        for name, command in commands(source, tmp_path / "fetched").items():
            if gone == "state" and name in WITHOUT_STATE:
                continue
            code, out, err = call(*command)
            assert (code, "is not visible" in out + err) == (4, True), (name, out, err)
            assert dict(files) == before, name


@pytest.mark.parametrize(("thing", "expected"), [("marker", 4), ("state", 4), ("ledger", 3)])
@pytest.mark.parametrize("content", [b"\x00", b"{}"])
def test_what_cannot_be_read_for_what_it_is_stops_every_command(
    delivered: Sandbox, source: Source, tmp_path: Path, call: Call,
    thing: str, expected: int, content: bytes,
) -> None:  # fmt: skip
    place = f"{delivered.root('staging')}/{PLACES[thing]}"
    files = delivered.workspace.files
    for path in [
        p for p in files if p == place or re.match(rf"{place}/\d+-\w+-[^/]*g\w+\.json", p)
    ]:
        files[path] = content
    before = dict(files)
    for name, command in commands(source, tmp_path / "fetched").items():
        if thing == "state" and name in WITHOUT_STATE:
            continue
        if thing == "ledger" and name in BY_NAMES:
            continue
        code, out, err = call(*command)
        assert code == (2 if name == "doctor" else expected), (name, out, err)
        assert dict(files) == before, name


def test_a_target_whose_first_delivery_was_cut_off_is_not_hidden(sandbox: Sandbox) -> None:
    project = re.search("uuid: (\\S+)", sandbox.text("targets/identity.yml"))
    assert project
    marker = json.dumps({"schema": 1, "project": project[1].strip("\"'")}).encode()
    sandbox.workspace.files[f"{sandbox.root('staging')}/TARGET.json"] = marker
    sandbox.workspace.grant_folder(f"{sandbox.root('staging')}/ledger", "planner", "CAN_READ")
    assert "no release deployed" in sandbox.done("status", "staging").out
    assert sandbox.done("history", "staging").out == "no events\n"


def test_the_ledger_is_there_before_the_marker(sandbox: Sandbox, source: Source) -> None:
    """So a marker without a ledger means that the ledger is not visible."""
    sandbox.done("deploy", "staging", "--first", "--archive", source.first)
    bodies = [call.body for call in sandbox.workspace.requests if call.writes]
    made = next(n for n, body in enumerate(bodies) if b'/staging/ledger"' in body)
    marked = next(n for n, body in enumerate(bodies) if b"/staging/TARGET.json" in body)
    assert made < marked


def test_a_first_plan_sees_no_target_and_makes_none(sandbox: Sandbox, source: Source) -> None:
    before = sandbox.workspace.snapshot()
    sandbox.done("plan", "staging", "--archive", source.first, "--first")
    assert sandbox.workspace.snapshot() == before


# --- edited events ---


def edited(sandbox: Sandbox, kind: str, **changes: Any) -> None:
    folder = f"{sandbox.root('staging')}/ledger/"
    name = next(n for n in sandbox.workspace.files if folder in n and f"-{kind}-" in n
                and ".state." not in n)  # fmt: skip
    body = json.loads(sandbox.workspace.files[name])
    sandbox.workspace.files[name] = json.dumps({**body, **changes}).encode()


def test_an_edited_event_is_shown_by_every_command_that_reads_it(
    delivered: Sandbox, source: Source, tmp_path: Path, call: Call
) -> None:
    edited(delivered, "deployed", branch="mian")
    before = delivered.workspace.snapshot()
    for name, command in commands(source, tmp_path / "fetched").items():
        if name in (*BY_NAMES, "fetch"):
            continue  # they do not read that event
        code, out, err = call(*command)
        assert code == (2 if name == "doctor" else 3), (name, out, err)
        assert "event 2 was edited" in out + err or "event 3 does not follow" in out + err, name
        assert "mian" not in out, name
        assert delivered.workspace.snapshot() == before
    code, out, err = call("status")  # of all targets, of which the other is not visible
    assert (code, "event 2 was edited" in err) == (3, True)
    files, staging, prod = (
        delivered.workspace.files,
        delivered.root("staging"),
        delivered.root("prod"),
    )
    files[f"{prod}/TARGET.json"] = files[f"{staging}/TARGET.json"]
    files[f"{prod}/ledger/README"] = b"no event"
    code, out, err = call("status")  # now the other can be seen, and nothing was delivered there
    assert (code, "event 2 was edited" in err) == (3, True)


# --- other versions ---


def test_a_policy_field_that_a_later_version_dropped_stops_nothing(
    delivered: Sandbox, source: Source
) -> None:
    """A tool whose policy has one more field delivers; then this tool goes on."""
    policy = "tools/delivery/src/delivery/config/policy.py"
    now = delivered.text(policy)
    delivered.edit(policy, "    plan_hours: Annotated[int, Field(ge=1)] | None = None\n",
                   "    plan_hours: Annotated[int, Field(ge=1)] | None = None\n"
                   "    flavour: dict[str, str] = {'sweet': 'yes'}\n")  # fmt: skip
    delivered.edit(policy, "    protected: list[str] = []\n",
                   "    protected: list[str] = []\n    ripe: int = 3\n")  # fmt: skip
    delivered.done("deploy", "staging", "--archive", source.more)
    detail = delivered.events("staging")[-2]["detail"]["policy"]
    assert (detail["flavour"], detail["guard"]["ripe"]) == ({"sweet": "yes"}, 3)
    delivered.write(policy, now)
    assert_commands_work(delivered, source)


def assert_commands_work(sandbox: Sandbox, source: Source) -> None:
    """All that reads the policy of what runs works."""
    sandbox.done("plan", "staging", "--archive", source.after)
    sandbox.done("drift", "staging")
    sandbox.done("status", "staging", "--drift")
    sandbox.done("rollback", "staging", "--reason", "to see that it works")
    sandbox.done("deploy", "staging", "--archive", source.after)
    assert sandbox.leftovers("staging") == []


def test_events_of_an_earlier_version_are_gone_on_from(delivered: Sandbox, source: Source) -> None:
    """They keep the whole policy, as it was then, and without a number."""
    rewrite(delivered, lambda policy: {
        "project": {"name": "x", "compute": "serverless", "url": ""},
        "branches": {"integration": "main", "targets": policy["branches"]["targets"],
                     "prefixes": []},
        "naming": {"keys": "x"}, "cli_versions": [], "data": {"irreversible": ""},
        **{k: v for k, v in policy.items() if k != "schema"},
    })  # fmt: skip
    delivered.done("deploy", "staging", "--archive", source.more)
    assert_commands_work(delivered, source)


def test_a_policy_of_a_newer_form_is_refused_by_its_number(
    delivered: Sandbox, source: Source
) -> None:
    rewrite(delivered, lambda policy: {**policy, "schema": 2})
    error = delivered.refused("plan", "staging", "--archive", source.more, code=4)
    assert "has schema 2, expected at most 1: update the delivery tool" in error


def rewrite(sandbox: Sandbox, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change what the event that delivered keeps of the policy, with a whole chain."""
    import hashlib

    folder, files, previous = (
        f"{sandbox.root('staging')}/ledger/",
        sandbox.workspace.files,
        64 * "0",
    )
    changed = 0
    for name in sorted(n for n in files if folder in n and ".state." not in n):
        body = {**json.loads(files[name]), "previous": previous}
        with contextlib.suppress(KeyError):
            body["detail"]["policy"] = change(body["detail"]["policy"])
            changed += 1
        files[name] = json.dumps(body).encode()
        previous = hashlib.sha256(files[name]).hexdigest()
    assert changed, "no event keeps a policy"


# --- who calls ---


def test_the_tool_names_itself_in_its_own_calls_and_in_those_of_the_cli(
    delivered: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents: list[str] = []
    answer = delivered.workspace.answer

    def noted(request: Request) -> Answer:
        if not request.path.startswith("/.well-known/"):  # before the SDK and the CLI know who asks
            agents.append(request.headers.get("user-agent", ""))
        return answer(request)

    monkeypatch.setattr(delivered.workspace, "answer", noted)
    delivered.done("status", "staging", "--drift")
    own = [agent for agent in agents if "databricks-sdk-py/" in agent]
    assert own
    assert all(agent.startswith("lakehouse-delivery/0.2.0 ") for agent in own)
    of_cli = [agent for agent in agents if agent.startswith("cli/")]
    assert of_cli
    real = [agent for agent in of_cli if "databricks-fake" not in agent]
    assert all("upstream/lakehouse-delivery" in agent for agent in real)


# --- many years ---


def children(sandbox: Sandbox, folder: str) -> int:
    inside = f"{sandbox.root('staging')}/{folder}/"
    nodes = sandbox.workspace.tree.nodes
    return sum(path.startswith(inside) and "/" not in path.removeprefix(inside) for path in nodes)


def test_a_full_folder_takes_no_more(delivered: Sandbox) -> None:
    """As the service says it, so that the tests below mean something."""
    delivered.workspace.tree.most_children = 10
    for number in range(9):
        delivered.workspace.files[f"{delivered.root('staging')}/ledger/x{number}"] = b""
    result = delivered.run("block", "staging", RELEASE, "--reason", "x")
    assert result.code == 1
    assert "Size limit exceeded for folder" in result.err
    assert "delivery prune TARGET" in result.err


def test_a_ledger_at_its_limit_delivers_and_goes_back(delivered: Sandbox, source: Source) -> None:
    """An earlier version kept all events in one folder; it is nearly full."""
    root = f"{delivered.root('staging')}/ledger"
    write_history(delivered, "staging", (CHILDREN - 8) // 4, flat=True)
    for number in range(CHILDREN - 2 - children(delivered, "ledger")):
        delivered.workspace.files[f"{root}/note-{number}.txt"] = b""
    assert children(delivered, "ledger") == CHILDREN - 2  # room for the lock and one folder
    before = {n: c for n, c in delivered.workspace.files.items() if n.startswith(f"{root}/0")}
    delivered.done("deploy", "staging", "--archive", source.more)
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    assert {n: delivered.workspace.files[n] for n in before} == before
    new = [n.removeprefix(f"{root}/") for n in delivered.workspace.files if n.startswith(root)
           and n not in before and not n.endswith(".txt")]  # fmt: skip
    assert {name.partition("/")[0] for name in new} == {"00007000"}
    assert delivered.ledger("staging")[-7:] == [
        "started", "deployed", "verified", "blocked", "started", "rolled_back", "verified",
    ]  # fmt: skip
    delivered.done("history", "staging", "--limit", 20)


def test_a_ledger_of_this_version_never_comes_near_the_limit(
    delivered: Sandbox, source: Source
) -> None:
    write_history(delivered, "staging", 1332)
    assert delivered.events("staging")[-1]["seq"] == 3999
    delivered.done("deploy", "staging", "--archive", source.more)
    folders = [f"ledger/{n}000" for n in ("00001", "00002", "00003", "00004")]
    assert max(children(delivered, folder) for folder in ("ledger", *folders)) < CHILDREN / 5
    assert children(delivered, folders[-1]) == 4  # three events and a state
    result = delivered.done("status", "staging", "--output", "json")
    assert result.json[0]["release"] == source.more.name.removesuffix(".tar.gz")
