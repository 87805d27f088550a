"""Whatever goes wrong, where it goes wrong: the next try finishes, and nothing is left behind.

A few places are chosen in each run; `make bad-days` tries all of them, and more pairs of faults.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Source
from fake_workspace import Workspace
from harness import warm
from harness.delivering import CommandResult, Sandbox, furnish

pytestmark = pytest.mark.slow

KINDS: tuple[int | str, ...] = (429, 500, 503, "reset", "hang", "lost")
STRIDE = int(os.environ.get("BAD_DAYS", "0"))  # 1: everywhere, 3: at every third call
CALLS = 300  # more than any deploy makes
SAMPLE = 6
PATIENT = {"DELIVERY_HTTP_TIMEOUT": "2"}
TRIES = 7


def places() -> Iterator[Any]:
    """Which call goes wrong, in hundredths of all calls or one by one, and how."""
    if not STRIDE:
        yield from ((step, SAMPLE, KINDS[step % len(KINDS)]) for step in range(SAMPLE))
        return
    yield from ((call, 0, kind) for call in range(0, CALLS, STRIDE) for kind in KINDS)


def test_a_lost_answer_leaves_no_double(sandbox: Sandbox, source: Source) -> None:
    sandbox.workspace.fault("POST", "/jobs/create", "lost")
    sandbox.done("deploy", "staging", "--first", "--archive", source.first)
    assert len(sandbox.workspace.jobs) == 1
    assert sandbox.leftovers("staging") == []


@pytest.mark.parametrize(
    "path",
    ["/unity-catalog/schemas", "/unity-catalog/volumes", "/secrets/scopes/create",
     "/lakeview/dashboards", "/api/2.0/pipelines"],
)  # fmt: skip
def test_what_was_made_without_an_answer_is_kept(
    sandbox: Sandbox, source: Source, clean: Clean, path: str
) -> None:
    fault = sandbox.workspace.fault("POST", f"{path}$", "lost")
    sandbox.done("deploy", "staging", "--first", "--archive", source.more)
    assert fault.fired == 1
    assert outcome(sandbox) == clean.outcome
    assert sandbox.leftovers("staging") == []


def test_what_is_there_already_is_adopted_and_not_made_again(
    sandbox: Sandbox, source: Source, clean: Clean
) -> None:
    catalog = f"{sandbox.name.replace('-', '_')}_staging"
    body = {"name": "extra_raw", "catalog_name": catalog, "comment": "by hand"}
    request = urllib.request.Request(
        f"{sandbox.workspace.url}/api/2.1/unity-catalog/schemas",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {sandbox.workspace.token('deployer')}"},
    )
    urllib.request.urlopen(request).close()
    options = ("--archive", source.more)
    error = sandbox.refused("deploy", "staging", "--first", *options)
    advice = f"delivery adopt staging schemas.extra_raw --id {catalog}.extra_raw"
    assert advice in error
    sandbox.done(*advice.split()[1:], *options, "--reason", "made by hand")
    sandbox.done("deploy", "staging", *options)
    assert outcome(sandbox) == clean.outcome


def deaths() -> Iterator[Any]:
    """Before which call something is killed, what, and where the next try is made."""
    ways = [(victim, machine) for victim in ("tool", "both") for machine in ("same", "another")]
    if STRIDE:
        yield from ((call, 0, *way) for call in range(0, CALLS, STRIDE) for way in ways)
    else:
        yield from ((step, 7, *ways[step % len(ways)]) for step in range(1, 7))


@dataclass(frozen=True)
class Clean:
    """A deploy on which nothing went wrong: how many calls it made, and what it led to."""

    calls: int
    outcome: Any


@pytest.fixture(scope="session")
def clean(source: Source, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    """The first deploy of a release with everything in it."""
    folder = tmp_path_factory.mktemp("clean")
    shutil.copytree(source.path, folder / source.path.name, symlinks=True)
    with Workspace(port=source.port) as workspace:
        furnish(workspace, source.path.name)
        sandbox = Sandbox(folder / source.path.name, workspace, programs, folder / "home")
        sandbox.done("deploy", "staging", "--first", "--archive", source.more)
        return Clean(len(workspace.requests), outcome(sandbox))


def outcome(sandbox: Sandbox) -> Any:
    """What is there in the end, apart from the files that tell how it came about."""
    return sandbox.workspace.snapshot(files=False)


def recovered(sandbox: Sandbox, archive: Path) -> list[str]:
    """Type the command again, and what its messages ask for; returns all error messages."""
    errors: list[str] = []
    options: list[str] = []
    for _ in range(TRIES):
        tried = sandbox.run("deploy", "staging", "--first", "--archive", archive, *options)
        assert "Traceback" not in tried.err, tried.err
        if tried.code == 0:
            return errors
        errors.append(tried.err)
        options = mended(sandbox, tried, archive)
    raise AssertionError("no end of it:\n" + "\n---\n".join(errors))


def mended(sandbox: Sandbox, tried: CommandResult, archive: Path) -> list[str]:
    """Do what a message asks for; gives the options of the next try."""
    for key, number in re.findall(r"delivery adopt staging (\w+\.\w+) --id (\S+)", tried.err):
        options = ("--archive", archive, "--reason", "it was cut off")
        if sandbox.run("adopt", "staging", key, "--id", number, *options).code == 3:
            sandbox.done("adopt", "staging", key, "--id", number, *options, "--break-lock")
    if "delivery adopt staging --all" in tried.err:
        sandbox.done(
            "adopt", "staging", "--all", "--archive", archive, "--reason", "it was cut off"
        )
    blocked = re.search(r"delivery unblock staging (\S+) --reason", tried.err)
    if blocked:
        sandbox.done("unblock", "staging", blocked[1], "--reason", "the service stumbled")
    if "--break-lock" in tried.err:
        return ["--break-lock", "--reason", "the machine is gone"]
    return []


@pytest.mark.parametrize(("step", "of", "kind"), list(places()))
def test_a_call_that_fails_once_is_survived(
    sandbox: Sandbox, source: Source, clean: Clean, step: int, of: int, kind: int | str
) -> None:
    nth = 1 + step * clean.calls // of if of else 1 + step
    if nth > clean.calls:
        pytest.skip("there are not so many calls")
    sandbox.extra.update(PATIENT)
    sandbox.workspace.fault_all(nth, kind, seconds=2.5)
    errors = recovered(sandbox, source.more)
    print(f"BAD DAY\t{nth}\t{kind}\t{len(errors)}")
    assert sandbox.leftovers("staging") == []
    assert outcome(sandbox) == clean.outcome
    sandbox.done("history", "staging")


@pytest.mark.parametrize(("step", "of", "victim", "machine"), list(deaths()))
def test_a_kill_is_survived(
    sandbox: Sandbox,
    source: Source,
    clean: Clean,
    tmp_path: Path,
    step: int,
    of: int,
    victim: str,
    machine: str,
) -> None:
    nth = 1 + step * clean.calls // of if of else 1 + step
    if nth > clean.calls:
        pytest.skip("there are not so many calls")
    options = ("--first", "--archive", source.more)
    killed(sandbox, victim, options, lambda strike: sandbox.workspace.fault_all(nth, strike))
    if machine == "another":
        sandbox.home = tmp_path / "another"
    errors = recovered(sandbox, source.more)
    print(f"KILLED\t{nth}\t{victim}\t{machine}\t{len(errors)}")
    assert sandbox.leftovers("staging") == []
    assert outcome(sandbox) == clean.outcome
    sandbox.done("history", "staging")


@pytest.mark.parametrize("path", ["/jobs/(reset|update)$", "/jobs/run-now"])
def test_an_approved_plan_goes_on_after_a_kill_and_nothing_else_with_it(
    delivered: Sandbox, source: Source, tmp_path: Path, path: str
) -> None:
    plan, gone = tmp_path / "plan.json", ("break-lock", "staging", "--reason", "the runner crashed")
    options = ("--archive", source.more, "--plan", plan)
    delivered.done("plan", "staging", *options[:2], "--save", plan)
    killed(
        delivered, "both", options, lambda strike: delivered.workspace.fault("POST", path, strike)
    )
    assert "verified" not in delivered.ledger("staging")[3:]
    delivered.done(*gone)
    settings = delivered.workspace.job("flights_daily")["settings"]
    settings["timeout_seconds"] = 3601
    # The CLI may have created more than it had recorded.
    mended(delivered, delivered.run("deploy", "staging", *options), source.more)
    error = delivered.refused("deploy", "staging", *options)
    assert "jobs.flights_daily: approved" in error
    assert "running: approved" not in error
    settings["timeout_seconds"] = 1200
    verifying = "/jobs/run-now"
    killed(delivered, "tool", options, lambda s: delivered.workspace.fault("POST", verifying, s))
    delivered.done(*gone)
    delivered.done("deploy", "staging", *options)
    assert delivered.ledger("staging")[-1] == "verified"
    assert delivered.leftovers("staging") == []
    assert "changed since the approval" in delivered.refused("deploy", "staging", *options)


# --- two things at once ---

TROUBLES = ("lost", "refused", "storm", "reset", "tool", "both")
STAGES = ("first", "update", "back")
PAIRS = int(os.environ.get("BAD_PAIRS", "12"))
CALLS_OF = {"first": 140, "update": 140, "back": 70}  # about so many calls a stage makes


@dataclass(frozen=True)
class Pair:
    """Two faults in one delivery.

    Attributes:
        stage: of a first delivery, of an update, or of the automatic rollback of one.
        first, second: what goes wrong: an answer is lost, a call is refused, the service turns
            calls away for a while, a connection is cut, the tool dies, the tool and the CLI die.
        at, after: at which call, and how many calls later.
        elsewhere: what is typed after a kill is typed on another machine.
    """

    stage: str
    first: str
    second: str
    at: int
    after: int
    elsewhere: bool

    def __str__(self) -> str:
        where = "elsewhere" if self.elsewhere else "here"
        return f"{self.stage}-{self.first}@{self.at}-{self.second}+{self.after}-{where}"


def pairs(count: int) -> list[Pair]:
    """Every kind with every kind at each stage; as many as are asked for, the same each time."""
    chance = random.Random(11)
    kinds = [(s, a, b) for a in TROUBLES for b in TROUBLES for s in STAGES]
    chance.shuffle(kinds)
    chosen = (kinds * (1 + count // len(kinds)))[:count]
    return [
        Pair(s, a, b, chance.randint(1, CALLS_OF[s]), chance.randint(1, 40), chance.random() < 0.5)
        for s, a, b in chosen
    ]


def chosen_pairs() -> list[Pair]:
    """All that were asked for; on a laptop every second one, among which is each stage."""
    everything = "BAD_PAIRS" in os.environ or os.environ.get("CI")
    return pairs(PAIRS) if everything else pairs(PAIRS)[1::2]


@dataclass
class Machine:
    """Where commands are typed while things go wrong.

    Attributes:
        victim: the process that works on the target now.
        killed: something was killed.
    """

    sandbox: Sandbox
    victim: warm.Started | None = None
    killed: bool = False

    def arm(self, kind: str, nth: int) -> None:
        """Let something go wrong at the nth call from now on."""
        workspace = self.sandbox.workspace
        if kind in ("tool", "both"):
            workspace.fault_all(nth, lambda: self.kill(kind))
        elif kind == "storm":
            workspace.fault_all(nth, 503, times=4)
            workspace.fault_all(nth + 4, 429, times=4)
        else:
            workspace.fault_all(nth, 400 if kind == "refused" else kind)

    def kill(self, kind: str) -> None:
        """End the process that works, and the CLI that it started or not."""
        if self.victim is None or self.victim.poll() is not None:
            return
        self.killed = True
        _kill(self.victim, kind)

    def run(self, *arguments: object) -> CommandResult:
        """Type a command; what it started has ended, too."""
        self.victim = self.sandbox.start(*arguments)
        children: set[int] = set()
        while self.victim.poll() is None:
            children |= warm.children(self.victim.pid)
            time.sleep(0.01)
        out, err = self.victim.communicate()
        _ended(children)
        return CommandResult(self.victim.wait(), out, err)


def settled(machine: Machine, command: tuple[object, ...], archive: Path) -> list[str]:
    """Type a command, and what its messages ask for, until it is done; returns all errors."""
    errors: list[str] = []
    options: list[str] = []
    for _ in range(TRIES):
        tried = machine.run(*command, *options)
        assert "Traceback" not in tried.err, tried.err
        if tried.code == 0:
            return errors
        errors.append(tried.err)
        options = mended(machine.sandbox, tried, archive)
        if command[0] == "rollback":
            options = [one for one in options if one == "--break-lock"]
    raise AssertionError("no end of it:\n" + "\n---\n".join(errors))


@pytest.fixture
def begun(request: pytest.FixtureRequest, holdings: dict[str, Any], pair: Pair) -> Sandbox:
    """A target of nothing, or of the first release, for whose making the port must be free."""
    found: Sandbox = request.getfixturevalue("sandbox" if pair.stage == "first" else "delivered")
    return found


@pytest.mark.parametrize("pair", chosen_pairs(), ids=str)
def test_two_faults_in_one_delivery_leave_nothing_behind(
    begun: Sandbox, source: Source, clean: Clean, tmp_path: Path, pair: Pair
) -> None:
    assert_survived(begun, source, clean.outcome, pair, tmp_path / "elsewhere")


def assert_survived(
    sandbox: Sandbox, source: Source, expected: Any, pair: Pair, elsewhere: Path
) -> None:
    """Deliver while two things go wrong; whatever that leads to, it can be finished."""
    machine, workspace = Machine(sandbox), sandbox.workspace
    sandbox.extra.update(PATIENT)
    deploy: tuple[object, ...] = ("deploy", "staging", "--archive", source.more)
    if pair.stage == "first":
        deploy = (*deploy, "--first")

    def begin() -> None:
        machine.arm(pair.first, pair.at)
        machine.arm(pair.second, pair.at + pair.after)

    if pair.stage == "back":
        outcomes = ["fail"]
        workspace.on_run("extra_job", lambda _: outcomes.pop() if outcomes else "succeed")
        workspace.fault(
            "POST", "-failed-|workspace/import$", Once(sandbox, "failed", begin), times=999
        )
    else:
        begin()
    errors = [machine.run(*deploy).err]
    if machine.killed and pair.elsewhere:
        sandbox.home = elsewhere
    workspace.on_run("extra_job", "succeed")
    if pair.stage == "back":
        if sandbox.ledger("staging")[-1] != "verified":  # it did not come through by itself
            errors += settled(machine, ("rollback", "staging", "--reason", "again"), source.more)
        workspace.faults.clear()
        assert sandbox.leftovers("staging") == []
        assert sandbox.running("staging") == source.first.name.removesuffix(".tar.gz")
        assert [job["settings"]["name"] for job in workspace.jobs.values()] == ["flights_daily"]
    errors += settled(machine, deploy, source.more)
    workspace.faults.clear()
    print(f"PAIR\t{pair}\t{len(errors)}")
    assert sandbox.leftovers("staging") == []
    assert outcome(sandbox) == expected
    sandbox.done("history", "staging")


@dataclass
class Once:
    """Something that is done when the ledger has its first event of a kind."""

    sandbox: Sandbox
    kind: str
    do: Callable[[], None]
    done: bool = False

    def __call__(self) -> None:
        if not self.done and self.kind in self.sandbox.ledger("staging"):
            self.done = True
            self.do()


def killed(
    sandbox: Sandbox,
    victim: str,
    options: tuple[object, ...],
    at: Callable[[Callable[[], None]], object],
) -> None:
    """Begin a deploy, and kill what holds it at a call."""
    begun: list[warm.Started] = []

    def strike() -> None:
        (process,) = begun
        _kill(process, victim)

    at(strike)
    begun.append(sandbox.start("deploy", "staging", *options))
    children: set[int] = set()
    while begun[0].poll() is None:
        children |= warm.children(begun[0].pid)
        time.sleep(0.01)
    begun[0].communicate()
    _ended(children)


def _kill(process: warm.Started, victim: str) -> None:
    """End a tool, and with `both` its CLI: no call comes after the one at which this happens."""
    children = warm.children(process.pid)
    process.kill()
    if victim == "both":
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        _ended(set())


def _ended(children: set[int]) -> None:
    """Wait until what was started has ended, with the forks that did its work."""
    end = time.monotonic() + 60
    while warm.running() or any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < end
        time.sleep(0.02)
