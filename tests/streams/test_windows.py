"""Windows, against a list of everything that ever came."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.digest import state_digest
from streams.inputs import Events
from streams.schema import Event
from streams.windows import WindowState

OVER_MS = 100


class Naive:
    """All entries for ever; those within the window are picked out when asked."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, str, float]] = []
        self.now_ms = -(2**62)

    def values(self, key: str) -> list[float]:
        return [value for at, k, value in self.entries if k == key and at > self.now_ms - OVER_MS]


steps = st.lists(
    st.tuples(st.integers(0, 60), st.integers(-150, 30), st.sampled_from("ab"), st.integers(-1000, 1000).map(float)),
    max_size=60,
)


@given(steps)
def test_a_window_is_what_a_list_of_everything_says_it_is(steps: list[tuple[int, int, str, float]]) -> None:
    window, naive = WindowState(OVER_MS), Naive()
    now_ms = 0
    for passed_ms, late_ms, key, value in steps:
        now_ms += passed_ms
        naive.now_ms = now_ms
        window.advance(now_ms)
        window.add(now_ms + late_ms, key, value)
        if late_ms > -OVER_MS:
            naive.entries.append((now_ms + late_ms, key, value))
        for k in "ab":
            values = naive.values(k)
            assert window.count(k) == len(values)
            mean = window.mean(k)
            assert mean == (pytest.approx(sum(values) / len(values)) if values else None)
    assert len(window.entries) == sum(len(naive.values(k)) for k in "ab"), "memory is what the window holds"
    assert set(window.sums) == {k for k in "ab" if naive.values(k)}


@given(steps, st.integers(0, 60))
def test_a_pickled_window_goes_on_as_the_same_window(steps: list[tuple[int, int, str, float]], at: int) -> None:
    undisturbed, restored, now_ms = WindowState(OVER_MS), WindowState(OVER_MS), 0
    for i, (passed_ms, late_ms, key, value) in enumerate(steps):
        now_ms += passed_ms
        if i == at:
            restored = pickle.loads(pickle.dumps(restored))
        for window in (undisturbed, restored):
            window.advance(now_ms)
            window.add(now_ms + late_ms, key, value)
    assert state_digest(restored) == state_digest(undisturbed)


def test_an_event_leaves_exactly_at_the_length_of_the_window() -> None:
    # x at 0     (now-100, now]:   now=99 holds it, now=100 does not
    window = WindowState(OVER_MS)
    window.add(0, "a", 1.0)
    window.advance(99)
    assert window.count("a") == 1
    window.advance(100)
    assert window.count("a") == 0


def test_a_late_event_counts_while_it_lies_inside() -> None:
    window = WindowState(OVER_MS)
    window.advance(200)
    window.add(101, "a", 1.0)
    window.add(100, "a", 5.0)
    assert (window.count("a"), window.mean("a")) == (1, 1.0)
    window.advance(201)
    assert window.count("a") == 0, "it leaves by its own time"


def test_time_does_not_go_back() -> None:
    window = WindowState(OVER_MS)
    window.add(150, "a", 1.0)
    window.advance(200)
    window.advance(50)
    assert window.now_ms == 200


def test_a_sum_starts_anew_without_rounding_errors_once_a_key_is_empty() -> None:
    window = WindowState(OVER_MS)
    for at, value in ((0, 1e15), (1, 0.1)):
        window.add(at, "a", value)
    window.advance(500)
    window.add(500, "a", 0.1)
    assert window.mean("a") == 0.1


def test_a_huge_value_leaves_no_trace_in_the_mean_once_it_is_gone() -> None:
    # "a" is never empty: its sum goes on, and 1e15 + 0.1 - 1e15 would be 0.125
    window = WindowState(OVER_MS)
    for at, value in ((0, 1e15), (1, 0.1), (2, -1e15), (90, 0.1)):
        window.add(at, "a", value)
    window.advance(102)
    assert window.mean("a") == 0.1


def test_what_lies_ahead_by_more_than_the_window_is_long_is_not_counted() -> None:
    window = WindowState(OVER_MS)
    window.advance(1_000)
    window.add(1_100, "a", 1.0)
    window.add(1_101, "a", 1.0)
    assert window.count("a") == len(window.entries) == 1


def test_a_rate_is_per_hour() -> None:
    window = WindowState(over_ms=1_800_000)
    window.add(0, "a", 1.0)
    window.add(1, "a", 1.0)
    assert (window.rate("a"), window.rate("b")) == (4.0, 0.0)


class Trip(Event):
    city: str
    driver: str
    km: float
    at: int


def trips() -> Events[Trip]:
    return Events("trips", Trip, key="city", time="at", id="driver")


def test_the_same_window_declared_twice_counts_each_event_once() -> None:
    declared = trips()
    first = declared.window(by="city", over=timedelta(hours=1)).count()
    second = declared.window(by="city", over=timedelta(hours=1)).count()
    assert first.name == second.name
    assert len(declared.aggregates) == 1


def test_windows_that_differ_in_anything_have_other_names() -> None:
    declared = trips()
    month = timedelta(days=30)
    aggregates = [
        declared.window(by="city", over=month).count(),
        declared.window(by="city", over=month).rate(),
        declared.window(by="city", over=month).mean("km"),
        declared.window(by="driver", over=month).count(),
        declared.window(by=("city", "driver"), over=month).count(),
        declared.window(by="city", over=month + timedelta(seconds=1)).count(),
        declared.window(by="city", over=month + timedelta(milliseconds=1)).count(),
    ]
    assert len({aggregate.name for aggregate in aggregates}) == len(aggregates) == len(declared.aggregates)
