"""The tasks of the job `flights_daily`: each reads, calls pure functions, and writes."""

from lakehouse import quality
from lakehouse.engine import Report, Tables
from lakehouse.flights import show, transform
from lakehouse.refine import refine

SOURCES = {
    "airports": transform.AIRPORTS,
    "airlines": transform.AIRLINES,
    "weather": transform.WEATHER,
    "flights": transform.FLIGHTS,
}


def bronze(tables: Tables, landing: str) -> Report:
    """Ingest the files of `landing`, each once, every column as text."""
    return Report(
        tuple(tables.ingest(f"bronze.{source}", f"{landing}/{source}") for source in SOURCES)
    )


def silver(tables: Tables) -> Report:
    """Keep the newest valid row of each key; write invalid rows to the quarantine table."""
    changes = []
    for table, types in SOURCES.items():
        rows = quality.read_as(tables.read(f"bronze.{table}"), types)
        if table == "flights":
            airports = tables.read("silver.airports")
            rows = transform.with_destination(transform.with_date(rows), airports)
        written, account = refine(tables, "flights", table, rows)
        changes += written
    return Report(tuple(changes), f"flights: {account}")


def gold(tables: Tables) -> Report:
    """Compute the gold tables: airlines, routes, weather."""
    flights = tables.read("silver.flights")
    facts = {
        "punctuality": transform.punctuality(flights, tables.read("silver.airlines")),
        "routes": transform.routes(flights),
        "weather_delay": transform.weather_delay(flights, tables.read("silver.weather")),
    }
    changes = tuple(tables.replace(f"gold.{name}", rows) for name, rows in facts.items())
    return Report(changes, show.gold(tables))
