"""Records that could not be used: found by what was wrong with them, and sent again once that is mended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from connectors.kafka_errors import translate, translated
from connectors.kafka_scan import scan
from streams.errors import Declined
from streams.records import RejectRecord

REDRIVEN = "riverrun-redriven"
"""Header of a record that was sent again: the coordinates of its reject, ``topic[partition]@offset``."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A reject and where it lies."""

    where: str
    record: RejectRecord

    @property
    def source(self) -> str:
        """Where the record lies that was rejected."""
        return f"{self.record.topic}[{self.record.partition}]@{self.record.offset}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rejects: None is any. ``offset`` is that of the rejected record."""

    reason: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    field: str | None = None

    def takes(self, record: RejectRecord) -> bool:
        """Whether this is one of them.

        >>> record = RejectRecord("starts", 0, 7, 0, "json", "", "not JSON", 1, True, None, b"{")
        >>> Filter(reason="json").takes(record), Filter(reason="json", offset=8).takes(record)
        (True, False)
        """
        wanted = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return all(value is None or getattr(record, name) == value for name, value in wanted.items())


def rejects(config: dict[str, Any], topic: str, wanted: Filter) -> Iterator[Reject]:
    """The rejects that lie in a pipeline's topic of them."""
    decode = msgspec.json.Decoder(RejectRecord).decode
    for record in scan(config, topic):
        where = f"{topic}[{record.partition}]@{record.offset}"
        try:
            reject = decode(record.value or b"")
        except msgspec.MsgspecError as error:
            raise Declined(f"this is no reject: {error}", where=where, remedy="something else writes there") from error
        if wanted.takes(reject):
            yield Reject(where, reject)


def redriven(config: dict[str, Any], chosen: Iterable[Reject]) -> set[str]:
    """Where the rejects lie, of those chosen, whose records were sent again already."""
    starts: dict[str, dict[int, int]] = defaultdict(dict)
    for each in chosen:
        of_topic, record = starts[each.record.topic], each.record
        of_topic[record.partition] = min(record.offset + 1, of_topic.get(record.partition, record.offset + 1))
    found = set()
    for topic, of_topic in starts.items():
        for record in scan(config, topic, of_topic):
            found |= {value.decode() for name, value in record.headers or () if name == REDRIVEN}
    return found & {each.where for each in chosen}


def redrive(config: dict[str, Any], chosen: list[Reject]) -> int:
    """Send these records to their topics again: same key, value, partition and timestamp. How many.

    Raises Declined when a record too large for its reject is no longer in its topic.
    """
    from kafka import KafkaProducer

    failures: list[BaseException] = []
    with translated("redrive"), KafkaProducer(**config, acks="all", enable_idempotence=True) as producer:
        for each in chosen:
            key, value = _whole(config, each)
            record, header = each.record, [(REDRIVEN, each.where.encode())]
            place = {"partition": record.partition, "timestamp_ms": max(record.timestamp_ms, 0)}
            producer.send(record.topic, value, key, header, **place).add_errback(failures.append)
        producer.flush(timeout=60)
    if failures:
        raise translate(failures[0], "redrive") from failures[0]
    return len(chosen)


def _whole(config: dict[str, Any], reject: Reject) -> tuple[bytes | None, bytes | None]:
    """Key and value of the rejected record, from its topic where the reject does not hold them."""
    record = reject.record
    if record.whole:
        return record.key, record.value
    for found in scan(config, record.topic, {record.partition: record.offset}):
        if found.offset == record.offset:
            return found.key, found.value
        break
    raise Declined(
        "the record is too large to be in its reject, and no longer in its topic",
        where=reject.source,
        remedy="publish it again from where it came from",
    )
