"""The time to the first passing run of a new user: `make run`, then `make test`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import add
from pathlib import Path

from benchmarks.bake import bake
from benchmarks.figures import Figure, Note, ratio
from benchmarks.measure import Command, progress, run
from benchmarks.workshop import Workshop, clean_environment, need_modules, need_programs

PART = "green"


@dataclass(frozen=True)
class Fresh:
    """A new project, and the environment of its commands."""

    name: str
    folder: Path
    environment: Mapping[str, str]

    def make(self, target: str) -> float:
        """The seconds that `make TARGET` takes."""
        done = run(Command(("make", target), self.folder, self.environment))
        progress(f"  {self.name}, make {target}: {done.seconds:.2f} s")
        return done.seconds


def measure(workshop: Workshop, pairs: int) -> Iterator[Figure | Note]:
    """Compare new projects: with nothing downloaded, and with everything downloaded."""
    need_modules("cookiecutter")
    need_programs("git", "make")
    fresh = [_cold_and_warm(workshop) for _ in range(pairs)]
    runs = [(cold.make("run"), warm.make("run"), warm.make("run")) for cold, warm in fresh]
    cold_run, warm_run, again = zip(*runs, strict=True)
    yield from _cold_against_warm("make run", cold_run, warm_run)
    yield Figure(PART, "make run: second in the same project", "s", again)
    tests = [(cold.make("test"), warm.make("test")) for cold, warm in fresh]
    cold_test, warm_test = zip(*tests, strict=True)
    yield Figure(PART, "make test: cold", "s", cold_test)  # it downloads nothing: no ratio
    yield Figure(PART, "make test: warm", "s", warm_test)
    yield from _cold_against_warm(
        "make run and make test", _sums(cold_run, cold_test), _sums(warm_run, warm_test)
    )


def _cold_and_warm(workshop: Workshop) -> tuple[Fresh, Fresh]:
    """Two projects that share a package cache, which is empty until the first one is set up."""
    cache = workshop.new_folder("cache")
    environment = clean_environment(UV_CACHE_DIR=str(cache), PIP_NO_CACHE_DIR="1")
    cold, warm = (
        Fresh(name, _project(workshop, f"green-{name}"), environment) for name in ("cold", "warm")
    )
    return cold, warm


def _project(workshop: Workshop, name: str) -> Path:
    target = workshop.new_folder(name)
    bake(workshop, workshop.template, target)
    return next(target.iterdir())


def _cold_against_warm(
    name: str, cold: tuple[float, ...], warm: tuple[float, ...]
) -> Iterator[Figure]:
    yield Figure(PART, f"{name}: cold", "s", cold)
    yield Figure(PART, f"{name}: warm", "s", warm)
    yield ratio(PART, f"{name}: cold / warm", cold, warm)


def _sums(left: tuple[float, ...], right: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(add, left, right))
