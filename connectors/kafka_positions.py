"""From librdkafka's messages to what the worker takes: grouped by partition, with our own account of what is next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, Message

from connectors.kafka_errors import translate
from streams.ports import Fetched, Record

_record: Callable[[type[Record], tuple[Any, ...]], Record] = tuple.__new__  # half the cost of Record(...)


@dataclass(slots=True)
class Positions:
    """(topic, partition) -> the offset that comes next, for every assigned partition.

    The client's own positions have been wrong when records are consumed in batches, so nothing relies on them: what
    lies before our position, or belongs to a partition that is not ours, is never handed out.
    """

    next_offsets: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, messages: list[Message]) -> list[Fetched]:
        """Group what a poll brought. Raises what a partition's error stands for, unless the client mends it itself."""
        records: dict[tuple[str, int], list[Record]] = {}
        ends: dict[tuple[str, int], int | None] = {}
        run: tuple[str, int] | None = None  # messages come in runs of one partition: its list is looked up once a run
        for message in messages:
            topic, partition = message.topic(), message.partition()
            if message.error() is not None:
                run = None
                ends[topic, partition] = _end_offset(message)
                continue
            if run is None or partition != run[1] or topic != run[0]:
                run = (topic, partition)
                ends[run] = None
                append = records.setdefault(run, []).append
            append(_record(Record, (message.offset(), message.timestamp()[1], message.key(), message.value())))
        taken = (self._advance(key, records.get(key, []), end) for key, end in ends.items())
        return [fetched for fetched in taken if fetched is not None]

    def _advance(self, key: tuple[str, int], records: list[Record], end: int | None) -> Fetched | None:
        expected = self.next_offsets.get(key)
        if expected is None:
            return None
        if records and records[0].offset < expected:
            records = [record for record in records if record.offset >= expected]
        if records:
            expected = records[-1].offset + 1
        self.next_offsets[key] = expected if end is None else max(expected, end)
        return Fetched(*key, records, end)


def _end_offset(message: Message) -> int | None:
    if message.error().code() == KafkaError._PARTITION_EOF:
        offset: int = message.offset()
        return offset
    ours = translate(message.error(), f"{message.topic()}[{message.partition()}]")
    if ours.retriable:
        return None
    raise ours


def raise_fatal(messages: list[Message]) -> None:
    """Raise what ended the consumer, if a message tells of it: it comes once, with the loss of all partitions."""
    for message in messages:
        error = message.error()
        if error is not None and error.code() == KafkaError._FATAL:
            raise translate(error, "consumer")
