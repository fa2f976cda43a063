"""Sends a synthetic stream at a steady rate, whatever becomes of it: each record at the time that is its timestamp.

An open loop: a system that falls behind is sent as much as one that keeps up, and waiting counts as latency.
``python -m benchmarks.open_loop SERVERS WORKLOAD RATE EVENTS`` says that it is ready, and is then told when to start.
"""

from __future__ import annotations

import sys
import time

from confluent_kafka import Producer

from benchmarks.cluster import put
from benchmarks.workload import SYNTHETIC
from connectors.kafka_reader import quiet

TICK_S = 0.001
FIRST = 1_000_000_000
"""Number of the first event: those of an earlier stream have other names."""


def send(servers: str, workload: str, rate: float, events: int, start_s: float) -> None:
    """Event n is due at ``start_s`` + n / ``rate``, its label a second later."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 5, "compression.type": "lz4"}, logger=quiet)
    rows = SYNTHETIC[workload].rows(events, start_ms=start_s * 1_000, per_ms=rate / 1_000, first=FIRST)
    for row in rows:
        while time.time() * 1_000 < row.timestamp_ms:
            producer.poll(0)
            time.sleep(TICK_S)
        put(producer, row)
    producer.flush(30)


if __name__ == "__main__":
    _, servers, workload, rate, events = sys.argv
    print("ready", flush=True)
    send(servers, workload, float(rate), int(events), float(input()))
