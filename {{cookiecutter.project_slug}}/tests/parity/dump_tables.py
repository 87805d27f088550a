"""Run the sample job twice, add the late file in between, and write every table to a JSON file.

    python tests/parity/dump_tables.py FILE

`LAKEHOUSE_ENGINE` names the engine, `LAKEHOUSE_ROOT` an empty folder.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from delivery.local.run import plan_run, run_tasks

from lakehouse.engine import Tables

PROJECT = Path(__file__).parents[2]
SCHEMAS = {"bronze": "flights_bronze", "silver": "flights_silver", "gold": "flights_gold"}


def main(file: Path) -> None:
    """Write names, types and rows of all tables to `file`."""
    root = Path(os.environ["LAKEHOUSE_ROOT"])
    shutil.copytree(PROJECT / "data", root / "data")
    landing = root / "data/flights/landing/flights"
    (landing / "2013-01-08.csv").unlink(missing_ok=True)
    run_job()
    shutil.copy(PROJECT / "data/flights/late/2013-01-08.csv", landing)
    run_job()
    run_job()
    file.write_text(json.dumps(dump(root), indent=1), encoding="utf-8")


def run_job() -> None:
    """Run the sample job as its YAML declares it."""
    for done in run_tasks(plan_run(PROJECT, "flights_daily", "dev")):
        print(done.name, f"{done.seconds:.1f} s", done.report.text.partition("\n")[0])


def dump(root: Path) -> dict[str, Any]:
    """Names, types and rows of every table, without the time of loading, which differs."""
    catalog = next((root / ".lakehouse").iterdir())
    tables = Tables(catalog.name, SCHEMAS)
    found = {}
    for folder in sorted(catalog.glob("*/*/_delta_log")):
        layer, table = folder.parts[-3].removeprefix("flights_"), folder.parts[-2]
        rows = tables.read(f"{layer}.{table}").drop("_loaded_at")
        content = sorted(json.dumps(list(row), default=str) for row in rows.collect())
        versions = len(list(folder.glob("*.json")))
        found[f"{layer}.{table}"] = {"types": rows.dtypes, "rows": content, "versions": versions}
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
