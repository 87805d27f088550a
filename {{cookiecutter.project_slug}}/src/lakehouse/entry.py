"""The one entry point of every job: `lakehouse --task=flights.silver --catalog=…`."""

import importlib
import sys
from collections.abc import Sequence

from lakehouse.engine import Report, Tables


def main() -> None:
    """Run the task that the command line names, and print its report."""
    print(run(**parameters(sys.argv[1:])))


def run(
    task: str,
    catalog: str,
    bronze: str,
    silver: str,
    gold: str,
    ops: str,
    full_refresh: str = "false",
    **others: str,
) -> Report:
    """Run one task.

    Args:
        task: `<domain>.<function>`, a function of `lakehouse.<domain>.tasks`.
        catalog: the catalog of the environment.
        bronze, silver, gold: the schema of each layer.
        ops: the schema of the account of files and runs.
        full_refresh: `true` computes silver and gold from all of bronze.
        others: the function's parameters besides its tables.
    """
    domain, _, name = task.partition(".")
    function = getattr(importlib.import_module(f"lakehouse.{domain}.tasks"), name)
    schemas = {"bronze": bronze, "silver": silver, "gold": gold, "ops": ops}
    tables = Tables(catalog, schemas, domain, full_refresh=full_refresh == "true")
    with tables.exclusive():
        report: Report = function(tables, **others)
    return report


def parameters(arguments: Sequence[str]) -> dict[str, str]:
    """Read `--name=value` arguments.

    Raises:
        SystemExit: an argument has another form.
    """
    pairs = [argument.removeprefix("--").partition("=") for argument in arguments]
    for argument, (name, equals, _) in zip(arguments, pairs, strict=True):
        if not (argument.startswith("--") and name and equals):
            sys.exit(f"lakehouse: given {argument!r}, expected --name=value: --task=flights.silver")
    return {name: value for name, _, value in pairs}
