"""The Log port in memory, with those of Kafka's ways that matter, and the crashes that tests ask for.

A partition is a list of entries; an entry's place is its offset. Records of a transaction lie in it from when they
are produced, and its marker takes an offset when it ends:

    offset   0   1   2         3   4         5
             a   b   commit    c   abort     d (open)        readers get a, b and no more: the last stable offset is 5

One thread, no waiting: what Kafka would wait for (an open transaction of another) raises BrokerUnreachable here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from streams.errors import BrokerUnreachable, CheckpointCorrupt, Fenced
from streams.ports import Assignment, Fetched, Record

T = TypeVar("T")


class Crash(BaseException):
    """The process dies here. No ``except Exception`` sees it, and its log does nothing any more."""


@dataclass
class Transaction:
    """What one producer wrote since ``begin``: "open", "committed" or "aborted"."""

    state: str = "open"
    partitions: set[tuple[str, int]] = field(default_factory=set)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass
class Entry:
    """A record of a transaction, or a marker (no record)."""

    record: Record | None
    transaction: Transaction


def ignore(_: str) -> None:
    """Nothing happens at this operation."""


@dataclass
class Cluster:
    """Topics, the offsets of one consumer group, its members, and who owns which transactional id."""

    topics: dict[str, list[list[Entry]]] = field(default_factory=dict)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    members: dict[str, MemoryLog] = field(default_factory=dict)
    generation: int = 0
    ids: dict[str, str] = field(default_factory=dict)
    beginnings: dict[tuple[str, int], int] = field(default_factory=dict)
    on: Callable[[str], None] = ignore
    """Called before and after every operation of a worker: "before commit", "after commit", …"""

    def create(self, topic: str, partitions: int) -> None:
        self.topics.setdefault(topic, [[] for _ in range(partitions)])

    def put(self, topic: str, partition: int, *records: Record, commit: bool = True) -> None:
        """One transaction of some producer. The records' own offsets do not count."""
        transaction = Transaction()
        for record in records:
            self.append(topic, partition, record, transaction)
        self.end(transaction, commit)

    def append(self, topic: str, partition: int, record: Record, transaction: Transaction) -> None:
        entries = self.topics[topic][partition]
        entries.append(Entry(record._replace(offset=len(entries)), transaction))
        transaction.partitions.add((topic, partition))

    def end(self, transaction: Transaction, commit: bool) -> None:
        transaction.state = "committed" if commit else "aborted"
        for topic, partition in transaction.partitions:
            self.topics[topic][partition].append(Entry(None, transaction))
        if commit:
            self.offsets |= transaction.offsets

    def stable(self, topic: str, partition: int) -> int:
        """The last stable offset: where the first open transaction begins, else the end."""
        entries = self.topics[topic][partition]
        return next((at for at, entry in enumerate(entries) if entry.transaction.state == "open"), len(entries))

    def committed(self, topic: str, partition: int, start: int = 0, end: int | None = None) -> list[Record]:
        """The committed records with start <= offset < end."""
        stable = self.stable(topic, partition)
        entries = self.topics[topic][partition][start : stable if end is None else min(end, stable)]
        return [entry.record for entry in entries if entry.record and entry.transaction.state == "committed"]

    def join(self, member: MemoryLog) -> None:
        former = self.members.pop(member.worker, None)
        if former is not None:
            former.fence()
        self.members[member.worker] = member
        self.generation += 1

    def leave(self, member: MemoryLog) -> None:
        if self.members.get(member.worker) is member:
            del self.members[member.worker]
            self.generation += 1

    def evict(self, worker: str) -> None:
        """A worker was not heard of for too long: the group and the transaction coordinator go on without it."""
        member = self.members[worker]
        member.fence()
        self.leave(member)

    def shares(self, partitions: int) -> dict[str, list[int]]:
        """Range assignment: contiguous, by the members' names."""
        names = sorted(self.members)
        size, more = divmod(partitions, len(names))
        bounds = [i * size + min(i, more) for i in range(len(names) + 1)]
        return {name: list(range(bounds[i], bounds[i + 1])) for i, name in enumerate(names)}


