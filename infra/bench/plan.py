"""What a rate of events needs, by measured costs: partitions, workers, brokers, network, state, latency. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from infra.bench.costs import Costs
from infra.bench.queueing import Load, Waited, simulate
from streams.checkpointer import SPAN_MIN_S, SPAN_OF_SAVING

MUCH, SMALL_BYTES = 4, 1e7
"""A state so many times larger than the one of the measurement is told of, unless it is small."""


class Assumed(msgspec.Struct, frozen=True, kw_only=True):
    """What was not measured. The page and the command show it beside each plan.

    ``busy`` is how much of a worker's or broker's core, and of a broker's network, is planned for. A broker's limit of
    partitions is Kafka's own recommendation (KIP-578: 4,000 a broker, 200,000 a cluster). A copy on another broker is
    taken to cost as much as the first. ``label_after_s`` is how long an event waits for its label. A state is pickled,
    and loaded, at ``pickled_bytes_per_s``.
    """

    busy: float = 0.5
    partitions_per_worker: int = 2
    replication: int = 3
    broker_cores: int = 8
    broker_partitions: int = 4_000
    cluster_partitions: int = 200_000
    broker_bytes_per_s: float = 1.25e9 / 2
    label_after_s: float = 60.0
    pickled_bytes_per_s: float = 25e6


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """For one pipeline at one rate. ``limits`` says in sentences what stands in the way; it is empty if nothing does.

    ``worker_cores`` are cores that workers keep busy, ``bytes_in_per_s`` what is written to the inputs, and
    ``bytes_out_per_s`` what workers write, each before copies. ``state_bytes`` is of all tasks, pickled.
    """

    rate: float
    partitions: int
    workers: int
    worker_cores: float
    brokers: int
    brokers_by: str
    broker_cores: float
    transactions_per_s: float
    bytes_in_per_s: float
    bytes_out_per_s: float
    state_bytes: float
    task_state_bytes: float
    recovery_s: float
    p50_ms: float
    p99_ms: float
    busy: float
    limits: list[str]


def plan(costs: Costs, rate: float, assumed: Assumed | None = None, latency_ms: float | None = None) -> Plan:
    """What ``rate`` events a second need; with ``latency_ms``, so many workers that 99 of 100 events are not above it.

    The tasks of a pipeline share nothing, so that n workers are n times one, each with a core of its own; and keys are
    taken to spread evenly, apart from the hottest one.
    """
    assumed = assumed or Assumed()
    workers = max(1, math.ceil(rate / (assumed.busy * costs.events_per_s)))
    workers, waited = _quick_enough(costs, rate, workers, assumed, latency_ms)
    partitions = tasks_of(workers, assumed)
    state = state_of(costs, rate / partitions, assumed.label_after_s)
    transactions = workers * waited.batches_per_s
    broker_cores = 1e-6 * assumed.replication * (rate * costs.broker_us + transactions * costs.broker_batch_us)
    brokers, by = _brokers(costs, rate, partitions, broker_cores, assumed)
    return Plan(
        rate=rate,
        partitions=partitions,
        workers=workers,
        worker_cores=1e-6 * (rate * costs.worker_us + transactions * costs.worker_batch_us),
        brokers=brokers,
        brokers_by=by,
        broker_cores=broker_cores,
        transactions_per_s=transactions,
        bytes_in_per_s=rate * costs.bytes_in,
        bytes_out_per_s=rate * costs.bytes_out,
        state_bytes=state * partitions,
        task_state_bytes=state,
        recovery_s=recovery_s(state, costs.replay_max_s, assumed),
        p50_ms=waited.p50_ms,
        p99_ms=waited.p99_ms,
        busy=waited.busy,
        limits=list(_limits(costs, rate, partitions, state, waited, assumed, latency_ms)),
    )


def _limits(
    costs: Costs,
    rate: float,
    partitions: int,
    state: float,
    waited: Waited,
    assumed: Assumed,
    latency_ms: float | None,
) -> Iterator[str]:
    if latency_ms is not None and waited.p99_ms > latency_ms:
        yield (
            f"a p99 of {latency_ms:,.0f} ms is not met, however many workers: a commit takes {costs.commit_ms:,.1f} "
            f"ms, and an event waits for younger records of the other inputs, up to idle_after, "
            f"{costs.idle_after_ms:,.0f} ms"
        )
    hottest = rate * costs.hottest_key / costs.events_per_s
    if hottest > assumed.busy:
        yield (
            f"the hottest key has {costs.hottest_key:.2%} of the events, {hottest:,.1f} times what one task works off. "
            "A key is in one task, so more partitions do not help: split the key, or make an event cheaper"
        )
    if state > MUCH * max(costs.state_bytes, SMALL_BYTES):
        yield (
            f"a task's state comes to {state / 1e6:,.0f} MB, and was measured with {costs.state_bytes / 1e6:,.1f} MB: "
            "checkpoints will cost more than that. A shorter expire_after or a smaller pending_max keeps it small"
        )
    if partitions * costs.topics * assumed.replication > assumed.cluster_partitions:
        yield (
            f"{partitions:,} partitions of {costs.topics} topics in {assumed.replication} copies are more than the "
            f"{assumed.cluster_partitions:,} of one cluster: spread the pipeline over several clusters, by key"
        )


def recovery_s(state: float, replay_max_s: float | None, assumed: Assumed) -> float:
    """To load a task's state of so many bytes, and to replay what came since, at the most.

    >>> recovery_s(1e6, None, Assumed()), recovery_s(100e6, None, Assumed())
    (1.04, 20.0)
    """
    pickled_s = state / assumed.pickled_bytes_per_s
    if replay_max_s is None:
        replay_max_s = max(SPAN_MIN_S, SPAN_OF_SAVING * pickled_s)
    return pickled_s + replay_max_s


def state_of(costs: Costs, events_per_s: float, label_after_s: float) -> float:
    """Bytes of a task's pickled state at such a rate, once events have begun to expire: models, events that wait, and
    names of events that were resolved, which are remembered for ``expire_after``; ``pending_max`` of each at the most.
    """
    waits_s = min(label_after_s, costs.expire_after_s)
    waiting = min(events_per_s * waits_s, costs.pending_max)
    kept = min(events_per_s * costs.expire_after_s, costs.pending_max)
    return costs.models_bytes + waiting * costs.waiting_bytes + kept * costs.kept_bytes


def tasks_of(workers: int, assumed: Assumed) -> int:
    """Partitions for so many workers: some to spare, as their number is chosen once. One stays one.

    >>> tasks_of(1, Assumed()), tasks_of(20, Assumed())
    (1, 40)
    """
    return 1 if workers == 1 else workers * assumed.partitions_per_worker


def load_of(costs: Costs, events_per_s: float, tasks: int = 1) -> Load:
    """One worker at such a rate, for the simulation."""
    return Load(
        events_per_s=events_per_s,
        event_s=costs.event_us * 1e-6,
        batch_s=costs.batch_us * 1e-6,
        commit_s=costs.commit_ms * 1e-3,
        reach_s=costs.reach_ms * 1e-3,
        tasks=tasks,
        others_per_event=tuple(costs.others_per_event),
        idle_after_s=costs.idle_after_ms * 1e-3,
        batch_max=costs.batch_max,
    )


def _quick_enough(
    costs: Costs, rate: float, workers: int, assumed: Assumed, latency_ms: float | None
) -> tuple[int, Waited]:
    """The fewest workers of a few more and more that are quick enough; else those that are quickest."""
    tried: dict[int, Waited] = {}
    for more in (1.0, 1.25, 1.5, 2.0, 3.0, 5.0):
        count = math.ceil(workers * more)
        tried[count] = simulate(load_of(costs, rate / count, tasks_of(count, assumed) // count))
        if latency_ms is None or tried[count].p99_ms <= latency_ms:
            return count, tried[count]
    best = min(tried, key=lambda count: tried[count].p99_ms)
    return best, tried[best]


def _brokers(costs: Costs, rate: float, partitions: int, cores: float, assumed: Assumed) -> tuple[int, str]:
    """How many, and what asks for so many. Out go: inputs to workers and sink, outputs to the sink, and the copies."""
    copies = assumed.replication - 1
    written = rate * (costs.bytes_in + costs.bytes_out)
    out = rate * (2 * costs.bytes_in + costs.bytes_out) + copies * written
    asked = {
        "copies": float(assumed.replication),
        "cores": cores / (assumed.busy * assumed.broker_cores),
        "network": max(out, written * (1 + copies)) / assumed.broker_bytes_per_s,
        "partitions": partitions * costs.topics * assumed.replication / assumed.broker_partitions,
    }
    by = max(asked, key=lambda name: asked[name])
    return math.ceil(asked[by]), by
