"""Tables replayed onto topics in the order of event time, each record once, also when the source is killed.

Records go out in transactions. How many of the merged sequence are out is committed in the same transaction, as the
offset of a consumer group of its own, ``riverrun-replay-{name}``, on partition 0 of the first stream's topic. So a
restart reads that position and goes on with the next record; what a killed process had not committed was never seen.

Topics need a retention that keeps old timestamps (``retention.ms=-1``): a record's timestamp is its event time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Consumer, Producer, TopicPartition
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from connectors.kafka_errors import translated
from connectors.kafka_reader import quiet
from streams.errors import Declined
from streams.ports import Telemetry

CHUNK_RECORDS = 10_000  # encoded and sent at once: bounds the memory and the size of a transaction
_WAIT_S_MAX = 0.2  # how often a paced replay looks whether it should stop
_ASK_S = 30.0
_PRODUCER = {
    "retry.backoff.ms": 5,
    "partitioner": "murmur2_random",  # as Java and kafka-python choose
    "linger.ms": 20,
    "compression.type": "lz4",
}


class Stream(NamedTuple):
    """A table and the topic it is replayed onto.

    Parameters
    ----------
    topic
        Where the rows go, as JSON objects with the table's columns as fields. Times become RFC 3339 text, NaN null.
    table
        A pyarrow Table or a pandas DataFrame.
    key
        The column whose text is the record's key; its murmur2 hash chooses the partition, as in Java.
    time
        The column with the event time: a timestamp, or an integer of ms since the Unix epoch.
    """

    topic: str
    table: pa.Table | pd.DataFrame
    key: str
    time: str


class Message(NamedTuple):
    """One record to send."""

    topic: str
    key: bytes
    value: bytes
    timestamp_ms: int


class Replay:
    """Several streams merged by event time. Ties: the earlier stream, then the earlier row.

    Parameters
    ----------
    name
        Names the position that is kept in Kafka. Another replay with other tables needs another name.
    streams
        What to replay.
    speed
        Seconds of event time in a second; None: as fast as it goes.

    Raises
    ------
    Declined
        A key or time column is missing, of a wrong type, or has nulls.

    Examples
    --------
    >>> a = Stream("a", pa.table({"k": ["x", "y"], "at": [10, 30]}), key="k", time="at")
    >>> b = Stream("b", pd.DataFrame({"k": ["z"], "at": pd.to_datetime([20], unit="ms"), "v": [0.5]}), "k", "at")
    >>> [(message.topic, message.timestamp_ms) for message in Replay("demo", [a, b]).messages()]
    [('a', 10), ('b', 20), ('a', 30)]
    >>> next(Replay("demo", [b]).messages()).value
    b'{"k":"z","at":"1970-01-01T00:00:00.020000","v":0.5}'
    """

    def __init__(self, name: str, streams: Sequence[Stream], *, speed: float | None = None) -> None:
        assert streams
        self.name, self.speed = name, _checked(speed)
        self._streams = [_arrow(stream) for stream in streams]
        times = [_times_ms(stream) for stream in self._streams]
        self._starts = np.cumsum([0, *map(len, times)])
        all_times = np.concatenate(times)
        self._order = np.argsort(all_times, kind="stable")
        self._times_ms = all_times[self._order]
        self._fingerprint = hashlib.sha256(self._times_ms.tobytes()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._order)

    def at_speed(self, speed: float | None) -> Replay:
        """The same replay at another speed; its position is the same."""
        other = copy(self)
        other.speed = _checked(speed)
        return other

    def messages(self, start: int = 0) -> Iterator[Message]:
        """The merged sequence from position ``start``, encoded ``CHUNK_RECORDS`` at a time."""
        for first in range(start, len(self), CHUNK_RECORDS):
            yield from self._chunk(first)

    def run(
        self,
        config: Mapping[str, Any],
        *,
        stop: Callable[[], bool] = lambda: False,
        progress: bool = True,
        telemetry: Telemetry | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> int:
        """Send what is not out yet; returns how many records this run sent.

        ``config`` has the properties of confluent-kafka that reach the cluster.

        Raises
        ------
        Declined
            The position kept under this name belongs to other tables, or a topic is missing.
        Fenced
            The same replay was started a second time; that one goes on.
        OutcomeUnknown
            A transaction failed. Run again: it resumes where the last committed one ended.
        """
        with translated(f"replay {self.name}"), _bar(self.name, len(self), visible=progress) as advance:
            position = _Position(self, config)
            begun = done = position.read()
            advance(begun)
            started_s = clock()
            while done < len(self) and not stop():
                chunk = self._chunk(done)
                sent = 0
                while sent < len(chunk) and not stop():
                    due = self._due(begun, clock() - started_s) - done
                    if due <= sent:
                        sleep(min(_WAIT_S_MAX, self._wait_s(begun, done + sent, clock() - started_s)))
                        continue
                    position.send(chunk[sent:due], done + min(due, len(chunk)))
                    records = min(due, len(chunk)) - sent
                    sent += records
                    advance(records)
                    if telemetry:
                        telemetry.count("source_records", records, source=self.name)
                        telemetry.gauge("source_remaining_records", len(self) - done - sent, source=self.name)
                done += sent
        return done - begun

    def _due(self, begun: int, elapsed_s: float) -> int:
        """Position up to which records are due."""
        if self.speed is None:
            return len(self)
        now_ms = self._times_ms[begun] + elapsed_s * self.speed * 1_000
        return int(np.searchsorted(self._times_ms, now_ms, side="right"))

    def _wait_s(self, begun: int, position: int, elapsed_s: float) -> float:
        assert self.speed is not None
        ahead_s = float(self._times_ms[position] - self._times_ms[begun]) / 1_000 / self.speed
        return max(0.001, ahead_s - elapsed_s)

    def _chunk(self, first: int) -> list[Message]:
        rows = self._order[first : first + CHUNK_RECORDS]
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        messages: list[Any] = [None] * len(rows)
        for i, stream in enumerate(self._streams):
            places = np.flatnonzero(owner == i)
            part = stream.table.take(pa.array(rows[places] - self._starts[i]))
            timestamps = self._times_ms[first + places].tolist()
            for place, message in zip(places.tolist(), _encoded(stream, part, timestamps), strict=True):
                messages[place] = message
        return messages


def _checked(speed: float | None) -> float | None:
    if speed is not None and not speed > 0:
        raise Declined(f"speed {speed} is not above 0", remedy="leave it out to go as fast as possible")
    return speed


class _Position:
    """How many records are out, kept in Kafka by the transactions that sent them."""

    def __init__(self, replay: Replay, config: Mapping[str, Any]) -> None:
        self._replay = replay
        self._at = (replay._streams[0].topic, 0)
        group = f"riverrun-replay-{replay.name}"
        self._producer = Producer({**config, **_PRODUCER, "transactional.id": group}, logger=quiet)
        self._consumer = Consumer({**config, "group.id": group, "isolation.level": "read_committed"}, logger=quiet)

    def read(self) -> int:
        """Fence whoever sent before, and read where it ended."""
        self._producer.init_transactions(_ASK_S)
        (known,) = self._consumer.committed([TopicPartition(*self._at)], _ASK_S)
        if known.offset < 0:
            return 0
        if known.metadata != self._replay._fingerprint:
            raise Declined(
                f"a replay named {self._replay.name!r} sent {known.offset:,} records of other tables",
                where=self._at[0],
                remedy="give this one another name",
            )
        return int(known.offset)

    def send(self, messages: Sequence[Message], position: int) -> None:
        """One transaction: the messages, and the position after them."""
        self._producer.begin_transaction()
        produce = self._producer.produce
        for topic, key, value, timestamp_ms in messages:
            produce(topic, value, key, timestamp=timestamp_ms)
        after = TopicPartition(*self._at, position, self._replay._fingerprint)
        self._producer.send_offsets_to_transaction([after], self._consumer.consumer_group_metadata(), _ASK_S)
        self._producer.commit_transaction(_ASK_S)


def _arrow(stream: Stream) -> Stream:
    """The stream with its table in Arrow, checked."""
    table = stream.table
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)  # NaN becomes null
    for column in (stream.key, stream.time):
        if column not in table.column_names:
            raise Declined(
                f"no column {column!r}", where=stream.topic, remedy=f"one of {', '.join(table.column_names)}"
            )
        if table[column].null_count:
            remedy = "leave those rows out, or fill them in"
            raise Declined(f"{table[column].null_count:,} rows have no {column!r}", where=stream.topic, remedy=remedy)
    return stream._replace(table=table)


def _times_ms(stream: Stream) -> Any:
    """Event times in ms since the Unix epoch: int64, shape (n_rows,)."""
    column = stream.table[stream.time]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", column.type.tz), safe=False)
    elif not pa.types.is_integer(column.type):
        remedy = "make it a timestamp, or an integer of ms"
        raise Declined(f"{stream.time!r} is {column.type}, no time", where=stream.topic, remedy=remedy)
    times = column.cast(pa.int64()).to_numpy()
    if len(times) and times.min() <= 0:  # librdkafka takes a timestamp of 0 for "now"
        remedy = "leave out rows that are not after 1970-01-01"
        raise Declined(f"{stream.time!r} is {times.min()} ms in a row", where=stream.topic, remedy=remedy)
    return times


def _encoded(stream: Stream, rows: pa.Table, timestamps_ms: Sequence[int]) -> Iterator[Message]:
    encode, names = msgspec.json.Encoder().encode, rows.column_names
    keys = pc.cast(rows[stream.key], pa.string()).to_pylist()
    columns = [rows[name].to_pylist() for name in names]
    for key, timestamp_ms, *values in zip(keys, timestamps_ms, *columns, strict=True):
        yield Message(stream.topic, key.encode(), encode(dict(zip(names, values, strict=True))), timestamp_ms)


@contextmanager
def _bar(name: str, total: int, *, visible: bool) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, disable=not visible) as progress:
        task = progress.add_task(name, total=total)
        yield lambda records: progress.advance(task, records)
