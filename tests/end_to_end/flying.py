"""The first month of the flights through real processes: workers, sink and source as their commands start them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from connectors.blobs import FolderBlobStore
from connectors.kafka_log import KafkaLog
from infra.settings import Settings
from infra.up import Up
from streams import journal, load_pipeline
from streams.records import OUTPUTS
from streams.recovery import recover

FLIGHTS = Path("examples/flights").resolve()
PARTITIONS = range(4)
Outputs = dict[str, list[list[tuple[Any, ...]]]]
"""Output -> for each partition its records in order: (timestamp in ms, key, value)."""


@dataclass(frozen=True)
class Flown:
    """What a run left behind."""

    outputs: Outputs
    states: list[str]  # digest of each task's final state
    home: Path

    @property
    def parquet(self) -> Path:
        return self.home / "flights" / "parquet"


Disturb = Callable[[Up, int], None]
"""Told again and again how many records the inputs have left, once the source has sent them all."""


BrokerOf = Callable[[str], AbstractContextManager[str]]
"""A broker of one's own, by name: gives its bootstrap servers."""


def committed_records(servers: str, topic: str, partition: int) -> list[tuple[Any, ...]]:
    """All committed records, read by another client than the one that wrote them."""
    options = {"isolation_level": "read_committed", "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    consumer = KafkaConsumer(bootstrap_servers=servers, **options)
    try:
        at = TopicPartition(topic, partition)
        consumer.assign([at])
        end = consumer.end_offsets([at])[at]
        consumer.seek_to_beginning(at)
        records: list[tuple[Any, ...]] = []
        while consumer.position(at) < end:
            for batch in consumer.poll(timeout_ms=500).values():
                records += [(r.timestamp, r.key, r.value) for r in batch if r.offset < end]
        return records
    finally:
        consumer.close()


def final_state(settings: Settings, partition: int) -> str:
    """Digest of the task's state as the next worker would find it: newest checkpoint, then the tail replayed."""
    pipeline = load_pipeline(FLIGHTS / "flights.py")
    store = FolderBlobStore.at(settings.home / "flights" / "checkpoints")
    log = KafkaLog(settings.confluent(), pipeline.group, "final-state", None)
    try:
        end = log.end_offset("flights.journal", partition)
        *_, last = log.read("flights.journal", partition, max(0, end - 10), end)
        made_by = journal.decode(last.value or b"", "test").fingerprint
        return recover(pipeline, partition, log, store, settings.signing_key_bytes(), made_by).task.digest()
    finally:
        log.close()


def fly(servers: str, home: Path, workers: int, disturb: Disturb = lambda up, lag: None) -> Flown:
    """A month of flights on the broker, by this many workers, to the end."""
    settings = Settings(home=home, bootstrap_servers=servers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RIVERRUN_HOME", str(home))
        patch.setenv("RIVERRUN_BOOTSTRAP_SERVERS", servers)
        patch.setenv("FLIGHTS_MONTHS", "1")
        with Up(FLIGHTS / "flights.py", settings, source=FLIGHTS / "source.py", workers=workers) as up:

            def disturbed_enough() -> bool:
                if up.source is not None and up.source.done:
                    disturb(up, up.lag())
                return False

            up.run_until_done(disturbed_enough, tick_s=0.2)
            up.finish()
        outputs = {
            name: [committed_records(servers, f"flights.{name}", partition) for partition in PARTITIONS]
            for name in OUTPUTS
        }
        states = [final_state(settings, partition) for partition in PARTITIONS]
    return Flown(outputs, states, home)
