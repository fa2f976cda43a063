"""The source of the flights: `riverrun connect examples/flights/source.py --speed 3600` is an hour a second."""

import os

import nycflights

from connectors.sources.replay import Replay, Stream

TIMES = {"weather": "observed_at", "arrivals": "landed_at", "departures": "departed_at"}


def source() -> Replay:
    """The year, or the first FLIGHTS_MONTHS months of it, in the order of event time."""
    tables = nycflights.tables(int(os.environ.get("FLIGHTS_MONTHS", "12")))
    return Replay("flights", [Stream(f"flights.{name}", rows, "origin", TIMES[name]) for name, rows in tables.items()])
