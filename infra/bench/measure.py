"""Measure what a pipeline costs: a real worker on a broker of its own, one task, about half a minute.

1. warm up      some records, to learn roughly how fast it is
2. saturation   a backlog of some seconds of work: how fast it is worked off, and what that costs
3. open loop    half of that rate, steadily, or a quarter: how long an event waits for its committed prediction
4. the bill     bytes on the disk, state, memory; the same open loop without a worker, to tell what transactions cost;
                costs an event and a batch from 2 and 3, whose batches differ in size
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kafka_admin import end_offsets
from connectors.kafka_reader import quiet
from infra.bench.costs import Costs, Look, split
from infra.bench.running import AtWork, at_work
from infra.bench.sending import Sender, Watching, reach_s
from infra.bench.stream import Row, Stream
from streams.batch import Batch
from streams.checkpointer import sizes
from streams.pipeline import Pipeline
from streams.ports import Record
from streams.task import Task

WARM_EVENTS, EVENTS_MAX, LEFT = 300, 400_000, 0.1
SILENT_S = 60.0
SHARES, BEHIND_S_MAX = (0.5, 0.25), 0.4
"""Of saturation. Broker, worker and sender share the machine: if half of it is too much for that, a quarter is sent."""

RECORDS = "riverrun_records_total"
PING, ASIDE = "riverrun-bench-ping", "riverrun-bench-aside-"
Tell = Callable[[str, float], None]
"""Told which stage it is, and how much of the whole is done, from 0 to 1."""


class Duration(NamedTuple):
    """Seconds of each stage; the warm-up is half of the backlog."""

    backlog_s: float = 6.0
    steady_s: float = 8.0


def measure(file: Path, pipeline: Pipeline, stream: Stream, duration: Duration, tell: Tell) -> Costs:
    """Run the pipeline and say what it costs. Raises Declined when its worker ends, or comes to a standstill."""
    spacing = _Spacing()
    growth = state_growth(pipeline, stream)
    tell("broker and worker start", 0.0)
    with at_work(file, pipeline) as run:
        config = run.settings.confluent()
        sender = Sender(pipeline, config, stream.rows(spacing))
        tell("warm-up", 0.2)
        began = run.look()
        rate = _warm_up(run, sender, duration.backlog_s / 2)
        spacing.rate = rate
        tell("saturation: a backlog is worked off", 0.35)
        backlog = _saturation(run, sender, rate, duration.backlog_s)
        for place, share in enumerate(SHARES):
            tell(f"open loop at {share:.0%} of it", 0.6 + 0.15 * place)
            spacing.rate = share * backlog.took.events / backlog.took.at_s
            steady = _open_loop(run, sender, spacing.rate, duration.steady_s)
            if steady.behind_s < BEHIND_S_MAX:
                break
        tell("the bill", 0.9)
        total, stored = run.look().since(began), run.stored_bytes()
        plain_cores = _without_worker(run, stream, steady.rate, duration.steady_s / 2)
        return _bill(run, stream, _Total(total, stored, growth, plain_cores), backlog, steady)


class _Spacing:
    """ms of event time between two events: as if the rate of the measurement were that of life."""

    rate = 1_000.0

    def __call__(self) -> float:
        return 1_000 / self.rate


class _Backlog(NamedTuple):
    """How many events were sent, and what went on while they were, and while they were worked off."""

    events: int
    filled: Look
    took: Look


class _Total(NamedTuple):
    """Everything from the warm-up on; bytes of inputs and outputs on the disk; by what a state grows; and how many
    cores the broker needs for the open loop without a worker.
    """

    look: Look
    stored: tuple[int, int]
    growth: tuple[float, float]
    plain_cores: float


class _Steady(NamedTuple):
    """An open loop: its rate, what went on, how long events waited, and how far behind it was at the end."""

    rate: float
    took: Look
    waits_s: list[float]
    behind_s: float


def _warm_up(run: AtWork, sender: Sender, seconds: float) -> float:
    """Events a second, roughly: by the time of learning, as a few events wait longer for silence than for that."""
    rate, events, before = 0.0, WARM_EVENTS, run.look()
    for _ in range(2):
        sender.send(events)
        took = _wait_for(run, sender.events).since(before)
        rate = took.events / max(took.batch_s, 1e-3)
        events = min(max(round(rate * seconds), WARM_EVENTS), EVENTS_MAX)
    return rate


def _saturation(run: AtWork, sender: Sender, rate: float, seconds: float) -> _Backlog:
    """From when all of a backlog was there, until a little of it was left; long enough to be told from noise."""
    for _ in range(3):
        events = min(round(rate * seconds), EVENTS_MAX)
        before = run.look()
        sender.send(events)
        began = run.look()
        filled = began.since(before)
        if sender.events - began.events < events / 2:  # as fast as the sender
            began = before
        took = _wait_for(run, sender.events - events * LEFT).since(began)
        if took.at_s > seconds / 2 or events == EVENTS_MAX:
            break
        rate = took.events / took.at_s
    return _Backlog(events, filled, took)


def _open_loop(run: AtWork, sender: Sender, rate: float, seconds: float) -> _Steady:
    """Send steadily. How long events waited is told of all but those of the first second."""
    _wait_for(run, sender.events)
    topic = run.pipeline.topic("predictions")
    end = end_offsets(run.settings.kafka_python(), [topic])[topic, 0]
    first, before = sender.events, run.look()
    with Watching({topic: end}, run.settings.confluent()) as watching:
        sender.send_steadily(rate, seconds)
        after = run.look()
        behind_s = (sender.events - after.events) / rate
        _wait_for(run, sender.events)
        time.sleep(0.5)
    settled = first + min(rate, (sender.events - first) / 2)
    waits = [at_s - sender.sent_s[offset] for offset, at_s in watching.seen if offset >= settled]
    if not waits:
        raise run.failed(f"no event was predicted on: {_reasons(run)}")
    return _Steady(rate, after.since(before), waits, behind_s)


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
    _make_topics(run, [PING])
    return reach_s(PING, run.settings.confluent())


def _without_worker(run: AtWork, stream: Stream, rate: float, seconds: float) -> float:
    """Cores that the broker needs to take the same and give it, at the same rate, without any transaction."""
    topics, config = [ASIDE + each.topic for each in run.pipeline.inputs], run.settings.confluent()
    _make_topics(run, topics)
    sender = Sender(run.pipeline, config, stream.rows(lambda: 1_000 / rate), aside=ASIDE)
    with Watching(dict.fromkeys(topics, 0), config, plain=True):
        before = run.look()
        sender.send_steadily(rate, seconds)
        took = run.look().since(before)
    return took.broker_s / took.at_s


def _make_topics(run: AtWork, topics: list[str]) -> None:
    admin = AdminClient(run.settings.confluent(), logger=quiet)
    for made in admin.create_topics([NewTopic(topic, 1) for topic in topics]).values():
        made.result(30)


def _bill(run: AtWork, stream: Stream, of_all: _Total, backlog: _Backlog, steady: _Steady) -> Costs:
    pipeline, full, half = run.pipeline, backlog.took, steady.took
    total, (bytes_in, bytes_out) = of_all.look, of_all.stored
    batch_us = split(*((each.main_s, each.events, each.batches) for each in (full, half)))[1]
    own_s = full.at_s - min(full.queued_s, full.at_s / 2)
    worker = split(*((each.worker_s, each.events, each.batches) for each in (full, half)))
    transactions_s = half.broker_s - of_all.plain_cores * half.at_s
    seen, (waiting, kept) = run.metrics(), of_all.growth
    events = seen[RECORDS, pipeline.events.topic]
    state, pending = (seen.get((f"riverrun_{name}", ""), 0.0) for name in ("checkpoint_bytes", "pending_labels"))
    p50_s, p99_s = np.quantile(steady.waits_s, (0.5, 0.99), method="higher").tolist()
    aside = waiting * pending + kept * min(total.events - pending, pipeline.labels.pending_max)
    return Costs(
        pipeline=pipeline.name,
        seen_per_s=full.events / full.at_s,
        events_per_s=full.events / own_s,
        event_us=max(1e6 * own_s - batch_us * full.batches, 0.0) / full.events,
        batch_us=batch_us,
        worker_us=worker[0],
        worker_batch_us=worker[1],
        broker_us=1e6 * _broker_s(backlog),
        broker_batch_us=1e6 * max(transactions_s, 0.0) / half.batches,
        commit_ms=1e3 * half.commit_s / max(half.commits, 1),
        reach_ms=1e3 * _reach_s(run),
        bytes_in=bytes_in / total.events,
        bytes_out=bytes_out / total.events,
        others_per_event=[seen.get((RECORDS, each.topic), 0.0) / events for each in pipeline.inputs[:-1]],
        state_bytes=state,
        models_bytes=max(state - aside, 0.0),
        waiting_bytes=waiting,
        kept_bytes=kept,
        memory_bytes=run.memory_bytes(),
        hottest_key=stream.hottest_key,
        rejected=total.rejects / max(total.records, 1),
        steady_rate=steady.rate,
        p50_ms=1e3 * p50_s,
        p99_ms=1e3 * p99_s,
        others_cores=max((full.others_s + half.others_s) / (full.at_s + half.at_s), 0.0),
        topics=len(pipeline.topics),
        idle_after_ms=1e3 * pipeline.idle_after.total_seconds(),
        batch_max=pipeline.batch_max,
        expire_after_s=pipeline.labels.expire_after.total_seconds(),
        pending_max=pipeline.labels.pending_max,
        replay_max_s=pipeline.replay_max.total_seconds() if pipeline.replay_max else None,
    )


def _broker_s(backlog: _Backlog) -> float:
    """CPU of the broker an event: to give it and take its outputs, as the backlog shows; and to take it in before."""
    gives_s = backlog.took.broker_s / backlog.took.events
    return gives_s + max(backlog.filled.broker_s - gives_s * backlog.filled.events, 0.0) / backlog.events


def state_growth(pipeline: Pipeline, stream: Stream, events: int = 500) -> tuple[float, float]:
    """Bytes of pickled state, models aside: of an event that waits for its label, and of one whose label has come."""
    rows = list(_rows_of(pipeline, stream, 3 * events))
    empty = _aside(Task(pipeline, 0))
    alone, all_of_it = Task(pipeline, 0), Task(pipeline, 0)
    events_alone = [row for row in rows if row.topic != pipeline.labels.topic]
    alone.step(_batch(pipeline, events_alone))
    waiting = (_aside(alone) - empty) / max(alone.pending_labels, 1)
    seen = all_of_it.step(_batch(pipeline, rows)).predictions
    resolved = seen - all_of_it.pending_labels
    kept = _aside(all_of_it) - empty - waiting * all_of_it.pending_labels
    return waiting, max(kept, 0.0) / max(resolved, 1)


def _rows_of(pipeline: Pipeline, stream: Stream, events: int) -> Iterator[Row]:
    for row in stream.rows(lambda: 1.0):
        events -= row.topic == pipeline.events.topic
        if events < 0:
            return
        yield row


def _batch(pipeline: Pipeline, rows: list[Row]) -> Batch:
    place = {each.topic: index for index, each in enumerate(pipeline.inputs)}
    records = [(place[row.topic], Record(n, row.timestamp_ms, row.key, row.value)) for n, row in enumerate(rows)]
    return Batch(tuple((0, 0) for _ in place), records)


def _aside(task: Task) -> float:
    return sum(size for part, size in sizes(task.state()) if not part.startswith("model "))
