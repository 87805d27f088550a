"""The year's flights on the embedded engine, compared with duckdb as a reference."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.engine import embedded_side, same_rows
from benchmarks.figures import Figure, Note, compare
from benchmarks.measure import Command, Run, Side, alternate, run
from benchmarks.workshop import Workshop, clean_environment, need_modules

PART = "limit"


def measure(workshop: Workshop, pairs: int) -> Iterator[Figure | Note]:
    """Compare the embedded engine with the same work in duckdb."""
    need_modules("duckdb")
    embedded = embedded_side(workshop)
    duckdb = Side("duckdb", lambda: _duckdb(workshop))
    runs = list(alternate(embedded, duckdb, pairs))
    yield from compare(PART, (embedded.name, duckdb.name), runs)
    yield same_rows(PART, (embedded.name, duckdb.name), runs)


def _duckdb(workshop: Workshop) -> Run:
    script = workshop.template / "benchmarks/limit_pipeline.py"
    with workshop.new_root(workshop.year) as root:
        command = (sys.executable, "-P", str(script), str(script.with_suffix(".sql")))
        return run(Command(command, root, clean_environment()))
