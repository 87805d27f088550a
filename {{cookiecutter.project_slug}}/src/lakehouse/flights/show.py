"""Shows the gold tables as text, with ratios, which the tables do not contain."""

import pandas
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.engine import Tables


def gold(tables: Tables) -> str:
    """A summary of the three gold tables: airlines by punctuality, busiest routes, weather."""
    sections = {
        "Airlines by punctuality": airlines(tables.read("gold.punctuality")),
        "Busiest routes": busiest(tables.read("gold.routes")),
        "Delay and weather": weather(tables.read("gold.weather_delay")),
    }
    return "\n\n".join(f"{title}\n{_text(rows)}" for title, rows in sections.items())


def airlines(punctuality: DataFrame) -> DataFrame:
    """All days of each airline, the most punctual first."""
    sums = [F.sum(name).alias(name) for name in ("flights", "cancelled", "arrived", "late")]
    minutes = F.sum("delay_minutes").alias("delay_minutes")
    days = punctuality.groupBy("airline").agg(*sums, minutes)
    return _ratios(days, "airline").orderBy(F.col("on_time_%").desc(), "airline")


def busiest(routes: DataFrame) -> DataFrame:
    """The ten routes with the most flights."""
    route = F.concat_ws(" → ", "origin", "dest_name").alias("route")
    return _ratios(routes, route).orderBy(F.col("flights").desc(), "route").limit(10)


def weather(delays: DataFrame) -> DataFrame:
    """Each condition, the worst first."""
    return _ratios(delays, "condition").orderBy(F.col("on_time_%"), "condition")


def _ratios(rows: DataFrame, label: str | Column) -> DataFrame:
    arrived = F.nullif("arrived", F.lit(0))  # all flights of a route may be cancelled
    punctual = F.round(100 * (F.col("arrived") - F.col("late")) / arrived, 1)
    delay = F.round(F.col("delay_minutes") / arrived, 1)
    return rows.select(
        label, "flights", "cancelled", punctual.alias("on_time_%"), delay.alias("delay_min")
    )


def _text(rows: DataFrame) -> str:
    table: pandas.DataFrame = rows.toPandas()
    text: str = table.to_string(index=False)
    return text
