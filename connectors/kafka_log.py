"""The worker's log on Kafka (streams/ports.py): a group's consumer and a transactional producer, on librdkafka.

closed ──subscribe──▶ member ──begin──▶ in a transaction ──commit, abort──▶ member ──close──▶ closed

The consumer never commits: offsets travel in the producer's transactions, with the consumer's group metadata, so that
a worker which lost its partitions is fenced. Rebalances are eager: all partitions are revoked, then assigned anew.
"""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from connectors.kafka_errors import Refusal, translate, translated
from connectors.kafka_positions import Positions, raise_fatal
from connectors.kafka_reader import RECONNECT, REQUEST_TIMEOUT_S, LogEnds, PartitionReader, quiet, retry
from streams.errors import BrokerUnreachable, Declined, OutcomeUnknown, PipelineError
from streams.ports import Assignment, Fetched, Output, Record

TRANSACTION_TIMEOUT_MS = 10_000
"""After which the broker aborts a dead worker's transaction. Short, as no model runs inside of one; and as long as its
session, so that whoever gets its tasks then need not wait for the transaction as well."""

INIT_S = 0.05
"""How often to look what keeps a producer from beginning."""

ASKS_AGAIN_S = 0.5
"""How long librdkafka waits before it asks a second time for a producer's id."""

OPEN_TRANSACTION_DEADLINE_S = 20.0
"""How long to wait for an open transaction: a dead worker's ends within 12 s. Who waits longer begins again."""

OFFSETS_DEADLINE_S = 30.0
"""How long to wait for the group's offsets: for a transaction that is open in them, or while a coordinator is found."""

ANSWER_DEADLINE_S = 90.0
"""How long to wait for records."""

FLUSH_S = 5.0
"""How long to send what is to be aborted, before the transaction is aborted (librdkafka#4849)."""

TRUSTED_S = 2.0
"""What took longer to be answered may have been sent twice."""

HANGS_AFTER_S = 2 * REQUEST_TIMEOUT_S
"""A transaction's call that has not returned by then never will."""

_CONSUMER = {
    "enable.partition.eof": True,
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 1_000,
    "fetch.wait.max.ms": 100,  # how late an end of partition is noticed
    "fetch.queue.backoff.ms": 50,  # 1,000 lets a fast worker run dry
}
_CONSUMER_FIXED = {
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",  # a lost position stops, it is never guessed
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "partition.assignment.strategy": "range",  # with equal partition counts: partition p of every topic together
    "check.crcs": True,
}
_READER = {
    "queued.max.messages.kbytes": 16_384,
    "fetch.wait.max.ms": 10,  # a range often ends with a marker: that nothing follows is told after this long
}
_PRODUCER = {
    "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
    "retry.backoff.ms": 5,  # 100, the default, is what every second transaction would wait
    "retry.backoff.max.ms": 200,
    "delivery.report.only.error": True,
    "compression.type": "lz4",  # JSON shrinks to a fifth: less for the broker to write and for readers to fetch
    "linger.ms": 20,  # a commit flushes at once, so waiting only makes fuller batches
}


