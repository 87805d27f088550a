"""Measure the template and its project: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bake, daily, delivery, engine, green, growth, limit
from benchmarks.errors import FailedError, MissingError
from benchmarks.figures import Figure, Note, Results, as_json, as_table
from benchmarks.measure import progress
from benchmarks.workshop import Workshop

_PRINTED = {"table": as_table, "json": as_json}


@dataclass(frozen=True)
class Part:
    """One part of the benchmark, with its default number of pairs."""

    measure: Callable[[Workshop, int], Iterator[Figure | Note]]
    pairs: int


PARTS = {
    engine.PART: Part(engine.measure, 3),
    limit.PART: Part(limit.measure, 3),
    growth.PART: Part(growth.measure, 1),
    bake.PART: Part(bake.measure, 7),
    green.PART: Part(green.measure, 1),
    daily.PART: Part(daily.measure, 5),
    delivery.PART: Part(delivery.measure, 3),
}


def main() -> int:
    """Measure and print the parts that the command line names; returns 1 if something failed."""
    options = _options()
    results = Results()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        workshop = Workshop(Path(folder).resolve())
        for name in [name for name in PARTS if name in (options.only or PARTS)]:
            progress(f"{name}:")
            for found in _measured(name, workshop, options.pairs or PARTS[name].pairs):
                results.add(found)
    print(_PRINTED[options.output](results))
    return 0 if results.ok else 1


def _measured(name: str, workshop: Workshop, pairs: int) -> Iterator[Figure | Note]:
    """The results of a part; if it cannot run, a note with the reason."""
    try:
        yield from PARTS[name].measure(workshop, pairs)
    except MissingError as reason:
        yield Note(name, f"skipped: {reason}")
    except FailedError as reason:
        yield Note(name, f"failed: {reason}", ok=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    only = "measure only this part; may be repeated"
    parser.add_argument("--only", action="append", choices=list(PARTS), help=only)
    parser.add_argument("--output", choices=list(_PRINTED), default="table")
    parser.add_argument("--pairs", type=_positive, help="pairs of runs in each part")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"given {text}, expected 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
