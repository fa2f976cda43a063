"""What a pipeline costs: measured figures, and how they follow from two looks at a worker at work."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one pipeline on one machine. "An event" is one with all that comes with it: its label, its
    share of the references.

    ``event_us`` and ``batch_us`` are what a task's main thread needs for an event, and for a batch besides, in µs of
    real time on the machine as it was; the others in µs are CPU time of all threads and processes. ``bytes_in`` and
    ``bytes_out`` are bytes on the broker's disk an event, compressed. Latencies are from publishing an event to holding
    its committed prediction, at ``half_rate`` events a second, half of saturation.
    """

    pipeline: str
    events_per_s: float  # one task that works off a backlog
    event_us: float
    batch_us: float
    worker_event_us: float
    worker_batch_us: float
    broker_event_us: float
    broker_batch_us: float
    commit_ms: float  # begin to committed, beside the data path
    reach_ms: float  # publish to read, without a worker in between
    bytes_in: float
    bytes_out: float
    labels_per_event: float
    waiting_bytes: float  # of a task's state, for an event that waits for its label
    state_bytes: float  # of a task, pickled, behind the measurement
    memory_bytes: float  # of a worker
    hottest_key: float  # share of events
    rejected: float  # share of records
    half_rate: float
    p50_ms: float
    p99_ms: float
    topics: int
    idle_after_ms: float
    batch_max: int
    replay_max_s: float


class Look(NamedTuple):
    """Counts so far, of which two are compared: a measurement is the difference."""

    at_s: float
    events: float
    records: float
    labels: float
    rejects: float
    batches: float
    commits: float
    commit_s: float
    main_s: float  # CPU of the worker's main thread
    worker_s: float  # of the whole worker, and the copies of it that pickle checkpoints
    broker_s: float

    def since(self, before: Look) -> Look:
        """What came in between."""
        return Look(*(now - then for now, then in zip(self, before, strict=True)))


def split(few: tuple[float, float, float], many: tuple[float, float, float]) -> tuple[float, float]:
    """µs an event and µs a batch, from (seconds, events, batches) of two times with batches of other sizes.

    ``few`` is with few large batches, ``many`` with many small ones. Neither result is negative.

    >>> few, many = (1.0 + 0.01, 10_000, 10), (0.1 + 0.1, 1_000, 100)
    >>> [round(us, 3) for us in split(few, many)]
    [100.0, 1000.0]
    """
    (few_s, few_events, few_batches), (many_s, many_events, many_batches) = few, many
    crossed = few_events * many_batches - many_events * few_batches
    batch_s = (few_events * many_s - many_events * few_s) / crossed if crossed > 0 else 0.0
    batch_s = min(max(batch_s, 0.0), many_s / many_batches if many_batches else 0.0)
    event_s = max(few_s - few_batches * batch_s, 0.0) / few_events if few_events else 0.0
    return event_s * 1e6, batch_s * 1e6