class KafkaLog:
    """One worker's view of Kafka, closed after any error but BrokerUnreachable. Not thread-safe, with one exception:

    ``send_offsets`` and ``commit`` may run in another thread while this one polls; nothing of the transaction else.

    Parameters
    ----------
    config
        Properties for librdkafka: addresses, security, and overrides of timeouts.
    group
        The consumer group: workers of one group share its partitions.
    transactional_id
        Unique among running workers. A worker that starts with an id fences the one that had it.
    instance_id
        Static membership: a worker that returns with it within the session timeout keeps its partitions.
    """

    def __init__(self, config: dict[str, Any], group: str, transactional_id: str, instance_id: str | None) -> None:
        static = {"group.instance.id": instance_id} if instance_id else {}
        common = {**RECONNECT, **config, "client.id": transactional_id}
        self._consumer_config = {
            **_CONSUMER,
            **common,
            **_CONSUMER_FIXED,
            "group.id": group,
            "error_cb": self._on_error,
        }
        self._failure: PipelineError | None = None  # seen in the background; the next poll raises it
        self._refusal = Refusal()
        self._listener: Assignment | None = None
        self._starts: dict[tuple[str, int], int] | None = None  # while assigning: where to start, by seek
        self._positions = Positions()
        self._reassigned = False
        self._group, self._topics = group, list[str]()
        self._offsets_settled = False
        self._open = self._shaken = False
        self._metadata: Any = None  # of the group, while a transaction is open
        self._closing = False
        own = {"transactional.id": transactional_id, "error_cb": self._on_producer_error}
        self._producer_config = {**_PRODUCER, **common, **own}
        self._readers: dict[tuple[str, int], PartitionReader] = {}
        with translated("Kafka clients"):
            self._consumer = Consumer({**self._consumer_config, **static}, logger=quiet)
            self._make_producer()
        self._ends = LogEnds(config, OPEN_TRANSACTION_DEADLINE_S)

    def subscribe(self, topics: list[str], listener: Assignment) -> None:
        """Fence an earlier worker of our transactional id, then join the group."""
        self._listener, self._topics = listener, topics
        retry("init_transactions", self._init_transactions)
        with translated(f"subscription to {', '.join(topics)}"):
            self._consumer.subscribe(topics, self._on_assign, self._on_revoke, self._on_lost)

    def _make_producer(self) -> None:
        self._producer = Producer(self._producer_config, logger=quiet)
        self._made_s = time.monotonic()

    def _init_transactions(self) -> None:
        """Raises Declined where the cluster refuses our credentials: of that the client itself says nothing here.

        While Kafka aborts what an earlier worker left open it answers that we should ask again. librdkafka does so half
        a second later, a new client at once. Before that half second is over no other request of the old one can be on
        its way, which would fence the new one.
        """
        try:
            self._producer.init_transactions(INIT_S)
        except KafkaException as error:
            answered = error.args[0].code() == KafkaError.CONCURRENT_TRANSACTIONS
            if answered and time.monotonic() - self._made_s < ASKS_AGAIN_S:
                self._make_producer()
            raise
        finally:
            self._producer.poll(0)
            self._refusal.raise_it()

    def poll(self, timeout_s: float, records_max: int) -> list[Fetched]:
        """Wait up to ``timeout_s`` for the first record, then take what is there, ``records_max`` at most."""
        self._reassigned = False
        self._close_readers()
        with translated("consumer"):
            first = self._consumer.poll(timeout_s)  # serves callbacks too; consume() does not tell of fatal errors
            messages = [] if first is None else [first]
            if messages and records_max > 1:
                messages += self._consumer.consume(records_max - 1, 0)
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure
        if self._reassigned:  # some of these may be of the assignment before: read them again
            raise_fatal(messages)
            if messages:
                self._assign(self._positions.next_offsets)
            return []
        return self._positions.take(messages)

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read on from ``offset``. From within ``assigned`` this is where the partition starts."""
        if self._starts is not None:
            self._starts[topic, partition] = offset
            return
        self._positions.next_offsets[topic, partition] = offset
        with translated(f"{topic}[{partition}]@{offset}"):
            self._consumer.seek(TopicPartition(topic, partition, offset))

    def pause(self, partitions: list[tuple[str, int]]) -> None:
        """Fetch nothing more of these until ``resume``."""
        with translated("pause"):
            self._consumer.pause([TopicPartition(*partition) for partition in partitions])

    def resume(self, partitions: list[tuple[str, int]]) -> None:
        """Fetch these again, from where they were paused."""
        with translated("resume"):
            self._consumer.resume([TopicPartition(*partition) for partition in partitions])

    def committed(self, topics: list[str], partition: int) -> dict[str, int | None]:
        """Topic -> the group's next offset, once no transaction that could still change it is open."""

        def ask() -> dict[str, int | None]:
            asked = [TopicPartition(topic, partition) for topic in topics]
            answers = self._consumer.committed(asked, REQUEST_TIMEOUT_S)
            for answer in answers:
                if answer.error:
                    raise translate(answer.error, f"offset of {answer.topic}[{partition}]")
            return {answer.topic: answer.offset if answer.offset >= 0 else None for answer in answers}

        return retry(f"offsets of {', '.join(topics)}", ask, deadline_s=OFFSETS_DEADLINE_S)

    def begin(self) -> None:
        """Begin a transaction."""
        with translated("begin"):
            self._producer.poll(0)  # connections that broke before it are none of its business
            self._shaken = False
            self._metadata = self._consumer.consumer_group_metadata()  # of now: it fences us if we lose our tasks
            self._producer.begin_transaction()
        self._open = True

    def produce(self, topics: Mapping[str, str], partition: int, outputs: Iterable[Output]) -> None:
        """Write these in the transaction. What goes wrong on their way is raised by ``commit``."""
        produce = self._producer.produce
        for name, key, value, timestamp_ms in outputs:
            # A timestamp of 0 is librdkafka's word for now, and nothing we write may depend on a clock. Arguments by
            # position: names would cost as much again.
            row = (topics[name], value, key, partition, None, None, timestamp_ms if timestamp_ms > 0 else 1)
            try:
                produce(*row)
            except BufferError:
                retry(f"{topics[name]}[{partition}]", self._produce_when_there_is_room, *row)
            except Exception as error:
                raise translate(error, f"{topics[name]}[{partition}]") from error

    def send_offsets(self, next_offsets: Mapping[tuple[str, int], int]) -> None:
        """Make these the group's offsets if the transaction commits. Fenced if the partitions are no longer ours.

        What was produced is there by then: offsets never become visible without the outputs they stand for.
        """
        retry("flush", self._flush)
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in next_offsets.items()]
        send = self._producer.send_offsets_to_transaction
        self._settle("send_offsets", send, offsets, self._metadata, REQUEST_TIMEOUT_S)

    def commit(self) -> None:
        """Commit. OutcomeUnknown when the answer does not come in time: the journal tells, after a rebuild.

        It is raised as well, though all is committed, when a request of the transaction may have been sent twice: a
        copy of the commit that is still on its way would commit half of our next transaction, one of the offsets set
        them back, as Kafka tells the two apart by the producer's epoch only (KIP-890). A log made anew has another one.
        """
        self._open = False
        self._settle("commit", self._producer.commit_transaction, REQUEST_TIMEOUT_S)
        with translated("commit"):
            self._producer.poll(0)  # tells of connections that broke meanwhile
        if self._shaken:
            raise OutcomeUnknown(
                "committed, but a connection broke meanwhile: what was asked for may come a second time",
                where="commit",
                remedy="state is rebuilt from the journal",
            )

    def abort(self) -> None:
        """Give the transaction up: none of it was ever there."""
        self._open = False
        with translated("abort"):  # of a transaction that Kafka has not heard of yet it refuses the end for good
            self._producer.flush(FLUSH_S)
        self._settle("abort", self._producer.abort_transaction, REQUEST_TIMEOUT_S)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """Committed records with start <= offset < end, in order. Ranges of several topics may be read in turns."""
        key = (topic, partition)
        if key not in self._readers:
            config = {**self._consumer_config, **_READER}
            self._readers[key] = PartitionReader(config, topic, partition, ANSWER_DEADLINE_S)
        return self._readers[key].read(start, end)

    def end_offset(self, topic: str, partition: int) -> int:
        """The log's end, once no transaction is open before it."""
        return self._ends.end_offset(topic, partition)

    def settle(self, topics: list[str], partition: int) -> None:
        """Wait until no transaction is open in these any more that is now, nor in any of the group's offsets."""
        self._ends.end_offsets(topics, partition)
        if not self._offsets_settled:  # what our id left there before us: no later one can come
            self._ends.settle_offsets(self._group, self._topics)
            self._offsets_settled = True

    def beginning_offset(self, topic: str, partition: int) -> int:
        """Offset of the oldest record there is."""
        return self._ends.beginning_offset(topic, partition)

    def topic_id(self, topic: str) -> str:
        """Kafka's id of a topic."""
        return self._ends.topic_id(topic)

    def lag(self, topic: str, partition: int, next_offset: int) -> int | None:
        """Offsets from ``next_offset`` to the log's end as last heard from the broker; None if not heard yet."""
        with translated(f"{topic}[{partition}]"):
            _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        return max(high - next_offset, 0) if high >= 0 else None

    def close(self) -> None:
        """Abort what is open and leave the group. The listener is told what is revoked."""
        if self._open:
            try:
                self.abort()
            except PipelineError:
                quiet.info("the open transaction ends by its timeout", exc_info=True)
        self._closing = True
        self._close_readers()
        with translated("consumer"):
            self._consumer.close()

    def _on_assign(self, _: Consumer, given: list[TopicPartition]) -> None:
        if self._closing:  # an assignment that was on its way while we leave
            self._consumer.assign([])
            return
        self._reassigned = True
        assert self._listener is not None, "subscribe sets it"
        self._starts = {}
        try:
            self._listener.assigned(_co_partitioned(given))
            starts = self._starts
        finally:
            self._starts = None
            self._close_readers()
        missing = {(each.topic, each.partition) for each in given} - starts.keys()
        assert not missing, f"the listener did not seek {missing}"
        self._assign(starts)
        self.resume(list(starts))  # librdkafka remembers what was paused in the assignment before

    def _assign(self, starts: dict[tuple[str, int], int]) -> None:
        self._positions.next_offsets = dict(starts)
        with translated("assignment"):
            self._consumer.assign([TopicPartition(*key, offset) for key, offset in starts.items()])

    def _on_revoke(self, _: Consumer, taken: list[TopicPartition]) -> None:
        self._revoked(taken, lost=False)

    def _on_lost(self, _: Consumer, taken: list[TopicPartition]) -> None:
        self._revoked(taken, lost=True)

    def _revoked(self, taken: list[TopicPartition], *, lost: bool) -> None:
        self._reassigned = True
        assert self._listener is not None, "subscribe sets it"
        self._listener.revoked(sorted({each.partition for each in taken}), lost=lost)
        self._positions.next_offsets = {}

    def _on_error(self, error: KafkaError) -> None:
        ours = translate(error, "Kafka")
        if not ours.retriable and self._failure is None:
            self._failure = ours

    def _on_producer_error(self, error: KafkaError) -> None:
        """A connection broke: what was under way on it is sent again. Or none could be made."""
        self._shaken = True
        self._refusal(error)

    def _flush(self) -> None:
        left = self._producer.flush(REQUEST_TIMEOUT_S)
        if left:
            raise BrokerUnreachable(f"{left} records are not there yet", where="flush", remedy="check the broker")

    def _produce_when_there_is_room(self, topic: str, *row: Any) -> None:
        self._producer.poll(0.1)
        try:
            self._producer.produce(topic, *row)
        except BufferError as error:
            raise BrokerUnreachable(
                "the queue of records to send is full", where=topic, remedy="check the broker"
            ) from error

    def _settle(self, where: str, call: Callable[..., None], *args: Any) -> None:
        """A transaction's call, repeated while that is safe. When time is up nobody knows what became of it."""
        began_s = time.monotonic()
        try:
            retry(where, _bounded, call, *args)
        except BrokerUnreachable as error:
            raise OutcomeUnknown(error.what, where=where, remedy="state is rebuilt from the journal") from error
        if time.monotonic() - began_s > TRUSTED_S:
            self._shaken = True

    def _close_readers(self) -> None:
        while self._readers:
            self._readers.popitem()[1].close()


def _bounded(call: Callable[..., None], *args: Any) -> None:
    """End the process if this call never returns: librdkafka's ``send_offsets_to_transaction`` ignores its timeout
    while the group's coordinator is away (librdkafka#5456). A crash leaves no trace, and the supervisor starts anew.
    """
    faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True, file=2)  # 2: standard error
    try:
        call(*args)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _co_partitioned(given: list[TopicPartition]) -> list[int]:
    """The task ids of an assignment: partition p of one topic comes with p of all others, or we stop."""
    by_topic: dict[str, set[int]] = {}
    for each in given:
        by_topic.setdefault(each.topic, set()).add(each.partition)
    if len({frozenset(partitions) for partitions in by_topic.values()}) > 1:
        counts = ", ".join(f"{topic}: {sorted(partitions)}" for topic, partitions in sorted(by_topic.items()))
        raise Declined(
            f"the topics do not have the same partitions: {counts}",
            where=", ".join(sorted(by_topic)),
            remedy="make topics of equal partition counts; a partition added later moves keys between tasks",
        )
    return sorted({each.partition for each in given})
