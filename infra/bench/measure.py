"""Measure what a pipeline costs: a real worker on a broker of its own, one task, about half a minute.

1. warm up      some records, to learn roughly how fast it is
2. saturation   a backlog of some seconds of work: how fast it is worked off, and what that costs
3. open loop    half of that rate, steadily: how long an event waits for its committed prediction
4. the bill     bytes on the disk, state, memory; costs an event and a batch from 2 and 3, whose batches differ in size
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kafka_admin import end_offsets
from connectors.kafka_reader import quiet
from infra.bench.costs import Costs, Look, split
from infra.bench.queueing import quantile
from infra.bench.running import AtWork, at_work
from infra.bench.sending import Sender, Watching, reach_s
from infra.bench.stream import Row, Stream
from streams.batch import Batch
from streams.pipeline import Pipeline
from streams.ports import Record
from streams.task import Task

WARM_EVENTS, EVENTS_MAX = 300, 400_000
SILENT_S = 60.0
PING = "riverrun-bench-ping"
Tell = Callable[[str, float], None]
"""Told which stage it is, and how much of the whole is done, from 0 to 1."""


class Duration(NamedTuple):
    """Seconds of each stage; the warm-up is half of the backlog."""

    backlog_s: float = 6.0
    steady_s: float = 8.0


def measure(file: Path, pipeline: Pipeline, stream: Stream, duration: Duration, tell: Tell) -> Costs:
    """Run the pipeline and say what it costs. Raises Declined when its worker ends, or comes to a standstill."""
    spacing = _Spacing()
    waiting_bytes = _waiting_bytes(pipeline, stream)
    tell("broker and worker start", 0.0)
    with at_work(file, pipeline) as run:
        config = run.settings.confluent()
        sender = Sender(pipeline, config, stream.rows(spacing))
        run.look()
        tell("warm-up", 0.2)
        began = run.look()
        rate = _warm_up(run, sender, duration.backlog_s / 2)
        spacing.rate = rate
        tell("saturation: a backlog is worked off", 0.35)
        full = _saturation(run, sender, rate, duration.backlog_s)
        tell("open loop at half of it", 0.6)
        half_rate = 0.5 * full.events / full.at_s
        spacing.rate = half_rate
        waits, half = _open_loop(run, sender, half_rate, duration.steady_s)
        tell("the bill", 0.9)
        reach = _reach_s(run)
        return _bill(run, stream, began, full, half, _Latency(half_rate, waits, reach), waiting_bytes)


class _Spacing:
    """ms of event time between two events: as if the rate of the measurement were that of life."""

    rate = 1_000.0

    def __call__(self) -> float:
        return 1_000 / self.rate


class _Latency(NamedTuple):
    rate: float
    waits_s: list[float]
    reach_s: float


def _warm_up(run: AtWork, sender: Sender, seconds: float) -> float:
    """Events a second, roughly."""
    rate, events = 0.0, WARM_EVENTS
    for _ in range(2):
        began_s = time.perf_counter()
        sender.send(events)
        _wait_for(run, sender.events)
        rate = events / (time.perf_counter() - began_s)
        events = min(max(round(rate * seconds), WARM_EVENTS), EVENTS_MAX)
    return rate


def _saturation(run: AtWork, sender: Sender, rate: float, seconds: float) -> Look:
    """What it took to work off a backlog: from when all of it was there, until a little of it was left."""
    events = min(round(rate * seconds), EVENTS_MAX)
    before = run.look()
    sender.send(events)
    began = run.look()
    if sender.events - began.events < events / 2:  # as fast as the sender
        began = before
    ended = _wait_for(run, sender.events - events * 0.05)
    return ended.since(began)


def _open_loop(run: AtWork, sender: Sender, rate: float, seconds: float) -> tuple[list[float], Look]:
    """Seconds that events waited, but those of the first second; and what it took."""
    _wait_for(run, sender.events)
    topic = run.pipeline.topic("predictions")
    end = end_offsets(run.settings.kafka_python(), [topic])[topic, 0]
    first, before = sender.events, run.look()
    with Watching(topic, run.settings.confluent(), end) as watching:
        sender.send_steadily(rate, seconds)
        after = run.look()
        _wait_for(run, sender.events)
        time.sleep(0.5)
    settled = first + min(rate, (sender.events - first) / 2)
    waits = [at_s - sender.sent_s[offset] for offset, at_s in watching.seen if offset >= settled]
    if not waits:
        raise run.failed(f"no event was predicted on: {_reasons(run)}")
    return waits, after.since(before)


def _wait_for(run: AtWork, events: float) -> Look:
    """Until so many events are committed. Raises Declined when none has been for a while."""
    look = run.look()
    moved_s = time.monotonic()
    while look.events < events:
        time.sleep(0.05)
        now = run.look()
        if now.events > look.events:
            moved_s = time.monotonic()
        elif time.monotonic() - moved_s > SILENT_S + run.pipeline.idle_after.total_seconds():
            raise run.failed(f"no event was taken in for {SILENT_S:.0f} s")
        look = now
    return look


def _reasons(run: AtWork) -> str:
    rejects = {label: value for (name, label), value in run.metrics().items() if name == "riverrun_rejects_total"}
    return ", ".join(f"{value:,.0f} rejected as {reason}" for reason, value in rejects.items()) or "none was rejected"


def _reach_s(run: AtWork) -> float:
    admin = AdminClient(run.settings.confluent(), logger=quiet)
    admin.create_topics([NewTopic(PING, 1)])[PING].result(30)
    return reach_s(PING, run.settings.confluent())


def _bill(
    run: AtWork, stream: Stream, began: Look, full: Look, half: Look, latency: _Latency, waiting_bytes: float
) -> Costs:
    pipeline, all_of_it = run.pipeline, run.look().since(began)
    bytes_in, bytes_out = run.stored_bytes()
    _, batch_us = _split(full, half, "main_s")
    worker = _split(full, half, "worker_s")
    broker = _split(full, half, "broker_s")
    event_us = max(1e6 * full.at_s / full.events - batch_us * full.batches / full.events, 0.1)
    state = run.metrics().get(("riverrun_checkpoint_bytes", ""), 0.0)
    return Costs(
        pipeline=pipeline.name,
        events_per_s=full.events / full.at_s,
        event_us=event_us,
        batch_us=batch_us,
        worker_event_us=worker[0],
        worker_batch_us=worker[1],
        broker_event_us=broker[0],
        broker_batch_us=broker[1],
        commit_ms=1e3 * half.commit_s / max(half.commits, 1),
        reach_ms=1e3 * latency.reach_s,
        bytes_in=bytes_in / all_of_it.events,
        bytes_out=bytes_out / all_of_it.events,
        labels_per_event=full.labels / full.events,
        waiting_bytes=waiting_bytes,
        state_bytes=state,
        memory_bytes=run.memory_bytes(),
        hottest_key=stream.hottest_key,
        rejected=all_of_it.rejects / max(all_of_it.records, 1),
        half_rate=latency.rate,
        p50_ms=1e3 * quantile(latency.waits_s, 0.5),
        p99_ms=1e3 * quantile(latency.waits_s, 0.99),
        topics=len(pipeline.topics),
        idle_after_ms=1e3 * pipeline.idle_after.total_seconds(),
        batch_max=pipeline.batch_max,
        replay_max_s=pipeline.replay_max.total_seconds(),
    )


def _split(full: Look, half: Look, what: str) -> tuple[float, float]:
    few, many = ((getattr(each, what), each.events, each.batches) for each in (full, half))
    return split(few, many)


def _waiting_bytes(pipeline: Pipeline, stream: Stream, events: int = 200) -> float:
    """By how many bytes a task's pickled state grows with an event that waits for its label, windows included."""
    task, place = Task(pipeline, 0), {each.topic: index for index, each in enumerate(pipeline.inputs)}
    rows = [row for row in islice(stream.rows(lambda: 1.0), 20 * events) if row.topic != pipeline.labels.topic]
    sizes = [(0, len(pickle.dumps(task.state())))]
    for start, end in ((0, events), (events, 2 * events)):
        batch = [(place[row.topic], Record(start + n, row.timestamp_ms, row.key, row.value)) for n, row in _part(rows, start, end)]
        task.step(Batch(tuple((0, 0) for _ in place), batch))
        sizes.append((task.pending_labels, len(pickle.dumps(task.state()))))
    (few, small), (many, large) = sizes[1:]
    return (large - small) / (many - few) if many > few else 0.0


def _part(rows: list[Row], start: int, end: int) -> list[tuple[int, Row]]:
    return list(enumerate(rows[start:end]))
