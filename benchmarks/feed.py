"""Sends events of benchmarks/clicks.py at a steady rate, whatever becomes of them: ``python -m benchmarks.feed``."""

from __future__ import annotations

import random
import time
import uuid
from argparse import ArgumentParser
from datetime import UTC, datetime

from confluent_kafka import Producer

from benchmarks.clicks import clicked, pipeline, shown
from connectors.kafka_reader import quiet

TICK_S = 0.02
LABEL_AFTER_MS = 500
LABELLED_EACH = 10


def feed(servers: str, rate: int, seconds: float) -> None:
    """``rate`` events a second, each tenth with a label half a second later."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 5, "compression.type": "lz4"}, logger=quiet)
    run = uuid.uuid4().hex[:8]
    draw, began_s, sent = random.Random(1), time.monotonic(), 0  # noqa: S311 - no secret
    while (passed_s := time.monotonic() - began_s) < seconds:
        now_ms = time.time_ns() // 1_000_000
        for number in range(sent, int(passed_s * rate)):
            _put(producer, draw, f"{run}-{number}", number, now_ms)
        sent = int(passed_s * rate)
        producer.poll(0)
        time.sleep(TICK_S)
    producer.flush(30)


def _put(producer: Producer, draw: random.Random, name: str, number: int, now_ms: int) -> None:
    at = datetime.fromtimestamp(now_ms / 1_000, UTC).isoformat()
    partition = number % pipeline.partitions
    x, y, z = draw.gauss(), draw.gauss(), draw.random()
    named = f'"id": "{name}", "page": "{partition}", "at": "{at}"'
    event = f'{{{named}, "x": {x}, "y": {y}, "z": {z}}}'
    producer.produce(shown.topic, event, str(partition), partition, timestamp=now_ms)
    if number // pipeline.partitions % LABELLED_EACH == 0:
        label = f'{{{named}, "clicked": {str(x + y > z).lower()}}}'
        producer.produce(clicked.topic, label, str(partition), partition, timestamp=now_ms + LABEL_AFTER_MS)


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("servers")
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    feed(given.servers, given.rate, given.seconds)
