"""What an independent client sees of a pipeline on the broker: how much is ready, read and put out, by partition."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.pipeline import Pipeline
from tests.chaos.pipelines.rides import FARES, PARTITIONS, RIDES, SKY

_ASK_S = 1.0
_QUIET = logging.Logger("chaos.probe", level=logging.CRITICAL + 1)
BACKLOG = 500
"""Offsets of a partition that wait though nothing is wrong: for another input's next record, and markers."""


STALL_S = 10.0
"""A partition that stood still for longer is worth a line in the log."""


class View(NamedTuple):
    """Committed offsets by partition: of all inputs together, what the group has read of them, and the outputs."""

    ready: list[int]
    read: list[int]
    put_out: list[int]
    closed: bool  # whether every closing record of the sky has been taken: everything has


class Probe:
    """Asks the broker about a pipeline, quickly or not at all.

    A group's offsets are asked for by a consumer that never joins: librdkafka's admin client crashes when the group's
    coordinator has moved or is not loaded yet (confluent-kafka-python#1982). And its clients may not find back to a
    broker that was killed, so that after each failure new ones ask.
    """

    def __init__(self, servers: str, pipeline: Pipeline) -> None:
        self._config = {"bootstrap.servers": servers, "reconnect.backoff.max.ms": 200}
        self._group = pipeline.group
        self._connect()
        self._inputs = [RIDES, FARES, SKY]
        self._outputs = [pipeline.topic(name) for name in ("features", "predictions", "outcomes", "rejects")]

    def look(self) -> View | None:
        """What there is now; None when the broker does not answer."""
        try:
            ends, read = self._ends(), self._read()
        except KafkaException:
            self._connect()
            return None
        closed = all(read.get((SKY, partition), 0) >= ends[SKY, partition] - 1 for partition in range(PARTITIONS))
        return View(_sums(ends, self._inputs), _sums(read, self._inputs), _sums(ends, self._outputs), closed)

    def _connect(self) -> None:
        own = {"group.id": self._group, "isolation.level": "read_uncommitted"}  # it does not wait for transactions
        self._admin = AdminClient(self._config, logger=_QUIET)
        self._reader = Consumer({**self._config, **own}, logger=_QUIET)

    def _ends(self) -> dict[tuple[str, int], int]:
        asked = {
            TopicPartition(topic, partition): OffsetSpec.latest()
            for topic in (*self._inputs, *self._outputs)
            for partition in range(PARTITIONS)
        }
        committed = IsolationLevel.READ_COMMITTED
        answers = self._admin.list_offsets(asked, isolation_level=committed, request_timeout=_ASK_S)
        offsets = {(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}
        if min(offsets.values()) < 0:  # librdkafka says so, and no error, when the connection breaks
            raise KafkaException("offsets were asked for, and none was told")
        return offsets

    def _read(self) -> dict[tuple[str, int], int]:
        asked = [TopicPartition(topic, partition) for topic in self._inputs for partition in range(PARTITIONS)]
        answers = self._reader.committed(asked, _ASK_S)
        if errors := [answer.error for answer in answers if answer.error]:
            raise KafkaException(errors[0])
        return {(at.topic, at.partition): max(at.offset, 0) for at in answers}


def _sums(offsets: dict[tuple[str, int], int], topics: list[str]) -> list[int]:
    return [sum(offsets.get((topic, partition), 0) for topic in topics) for partition in range(PARTITIONS)]


@dataclass
class Availability:
    """The longest time for which a partition put nothing out while input waited for it.

    While the broker is away everything waits: its producers hold what is to be published.

    Examples
    --------
    >>> seen = Availability()
    >>> for now_s, ready, put_out in [(0, 10, 5), (1, 20, 10), (2, 30, 10), (4, 40, 10), (5, 40, 20), (9, 40, 20)]:
    ...     seen.observe(now_s, View([ready], [ready], [put_out], False))
    >>> seen.longest_s
    3.0
    >>> seen.observe(10, None); seen.observe(14, View([40], [40], [30], False)); seen.longest_s
    4.0
    """

    longest_s: float = 0.0
    tell: Callable[[str], None] = lambda _: None
    _since_s: dict[int, float] = field(default_factory=dict)
    _known: View | None = None

    def observe(self, now_s: float, view: View | None) -> None:
        """Note what was seen at a time."""
        known = self._known
        if known is None:
            self._known = view
            return
        for partition in range(len(known.ready)):
            moved = view is not None and view.put_out[partition] > known.put_out[partition]
            if view is None or view.ready[partition] > known.ready[partition] or _backlog(view, partition):
                self._since_s.setdefault(partition, now_s)
            if partition in self._since_s:
                self.longest_s = max(self.longest_s, float(now_s - self._since_s[partition]))
            if moved:
                assert view is not None
                if (stood_s := now_s - self._since_s.pop(partition, now_s)) > STALL_S:
                    self.tell(f"partition {partition} goes on after {stood_s:.1f} s")
                known.ready[partition], known.put_out[partition] = view.ready[partition], view.put_out[partition]
                if _backlog(view, partition):
                    self._since_s[partition] = now_s


def _backlog(view: View, partition: int) -> bool:
    return view.ready[partition] - view.read[partition] > BACKLOG
