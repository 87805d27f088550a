"""Times that Spark returns, in UTC."""

from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from lakehouse.engine.arrivals import START, moment

__all__ = ["START", "collect"]


def collect(rows: DataFrame) -> list[dict[str, Any]]:
    """The rows, with times in UTC.

    Spark itself returns the local times of this machine, whatever the zone of the session is.
    """
    fields = rows.schema.fields
    times = [field.name for field in fields if isinstance(field.dataType, TimestampType)]
    numbers = rows.withColumns({name: F.unix_micros(name) for name in times})
    found = [row.asDict() for row in numbers.collect()]
    return [row | {name: _moment(row[name]) for name in times} for row in found]


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment(microseconds)
