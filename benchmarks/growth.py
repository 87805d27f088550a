"""One more day after years of history, compared with the same day on an empty lake."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.engine import Job, embedded_engine, jvm_engine, need_java
from benchmarks.errors import MissingError
from benchmarks.figures import Figure, Note, ratio
from benchmarks.measure import Run, progress
from benchmarks.workshop import Workshop

PART = "growth"
YEARS = {"embedded": (1, 4, 10), "jvm": (1, 4)}  # ten years take the JVM too long
_LAST = "2013,12,31,"  # how the rows of the last day begin


def measure(workshop: Workshop, pairs: int) -> Iterator[Figure | Note]:
    """Load histories; then nothing new, then one more day, each beside an empty lake."""
    engines: dict[str, Job] = {"embedded": embedded_engine(workshop)}
    try:
        need_java()
        engines["jvm"] = jvm_engine(workshop)
    except MissingError as reason:
        yield Note(PART, f"jvm skipped: {reason}")
    for engine, job in engines.items():
        for years in YEARS[engine]:
            found = [_grow(workshop, engine, job, years) for _ in range(pairs)]
            yield from _figures(f"{engine}, {years} years", found)


def _grow(workshop: Workshop, engine: str, job: Job, years: int) -> dict[str, Run]:
    """One run of each step, the empty lake in between."""
    root, empty = workshop.new_folder("history"), workshop.new_folder("empty")
    write_history(workshop.year, root, years)
    write_history(workshop.year, empty, 0)
    write_last_day(workshop.year, empty)
    steps: dict[str, Callable[[], Run]] = {
        "first load": partial(job, root),
        "day on an empty lake": partial(job, empty),
        "nothing new": partial(job, root),
        "one more day": partial(_one_more_day, workshop, job, root),
    }
    runs: dict[str, Run] = {}
    for name, step in steps.items():
        runs[name] = done = step()
        progress(
            f"  {engine}, {years} years, {name}: {done.seconds:.2f} s, {done.peak_mib:.0f} MiB"
        )
    shutil.rmtree(root)
    shutil.rmtree(empty)
    return runs


def _one_more_day(workshop: Workshop, job: Job, root: Path) -> Run:
    write_last_day(workshop.year, root)
    return job(root)


def _figures(name: str, found: list[dict[str, Run]]) -> Iterator[Figure]:
    for step in found[0]:
        yield Figure(PART, f"{name}: {step}", "s", tuple(runs[step].seconds for runs in found))
    for step in ("nothing new", "one more day"):
        base = [runs["day on an empty lake"] for runs in found]
        runs = [each[step] for each in found]
        seconds = [run.seconds for run in runs], [run.seconds for run in base]
        peaks = [run.peak_mib for run in runs], [run.peak_mib for run in base]
        yield ratio(PART, f"{name}: {step} / day on an empty lake: wall time", *seconds)
        yield ratio(PART, f"{name}: {step} / day on an empty lake: peak memory", *peaks)


def write_history(year: Path, root: Path, years: int) -> None:
    """Landing files of the years that end with 2013, without its last day; 0: only the names."""
    landing = root / "data/flights/landing"
    for source in ("airports", "airlines"):
        shutil.copytree(year / source, landing / source)
    for source in ("flights", "weather"):
        (landing / source).mkdir()
        for file in sorted((year / source).glob("*.csv")):
            text = file.read_text(encoding="utf-8")
            if source == "flights":
                lines = text.splitlines(keepends=True)
                text = "".join(line for line in lines if not line.startswith(_LAST))
            for back in range(years):
                name = landing / source / f"{2013 - back}-{file.name}"
                name.write_text(_years_earlier(text, source, back), encoding="utf-8")


def write_last_day(year: Path, root: Path) -> None:
    """A file with the flights of the last day."""
    lines = (year / "flights/2013-12.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [lines[0], *(line for line in lines if line.startswith(_LAST))]
    (root / "data/flights/landing/flights/2013-12-31.csv").write_text(
        "".join(rows), encoding="utf-8"
    )


def _years_earlier(text: str, source: str, back: int) -> str:
    """The same rows some years earlier; leap days do not matter."""
    own = r"^()(2013),(?=\d)" if source == "flights" else r"^(\w+,)(2013),(?=\d)"
    text = re.sub(own, rf"\g<1>{2013 - back},", text, flags=re.MULTILINE)
    return re.sub(r"\b(201[34])(?=-\d\d-\d\dT)", lambda found: str(int(found[1]) - back), text)
