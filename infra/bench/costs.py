"""What a pipeline costs: measured figures, and how they follow from two looks at a worker at work."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one pipeline on one machine. "An event" is one with all that comes with it: its label, its
    share of the references. Bytes are those on the broker's disk, compressed.
    """

    pipeline: str
    seen_per_s: float  # events that one task worked off of a backlog
    events_per_s: float  # the same without the time that its main thread waited for a core: what it does with one
    event_us: float  # µs of the main thread an event
    batch_us: float  # and a batch besides
    worker_us: float  # CPU an event, of all threads and of the copies that pickle checkpoints
    worker_batch_us: float  # and a batch besides
    broker_us: float  # CPU of one broker an event: taking in, giving to the worker, taking its outputs
    broker_batch_us: float  # and a transaction besides
    commit_ms: float  # begin to committed, beside the data path
    reach_ms: float  # publish to read, without a worker in between
    bytes_in: float  # an event
    bytes_out: float
    others_per_event: list[float]  # records of each other input an event: references, then labels
    state_bytes: float  # of a task, pickled, behind the measurement
    models_bytes: float  # of that: what does not grow with the rate
    waiting_bytes: float  # by which it grows with an event that waits for its label
    kept_bytes: float  # and with one whose label has come: remembered for expire_after, windows included
    memory_bytes: float  # of a worker
    hottest_key: float  # share of events
    rejected: float  # share of records
    steady_rate: float  # events a second of the open loop: half of what was seen, or a quarter
    p50_ms: float  # from publishing an event to holding its committed prediction, in the open loop
    p99_ms: float
    others_cores: float  # kept busy by processes that have nothing to do with it, meanwhile
    topics: int
    idle_after_ms: float
    batch_max: int
    expire_after_s: float
    pending_max: int
    replay_max_s: float | None  # None: by how long saving the state takes


class Look(NamedTuple):
    """Counts so far, of which two are compared: a measurement is the difference."""

    at_s: float
    events: float
    records: float
    rejects: float
    batches: float
    batch_s: float
    commits: float
    commit_s: float
    main_s: float  # CPU of the worker's main thread
    queued_s: float  # time that it waited for a core
    worker_s: float  # CPU of the whole worker, and of the copies of it that pickle checkpoints
    broker_s: float
    others_s: float  # CPU of all other processes of the machine, but ours

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
    batch_s = min(max(batch_s, 0.0), few_s / few_batches, many_s / many_batches)
    return 1e6 * (few_s - few_batches * batch_s) / few_events, 1e6 * batch_s
