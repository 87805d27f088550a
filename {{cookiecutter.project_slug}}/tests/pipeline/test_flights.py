"""The sample domain from landing to gold, run as a job."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from delivery.config.bundle import load_bundle
from delivery.config.references import resolve
from delivery.local.engine import open_engine
from delivery.local.run import plan_run, run_tasks
from pyspark.sql import functions as F

from lakehouse import audit, runs
from lakehouse.engine import Change, Engine, Tables, times
from lakehouse.flights import tasks

PROJECT = Path(__file__).parents[2]
SCHEMAS = {layer: f"flights_{layer}" for layer in audit.LAYERS}
LANDING = "data/flights/landing/flights"
WEEK = "6,099 landed = 5,918 silver + 181 quarantined + 0 superseded ✓"
WITH_LATE = "7,016 landed = 6,795 silver + 203 quarantined + 18 superseded ✓"


def run_job() -> dict[str, Any]:
    """Run the job as its YAML declares it."""
    return {done.name: done.report for done in run_tasks(plan_run(PROJECT, "flights_daily", "dev"))}


def open_tables(root: Path) -> Tables:
    catalog = next((root / ".lakehouse").iterdir())
    return Tables(catalog.name, SCHEMAS, "flights", Engine.EMBEDDED)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A project root after the first run of the sample's week, and the run's reports."""
    root = tmp_path_factory.mktemp("week")
    shutil.copytree(PROJECT / "data", root / "data")
    (root / LANDING / "2013-01-08.csv").unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_ROOT", str(root))
        yield root, run_job()


@pytest.fixture
def week(first_run: tuple[Path, dict[str, Any]], root: Path) -> Path:
    """A copy of the project root after the first run."""
    shutil.copytree(first_run[0], root, dirs_exist_ok=True)
    return root


@pytest.fixture(scope="module")
def late_run(
    first_run: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A project root after the second run, before which the late file landed, and its reports."""
    root = tmp_path_factory.mktemp("late")
    shutil.copytree(first_run[0], root, dirs_exist_ok=True)
    land_late(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_ROOT", str(root))
        yield root, run_job()


def land_late(root: Path) -> None:
    shutil.copy(PROJECT / "data/flights/late/2013-01-08.csv", root / LANDING)


def edit_column(file: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Rewrite a landing file; `change` is applied to each of its rows."""
    with file.open(encoding="utf-8", newline="") as given:
        rows = [change(row) for row in csv.DictReader(given)]
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def versions(root: Path) -> dict[str, int]:
    """The number of versions of each table besides the account of runs."""
    logs = (folder for folder in root.glob(".lakehouse/*/*/*/_delta_log"))
    found = {str(log.parent.relative_to(root)): len(list(log.glob("*.json"))) for log in logs}
    return {name: count for name, count in found.items() if not name.endswith("_ops/runs")}


def changes_of(report: Any) -> dict[str, Change]:
    return {change.table: change for change in report.changes}


def accounts(report: Any) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in report.text.splitlines())


