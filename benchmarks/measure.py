"""Wall time and memory of commands, in alternating pairs."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from benchmarks.errors import FailedError

_SAMPLE_SECONDS = 0.05
_EXIT_SECONDS = 30
# A fork reports its parent's memory as its own until it starts its program: a JVM that calls
# `chmod` would be counted twice. So a child process counts once it is a second old.
_FORK_SECONDS = 1.0
_MIB = 2**20


@dataclass(frozen=True)
class Command:
    """A program to measure: its arguments, working directory and environment."""

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """One measured run: wall time from start to exit, peak memory of its process tree, stdout."""

    seconds: float
    peak_mib: float
    output: str


@dataclass(frozen=True)
class Side:
    """One of the two compared things."""

    name: str
    run: Callable[[], Run]


class PeakMemory:
    """The maximum resident memory of a process and all its descendants, during the block."""

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._root = psutil.Process(pid)
        self._since = {self._root: -math.inf}  # when each process was first seen
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._sampler.join()

    def wait_for_descendants(self) -> None:
        """Wait until descendants such as a JVM end, so that they do not slow the next run."""
        psutil.wait_procs(self._since.keys() - {self._root}, timeout=_EXIT_SECONDS)

    def _sample(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            try:
                tree = [self._root, *self._root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            now = time.perf_counter()
            self._since = {process: self._since.get(process, now) for process in tree}
            lasting = [p for p, since in self._since.items() if now - since > _FORK_SECONDS]
            self.mib = max(self.mib, sum(map(_resident, lasting)) / _MIB)


def run(command: Command) -> Run:
    """Run the command, and wait until it ends.

    Raises:
        FailedError: its exit code is not 0.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = _start(command, output, errors)
        with PeakMemory(process.pid) as memory:
            code = process.wait()
            seconds = time.perf_counter() - start
        memory.wait_for_descendants()
        text = _text(output)
        if code:
            raise FailedError(_failure(command, code, (text, _text(errors))))
    return Run(seconds, memory.mib, text)


def alternate(left: Side, right: Side, pairs: int) -> Iterator[tuple[Run, Run]]:
    """Run both sides `pairs` times, in alternating order, so that a trend favours neither."""
    for number in range(1, pairs + 1):
        order = (left, right) if number % 2 else (right, left)
        runs = {side.name: _run_side(side, f"{number} of {pairs}") for side in order}
        yield runs[left.name], runs[right.name]


def progress(line: str) -> None:
    """Print progress to stderr, so that it does not mix with the figures."""
    print(line, file=sys.stderr, flush=True)


def _run_side(side: Side, number: str) -> Run:
    done = side.run()
    progress(f"  {side.name}, {number}: {done.seconds:.2f} s, {done.peak_mib:.0f} MiB")
    return done


def _start(command: Command, output: IO[bytes], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    # Files, not pipes: a pipe stays open, and the measurement continues, until the last child ends.
    return subprocess.Popen(
        command.arguments,
        cwd=command.folder,
        env=dict(command.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
    )


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").strip()


def _failure(command: Command, code: int, texts: tuple[str, str]) -> str:
    """The command, its exit code, and the last line of each output: one has the reason."""
    program = " ".join(Path(word).name if word[:1] == "/" else word for word in command.arguments)
    last = " | ".join(text.splitlines()[-1][:200] for text in texts if text)
    return f"`{program[:80]}` ended with {code}: {last or 'no output'}"
