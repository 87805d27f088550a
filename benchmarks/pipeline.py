"""Run tasks of the lakehouse in this process; print how many rows each table has.

The benchmark starts this file with the Python of the engine that is measured:

    python pipeline.py '[{"task": "flights.bronze", …}, …]'
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Run the tasks that the command line names, one after the other."""
    from lakehouse.entry import run

    reports = [run(**parameters) for parameters in json.loads(sys.argv[1])]
    print(json.dumps({change.table: change.rows for r in reports for change in r.changes}))


if __name__ == "__main__":
    main()
