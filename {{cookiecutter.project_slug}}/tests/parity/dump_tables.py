"""Run the sample job and the landing matrix, and write every table to a JSON file.

    python tests/parity/dump_tables.py FILE

`LAKEHOUSE_ENGINE` names the engine, `LAKEHOUSE_ROOT` an empty folder.
"""

import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import evolution_steps
import landing_matrix
from delivery.local.run import plan_run, run_tasks

from lakehouse.engine import Tables

PROJECT = Path(__file__).parents[2]
LAYERS = ("bronze", "silver", "gold", "ops")
# When something was written, and in how many commits.
DIFFERS = {
    "_loaded_at",
    "_arrived_at",
    "_changed_at",
    "started_at",
    "seconds",
    "up_to",
    "followed",
    "version_before",
    "version_after",
    "modified_at",
    "loaded_at",
}
# What a stream writes, and rows that are held in a table: the embedded engine has none.
ONE_ENGINE = {"ops.arrivals"}


def main(file: Path) -> None:
    """Write names, types and rows of all tables to `file`, at each step."""
    root = Path(os.environ["LAKEHOUSE_ROOT"])
    shutil.copytree(PROJECT / "data", root / "data")
    found = {
        "sample": {step: dump(tables_of(root, "flights")) for step in sample(root)},
        "audit": [str(proof) for proof in tasks().audit(tables_of(root, "flights"))],
        "landing": landing_matrix.dump(root),
        "evolution": evolution_steps.dump(root, dump),
    }
    file.write_text(json.dumps(found, indent=1), encoding="utf-8")


def sample(root: Path) -> Iterator[str]:
    """Run the sample job; after each step its name."""
    landing = root / "data/flights/landing/flights"
    (landing / "2013-01-08.csv").unlink(missing_ok=True)
    run_job()
    yield "first load"
    run_job()
    yield "nothing new"
    shutil.copy(PROJECT / "data/flights/late/2013-01-08.csv", landing)
    run_job()
    yield "late file"
    tables = tables_of(root, "flights", full_refresh=True)
    tasks().silver(tables)
    tasks().gold(tables)
    yield "full refresh"


def tasks() -> ModuleType:
    """The tasks of the sample, which a project may have removed."""
    return importlib.import_module("lakehouse.flights.tasks")


def run_job() -> None:
    """Run the sample job as its YAML declares it."""
    for done in run_tasks(plan_run(PROJECT, "flights_daily", "dev")):
        print(done.name, f"{done.seconds:.1f} s", done.report.text.partition("\n")[0], flush=True)


def tables_of(root: Path, domain: str, *, full_refresh: bool = False) -> Tables:
    """The tables of a domain in the catalog that the job has used."""
    catalog = next((root / ".lakehouse").iterdir()).name
    schemas = {layer: f"{domain}_{layer}" for layer in LAYERS}
    return Tables(catalog, schemas, domain, full_refresh=full_refresh)


def dump(tables: Tables) -> dict[str, Any]:
    """Names, types and rows of every table, without what differs by its nature."""
    found = {}
    for name in sorted(_names(tables)):
        rows = tables.read(name)
        kept = [column for column in rows.columns if column not in DIFFERS]
        content = sorted(json.dumps(list(row), default=str) for row in rows.select(*kept).collect())
        found[name] = {"types": rows.dtypes, "rows": content}
    return found


def _names(tables: Tables) -> Iterator[str]:
    root = Path(os.environ["LAKEHOUSE_ROOT"])
    for log in root.glob(f".lakehouse/*/{tables.domain}_*/*/_delta_log"):
        name = f"{log.parts[-3].removeprefix(f'{tables.domain}_')}.{log.parts[-2]}"
        if name not in ONE_ENGINE and not name.startswith("ops.held_"):
            yield name


if __name__ == "__main__":
    main(Path(sys.argv[1]))
