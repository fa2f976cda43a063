"""What a feature function may know besides its event."""

from __future__ import annotations

import pytest

from streams.context import Context
from streams.joins import AsOfState
from streams.windows import WindowState
from tests.streams.pipelines import trips


def context() -> Context:
    busy, usual = WindowState(60_000), WindowState(90_000)
    for at_ms, city, driver, km in ((0, "nyc", "ann", 2.0), (10_000, "nyc", "bob", 4.0), (20_000, "la", "ann", 6.0)):
        busy.add(at_ms, city, 1.0)
        usual.add(at_ms, (city, driver), km)
    rows: AsOfState[trips.Sky] = AsOfState()
    for at_ms, rain in ((0, 0.1), (30_000, 0.9)):
        rows.put("nyc", at_ms, trips.Sky(city="nyc", at=None, rain=rain))  # type: ignore[arg-type]
    now = Context({trips.busy.name: busy, trips.usual_km.name: usual}, {"sky": rows})
    now.event, now.time_ms, now.now_ms = (
        trips.Start(trip="a", city="nyc", at=None, km=1.0, driver="bob"),
        25_000,
        25_000,
    )
    return now


def test_a_window_is_read_at_the_events_own_key() -> None:
    now = context()
    assert now[trips.busy] == 2
    assert now[trips.usual_km] == 4.0


def test_a_window_is_read_at_a_key_of_choice() -> None:
    now = context()
    assert now.read(trips.busy, "la") == 1
    assert now.read(trips.usual_km, ("la", "ann")) == 6.0
    assert now.read(trips.usual_km, ("la", "bob")) is None


def test_windows_end_at_the_tasks_time_and_references_at_the_events() -> None:
    # now_ms    25 s ──▶ 65 s     the trip at 0 s leaves the window of 60 s
    # time_ms   25 s              the event is late: it sees the sky of its own time
    now = context()
    now.now_ms = 65_000
    assert now[trips.busy] == 1
    above = now.as_of(trips.sky, "nyc")
    assert above is not None
    assert above.rain == 0.1
    assert now.as_of(trips.sky, "la") is None


def test_reading_twice_gives_the_same() -> None:
    now = context()
    assert [now[trips.busy] for _ in range(3)] == [2, 2, 2]


def test_a_window_that_is_no_part_of_the_pipeline_is_not_read() -> None:
    with pytest.raises(KeyError):
        _ = context()[trips.usual_minutes]
