"""The delivery tool compared with the CLI alone: plan, deploy, check, release, start, history."""

from __future__ import annotations

import shutil
import socket
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bake import bake
from benchmarks.figures import Figure, Note, ratio
from benchmarks.measure import Command, Run, Side, alternate, progress, run
from benchmarks.workshop import CHECKOUT, Workshop, need_modules, need_programs

sys.path.insert(0, str(CHECKOUT / "tests"))  # the emulated workspace is in tests/

from fake_workspace import Workspace
from harness.baking import Baked
from harness.delivering import (
    Sandbox,
    add_jobs,
    furnish,
    hold,
    lock_file,
    prepare,
    restore,
    write_history,
)

PART = "delivery"
SIZES = (1, 30, 300)  # jobs of a bundle
RELEASES = 1000  # of a long history
_TARGET = "staging"
_REPEATS = 5  # of a command without a counterpart


@dataclass(frozen=True)
class Bundle:
    """A project with some jobs, its two releases, and the workspace it is delivered to.

    Attributes:
        opened: the second release for the CLI alone: a folder with all its files.
    """

    jobs: int
    sandbox: Sandbox
    archives: tuple[Path, Path]
    opened: Path

    def tool(self, *arguments: object) -> Run:
        """Run a command of the delivery tool."""
        words = (sys.executable, "-m", "delivery", *map(str, arguments))
        return run(Command(words, self.sandbox.path, self.sandbox.settings("deployer")))

    def bare(self, *arguments: str) -> Run:
        """Run the CLI with its own defaults, on the second release."""
        words = ("databricks", "bundle", *arguments, "--target", _TARGET)
        return run(Command(words, self.opened, self.sandbox.settings("deployer")))


def measure(workshop: Workshop, pairs: int) -> Iterator[Figure | Note]:
    """Compare at each size; comparisons with the CLI need the real one."""
    need_modules("cookiecutter", "typer", "pydantic")
    need_programs("git", "uv")
    port = _free_port()
    project = _baked(workshop)
    lock = lock_file(project, workshop.new_folder("lock"))
    for jobs in SIZES:
        folder = workshop.new_folder(f"delivery-{jobs}")
        with Workspace(port=port) as workspace:
            sandbox = Sandbox(
                prepare(project, lock, folder, port), workspace, _programs(), folder / "h"
            )
            bundle = _built(sandbox, jobs)
            yield from _offline(bundle)
            yield from _against_the_cli(bundle, pairs)
            if jobs == SIZES[-1]:
                yield from _long_history(bundle)


def _built(sandbox: Sandbox, jobs: int) -> Bundle:
    progress(f"  {jobs} jobs: building two releases")
    furnish(sandbox.workspace, sandbox.name)
    add_jobs(sandbox.path, jobs - 1)
    first, second = sandbox.release("first"), sandbox.code("second")
    opened = sandbox.path.parent / "opened"
    with tarfile.open(second) as archive:
        archive.extractall(opened, filter="data")
    return Bundle(jobs, sandbox, (first, second), opened)


def _offline(bundle: Bundle) -> Iterator[Figure]:
    """The commands that need no workspace."""
    if bundle.jobs == SIZES[0]:
        yield _repeated("delivery --help", lambda: bundle.tool("--help"))
    yield _repeated(f"{bundle.jobs} jobs: delivery check", lambda: bundle.tool("check"))
    archive = bundle.archives[1]
    size = archive.stat().st_size / 1024
    yield Figure(PART, f"{bundle.jobs} jobs: size of a release", "KiB", (size,))

    def again() -> Run:
        archive.unlink(missing_ok=True)
        return bundle.tool("release")

    yield _repeated(f"{bundle.jobs} jobs: delivery release", again)


def _against_the_cli(bundle: Bundle, pairs: int) -> Iterator[Figure | Note]:
    """Plan and deploy of changed code, each compared with the CLI's own."""
    bundle.tool("deploy", _TARGET, "--first", "--archive", bundle.archives[0])
    if not shutil.which("databricks"):
        yield Note(PART, f"{bundle.jobs} jobs: not compared: the real CLI is not on the PATH")
        return
    workspace = bundle.sandbox.workspace
    held = hold(workspace)
    options = (_TARGET, "--archive", bundle.archives[1])
    requests: dict[str, int] = {}

    def side(name: str, run_it: Callable[[], Run]) -> Side:
        def once() -> Run:
            restore(workspace, held)
            shutil.rmtree(bundle.opened / ".databricks", ignore_errors=True)
            workspace.requests.clear()
            done = run_it()
            requests[name] = len(workspace.requests)
            return done

        return Side(name, once)

    for ours, theirs in (
        (lambda: bundle.tool("plan", *options), lambda: bundle.bare("plan")),
        (
            lambda: bundle.tool("deploy", *options),
            lambda: bundle.bare("deploy", "--auto-approve"),
        ),
    ):
        step = "plan" if not requests else "deploy"
        yield from _compared(
            f"{bundle.jobs} jobs: {step}", side("delivery", ours), side("CLI", theirs), pairs
        )
        for name in ("delivery", "CLI"):
            count = float(requests[name])
            yield Figure(PART, f"{bundle.jobs} jobs: {step}: {name}: requests", "", (count,))


def _compared(step: str, ours: Side, theirs: Side, pairs: int) -> Iterator[Figure]:
    """Both wall times, their ratio, and the additional seconds of the tool."""
    runs = list(alternate(ours, theirs, pairs))
    mine, bare = (tuple(pair[side].seconds for pair in runs) for side in (0, 1))
    yield Figure(PART, f"{step}: delivery", "s", mine)
    yield Figure(PART, f"{step}: CLI", "s", bare)
    yield ratio(PART, f"{step}: delivery / CLI", mine, bare)
    more = tuple(a - b for a, b in zip(mine, bare, strict=True))
    yield Figure(PART, f"{step}: delivery - CLI", "s", more)


def _long_history(bundle: Bundle) -> Iterator[Figure]:
    """Status and history of many releases."""
    write_history(bundle.sandbox, _TARGET, RELEASES)
    for command in ("status", "history"):
        name = f"{bundle.jobs} jobs, {RELEASES} releases: delivery {command}"
        yield _repeated(name, lambda c=command: bundle.tool(c, _TARGET))  # type: ignore[misc]


def _repeated(name: str, run_it: Callable[[], Run]) -> Figure:
    progress(f"  {name}")
    run_it()
    return Figure(PART, name, "s", tuple(run_it().seconds for _ in range(_REPEATS)))


def _baked(workshop: Workshop) -> Baked:
    target = workshop.new_folder("delivery")
    bake(workshop, workshop.template, target)
    return Baked(next(target.iterdir()), {})


def _programs() -> Path:
    return Path(shutil.which("databricks") or sys.executable).parent


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
