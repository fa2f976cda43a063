"""Plans: what follows from costs, and what is said to stand in the way."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from infra.bench.costs import Costs
from infra.bench.plan import Assumed, plan, state_of

COSTS = Costs(
    pipeline="any",
    seen_per_s=9_000,
    events_per_s=10_000,
    event_us=98.0,
    batch_us=2_000,
    worker_us=120,
    worker_batch_us=3_000,
    broker_us=20,
    broker_batch_us=5_000,
    commit_ms=8,
    reach_ms=1,
    bytes_in=100,
    bytes_out=200,
    others_per_event=[1.0],
    state_bytes=1e7,
    models_bytes=5e5,
    waiting_bytes=100,
    kept_bytes=20,
    memory_bytes=3e8,
    hottest_key=1e-6,
    rejected=0,
    steady_rate=4_500,
    p50_ms=20,
    p99_ms=60,
    others_cores=0,
    topics=14,
    idle_after_ms=200,
    batch_max=4_000,
    expire_after_s=60,
    pending_max=1_000_000,
    replay_max_s=1,
)


def test_a_rate_that_one_task_takes_needs_one():
    found = plan(COSTS, 1_000)
    assert (found.partitions, found.workers, found.brokers, found.brokers_by) == (1, 1, 3, "copies")
    assert not found.limits
    assert 8 < found.p50_ms < 100


def test_workers_grow_with_the_rate_and_partitions_are_some_to_spare():
    found = plan(COSTS, 1_000_000)
    assert found.workers == 200, "each is half busy"
    assert found.partitions == 400
    assert found.bytes_in_per_s == 100e6
    assert found.bytes_out_per_s == 200e6
    assert found.brokers_by == "cores"
    one = plan(COSTS, 100_000)
    assert found.worker_cores == pytest.approx(10 * one.worker_cores, rel=0.05)


def test_the_hottest_key_ends_it_whatever_the_workers():
    found = plan(replace(COSTS, hottest_key=0.1), 100_000)
    (limit,) = found.limits
    assert "the hottest key has 10.00% of the events, 1.0 times what one task works off" in limit


def test_state_is_what_waits_and_what_is_remembered():
    assert state_of(COSTS, events_per_s=1_000, label_after_s=10) == 5e5 + 10_000 * 100 + 60_000 * 20
    bounded = replace(COSTS, expire_after_s=1e9)
    assert state_of(bounded, 1_000, 1e9) == 5e5 + 1_000_000 * 120, "pending_max"


def test_a_state_much_larger_than_the_measured_one_is_told_of():
    (limit,) = plan(replace(COSTS, expire_after_s=86_400, kept_bytes=100), 1_000).limits
    assert "a task's state comes to 106 MB, and was measured with 10.0 MB" in limit


def test_a_latency_asks_for_more_workers_or_is_said_to_be_out_of_reach():
    slow = replace(COSTS, batch_us=20_000)
    usual = plan(slow, 20_000)
    quicker = plan(slow, 20_000, latency_ms=usual.p99_ms * 0.8)
    assert quicker.workers > usual.workers
    assert quicker.p99_ms <= usual.p99_ms * 0.8
    assert "a p99 of 1 ms is not met" in plan(slow, 20_000, latency_ms=1).limits[0]


def test_more_partitions_than_a_cluster_takes_are_told_of():
    (limit,) = plan(replace(COSTS, topics=20), 10_000_000).limits
    assert "4,000 partitions of 20 topics in 3 copies are more than the 200,000 of one cluster" in limit


def test_what_is_assumed_can_be_another():
    found = plan(COSTS, 1_000_000, Assumed(busy=0.25, partitions_per_worker=1, replication=1))
    assert (found.workers, found.partitions) == (400, 400)
