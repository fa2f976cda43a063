"""What Kafka's coordinators have decided: their own log, ``__transaction_state``, read from its end backwards.

    key    version, transactional id
    value  version, producer id, epoch, timeout, status, [topic, [partition]], …

A coordinator writes down that a transaction is to be committed or aborted before it tells the partitions so. The format
is Kafka's own, of versions 0 and 1 (with compact fields).

References: TransactionLogValue.json in Kafka's sources; KIP-98, KIP-890.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from connectors.kafka_errors import translated

TOPIC = "__transaction_state"
STATUS = (
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareFence",
)
CHUNK = 10_000
"""Offsets read first, from the end; each time eight times as many."""

POLL_MS = 500


class Entry(NamedTuple):
    """A state of a transactional id, and the partitions of its transaction."""

    transactional_id: str
    producer_id: int
    status: str
    partitions: frozenset[tuple[str, int]]


def java_hash(text: str) -> int:
    """Java's hash of a text, not negative: Kafka's choice of a partition for a transactional id, or a group.

    >>> java_hash("hello"), java_hash("riverrun-disturbed") % 8
    (99162322, 0)
    """
    value = 0
    units = text.encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8) + low) & 0xFFFFFFFF
    signed = value - (1 << 32) if value >> 31 else value
    return 0 if signed == -(1 << 31) else abs(signed)


def newest_first(config: dict[str, Any], transactional_id: str) -> Iterator[Entry]:
    """The states that a transactional id went through, the newest first, as far back as the log goes."""
    from kafka import KafkaConsumer, TopicPartition

    options = {"enable_auto_commit": False, "exclude_internal_topics": False}
    with translated(TOPIC), KafkaConsumer(**config, **options) as consumer:
        consumer.topics()
        count = len(consumer.partitions_for_topic(TOPIC) or ())
        if not count:
            return
        part = TopicPartition(TOPIC, java_hash(transactional_id) % count)
        consumer.assign([part])
        beginning, end = consumer.beginning_offsets([part])[part], consumer.end_offsets([part])[part]
        chunk = CHUNK
        while end > beginning:
            start = max(beginning, end - chunk)
            entries = [entry for entry in _entries(consumer, part, start, end) if entry is not None]
            yield from (entry for entry in reversed(entries) if entry.transactional_id == transactional_id)
            end, chunk = start, 8 * chunk


def _entries(consumer: Any, part: Any, start: int, end: int) -> Iterator[Entry | None]:
    consumer.seek(part, start)
    while consumer.position(part) < end:
        for record in consumer.poll(timeout_ms=POLL_MS).get(part, ()):
            if record.offset < end:
                yield decode(record.key, record.value)


class _Reader:
    """Kafka's primitive types, one after the other, in both of its encodings."""

    def __init__(self, data: bytes, compact: bool) -> None:
        self._data, self._at, self._compact = data, 0, compact

    def number(self, size: int) -> int:
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "big", signed=True)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def length(self, size: int) -> int:
        """Of an array or a text, 0 for none at all; ``size`` is that of the number where it is not compact."""
        return max((self._varint() - 1) if self._compact else self.number(size), 0)

    def text(self) -> str:
        length = self.length(2)
        self._at += length
        return self._data[self._at - length : self._at].decode()

    def skip_tags(self) -> None:
        for _ in range(self._varint() if self._compact else 0):
            self._varint()
            length = self._varint()
            self._at += length


def decode(key: bytes, value: bytes | None) -> Entry | None:
    """A record of the log; None for a tombstone, and for what is in a version that we do not know.

    >>> value = b"\\x00\\x00" + (7).to_bytes(8, "big") + bytes(6) + b"\\x02" + b"\\x00\\x00\\x00\\x01"
    >>> value += b"\\x00\\x04rows" + b"\\x00\\x00\\x00\\x01" + (3).to_bytes(4, "big") + bytes(16)
    >>> decode(b"\\x00\\x00\\x00\\x02id", value)
    Entry(transactional_id='id', producer_id=7, status='PrepareCommit', partitions=frozenset({('rows', 3)}))
    """
    if value is None or int.from_bytes(key[:2], "big") != 0:
        return None
    version = int.from_bytes(value[:2], "big")
    if version > 1:
        return None
    named = _Reader(key[2:], compact=False).text()
    reader = _Reader(value[2:], compact=version == 1)
    producer_id, _epoch, _timeout, status = (reader.number(size) for size in (8, 2, 4, 1))
    partitions = set()
    for _ in range(reader.length(4)):
        topic = reader.text()
        partitions |= {(topic, reader.number(4)) for _ in range(reader.length(4))}
        reader.skip_tags()
    return Entry(named, producer_id, STATUS[status], frozenset(partitions))
