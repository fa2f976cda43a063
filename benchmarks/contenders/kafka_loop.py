"""What the loops by hand share: batches of records of both topics, and a producer; at least once."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, Message, Producer

from benchmarks.workload import EVENTS, LABELS, OUTPUT
from connectors.kafka_reader import quiet

BATCH = 1_000


def batches(records: int) -> Iterator[list[Message]]:
    """All records of both topics, so many at a time; in between the offsets are committed."""
    servers = {"bootstrap.servers": os.environ["BENCH_SERVERS"]}
    config = {**servers, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**config, "fetch.queue.backoff.ms": 50}, logger=quiet)
    consumer.subscribe([EVENTS, LABELS])
    taken = 0
    while taken < records:
        if batch := consumer.consume(BATCH, 0.1):
            yield batch
            taken += len(batch)
            consumer.commit(asynchronous=True)
    consumer.close()


def sender() -> tuple[Callable[[bytes], None], Callable[[], None]]:
    """How to write a record, and how to wait until all are there."""
    config = {"bootstrap.servers": os.environ["BENCH_SERVERS"], "linger.ms": 20, "compression.type": "lz4"}
    producer = Producer({**config, "enable.idempotence": True, "delivery.report.only.error": True}, logger=quiet)

    def send(value: bytes) -> None:
        try:
            producer.produce(OUTPUT, value)
        except BufferError:
            producer.poll(0.1)
            producer.produce(OUTPUT, value)

    def wait() -> None:
        assert producer.flush(30) == 0

    return send, wait
