"""The sample domain from landing to gold, run as a job."""

import csv
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from delivery.local.run import plan_run, run_tasks
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.engine import Engine, Tables
from lakehouse.engine.report import Report
from lakehouse.flights import tasks, transform

PROJECT = Path(__file__).parents[2]
SCHEMAS = {"bronze": "flights_bronze", "silver": "flights_silver", "gold": "flights_gold"}
LANDING = "/Volumes/acme_dev/flights_bronze/landing"
HELD = ("bronze", "silver", "gold")


def run_job() -> dict[str, Any]:
    """Run the job as its YAML declares it."""
    return {done.name: done.report for done in run_tasks(plan_run(PROJECT, "flights_daily", "dev"))}


def versions(root: Path) -> set[str]:
    return {str(f.relative_to(root)) for f in root.glob(".lakehouse/*/*/*/_delta_log/*.json")}


def all_rows(root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, without the time of loading."""
    catalog = next((root / ".lakehouse").iterdir())
    tables = Tables(catalog.name, SCHEMAS, Engine.EMBEDDED)
    found = {}
    for folder in sorted(catalog.glob("*/*")):
        layer = folder.parent.name.removeprefix("flights_")
        rows = tables.read(f"{layer}.{folder.name}").drop("_loaded_at").collect()
        found[f"{layer}.{folder.name}"] = sorted(map(tuple, rows), key=str)
    return found


@pytest.fixture
def week(root: Path) -> Path:
    """A project root with the sample's week, without the late file."""
    shutil.copytree(PROJECT / "data", root / "data")
    (root / "data/flights/landing/flights/2013-01-08.csv").unlink(missing_ok=True)
    return root


def land_late(root: Path) -> None:
    shutil.copy(PROJECT / "data/flights/late/2013-01-08.csv", root / "data/flights/landing/flights")


def test_every_row_of_the_week_is_accounted_for(week: Path) -> None:
    reports = run_job()
    assert list(reports) == list(HELD)
    assert reports["silver"].text == (
        "flights: 6,099 landed = 5,918 silver + 181 quarantined + 0 superseded ✓"
    )
    assert "Airlines by punctuality" in reports["gold"].text


def test_a_second_run_changes_no_table(week: Path) -> None:
    run_job()
    before = versions(week)
    reports = run_job()
    assert versions(week) == before
    assert not any(change.changed for report in reports.values() for change in report.changes)


def test_a_fresh_start_gives_the_same_rows(week: Path) -> None:
    run_job()
    land_late(week)
    run_job()
    grown = all_rows(week)
    shutil.rmtree(week / ".lakehouse")
    run_job()
    assert all_rows(week) == grown


def test_the_late_file_updates_quarantines_and_supersedes(week: Path) -> None:
    run_job()
    land_late(week)
    reports = run_job()
    silver = {change.table: change for change in reports["silver"].changes}
    assert reports["silver"].text == (
        "flights: 7,016 landed = 6,795 silver + 203 quarantined + 18 superseded ✓"
    )
    flights = silver["silver.flights"]
    assert (flights.inserted, flights.updated, flights.deleted) == (877, 12, 0)
    assert silver["silver.flights_quarantine"].inserted == 22


def test_a_mended_rule_releases_its_rows(week: Path) -> None:
    run_job()
    airports = week / "data/flights/landing/airports/2013-late.csv"
    airports.write_text(
        "faa,name,lat,lon,alt,tz,dst,tzone\nSJU,San Juan,18.4,-66.0,9,-4,A,America/Puerto_Rico\n",
        encoding="utf-8",
    )
    silver = {change.table: change for change in run_job()["silver"].changes}
    released = silver["silver.flights_quarantine"].deleted
    assert released > 100
    assert silver["silver.flights"].inserted == released


@dataclass(frozen=True)
class Landed:
    """One generated row, and its place according to the rules."""

    carrier: str
    flight: str
    dest: str
    day: str
    distance: str
    delay: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.carrier, self.flight, self.day

    @property
    def valid(self) -> bool:
        return (
            all(self.key)
            and self.flight.isdecimal()
            and self.dest == "LAX"
            and self.day in {"1", "2"}
            and self.distance.isdecimal()
            and int(self.distance) > 0
            and self.delay != "late"
        )


def some(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


ROWS = st.builds(
    Landed,
    carrier=some("AA", "AA", "ZZ", ""),
    flight=some("1", "1", "2", "3", "x1", ""),
    dest=some("LAX", "LAX", "LAX", "SJU", ""),
    day=some("1", "1", "2", "31"),
    distance=some("10", "10", "10", "0", ""),
    delay=some("5", "6", "", "late"),
)


def write_batch(file: Path, rows: list[Landed]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, [*transform.FLIGHTS, "hour"])
        writer.writeheader()
        writer.writerows(map(_csv_row, rows))


def _csv_row(row: Landed) -> dict[str, str]:
    hour = f"2013-02-{int(row.day):02}T10:00:00Z" if row.day != "31" else "2013-03-03T10:00:00Z"
    return {
        "carrier": row.carrier, "flight": row.flight, "time_hour": hour, "year": "2013",
        "month": "2", "day": row.day, "origin": "JFK", "dest": row.dest, "dep_time": "500",
        "arr_delay": row.delay, "distance": row.distance,
    }  # fmt: skip


def expected_account(batches: list[list[Landed]]) -> tuple[int, int, int, int]:
    """Landed, silver, quarantined, superseded: counted without Spark."""
    rows = [row for batch in batches for row in batch]
    valid = [row for row in rows if row.valid]
    keys = {row.key for row in valid}
    return len(rows), len(keys), len(rows) - len(valid), len(valid) - len(keys)


def account_of(report: Report) -> tuple[int, ...]:
    numbers = [word.replace(",", "") for word in report.text.split()]
    return tuple(int(word) for word in numbers if word.isdecimal())


@settings(max_examples=12 if os.environ.get("CI") else 4, deadline=None, derandomize=True)
@given(batches=st.lists(st.lists(ROWS, min_size=1, max_size=30), min_size=1, max_size=3))
def test_whatever_lands_is_accounted_for(
    batches: list[list[Landed]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("batches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_ROOT", str(root))
        tables = Tables("acme_dev", SCHEMAS, Engine.EMBEDDED)
        _land_dimensions(root)
        order = random.Random(len(batches)).sample(range(len(batches)), len(batches))
        for seen, number in enumerate(order, 1):  # batches arrive late and out of order
            write_batch(root / f"data/flights/landing/flights/{number}.csv", batches[number])
            tasks.bronze(tables, LANDING)
            report = tasks.silver(tables)
            assert account_of(report) == expected_account([batches[n] for n in order[:seen]])
        assert _delays(tables) == _newest(batches)


def _delays(tables: Tables) -> dict[tuple[str, str, str], int | None]:
    rows = tables.read("silver.flights").collect()
    return {(r["carrier"], str(r["flight"]), str(r["date"].day)): r["arr_delay"] for r in rows}


def _newest(batches: list[list[Landed]]) -> dict[tuple[str, str, str], Any]:
    """For each key, the values in the newest file; several rows in one file: any of them."""
    newest: dict[tuple[str, str, str], set[int | None]] = {}
    for batch in batches:
        delays: dict[tuple[str, str, str], set[int | None]] = {}
        for row in filter(lambda row: row.valid, batch):
            delays.setdefault(row.key, set()).add(int(row.delay) if row.delay else None)
        newest |= delays
    return {key: AnyOf(answers) for key, answers in newest.items()}


class AnyOf(frozenset[int | None]):
    """Equal to each of its members."""

    def __eq__(self, other: object) -> bool:
        return other in self

    __hash__ = frozenset.__hash__


def _land_dimensions(root: Path) -> None:
    for name, text in {
        "airports": "faa,name,lat,lon,tzone\nLAX,Los Angeles,33.9,-118.4,America/Los_Angeles\n",
        "airlines": "carrier,name\nAA,American\n",
        "weather": "origin,time_hour,temp,wind_speed,precip,visib\n",
    }.items():
        file = root / "data/flights/landing" / name / "1.csv"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
