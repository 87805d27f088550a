"""The tasks of the job `flights_daily`: each reads, calls pure functions, and writes."""

from functools import partial

from lakehouse.audit import Prepare, Proof
from lakehouse.audit import audit as prove
from lakehouse.engine import Report, Tables
from lakehouse.flights import show, transform
from lakehouse.land import land
from lakehouse.refine import refine
from lakehouse.rollup import Gold, refresh

# In the order in which they are refined: flights look up airports.
SOURCES = ("airports", "airlines", "weather", "flights")
LOOKED_UP = {"flights": ["silver.airports"]}


def bronze(tables: Tables, landing: str) -> Report:
    """Ingest the files of `landing`, each once, every column as text."""
    done = land(tables, landing, SOURCES)
    news = [line for ingested in done for line in ingested.lines()]
    return Report(tuple(ingested.change for ingested in done), "\n".join(news))


def silver(tables: Tables) -> Report:
    """Keep the newest valid row of each key; write the others to quarantine and superseded."""
    done = [refine(tables, s, prepare(tables, s), LOOKED_UP.get(s)) for s in SOURCES]
    changes = tuple(change for refined in done for change in refined.changes)
    return Report(changes, "\n".join(str(refined.run) for refined in done))


def gold(tables: Tables) -> Report:
    """Compute the gold tables: airlines, routes, weather."""
    changes = tuple(refresh(tables, fact) for fact in facts(tables))
    return Report(changes, show.gold(tables))


def audit(tables: Tables) -> list[Proof]:
    """Compare every table with what all of bronze gives."""
    return list(prove(tables, {s: prepare(tables, s) for s in SOURCES}, facts(tables)))


def prepare(tables: Tables, source: str) -> Prepare | None:
    """What makes columns of silver from those that landed."""
    if source != "flights":
        return None
    return partial(transform.flights, airports=tables.read("silver.airports"))


def facts(tables: Tables) -> list[Gold]:
    """How each table of gold is computed."""
    source = "silver.flights"
    airlines, airports = tables.read("silver.airlines"), tables.read("silver.airports")
    weather = tables.read("silver.weather")
    return [
        Gold(
            "gold.punctuality",
            source,
            partial(transform.punctuality, airlines=airlines),
            follows=["silver.airlines"],
        ),
        Gold(
            "gold.routes",
            source,
            partial(transform.routes, airports=airports),
            follows=["silver.airports"],
        ),
        Gold(
            "gold.weather_delay",
            source,
            partial(transform.weather_delay, weather=weather),
            also={"silver.weather": transform.days_of_weather},
        ),
    ]
