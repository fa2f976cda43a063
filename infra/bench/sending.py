"""Sends the records of a measurement to one task, at once or at a steady rate, and sees when predictions come out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from threading import Event, Thread
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.kafka_reader import quiet
from infra.bench.stream import Row
from streams.errors import Declined
from streams.pipeline import Pipeline

TICK_S = 0.005
FLUSH_S = 60.0
TASK = 0
"""All goes to this one: it is what a task costs that is measured."""


class _Prediction(msgspec.Struct):
    offset: int  # of its event


class Sender:
    """Sends rows, in their order. It counts events, and knows when each was to be sent, by its offset.

    With ``aside`` it sends them to topics of other names, which no worker reads.
    """

    def __init__(self, pipeline: Pipeline, config: dict[str, Any], rows: Iterator[Row], aside: str = "") -> None:
        self._producer = Producer({**config, "linger.ms": 2, "compression.type": "lz4", "acks": "all"}, logger=quiet)
        self._rows, self._events, self._aside = rows, pipeline.events.topic, aside
        self.sent_s: list[float] = []

    @property
    def events(self) -> int:
        """How many were sent."""
        return len(self.sent_s)

    def send(self, events: int) -> None:
        """So many events at once, with all that comes with them."""
        for _ in range(events):
            self._next_event(time.perf_counter())
        self._flush()

    def send_steadily(self, events_per_s: float, seconds: float) -> None:
        """Open loop: an event that is late on its way counts from when it was due. The records are made up before."""
        rows = list(self._until_events(round(events_per_s * seconds)))
        began_s, due = time.perf_counter(), 0
        for row in rows:
            due_s = began_s + due / events_per_s
            while (now_s := time.perf_counter()) < due_s:
                self._producer.poll(0)
                time.sleep(min(TICK_S, due_s - now_s))
            due += self._produce(row, due_s)
        self._flush()

    def _until_events(self, events: int) -> Iterator[Row]:
        while events > 0:
            row = next(self._rows)
            events -= row.topic == self._events
            yield row

    def _next_event(self, due_s: float) -> None:
        while not self._produce(next(self._rows), due_s):
            pass

    def _produce(self, row: Row, due_s: float) -> bool:
        """Whether it was an event."""
        while True:
            try:
                self._producer.produce(self._aside + row.topic, row.value, row.key, TASK, timestamp=row.timestamp_ms)
            except BufferError:
                self._producer.poll(0.01)
            else:
                break
        if row.topic == self._events:
            self.sent_s.append(due_s)
            return True
        return False

    def _flush(self) -> None:
        if self._producer.flush(FLUSH_S):
            raise Declined(f"the broker did not take all records within {FLUSH_S:.0f} s", remedy="look at the disk")


class Watching:
    """Reads committed records from when it began: ``seen`` has (offset of the event, when it was held).

    The topics hold predictions, unless ``plain``: then the offsets are the records' own.
    """

    def __init__(self, topics: dict[str, int], config: dict[str, Any], *, plain: bool = False) -> None:
        reads = {"group.id": "bench", "isolation.level": "read_committed", "enable.auto.commit": False}
        self._consumer = Consumer({**config, **reads, "fetch.wait.max.ms": 100}, logger=quiet)
        self._consumer.assign([TopicPartition(topic, TASK, start) for topic, start in topics.items()])
        self._decode, self._plain = msgspec.json.Decoder(_Prediction).decode, plain
        self.seen: list[tuple[int, float]] = []
        self._over = Event()
        self._thread = Thread(target=self._read, daemon=True)

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._over.is_set():
            first = self._consumer.poll(0.1)
            messages = [] if first is None else [first, *self._consumer.consume(2_000, 0)]
            now_s = time.perf_counter()
            self.seen += [(self._offset(message), now_s) for message in messages if not message.error()]

    def _offset(self, message: Any) -> int:
        offset: int = message.offset() if self._plain else self._decode(message.value()).offset
        return offset


def reach_s(topic: str, config: dict[str, Any], times: int = 100) -> float:
    """Publish to read, without a worker in between: the median of so many records, in seconds."""
    producer = Producer({**config, "linger.ms": 1, "acks": "all"}, logger=quiet)
    took = list[float]()
    with Watching({topic: 0}, config, plain=True) as watching:
        for number in range(times):
            began_s = time.perf_counter()
            producer.produce(topic, b"{}", partition=TASK)
            producer.flush(FLUSH_S)
            while len(watching.seen) <= number and time.perf_counter() - began_s < 5:
                time.sleep(0.0005)
            took += [at_s - began_s for _, at_s in islice(watching.seen, number, number + 1)]
    return sorted(took)[len(took) // 2] if took else 0.0
