"""Run tasks of the lakehouse in this process; print the number of rows of each table.

The benchmark starts this file with the Python of the measured engine:

    python pipeline.py '[{"task": "flights.bronze", …}, …]'
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Run the tasks that the command line names, one after another."""
    from lakehouse.entry import run

    reports = [run(**parameters) for parameters in json.loads(sys.argv[1])]
    print(json.dumps({change.table: change.rows for r in reports for change in r.changes}))


if __name__ == "__main__":
    main()
