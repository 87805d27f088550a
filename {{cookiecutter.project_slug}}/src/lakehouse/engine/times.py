"""Times that Spark returns, in UTC."""

from typing import Any

from pyspark.sql import DataFrame

from lakehouse.engine.arrivals import START

__all__ = ["START", "collect"]


def collect(rows: DataFrame) -> list[dict[str, Any]]:
    """The rows, with times in UTC.

    `DataFrame.collect` returns the local times of this machine, whatever the session's zone is.
    """
    found: list[dict[str, Any]] = rows.toArrow().to_pylist()
    return found
