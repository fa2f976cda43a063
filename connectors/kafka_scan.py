"""All committed records of a topic that are there now. At human rate, so on kafka-python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.kafka_errors import translated
from streams.errors import Declined

POLL_MS = 200


def partitions_of(consumer: Any, topic: str) -> list[int]:
    """A topic's partitions, as a KafkaConsumer sees them. Raises Declined when there is no such topic."""
    partitions = consumer.partitions_for_topic(topic) if topic in consumer.topics() else None
    if not partitions:
        servers = consumer.config["bootstrap_servers"]
        where = servers if isinstance(servers, str) else ",".join(servers)
        raise Declined(f"no topic {topic!r}", where=where, remedy="`riverrun topics` lists them")
    return sorted(partitions)


def scan(config: dict[str, Any], topic: str, starts: Mapping[int, int] | None = None) -> Iterator[Any]:
    """kafka-python's records, each partition in order, up to the ends at the time of the call.

    ``starts`` maps partitions to first offsets; None is all partitions from the beginning. An offset that retention
    has passed starts at the oldest record there is. Raises Declined when there is no such topic.
    """
    from kafka import KafkaConsumer, TopicPartition

    options = {"isolation_level": "read_committed", "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    with translated(f"topic {topic}"), KafkaConsumer(**config, **options) as consumer:
        there = partitions_of(consumer, topic)
        parts = {TopicPartition(topic, partition) for partition in (there if starts is None else starts)}
        consumer.assign(list(parts))
        consumer.seek_to_beginning(*parts)
        for part in parts:
            if starts is not None:
                consumer.seek(part, max(starts[part.partition], consumer.position(part)))
        ends = consumer.end_offsets(list(parts))
        while any(consumer.position(part) < ends[part] for part in parts):
            for batch in consumer.poll(timeout_ms=POLL_MS).values():
                yield from (record for record in batch if record.offset < ends[TopicPartition(topic, record.partition)])
