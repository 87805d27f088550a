"""The results, as a table or as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psutil

from benchmarks.measure import Run

_GIB = 2**30


@dataclass(frozen=True)
class Figure:
    """One quantity, with a value for each pair."""

    part: str
    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the pairs."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The minimum and the maximum."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Note:
    """A result without a figure; `ok` is false if the benchmark itself failed."""

    part: str
    text: str
    ok: bool = True


@dataclass
class Results:
    """All results of one run of the benchmark."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def add(self, found: Figure | Note) -> None:
        """Add a result."""
        if isinstance(found, Figure):
            self.figures.append(found)
        else:
            self.notes.append(found)

    @property
    def ok(self) -> bool:
        """Whether nothing failed; a skipped part is not a failure."""
        return all(note.ok for note in self.notes)


def compare(
    part: str, names: tuple[str, str], pairs: Sequence[tuple[Run, Run]]
) -> Iterator[Figure]:
    """Wall time and peak memory of both sides, and the ratio within each pair."""
    for name, unit, pick in (("wall time", "s", _seconds), ("peak memory", "MiB", _peak)):
        left, right = (tuple(pick(pair[side]) for pair in pairs) for side in (0, 1))
        yield Figure(part, f"{names[0]}: {name}", unit, left)
        yield Figure(part, f"{names[1]}: {name}", unit, right)
        yield ratio(part, f"{names[0]} / {names[1]}: {name}", left, right)


def ratio(part: str, name: str, left: Sequence[float], right: Sequence[float]) -> Figure:
    """The left values divided by the right ones, pair by pair."""
    return Figure(part, name, "x", tuple(a / b for a, b in zip(left, right, strict=True)))


def machine() -> dict[str, str | int]:
    """The machine that the figures were measured on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / _GIB),
        "python": platform.python_version(),
    }


def as_table(results: Results) -> str:
    """The figures in columns, then the notes."""
    head = ("part", "figure", "median", "min-max", "unit", "pairs")
    rows = [head, *map(_row, results.figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    return "\n".join([facts, "", *lines, "", *map(_line, results.notes)]).rstrip()


def as_json(results: Results) -> str:
    """The figures with the values of every pair, for other programs."""
    figures = [
        {"part": f.part, "name": f.name, "unit": f.unit, "median": f.median, "values": f.values}
        for f in results.figures
    ]
    notes = [{"part": note.part, "ok": note.ok, "text": note.text} for note in results.notes]
    return json.dumps({"machine": machine(), "figures": figures, "notes": notes}, indent=2)


def _row(figure: Figure) -> tuple[str, ...]:
    spread = "-".join(map(_number, figure.spread))
    pairs = str(len(figure.values))
    return figure.part, figure.name, _number(figure.median), spread, figure.unit, pairs


def _number(value: float) -> str:
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{decimals}f}"


def _line(note: Note) -> str:
    return f"{note.part}: {note.text}"


def _seconds(run: Run) -> float:
    return run.seconds


def _peak(run: Run) -> float:
    return run.peak_mib
