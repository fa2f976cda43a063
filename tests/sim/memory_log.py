"""The Log port on the cluster in memory: one worker's consumer and producer.

What the worker does is announced before and after it is done, so that a test can let it fail, or let the process die,
at any operation. One thread: while Kafka would let a worker wait, the cluster's clock moves and others have their turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from streams.errors import BrokerUnreachable, Fenced
from streams.ports import Assignment, Fetched, Output, Record
from tests.sim.cluster import TRANSACTION_TIMEOUT_S, Cluster, Crash, Transaction

WAIT_MAX_S = 90.0
"""How long to wait for others' open transactions, as in connectors/kafka_log.py."""


class MemoryLog:
    """A worker's log on a cluster. The worker's name is its transactional id and its place in the group."""

    def __init__(self, cluster: Cluster, worker: str, transaction_timeout_s: float = TRANSACTION_TIMEOUT_S) -> None:
        self.cluster, self.worker = cluster, worker
        self._transaction_timeout_s = transaction_timeout_s
        self.dead = False
        self.heard_s = 0.0
        self.heartbeats_stopped = False  # the process is stopped, or dead
        self.paused: set[tuple[str, int]] = set()
        self._topics: list[str] = []
        self._offsets_settled = False
        self._listener: Assignment | None = None
        self.epoch = 0
        self._in_transaction = False
        self._tasks: list[int] = []
        self._ready = self._assigned = 0  # generations: gave up its tasks, got its tasks
        self._positions: dict[tuple[str, int], int] = {}
        self._ends: dict[tuple[str, int], int] = {}  # ends that were told

    def _at(self, operation: str) -> None:
        if self.dead:
            raise Crash("a dead process does nothing")
        try:
            self.cluster.on(operation)
        except Crash:
            self.die()
            raise

    def die(self) -> None:
        """The process is gone. The group and the coordinator of transactions learn of it by their timeouts."""
        self.dead = self.heartbeats_stopped = True

    def subscribe(self, topics: list[str], listener: Assignment) -> None:
        if self._listener is not None:
            return
        self._at("before subscribe")
        self._topics, self._listener = topics, listener
        self.epoch = self.cluster.init(self.worker)
        self.cluster.join(self)

    # The consumer

    def poll(self, timeout_s: float, records_max: int) -> list[Fetched]:
        self._at("before poll")
        member = self.cluster.members.get(self.worker)
        if member is None:
            self._rejoin()
        elif member is not self:
            raise Fenced("another member has this place in the group", where=self.worker)
        settled = self._assigned == self.cluster.generation
        fetched = self._fetch(records_max) if settled else self._rebalance()
        self._at("after poll")
        return fetched

    def _rejoin(self) -> None:
        """The group went on without this worker: its tasks are lost, and it comes as a new member."""
        assert self._listener is not None
        tasks, self._tasks = self._tasks, []
        if tasks:
            self._listener.revoked(tasks, lost=True)
        self.cluster.join(self)

    def _rebalance(self) -> list[Fetched]:
        """Give up what this worker had; once all have, take its share. Nothing is fetched meanwhile."""
        cluster, listener = self.cluster, self._listener
        assert listener is not None
        generation = cluster.generation
        if self._ready != generation:
            tasks, self._tasks = self._tasks, []
            self._positions, self._ends, self.paused = {}, {}, set()
            if tasks:
                listener.revoked(tasks, lost=False)
            self._ready = generation
        if cluster.generation != generation:
            return []  # while the listener was at work, someone came or went; it may have been this worker
        if any(member._ready != cluster.generation for member in cluster.members.values()):
            return []
        self._assigned = generation
        self._tasks = cluster.shares(len(cluster.topics[self._topics[0]]))[self.worker]
        self._positions = {(topic, task): 0 for topic in self._topics for task in self._tasks}
        if self._tasks:
            listener.assigned(list(self._tasks))
        return []

    def _records(self, topic: str, partition: int, start: int, end: int | None = None) -> list[Record]:
        return self.cluster.committed(topic, partition, start, end)

    def _fetch(self, records_max: int) -> list[Fetched]:
        fetched = []
        for topic, partition in [at for at in self._positions if at not in self.paused]:
            start, stable = self._positions[topic, partition], self.cluster.stable(topic, partition)
            if start == stable == self._ends.get((topic, partition)):
                continue
            came = self._records(topic, partition, start)
            records, more = came[:records_max], len(came) > records_max
            end = None if more else stable
            self._positions[topic, partition] = (
                records[-1].offset + 1 if more and records else start if more else stable
            )
            if records or (end is not None and self._ends.get((topic, partition)) != end):
                fetched.append(Fetched(topic, partition, records, end))
                self._ends[topic, partition] = -1 if end is None else end
            records_max -= len(records)
        return fetched

    def seek(self, topic: str, partition: int, offset: int) -> None:
        self._positions[topic, partition] = offset
        self._ends.pop((topic, partition), None)

    def pause(self, partitions: list[tuple[str, int]]) -> None:
        self.paused |= set(partitions)

    def resume(self, partitions: list[tuple[str, int]]) -> None:
        self.paused -= set(partitions)

    def committed(self, topics: list[str], partition: int) -> dict[str, int | None]:
        self._at("before committed")
        self._wait("an open transaction", lambda: self.cluster.unsettled(topics, partition, but=self.worker))
        return {topic: self.cluster.offsets.get((topic, partition)) for topic in topics}

    # The producer

    def begin(self) -> None:
        self._at("before begin")
        assert not self._in_transaction, "one transaction at a time"
        self._in_transaction = True
        self._at("after begin")

    def _writing(self) -> Transaction:
        return self.cluster.writing(self.worker, self.epoch, self._transaction_timeout_s)

    def produce(self, topics: Mapping[str, str], partition: int, outputs: Iterable[Output]) -> None:
        for name, key, value, timestamp_ms in outputs:
            self._produce(topics[name], partition, Record(-1, timestamp_ms, key, value))

    def _produce(self, topic: str, partition: int, record: Record) -> None:
        self._at("before produce")
        assert self._in_transaction, "begin first"
        try:
            transaction = self._writing()
        except Fenced:
            return  # sent in the background: the next call that waits for an answer tells
        self.cluster.append(topic, partition, record, transaction)

    def send_offsets(self, next_offsets: Mapping[tuple[str, int], int]) -> None:
        self._at("before send_offsets")
        assert self._in_transaction, "begin first"
        transaction = self._writing()
        self._refuse_stranger()
        transaction.offsets |= dict(next_offsets)
        self._at("after send_offsets")

    def _refuse_stranger(self) -> None:
        """Offsets come with the group's metadata: only a member may change them."""
        if self.cluster.members.get(self.worker) is not self:
            raise Fenced("the group has gone on without this member", where=self.worker)

    def commit(self) -> None:
        assert self._in_transaction, "begin first"
        self._in_transaction = False  # whatever the answer is: it is not this worker's to end any more
        self._at("before commit")
        self.cluster.finish(self.worker, self.epoch, commit=True)
        self._at("after commit")

    def abort(self) -> None:
        self._in_transaction = False
        self.cluster.finish(self.worker, self.epoch, commit=False)

    # Beside the group

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        self._at("before read")
        yield from self._records(topic, partition, start, end)

    def end_offset(self, topic: str, partition: int) -> int:
        self._at("before end_offset")
        entries = self.cluster.topics[topic][partition]
        self._wait(f"{topic}[{partition}]", lambda: self.cluster.stable(topic, partition) != len(entries))
        return len(entries)

    def settle(self, topics: list[str], partition: int) -> None:
        for topic in topics:
            end = len(self.cluster.topics[topic][partition])
            self._wait(f"{topic}[{partition}]", partial(self._is_open_before, topic, partition, end))
        if not self._offsets_settled:
            self._wait("offsets of the group", self._any_offset_is_pending)
            self._offsets_settled = True

    def _any_offset_is_pending(self) -> bool:
        partitions = {partition for topic in self._topics for partition in range(len(self.cluster.topics[topic]))}
        return any(self.cluster.unsettled(self._topics, each, but=self.worker) for each in partitions)

    def _is_open_before(self, topic: str, partition: int, end: int) -> bool:
        return self.cluster.stable(topic, partition) < end

    def _wait(self, where: str, unsettled: Callable[[], bool]) -> None:
        deadline_s = self.cluster.now_s + WAIT_MAX_S
        while unsettled():
            if self.cluster.now_s >= deadline_s:
                raise BrokerUnreachable("a transaction is open", where=where)
            self.cluster.wait()

    def beginning_offset(self, topic: str, partition: int) -> int:
        return self.cluster.beginnings.get((topic, partition), 0)

    def topic_id(self, topic: str) -> str:
        return self.cluster.ids.get(topic, f"id of {topic}")

    def lag(self, topic: str, partition: int, next_offset: int) -> int | None:
        if (topic, partition) not in self._ends:
            return None
        return len(self.cluster.topics[topic][partition]) - next_offset

    def close(self) -> None:
        if self.dead:
            return
        if self._in_transaction:
            with suppress(Fenced):  # then it was aborted when the epoch was raised
                self.abort()
        tasks, self._tasks = self._tasks, []
        if tasks and self._listener is not None:
            self._listener.revoked(tasks, lost=self.cluster.members.get(self.worker) is not self)
        self.cluster.leave(self)
        self.die()