def all_rows(root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of silver and gold, without the times of their loading and writing."""
    tables, found = open_tables(root), {}
    for layer in ("silver", "gold"):
        for folder in sorted((root / ".lakehouse").glob(f"*/flights_{layer}/*")):
            rows = tables.read(f"{layer}.{folder.name}").drop(
                "_loaded_at", "_changed_at", "_arrived_at"
            )
            found[f"{layer}.{folder.name}"] = sorted(map(tuple, rows.collect()), key=str)
    return found


def test_every_row_of_the_week_is_accounted_for(first_run: tuple[Path, dict[str, Any]]) -> None:
    reports = first_run[1]
    assert list(reports) == ["bronze", "silver", "gold"]
    assert accounts(reports["silver"]) == {
        "airports": "1,458 landed = 1,458 silver + 0 quarantined + 0 superseded ✓",
        "airlines": "16 landed = 16 silver + 0 quarantined + 0 superseded ✓",
        "weather": "498 landed = 498 silver + 0 quarantined + 0 superseded ✓",
        "flights": WEEK,
    }
    assert reports["bronze"].text == ""
    assert "Airlines by punctuality" in reports["gold"].text


def test_a_second_run_changes_no_table_but_the_account_of_runs(week: Path) -> None:
    before = versions(week)
    reports = run_job()
    assert len(before) > 15
    assert versions(week) == before
    assert not any(change.changed for report in reports.values() for change in report.changes)
    assert accounts(reports["silver"])["flights"] == WEEK


def test_the_late_file_updates_quarantines_and_supersedes(
    late_run: tuple[Path, dict[str, Any]],
) -> None:
    reports = late_run[1]
    silver = changes_of(reports["silver"])
    assert accounts(reports["silver"])["flights"] == WITH_LATE
    flights = silver["silver.flights"]
    assert (flights.inserted, flights.updated, flights.deleted) == (877, 18, 0)
    assert silver["silver.flights_quarantine"].inserted == 22
    assert silver["silver.flights_superseded"].inserted == 18


def test_a_fresh_start_gives_the_same_rows_and_the_audit_holds(
    late_run: tuple[Path, dict[str, Any]], root: Path
) -> None:
    shutil.copytree(late_run[0], root, dirs_exist_ok=True)
    grown = all_rows(root)
    proofs = tasks.audit(open_tables(root))
    assert len(proofs) == 15
    assert [str(proof) for proof in proofs if not proof.holds] == []
    shutil.rmtree(root / ".lakehouse")
    run_job()
    assert all_rows(root) == grown


def test_a_full_refresh_changes_no_row(week: Path) -> None:
    tables = open_tables(week)
    before = all_rows(week)
    tables.full_refresh = True
    silver, gold = tasks.silver(tables), tasks.gold(tables)
    assert f"flights: {WEEK} (rebuilt: full refresh, " in silver.text
    assert [change.note for change in gold.changes] == ["rebuilt: full refresh"] * 3
    assert all_rows(week) == before


def test_a_source_that_is_added_reports_its_own_numbers(
    week: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "SOURCES", (*tasks.SOURCES, "airlines"))
    report = tasks.silver(open_tables(week))
    lines = report.text.splitlines()
    assert lines[3] == f"flights: {WEEK}"
    assert lines[4] == "airlines: 16 landed = 16 silver + 0 quarantined + 0 superseded ✓"


def test_an_airport_that_becomes_known_releases_its_flights(week: Path) -> None:
    file = week / "data/flights/landing/airports/2013-late.csv"
    file.write_text(
        "faa,name,lat,lon,alt,tz,dst,tzone\nSJU,San Juan,18.4,-66.0,9,-4,A,America/Puerto_Rico\n",
        encoding="utf-8",
    )
    reports = run_job()
    silver = changes_of(reports["silver"])
    released = silver["silver.flights_quarantine"].deleted
    assert released > 100
    assert silver["silver.flights"].inserted == released
    routes = open_tables(week).read("gold.routes").where(F.col("dest") == "SJU")
    assert {row["dest_name"] for row in routes.collect()} == {"San Juan"}


def test_a_renamed_airline_is_renamed_in_gold(week: Path) -> None:
    file = week / "data/flights/landing/airlines/renamed.csv"
    file.write_text("carrier,name\nAA,American\n", encoding="utf-8")
    reports = run_job()
    rows = open_tables(week).read("gold.punctuality").where(F.col("carrier") == "AA").collect()
    assert len(rows) == 7
    assert {row["airline"] for row in rows} == {"American"}
    assert changes_of(reports["gold"])["gold.routes"].changed is False


def test_late_weather_changes_only_its_days(week: Path) -> None:
    file = week / "data/flights/landing/weather/late.csv"
    file.write_text(
        "origin,time_hour,temp,wind_speed,precip,visib\n"
        "JFK,2013-01-05T15:00:00Z,39,0,0,0.5\n",
        encoding="utf-8",
    )  # fmt: skip
    tables = open_tables(week)
    changes = changes_of(run_job()["gold"])
    fog = tables.read("gold.weather_delay").where(F.col("condition") == "fog").collect()
    assert [row["date"].isoformat() for row in fog] == ["2013-01-05"]
    assert changes["gold.weather_delay"].inserted <= 2
    assert not changes["gold.punctuality"].changed


def test_a_corrected_file_wins_whatever_its_name(week: Path) -> None:
    original = week / LANDING / "2013-01-01.csv"
    corrected = week / LANDING / "2013-01-01-corrected.csv"
    header, first, *_ = original.read_text(encoding="utf-8").splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True)) | {"arr_delay": "999"}
    corrected.write_text(f"{header}\n{','.join(row.values())}\n", encoding="utf-8")
    reports = run_job()
    assert "+ 1 superseded ✓" in accounts(reports["silver"])["flights"]
    found = open_tables(week).read("silver.flights").where(F.col("_file") == corrected.name)
    assert [(r["carrier"], r["flight"], r["arr_delay"]) for r in found.collect()] == [
        (row["carrier"], int(row["flight"]), 999)
    ]


GIVEN = (
    "year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, {}carrier, "
    "flight, {}origin, dest, air_time, distance, hour, minute, time_hour"
)


def test_a_new_user_who_changes_files_is_told_and_the_others_go_on(week: Path) -> None:
    folder = week / LANDING
    day = PROJECT / "data/flights/late/2013-01-08.csv"
    for name in ("added.csv", "pulled.csv", "renamed.csv"):
        shutil.copy(day, folder / name)
    edit_column(folder / "added.csv", lambda row: {**row, "gate": "B7"})
    edit_column(folder / "pulled.csv", lambda row: {n: v for n, v in row.items() if n != "tailnum"})
    edit_column(
        folder / "renamed.csv",
        lambda row: {"arrival_delay" if n == "arr_delay" else n: v for n, v in row.items()},
    )
    edited = folder / "2013-01-01.csv"
    edited.write_text(edited.read_text(encoding="utf-8").replace("UA", "ZZ"), encoding="utf-8")
    (folder / "empty.csv").touch()
    (folder / "notes.txt").write_text("hello", encoding="utf-8")

    reports = run_job()
    added, *waiting = reports["bronze"].text.splitlines()
    assert added == "flights/added.csv: new column gate"
    assert waiting == [
        "flights/2013-01-01.csv: changed: other content under the same name; give it another name",
        "flights/empty.csv: rejected: the file is empty, expected at least a header",
        "flights/notes.txt: rejected: given the suffix .txt, expected .csv, .jsonl, .ndjson, .json "
        "or .parquet, which may be followed by .gz, .bz2 or .zst",
        f"flights/pulled.csv: rejected: given the columns {GIVEN.format('arr_delay, ', '')}, "
        "expected also tailnum",
        "flights/renamed.csv: rejected: given the columns "
        f"{GIVEN.format('arrival_delay, ', 'tailnum, ')}, expected also arr_delay; if "
        "arrival_delay is a new name of arr_delay, add it to the contract: "
        "synonyms: [{synonym: arrival_delay}]",
    ]
    assert value_of("flights_rejected") == 5
    assert accounts(reports["silver"])["flights"] == WITH_LATE
    tables = open_tables(week)
    gates = tables.read("bronze.flights").groupBy("gate").count().collect()
    assert {tuple(row) for row in gates} == {("B7", 917), (None, 6099)}

    account = times.collect(tables.read(runs.TABLE).orderBy("started_at"))
    landed = next(row for row in reversed(account) if row["table"] == "bronze.flights")
    assert (landed["columns_added"], landed["rejected_files"]) == ("gate", 5)

    shutil.copy(day, folder / "pulled.csv")  # mended
    lines = tasks.bronze(tables, str(week / "data/flights/landing")).text.splitlines()
    assert lines == [line for line in waiting if "pulled" not in line]
    assert tables.count("bronze.flights") == 7016 + 917


def test_each_run_leaves_one_row_for_each_table(week: Path) -> None:
    tables = open_tables(week)
    names = [f"{layer}.{source}" for layer in ("bronze", "silver") for source in tasks.SOURCES]
    names += ["gold.punctuality", "gold.routes", "gold.weather_delay"]
    rows = times.collect(tables.read(runs.TABLE).orderBy("started_at"))
    assert [row["table"] for row in rows] == names
    landed, flights = rows[3], rows[7]
    assert (landed["inserted"], landed["rows"], landed["rejected_files"]) == (6099, 6099, 0)
    assert (flights["landed"], flights["rows"], flights["quarantined"]) == (6099, 5918, 181)
    assert flights["failed"] == '{"known_destination": 181}'


def value_of(alert: str) -> Any:
    """The value that an alert compares with its threshold."""
    resources = resolve(load_bundle(PROJECT), "dev").tree.section("resources")
    declared, engine = resources.section("alerts").section(alert), open_engine("lakehouse")
    with engine.active():
        rows = engine.run_sql(str(declared["query_text"]), {})
        ((value,),) = rows.select(declared["evaluation"]["source"]["name"]).collect()
    return value


def test_the_dashboard_and_the_alerts_ask_for_what_tables_have(week: Path) -> None:
    resources = resolve(load_bundle(PROJECT), "dev").tree.section("resources")
    dashboard = resources.section("dashboards").section("flights_punctuality")
    file = (PROJECT / dashboard.marks["file_path"].file).parent / str(dashboard["file_path"])
    document, engine = json.loads(file.read_text(encoding="utf-8")), open_engine("lakehouse")
    with engine.active():
        engine.run_sql(f"USE {dashboard['dataset_catalog']}.{dashboard['dataset_schema']}", {})
        found = {
            d["name"]: engine.run_sql("".join(d["queryLines"]), {}) for d in document["datasets"]
        }
    assert {name: rows.count() for name, rows in found.items()} == {"airlines": 15, "days": 7}
    for widget in [place["widget"] for place in document["pages"][0]["layout"]]:
        fields = {encoding["fieldName"] for encoding in widget["spec"]["encodings"].values()}
        query = widget["queries"][0]["query"]
        assert {field["name"] for field in query["fields"]} == fields
        assert fields <= {*found[query["datasetName"]].columns}
    assert 0 < value_of("flights_late") < 100
    assert value_of("flights_rejected") == 0