class MemoryLog:
    """A worker's log on a cluster."""

    def __init__(self, cluster: Cluster, worker: str) -> None:
        self.cluster, self.worker = cluster, worker
        self.dead = self.fenced = False
        self.paused: set[tuple[str, int]] = set()
        self._topics: list[str] = []
        self._listener: Assignment | None = None
        self._transaction: Transaction | None = None
        self._tasks: list[int] = []
        self._ready = self._assigned = 0  # generations: gave up its tasks, got its tasks
        self._positions: dict[tuple[str, int], int] = {}
        self._ends: dict[tuple[str, int], int] = {}  # ends that were told

    def fence(self) -> None:
        """Another one has the identity now: what was open is aborted."""
        self.fenced = True
        if self._transaction is not None:
            self.cluster.end(self._transaction, commit=False)
            self._transaction = None

    def _at(self, operation: str) -> None:
        if self.dead:
            raise Crash("a dead process does nothing")
        try:
            self.cluster.on(operation)
        except Crash:
            self.dead = True
            raise

    def _open(self) -> Transaction:
        if self.fenced:
            raise Fenced("another producer has this transactional id", where=self.worker)
        assert self._transaction is not None, "begin first"
        return self._transaction

    def subscribe(self, topics: list[str], listener: Assignment) -> None:
        self._topics, self._listener = topics, listener
        self.cluster.join(self)

    def poll(self, timeout_s: float, records_max: int) -> list[Fetched]:
        self._at("before poll")
        if self.fenced:
            raise Fenced("another member has this identity", where=self.worker)
        settled = self._assigned == self.cluster.generation
        fetched = self._fetch(records_max) if settled else self._rebalance()
        self._at("after poll")
        return fetched

    def _rebalance(self) -> list[Fetched]:
        """Give up what this worker had; once all have, take its share. Nothing is fetched meanwhile."""
        cluster, listener = self.cluster, self._listener
        assert listener is not None
        if self._ready != cluster.generation:
            if self._tasks:
                tasks, self._tasks = self._tasks, []
                listener.revoked(tasks, lost=False)
            self._ready = cluster.generation
            self._positions, self._ends, self.paused = {}, {}, set()
        if any(member._ready != cluster.generation for member in cluster.members.values()):
            return []
        self._assigned = cluster.generation
        self._tasks = cluster.shares(len(cluster.topics[self._topics[0]]))[self.worker]
        self._positions = {(topic, task): 0 for topic in self._topics for task in self._tasks}
        if self._tasks:
            listener.assigned(list(self._tasks))
        return []

    def _fetch(self, records_max: int) -> list[Fetched]:
        fetched = []
        for topic, partition in [at for at in self._positions if at not in self.paused]:
            start, stable = self._positions[topic, partition], self.cluster.stable(topic, partition)
            came = self.cluster.committed(topic, partition, start)
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
        for member in self.cluster.members.values():
            open_ = member._transaction
            if (
                open_ is not None
                and member is not self
                and any((topic, partition) in open_.offsets for topic in topics)
            ):
                raise BrokerUnreachable("a transaction is open on these offsets", where=member.worker)
        return {topic: self.cluster.offsets.get((topic, partition)) for topic in topics}

    def begin(self) -> None:
        self._at("before begin")
        if self.fenced:
            raise Fenced("another producer has this transactional id", where=self.worker)
        assert self._transaction is None, "one transaction at a time"
        self._transaction = Transaction()
        self._at("after begin")

    def produce(self, topic: str, partition: int, key: bytes | None, value: bytes, timestamp_ms: int) -> None:
        self._at("before produce")
        self.cluster.append(topic, partition, Record(-1, timestamp_ms, key, value), self._open())

    def send_offsets(self, next_offsets: Mapping[tuple[str, int], int]) -> None:
        self._at("before send_offsets")
        self._open().offsets |= dict(next_offsets)
        self._at("after send_offsets")

    def commit(self) -> None:
        self._at("before commit")
        self.cluster.end(self._open(), commit=True)
        self._transaction = None
        self._at("after commit")

    def abort(self) -> None:
        self.cluster.end(self._open(), commit=False)
        self._transaction = None

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        self._at("before read")
        yield from self.cluster.committed(topic, partition, start, end)

    def end_offset(self, topic: str, partition: int) -> int:
        end = len(self.cluster.topics[topic][partition])
        if self.cluster.stable(topic, partition) != end:
            raise BrokerUnreachable("a transaction is open", where=f"{topic}[{partition}]")
        return end

    def beginning_offset(self, topic: str, partition: int) -> int:
        return self.cluster.beginnings.get((topic, partition), 0)

    def topic_id(self, topic: str) -> str:
        return self.cluster.ids.get(topic, f"id of {topic}")

    def lag(self, topic: str, partition: int, next_offset: int) -> int | None:
        if (topic, partition) not in self._ends:
            return None
        return len(self.cluster.topics[topic][partition]) - next_offset

    def close(self) -> None:
        if self.dead or self.fenced:
            return
        if self._tasks and self._listener is not None:
            tasks, self._tasks = self._tasks, []
            self._listener.revoked(tasks, lost=False)
        if self._transaction is not None:
            self.abort()
        self.cluster.leave(self)
        self.dead = True


@dataclass
class MemoryBlobs:
    """Checkpoints in memory. Whoever holds ``blobs`` may break them."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    on: Callable[[str], None] = ignore

    def put(self, name: str, blob: bytes) -> None:
        self.on("before put")
        self.blobs[name] = blob
        self.on("after put")

    def get(self, name: str) -> bytes:
        if name not in self.blobs:
            raise CheckpointCorrupt("there is no such blob", where=name)
        return self.blobs[name]

    def names(self) -> list[str]:
        return list(self.blobs)

    def delete(self, name: str) -> None:
        self.blobs.pop(name, None)


class AtOnce:
    """Work in the background that is done by the time it is asked for."""

    def submit(self, work: Callable[[], T], /) -> Future[T]:
        future = Future[T]()
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class MemoryAttempts:
    """Attempts that outlive a worker."""

    attempts: dict[int, bytes] = field(default_factory=dict)

    def load(self, partition: int) -> bytes | None:
        return self.attempts.get(partition)

    def save(self, partition: int, attempt: bytes) -> None:
        self.attempts[partition] = attempt

    def clear(self, partition: int) -> None:
        self.attempts.pop(partition, None)
