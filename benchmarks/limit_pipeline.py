"""Run a SQL file in duckdb; print the number of rows of each table that it wrote.

The benchmark starts this file in a root that contains the landing files:

    python limit_pipeline.py limit_pipeline.sql
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

LAYERS = ("bronze", "silver", "gold")


def main() -> None:
    """Run the SQL, and count the rows like the job's tasks."""
    for layer in LAYERS:
        Path(layer).mkdir()
    connection = duckdb.connect()
    connection.execute(Path(sys.argv[1]).read_text(encoding="utf-8"))
    files = [file for layer in LAYERS for file in sorted(Path(layer).glob("*.parquet"))]
    print(json.dumps({f"{file.parent}.{file.stem}": _rows(connection, file) for file in files}))


def _rows(connection: duckdb.DuckDBPyConnection, file: Path) -> int:
    return len(connection.read_parquet(str(file)))


if __name__ == "__main__":
    main()
