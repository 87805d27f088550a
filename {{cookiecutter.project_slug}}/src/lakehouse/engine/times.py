"""Times in UTC: those that Spark returns, and the present."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.engine.arrivals import START

__all__ = ["START", "collect", "now"]

_TICK = timedelta(milliseconds=1)  # the unit of the statistics in Delta's log


def collect(rows: DataFrame) -> list[dict[str, Any]]:
    """The rows, with times in UTC.

    `DataFrame.collect` returns the local times of this machine, whatever the session's zone is.
    """
    found: list[dict[str, Any]] = rows.toArrow().to_pylist()
    return found


def now(after: datetime = START) -> datetime:
    """The time, in whole milliseconds, and later than `after` even if the clock was set back."""
    return max(_whole(datetime.now(UTC)), _whole(after) + _TICK)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
