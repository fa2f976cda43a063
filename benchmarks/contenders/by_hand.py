"""What the loops by hand share: records of all inputs, merged by their timestamps, and a producer; at least once."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from confluent_kafka import Consumer, Message, Producer

from connectors.kafka_reader import quiet

BATCH, COMMIT_EVERY_S = 1_000, 1.0


def merged(topics: Sequence[str], wait: Callable[[], None]) -> Iterator[list[Message]]:
    """The records of these topics, merged by timestamp, a batch at a time.

    Once a second what was put out until then is waited for, then the offsets are committed. A record is given out when
    each other topic shows its next one. One consumer a topic: none runs ahead.
    """
    waiting = [deque[Message]() for _ in topics]
    consumers = [_consumer(topic) for topic in topics]
    last, due_s = dict[str, Message](), time.monotonic() + COMMIT_EVERY_S
    while True:
        for consumer, queue in zip(consumers, waiting, strict=True):
            if not queue:
                queue.extend(consumer.consume(BATCH, 0.1))
        batch = []
        while all(waiting):
            first = min(waiting, key=lambda queue: queue[0].timestamp()[1])  # of equals the first
            batch.append(first.popleft())
        if batch:
            yield batch
            last |= {message.topic(): message for message in batch}
        if last and time.monotonic() > due_s:
            wait()
            for consumer, topic in zip(consumers, topics, strict=True):
                if topic in last:
                    consumer.commit(last[topic], asynchronous=True)
            last, due_s = {}, time.monotonic() + COMMIT_EVERY_S


def _consumer(topic: str) -> Consumer:
    group = {"group.id": f"{os.environ['BENCH_RUN']}-{topic}", "auto.offset.reset": "earliest"}
    config = {"bootstrap.servers": os.environ["BENCH_SERVERS"], **group, "enable.auto.commit": False}
    consumer = Consumer({**config, "fetch.queue.backoff.ms": 50}, logger=quiet)
    consumer.subscribe([topic])
    return consumer


def sender() -> tuple[Callable[..., None], Callable[[], None]]:
    """How to write a record (output, value, key, timestamp), and how to wait until all are there."""
    config = {"bootstrap.servers": os.environ["BENCH_SERVERS"], "linger.ms": 20, "compression.type": "lz4"}
    producer = Producer({**config, "enable.idempotence": True, "delivery.report.only.error": True}, logger=quiet)
    run = os.environ["BENCH_RUN"]
    topics = {output: f"{run}.{output}" for output in ("features", "predictions", "outcomes")}

    def send(output: str, value: bytes, key: bytes | None, timestamp_ms: int) -> None:
        row = (topics[output], value, key, 0, None, None, timestamp_ms)
        while True:
            try:
                return producer.produce(*row)  # type: ignore[no-any-return]
            except BufferError:  # the broker is slower than we are
                producer.poll(0.01)

    def wait() -> None:
        assert producer.flush(30) == 0

    return send, wait
