"""The transformations of silver and gold: pure functions over rows, on every engine.

Gold contains only whole numbers: sums and counts. Ratios are computed when they are shown, so
every engine produces exactly the same table.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

AIRPORTS = {"faa": "string", "name": "string", "lat": "double", "lon": "double", "tzone": "string"}
AIRLINES = {"carrier": "string", "name": "string"}
WEATHER = {
    "origin": "string",
    "time_hour": "timestamp",
    "temp": "double",
    "wind_speed": "double",
    "precip": "double",
    "visib": "double",
}
FLIGHTS = {
    "carrier": "string",
    "flight": "int",
    "time_hour": "timestamp",
    "year": "int",
    "month": "int",
    "day": "int",
    "origin": "string",
    "dest": "string",
    "tailnum": "string",
    "sched_dep_time": "int",
    "dep_time": "int",
    "dep_delay": "int",
    "sched_arr_time": "int",
    "arr_time": "int",
    "arr_delay": "int",
    "air_time": "int",
    "distance": "int",
}

_LATE_MINUTES = 15  # airlines report a flight as late from 15 minutes


def with_destination(flights: DataFrame, airports: DataFrame) -> DataFrame:
    """Add `dest_name`; NULL if the destination is not a known airport."""
    names = airports.select(F.col("faa").alias("dest"), F.col("name").alias("dest_name"))
    return flights.join(names, "dest", "left")


def with_date(flights: DataFrame) -> DataFrame:
    """Replace year, month and day by `date`, and add whether the flight was `cancelled`."""
    date = F.expr(
        "try_cast(concat(year, '-', lpad(month, 2, '0'), '-', lpad(day, 2, '0')) AS date)"
    )
    return (
        flights.withColumn("date", date)
        .withColumn("cancelled", F.col("dep_time").isNull())
        .drop("year", "month", "day")
    )


def punctuality(flights: DataFrame, airlines: DataFrame) -> DataFrame:
    """Each airline's day: flights, cancellations, arrivals, late arrivals, minutes of delay."""
    names = airlines.select("carrier", F.col("name").alias("airline"))
    return flights.groupBy("date", "carrier").agg(*_delays()).join(names, "carrier", "left")


def routes(flights: DataFrame) -> DataFrame:
    """Each route: flights, cancellations, arrivals, late arrivals, minutes, miles."""
    miles = F.sum(F.col("distance").cast("bigint")).alias("miles")
    return flights.groupBy("origin", "dest", "dest_name").agg(*_delays(), miles)


def weather_delay(flights: DataFrame, weather: DataFrame) -> DataFrame:
    """Delays by weather at the airport and hour of departure."""
    hours = weather.select("origin", "time_hour", _condition().alias("condition"))
    known = flights.join(hours, ["origin", "time_hour"], "left")
    condition = F.coalesce("condition", F.lit("unknown")).alias("condition")
    return known.groupBy(condition).agg(*_delays())


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
        F.sum(F.coalesce(F.col("arr_delay"), F.lit(0)).cast("bigint")).alias("delay_minutes"),
    ]


def _count_if(condition: Column) -> Column:
    return F.count(F.when(condition, 1))
