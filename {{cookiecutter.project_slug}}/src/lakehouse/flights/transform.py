"""The transformations of silver and gold: pure functions over rows, on every engine.

Gold contains only whole numbers: sums and counts. Ratios are computed when they are shown, so
every engine produces exactly the same table.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_LATE_MINUTES = 15  # airlines report a flight as late from 15 minutes


def flights(rows: DataFrame, airports: DataFrame) -> DataFrame:
    """Add `date` and `cancelled`, and for the rules `dest_name`, NULL if the airport is unknown."""
    names = airports.select(F.col("faa").alias("dest"), F.col("name").alias("dest_name"))
    date = F.expr(
        "try_cast(concat(year, '-', lpad(month, 2, '0'), '-', lpad(day, 2, '0')) AS date)"
    )
    dated = rows.withColumn("date", date).withColumn("cancelled", F.col("dep_time").isNull())
    return dated.join(names, "dest", "left")


def punctuality(flights: DataFrame, airlines: DataFrame) -> DataFrame:
    """Each airline's day: flights, cancellations, arrivals, late arrivals, minutes of delay."""
    names = airlines.select("carrier", F.col("name").alias("airline"))
    return flights.groupBy("date", "carrier").agg(*_delays()).join(names, "carrier", "left")


def routes(flights: DataFrame, airports: DataFrame) -> DataFrame:
    """Each route's day: flights, cancellations, arrivals, late arrivals, minutes, miles."""
    names = airports.select(F.col("faa").alias("dest"), F.col("name").alias("dest_name"))
    days = flights.groupBy("date", "origin", "dest").agg(
        *_delays(), F.sum("distance").alias("miles")
    )
    return days.join(names, "dest", "left")


def weather_delay(flights: DataFrame, weather: DataFrame) -> DataFrame:
    """Each day's delays by weather at the airport and hour of departure."""
    hours = weather.select("origin", "time_hour", _condition().alias("condition"))
    known = flights.join(hours, ["origin", "time_hour"], "left")
    condition = F.coalesce("condition", F.lit("unknown")).alias("condition")
    return known.groupBy("date", condition).agg(*_delays())


def days_of_weather(weather: DataFrame) -> DataFrame:
    """The local dates of flights that the hours may belong to: New York is behind UTC."""
    utc = F.to_date("time_hour")
    return weather.select(F.explode(F.array(F.date_sub(utc, 1), utc)).alias("date"))


def _condition() -> Column:
    """The worst weather of an hour; NULL if nothing was measured."""
    return (
        F.when(F.col("visib") < 3, "fog")
        .when(F.col("precip") > 0, "rain or snow")
        .when(F.col("wind_speed") >= 20, "wind")
        .when(F.col("visib").isNotNull(), "fair")
    )


def _delays() -> list[Column]:
    return [
        F.count("*").alias("flights"),
        _count_if(F.col("cancelled")).alias("cancelled"),
        _count_if(F.col("arr_delay").isNotNull()).alias("arrived"),
        _count_if(F.col("arr_delay") >= _LATE_MINUTES).alias("late"),
        F.sum(F.coalesce(F.col("arr_delay"), F.lit(0))).cast("bigint").alias("delay_minutes"),
    ]


def _count_if(condition: Column) -> Column:
    return F.count(F.when(condition, 1))
