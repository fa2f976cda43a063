"""The loop of ``riverrun sink``: topics into Parquet files, any number of processes sharing the partitions.

Each round:

1. consume what is there, committed records only;
2. hand it to the ParquetSink, partition by partition;
3. write full buckets at once, open ones too every ``flush_s`` (later if that takes long: 5 % of the time at most);
4. commit the start of each partition's open bucket; 5. rebuild the warehouse if its views have changed.

A crash before 4 repeats work on the same files; nothing is doubled. A full disk pauses reading until writing succeeds.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka_errors import Refusal, translated
from connectors.kafka_positions import Positions
from connectors.kafka_reader import RECONNECT, quiet
from connectors.sinks.files import fix_topic
from connectors.sinks.parquet import BUCKET_OFFSETS, ParquetSink, Part
from connectors.sinks.schema import Kind
from connectors.warehouse import build
from streams.errors import BrokerUnreachable, Fenced
from streams.ports import Telemetry

_CONSUME_MAX, _CONSUME_S = 4_000, 0.2
_ASK_S = 30.0
_GC_THRESHOLD = 100_000  # records are many, short-lived and without cycles: looking for cycles often costs a third
_PAUSE_PER_FLUSH = 19.0  # seconds between flushes per second of flushing
_SESSION_MS = 10_000  # as the workers': the partitions of a sink that was killed wait so long for its successor


def run_sink(
    config: Mapping[str, Any],
    group: str,
    topics: Mapping[str, str],
    kind: Kind,
    root: Path,
    *,
    telemetry: Telemetry,
    stop: Callable[[], bool],
    once: bool = False,
    flush_s: float = 2.0,
    bucket_offsets: int = BUCKET_OFFSETS,
) -> None:
    """Sink until ``stop`` says so; with ``once`` until every partition has been read to its end.

    With ``once`` this must be the group's only process: it waits until it has all partitions.

    Parameters
    ----------
    config
        Properties of confluent-kafka that reach the cluster.
    group
        The consumer group; processes with the same one share the partitions and must share ``root``.
    topics
        Topic -> table: a name in ``PUBLISHED``, or "inputs" for the raw archive of an input.
    kind, root, bucket_offsets
        As for ParquetSink.

    Raises
    ------
    Declined
        A topic is missing or was made anew, or the folder has another layout.
    OSError
        The files could not be written when it was time to stop.
    """
    gc.set_threshold(_GC_THRESHOLD)
    sink = ParquetSink(root, kind, bucket_offsets)
    described = _describe(config, list(topics))
    for topic, description in described.items():
        fix_topic(root, topic, str(description.topic_id))
    partitions = sum(len(description.partitions) for description in described.values())
    loop = _Loop(config, group, topics, sink, telemetry, flush_s)
    try:
        while not stop() and not (once and loop.at_end(partitions)):
            loop.round()
        loop.flush()
    finally:
        loop.close()


def _describe(config: Mapping[str, Any], topics: list[str]) -> dict[str, Any]:
    refusal = Refusal()
    admin = AdminClient({**config, "error_cb": refusal}, logger=quiet)  # answers fail if it goes out of scope before
    with translated("sink: describe topics"):
        answers = admin.describe_topics(TopicCollection(topics), request_timeout=_ASK_S)
        try:
            return {topic: answer.result() for topic, answer in answers.items()}
        except KafkaException:
            admin.poll(0)  # calls back
            refusal.raise_it()
            raise


class _Loop:
    def __init__(
        self,
        config: Mapping[str, Any],
        group: str,
        topics: Mapping[str, str],
        sink: ParquetSink,
        telemetry: Telemetry,
        flush_s: float,
    ) -> None:
        self._topics, self._sink, self._telemetry, self._flush_s = topics, sink, telemetry, flush_s
        self._owned: dict[Part, int] = {}  # the next offset the group has committed
        self._positions = Positions()
        self._ended: set[Part] = set()
        self._blocked = False
        self._flush_due = 0.0
        build(sink.root)
        own = {
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",  # only where retention has passed the bucket's start
            "partition.assignment.strategy": "roundrobin",
            "fetch.queue.backoff.ms": 50,  # 1,000 lets a sink that catches up run dry
        }
        sessions = {"session.timeout.ms": _SESSION_MS, "heartbeat.interval.ms": _SESSION_MS // 10}
        self._consumer = Consumer({**RECONNECT, **sessions, **config, **own}, logger=quiet)
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def at_end(self, partitions: int) -> bool:
        """Whether all partitions are ours, each was read to its end since it was assigned, and all could be written."""
        return len(self._ended & self._owned.keys()) == partitions and not self._blocked

    def round(self) -> None:
        """Steps 1 to 5 of the module's docstring."""
        with translated("sink: consume"):
            messages = self._consumer.consume(_CONSUME_MAX, _CONSUME_S)
        for fetched in self._positions.take(messages):
            part = Part(self._topics[fetched.topic], fetched.topic, fetched.partition)
            self._sink.write(part, fetched.records)
            if fetched.end_offset is not None:
                self._ended.add(part)
        now = time.monotonic()
        due = now >= self._flush_due
        full = not self._blocked and any(map(self._sink.full, self._owned))
        if due or full:
            try:
                self.flush(open_too=due)
                self._block(False)
            except OSError:
                self._telemetry.count("sink_write_failures", 1)
                self._block(True)
        if due:
            took_s = time.monotonic() - now
            self._flush_due = now + took_s + max(self._flush_s, _PAUSE_PER_FLUSH * took_s)
            self._report_lag()
            self._report_disk()

    def flush(self, *, open_too: bool = True) -> None:
        """Write the full buckets, and the open ones too; then commit, then renew the warehouse.

        Raises OSError if it cannot be written.
        """
        began = time.monotonic()
        with self._telemetry.span("flush"):
            self._flush(open_too)
        self._telemetry.observe("sink_flush_seconds", time.monotonic() - began)

    def _flush(self, open_too: bool) -> None:
        for part in self._owned:
            flushed = self._sink.flush(part, open_too=open_too)
            self._telemetry.count("sink_rows", flushed.rows, table=part.table)
            self._telemetry.count("sink_unreadable", flushed.unreadable, table=part.table)
            self._telemetry.count("sink_broken_files", flushed.broken_files, table=part.table)
        self._commit()
        build(self._sink.root)

    def close(self) -> None:
        self._consumer.close()

    def _commit(self) -> None:
        moved = {part: self._sink.next_offset_to_commit(part) for part in self._owned}
        moved = {part: offset for part, offset in moved.items() if offset != self._owned[part]}
        if not moved:
            return
        offsets = [TopicPartition(part.topic, part.partition, offset) for part, offset in moved.items()]
        try:
            with translated("sink: commit"):
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except (BrokerUnreachable, Fenced):
            self._telemetry.count("sink_commit_failures", 1)  # whoever reads on repeats some work
        else:
            self._owned |= moved

    def _block(self, blocked: bool) -> None:
        """Stop reading while the disk takes nothing; polling goes on, so the partitions stay ours."""
        if blocked != self._blocked:
            here = [TopicPartition(part.topic, part.partition) for part in self._owned]
            (self._consumer.pause if blocked else self._consumer.resume)(here)
        self._blocked = blocked
        self._telemetry.gauge("sink_blocked", float(blocked))

    def _report_disk(self) -> None:
        disk = shutil.disk_usage(self._sink.root)
        self._telemetry.gauge("sink_disk_bytes", disk.total)
        self._telemetry.gauge("sink_disk_free_bytes", disk.free)

    def _report_lag(self) -> None:
        lag: Counter[str] = Counter()
        for (topic, partition), next_offset in self._positions.next_offsets.items():
            _, end_offset = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            lag[self._topics[topic]] += max(0, end_offset - next_offset)
        for table, records in lag.items():
            self._telemetry.gauge("sink_lag_records", records, table=table)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        starts = []
        with translated("sink: assignment"):
            for at in consumer.committed(partitions, _ASK_S) if partitions else []:
                part = Part(self._topics[at.topic], at.topic, at.partition)
                committed = at.offset if at.offset >= 0 else None
                self._owned[part] = committed or 0
                at.offset = self._positions.next_offsets[at.topic, at.partition] = self._sink.open(part, committed)
                starts.append(at)
            consumer.assign(starts)
            consumer.resume(starts)  # librdkafka remembers what was paused in the assignment before
        self._blocked = False

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self.flush()
        except OSError:
            self._telemetry.count("sink_write_failures", 1)  # whoever takes over reads it again
        self._on_lost(_consumer, partitions)

    def _on_lost(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        for part in self._owned:
            self._sink.close(part)
        self._owned.clear()
        self._positions.next_offsets.clear()
        self._ended.clear()
