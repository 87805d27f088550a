"""Shows the gold tables as text, with ratios, which the tables do not contain."""

import pandas
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.engine import Tables


def gold(tables: Tables) -> str:
    """A summary of the gold tables' newest month: airlines by punctuality, routes, weather."""
    newest = tables.read("gold.punctuality").agg(F.max("date")).collect()[0][0]
    month = F.col("date") > F.date_sub(F.lit(newest), 31)
    sections = {
        "Airlines by punctuality": airlines(tables.read("gold.punctuality").where(month)),
        "Busiest routes": busiest(tables.read("gold.routes").where(month)),
        "Delay and weather": weather(tables.read("gold.weather_delay").where(month)),
    }
    return "\n\n".join(f"{title}\n{_text(rows)}" for title, rows in sections.items())


def airlines(punctuality: DataFrame) -> DataFrame:
    """All days of each airline, the most punctual first."""
    days = _totals(punctuality, F.col("airline"))
    return _ratios(days, "airline").orderBy(F.col("on_time_%").desc(), "airline")


def busiest(routes: DataFrame) -> DataFrame:
    """The ten routes with the most flights."""
    days = _totals(routes, F.concat_ws(" → ", "origin", "dest_name").alias("route"))
    return _ratios(days, "route").orderBy(F.col("flights").desc(), "route").limit(10)


def weather(delays: DataFrame) -> DataFrame:
    """Each condition, the worst first."""
    days = _totals(delays, F.col("condition"))
    return _ratios(days, "condition").orderBy(F.col("on_time_%"), "condition")


def _totals(days: DataFrame, label: Column) -> DataFrame:
    names = ("flights", "cancelled", "arrived", "late", "delay_minutes")
    return days.groupBy(label).agg(*(F.sum(name).alias(name) for name in names))


def _ratios(rows: DataFrame, label: str) -> DataFrame:
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
