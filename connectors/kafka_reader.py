"""Reading a partition's committed records by offset, outside of any group; and where its log begins and ends."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from connectors.kafka_errors import translate, translated
from streams.errors import BrokerUnreachable, Declined
from streams.ports import Record

quiet = logging.getLogger("riverrun.kafka")
"""librdkafka's own log. Silent unless the program configures logging; what matters reaches us as errors."""
quiet.addHandler(logging.NullHandler())

REQUEST_TIMEOUT_S = 5.0
"""How long one call waits for its answer; it is repeated, up to a deadline."""

RECONNECT = {"reconnect.backoff.max.ms": 1_000}
"""For every client: by default it waits up to 10 s before it tries again to reach a broker that has long been back."""

_CHUNK = 1_000
T = TypeVar("T")


def retrying(deadline_s: float) -> Retrying:
    """The same call again while the broker cannot be reached, ``deadline_s`` at most; then the last error."""
    return Retrying(
        retry=retry_if_exception_type(BrokerUnreachable),
        stop=stop_after_delay(deadline_s),
        wait=wait_exponential(multiplier=0.01, max=0.5),
        reraise=True,
    )


def retry(where: str, call: Callable[..., T], *args: Any, deadline_s: float = 60.0) -> T:
    """``call(*args)`` with its errors translated, again while the broker cannot be reached."""

    def once() -> T:
        with translated(where):
            return call(*args)

    return retrying(deadline_s)(once)


class LogEnds:
    """Where partitions begin and end. ``deadline_s`` bounds the wait for open transactions, seconds."""

    def __init__(self, config: dict[str, Any], deadline_s: float) -> None:
        with translated("admin client"):
            self._admin = AdminClient({**RECONNECT, **config}, logger=quiet)
        self._deadline_s = deadline_s

    def beginning_offset(self, topic: str, partition: int) -> int:
        """Offset of the oldest record the topic's retention has left."""
        return self._retried([topic], partition, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)[topic]

    def end_offset(self, topic: str, partition: int) -> int:
        """The log's end at the time of the call or later, once no transaction is open before it.

        A transaction ends by commit, abort or its timeout. The broker answers a commit before it has written the
        markers, so right after one the end may still move by a marker; no record is missed. Raises BrokerUnreachable
        when a transaction outlasts the deadline.
        """
        return self.end_offsets([topic], partition)[topic]

    def end_offsets(self, topics: list[str], partition: int) -> dict[str, int]:
        """``end_offset`` of several topics at once."""
        ends = self._retried(topics, partition, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)

        def wait_for_transactions() -> dict[str, int]:
            stable = self._query(topics, partition, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
            for topic, end in ends.items():
                if stable[topic] < end:
                    raise BrokerUnreachable(
                        f"a transaction is open at offset {stable[topic]}, before the end at {end}",
                        where=f"{topic}[{partition}]",
                        remedy="it ends by its timeout; `riverrun topics unblock FILE` ends one that Kafka forgot",
                    )
            return stable

        return retrying(self._deadline_s)(wait_for_transactions)

    def settle_offsets(self, group: str, topics: list[str]) -> None:
        """Wait until no transaction is open any more that is now in the group's offsets, of any partition."""
        counts = {topic: len(self._described(topic).partitions) for topic in topics}
        left = {(topic, partition) for topic, count in counts.items() for partition in range(count)}

        def wait_for_transactions() -> None:
            asked = ConsumerGroupTopicPartitions(group, [TopicPartition(*each) for each in sorted(left)])
            with translated(f"offsets of {group}"):
                answer = self._admin.list_consumer_group_offsets(
                    [asked], require_stable=True, request_timeout=REQUEST_TIMEOUT_S
                )
                offsets = answer[group].result().topic_partitions
            left.intersection_update((each.topic, each.partition) for each in offsets if each.error)
            if left:
                raise BrokerUnreachable(
                    f"a transaction is open in the group's offsets of {len(left)} partitions",
                    where=group,
                    remedy="it ends by its timeout; `riverrun topics unblock FILE` ends one that Kafka forgot",
                )

        if left:
            retrying(self._deadline_s)(wait_for_transactions)

    def topic_id(self, topic: str) -> str:
        """Kafka's id of a topic: one that was deleted and made anew has another."""
        return str(self._described(topic).topic_id)

    def _described(self, topic: str) -> Any:
        def ask() -> Any:
            with translated(f"topic {topic}"):
                answer = self._admin.describe_topics(TopicCollection([topic]), request_timeout=REQUEST_TIMEOUT_S)
                return answer[topic].result()

        return retrying(self._deadline_s)(ask)

    def _retried(self, topics: list[str], partition: int, spec: Any, isolation: Any) -> dict[str, int]:
        return retrying(self._deadline_s)(self._query, topics, partition, spec, isolation)

    def _query(self, topics: list[str], partition: int, spec: Any, isolation: Any) -> dict[str, int]:
        asked = {TopicPartition(topic, partition): spec for topic in topics}
        with translated(f"offsets of {', '.join(topics)}[{partition}]"):
            answers = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=REQUEST_TIMEOUT_S)
            offsets = {at.topic: answer.result().offset for at, answer in answers.items()}
        if min(offsets.values(), default=0) < 0:  # librdkafka says so, and no error, when the connection breaks
            raise BrokerUnreachable(
                f"offsets were asked for, and none was told: {offsets}",
                where=f"{', '.join(topics)}[{partition}]",
                remedy="check that the broker runs and can be reached; riverrun tries again",
            )
        return offsets


