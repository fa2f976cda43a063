"""What others see of a topic: all committed records, read by kafka-python, which wrote none of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from streams.ports import Record


class Committed:
    """One consumer for a whole test, as a new one costs 0.2 s. Records read before are kept, not read again."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._consumer: Any = KafkaConsumer(
            **config, isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._read: defaultdict[TopicPartition, list[Record]] = defaultdict(list)
        self._next: dict[TopicPartition, int] = {}

    def records(self, topic: str, partition: int) -> list[Record]:
        """All of them up to the end as it is now."""
        part = TopicPartition(topic, partition)
        self._consumer.assign([part])
        self._consumer.seek(part, self._next.get(part, 0))
        end = self._consumer.end_offsets([part])[part]
        while self._consumer.position(part) < end:
            for each in self._consumer.poll(timeout_ms=200).get(part, []):
                self._read[part].append(Record(each.offset, each.timestamp, each.key, each.value))
        self._next[part] = self._consumer.position(part)
        return list(self._read[part])

    def close(self) -> None:
        self._consumer.close()
