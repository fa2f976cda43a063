"""The simulation, where theory knows the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.bench.queueing import Load, simulate

MS = 1e-3


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_one_at_a_time_it_is_the_queue_of_the_textbooks(busy: float):
    # M/D/1, Pollaczek and Khinchine: mean = service + busy × service / (2 × (1 − busy))
    service_ms = 2.0
    waited = simulate(Load(events_per_s=busy / (service_ms * MS), event_s=service_ms * MS, batch_max=1), events=100_000)
    assert waited.mean_ms == pytest.approx(service_ms * (1 + busy / (2 * (1 - busy))), rel=0.08)
    assert waited.busy == pytest.approx(busy, rel=0.03)


def test_beyond_saturation_it_does_what_the_worker_can():
    # a full batch: 100 × 1 ms + 10 ms, so 909 events a second of the 5,000 that come
    waited = simulate(Load(events_per_s=5_000, event_s=1 * MS, batch_s=10 * MS, batch_max=100))
    assert waited.batches_per_s * 100 == pytest.approx(100 / (100 * MS + 10 * MS), rel=0.01)
    assert waited.busy == pytest.approx(1, rel=0.01)


def test_a_slow_commit_is_waited_for_and_batches_grow():
    waited = simulate(Load(events_per_s=1_000, event_s=0.1 * MS, commit_s=50 * MS))
    assert waited.batches_per_s == pytest.approx(1 / (50 * MS), rel=0.05), "one commit after the other"
    assert 65 < waited.p50_ms < 85, "half of the one that is under way, and its own"
    assert 95 < waited.p99_ms < 110, "all of both"


def test_an_event_waits_for_a_younger_label_or_for_silence():
    rare = Load(events_per_s=50, event_s=1e-6, others_per_event=(0.1,), idle_after_s=0.2)  # a label each 200 ms
    assert 20 < simulate(rare).p50_ms < 200
    assert simulate(rare).p99_ms < 201
    none = Load(events_per_s=50, event_s=1e-6, others_per_event=(0.0,), idle_after_s=0.2)
    assert simulate(none).p99_ms < 1, "labels have been silent for long"
    both = replace(rare, others_per_event=(0.1, 10.0))
    assert simulate(both).p50_ms == pytest.approx(simulate(rare).p50_ms, rel=0.2), "the slowest input decides"


def test_two_tasks_of_one_worker_share_its_time():
    one, two = (simulate(Load(events_per_s=400, event_s=1 * MS, tasks=tasks)) for tasks in (1, 2))
    assert two.busy == pytest.approx(one.busy, rel=0.05)


def test_the_same_seed_gives_the_same():
    load = Load(events_per_s=400, event_s=1 * MS, commit_s=5 * MS)
    assert simulate(load) == simulate(load)