class PartitionReader:
    """Reads ranges of one partition. Ranges that follow one another cost no new request.

    Parameters
    ----------
    config
        Properties of a read_committed consumer with ``auto.offset.reset=error`` and ``enable.partition.eof``.
    deadline_s
        How long to wait for the next record of a range before giving up, seconds.
    """

    def __init__(self, config: dict[str, Any], topic: str, partition: int, deadline_s: float) -> None:
        self._topic, self._partition, self._deadline_s = topic, partition, deadline_s
        self._where = f"{topic}[{partition}]"
        with translated(self._where):
            self._consumer = Consumer(config, logger=quiet)
        self._ahead: deque[Record] = deque()  # fetched, at or past the end of the ranges read so far
        self._next: int | None = None  # where a range continues; None while one is being read
        self._end = 0  # everything before this offset has been fetched

    def read(self, start: int, end: int) -> Iterator[Record]:
        """Committed records with start <= offset < end, in order. One range at a time.

        Raises
        ------
        Declined
            ``start`` is older than the log's beginning, or the log ends before ``end``: it is not the log it was.
        BrokerUnreachable
            No record came for ``deadline_s``.
        """
        if start >= end:
            return
        if self._next != start:
            self._ahead.clear()
            self._end = start
            with translated(f"{self._where}@{start}"):
                self._consumer.assign([TopicPartition(self._topic, self._partition, start)])
        self._next = None
        while True:
            while self._ahead and self._ahead[0].offset < end:
                yield self._ahead.popleft()
            if self._end >= end:
                break
            retrying(self._deadline_s)(self._fetch, end)
        self._next = end

    def close(self) -> None:
        """Release the connection."""
        with translated(self._where):
            self._consumer.close()

    def _fetch(self, end: int) -> None:
        with translated(self._where):
            messages = self._consumer.consume(1, 1.0) or []
            messages += self._consumer.consume(_CHUNK, 0)
        for message in messages:
            self._take(message, end)
        if not messages:
            raise BrokerUnreachable(
                f"no record came; read to offset {self._end} of {end}", where=self._where, remedy="check the broker"
            )

    def _take(self, message: Message, end: int) -> None:
        error, offset = message.error(), message.offset()
        if error is None:
            self._ahead.append(Record(offset, message.timestamp()[1], message.key(), message.value()))
            self._end = offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:
            self._end = max(self._end, offset)
            self._refuse_a_shorter_log(end)
        elif not error.retriable():
            raise translate(error, f"{self._where}@{self._end}")

    def _refuse_a_shorter_log(self, end: int) -> None:
        with translated(self._where):
            _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, self._partition), cached=True)
        if self._end < end and 0 <= high < end:
            raise Declined(
                f"the log ends at offset {high}, but offsets up to {end} were read from it earlier",
                where=self._where,
                remedy="the topic was deleted or cut: restore it, or start the pipeline under another name",
            )
