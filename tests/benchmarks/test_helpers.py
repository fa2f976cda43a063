"""The parts of the bench that need no broker."""

from __future__ import annotations

import doctest
import pickle
from types import ModuleType

import pytest

from benchmarks import tables, workload
from benchmarks.sections import latency, saturation
from benchmarks.workload import EVENTS, LABELS, SYNTHETIC, workload_of


@pytest.mark.parametrize("module", [tables, latency])
def test_examples_hold(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_the_stream_is_in_the_order_of_its_timestamps_and_each_event_gets_its_label() -> None:
    rows = list(workload_of("tree-3").rows(3_000, partitions=2))
    times = [row.timestamp_ms for row in rows]
    assert times == sorted(times)
    assert [sum(row.topic == topic for row in rows) for topic in (EVENTS, LABELS)] == [3_000, 3_000]
    assert {(row.partition, row.key) for row in rows} == {(0, b"0"), (1, b"1")}


def test_a_label_that_overtakes_its_event_is_learned_with_it() -> None:
    in_order, overtaken = workload_of("logistic-3").loop(), workload_of("logistic-3").loop()
    rows = list(workload_of("logistic-3").rows(1))
    for row in rows:
        in_order.take(row.topic, row.value, row.timestamp_ms)
    for row in reversed(rows):
        overtaken.take(row.topic, row.value, row.timestamp_ms)
    assert overtaken.waiting.model.weights == in_order.waiting.model.weights != {}
    assert not overtaken.waiting.features
    assert not overtaken.waiting.labels


@pytest.mark.parametrize("name", workload.NAMES)
def test_a_loop_goes_on_from_its_pickle(name: str) -> None:
    rows = list(workload_of(name).rows(60))
    whole, cut = workload_of(name).loop(), workload_of(name).loop()
    said = [whole.take(row.topic, row.value, row.timestamp_ms) for row in rows]
    half = len(rows) // 2
    first = [cut.take(row.topic, row.value, row.timestamp_ms) for row in rows[:half]]
    again = pickle.loads(pickle.dumps(cut))
    assert first + [again.take(row.topic, row.value, row.timestamp_ms) for row in rows[half:]] == said
    assert sum(each is not None for each in said) == 60


def test_every_workload_has_a_number_of_events_and_each_synthetic_one_a_floor() -> None:
    assert set(saturation.EVENTS_OF) == set(workload.NAMES)
    assert set(saturation.FLOORS) == set(SYNTHETIC)
