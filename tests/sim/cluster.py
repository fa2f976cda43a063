"""Kafka in memory: topics, the coordinator of transactions, one consumer group, and a clock that only tests move.

A partition is a list of entries; an entry's place is its offset. Records of a transaction lie in it from when they
are produced, and its marker takes an offset when it ends:

    offset   0   1   2         3   4         5
             a   b   commit    c   abort     d (open)        readers get a, b and no more: the last stable offset is 5

Who has a transactional id is told by its epoch. ``init`` and a timeout raise it, so whoever still has the one before
is fenced:

    epoch    1 ───init, or the transaction timed out───▶ 2          what comes with epoch 1 is refused
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.errors import Fenced
from streams.ports import Record

if TYPE_CHECKING:
    from tests.sim.memory_log import MemoryLog

SESSION_TIMEOUT_S = 10.0
TRANSACTION_TIMEOUT_S = 15.0
"""As in connectors/kafka_log.py: a worker that stops is put out of the group first, its transaction ends later."""

FORGOTTEN_S = 12.0
"""After which somebody ends, as was decided, what a coordinator forgot to end in some partitions (Kafka's own bug)."""


class Crash(BaseException):
    """The process dies here. No ``except Exception`` sees it, and its log does nothing any more."""


@dataclass(eq=False)
class Transaction:
    """What one producer wrote since ``begin``: "open", "committed" or "aborted"."""

    state: str = "open"
    deadline_s: float = math.inf
    firsts: dict[tuple[str, int], int] = field(default_factory=dict)  # where it begins in each partition
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    decided: bool = False
    """How it ends at its deadline: committed, or aborted."""


@dataclass
class Entry:
    """A record of a transaction, or a marker (no record)."""

    record: Record | None
    transaction: Transaction


@dataclass
class Producer:
    """Who has a transactional id, its open transaction, and what the coordinator forgot to end of earlier ones.

    ``forgets`` says what it forgets of the next one: "offsets", "partitions" (every second one), or "both".
    """

    epoch: int = 0
    open: Transaction | None = None
    forgets: str = ""
    forgotten: list[Transaction] = field(default_factory=list)


def ignore(_: str) -> None:
    """Nothing happens at this operation."""


@dataclass
class Cluster:
    """Topics, the offsets of one consumer group, its members, and who owns which transactional id."""

    topics: dict[str, list[list[Entry]]] = field(default_factory=dict)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    members: dict[str, MemoryLog] = field(default_factory=dict)
    producers: dict[str, Producer] = field(default_factory=dict)
    generation: int = 0
    ids: dict[str, str] = field(default_factory=dict)
    beginnings: dict[tuple[str, int], int] = field(default_factory=dict)
    now_s: float = 0.0
    on: Callable[[str], None] = ignore
    """Called before and after every operation of a worker: "before commit", "after commit", …"""
    while_waiting: Callable[[], None] | None = None
    """Called again and again while someone waits for an open transaction: what else happens in a second."""
    late_commits_are_checked: bool = True
    """Without it a late commit ends whatever transaction is open when it arrives: Kafka's flaw that KIP-890 mends."""
    seen: Counter[str] = field(default_factory=Counter)
    """What the coordinators did of themselves, for tests that ask whether it ever happens."""
    _open: list[Transaction] = field(default_factory=list)

    def create(self, topic: str, partitions: int) -> None:
        self.topics.setdefault(topic, [[] for _ in range(partitions)])

    # Records

    def put(self, topic: str, partition: int, *records: Record, commit: bool = True) -> None:
        """One transaction of some producer. The records' own offsets do not count."""
        transaction = self.start()
        for record in records:
            self.append(topic, partition, record, transaction)
        self.end(transaction, commit)

    def start(self, timeout_s: float = math.inf) -> Transaction:
        """A transaction, open until it is ended or its time is up."""
        transaction = Transaction(deadline_s=self.now_s + timeout_s)
        self._open.append(transaction)
        return transaction

    def append(self, topic: str, partition: int, record: Record, transaction: Transaction) -> None:
        entries = self.topics[topic][partition]
        transaction.firsts.setdefault((topic, partition), len(entries))
        entries.append(Entry(record._replace(offset=len(entries)), transaction))

    def end(self, transaction: Transaction, commit: bool) -> None:
        transaction.state = "committed" if commit else "aborted"
        self._open.remove(transaction)
        for topic, partition in transaction.firsts:
            self.topics[topic][partition].append(Entry(None, transaction))
        if commit:
            self.offsets |= transaction.offsets

    def stable(self, topic: str, partition: int) -> int:
        """The last stable offset: where the first open transaction begins, else the end."""
        end = len(self.topics[topic][partition])
        return min((each.firsts.get((topic, partition), end) for each in self._open), default=end)

    def committed(self, topic: str, partition: int, start: int = 0, end: int | None = None) -> list[Record]:
        """The committed records with start <= offset < end."""
        stable = self.stable(topic, partition)
        entries = self.topics[topic][partition][start : stable if end is None else min(end, stable)]
        return [entry.record for entry in entries if entry.record and entry.transaction.state == "committed"]

    def open_elsewhere(self) -> bool:
        """Whether a transaction is open that is no worker's."""
        workers = self.producers.values()
        return len(self._open) > sum((worker.open is not None) + len(worker.forgotten) for worker in workers)

    # The coordinator of transactions

    def init(self, transactional_id: str) -> int:
        """The id's new epoch. What its former owner left open is aborted."""
        producer = self.producers.setdefault(transactional_id, Producer())
        self._raise_epoch(producer)
        return producer.epoch

    def _raise_epoch(self, producer: Producer) -> None:
        producer.epoch += 1
        self._decide(producer, commit=False)

    def _decide(self, producer: Producer, commit: bool) -> None:
        """End the producer's transaction. Its markers end what was forgotten before it, where there is any."""
        transaction, producer.open = producer.open, None
        if transaction is None:
            return
        for left in list(producer.forgotten):
            for place in left.firsts.keys() & transaction.firsts.keys():
                self._hand_over(place, left, transaction)
            if transaction.offsets:
                transaction.offsets, left.offsets = {**left.offsets, **transaction.offsets}, {}
            self._drop_if_done(producer, left)
        if producer.forgets:
            self._forget(producer, transaction, commit)
        self.end(transaction, commit)

    def _hand_over(self, place: tuple[str, int], one: Transaction, other: Transaction) -> None:
        """What one transaction wrote in a partition is the other's."""
        first, (topic, partition) = one.firsts.pop(place), place
        other.firsts[place] = min(first, other.firsts.get(place, first))
        for entry in self.topics[topic][partition][first:]:
            if entry.transaction is one:
                entry.transaction = other

    def _forget(self, producer: Producer, transaction: Transaction, commit: bool) -> None:
        """Write no markers here and there. Somebody looks and ends it, in a while."""
        left = Transaction(deadline_s=self.now_s + FORGOTTEN_S, decided=commit)
        if producer.forgets != "partitions":
            left.offsets, transaction.offsets = transaction.offsets, {}
        if producer.forgets != "offsets":
            for place in sorted(transaction.firsts)[::2]:
                self._hand_over(place, transaction, left)
        self.seen["forgotten"] += 1
        self._open.append(left)
        producer.forgotten.append(left)
        producer.forgets = ""
        self._drop_if_done(producer, left)

    def _drop_if_done(self, producer: Producer, left: Transaction) -> None:
        if not left.firsts and not left.offsets:
            producer.forgotten.remove(left)
            self._open.remove(left)

    def owned(self, transactional_id: str, epoch: int) -> Producer:
        """Raises Fenced unless this is the id's epoch."""
        producer = self.producers[transactional_id]
        if producer.epoch != epoch:
            raise Fenced("the producer's epoch is no longer its own", where=transactional_id)
        return producer

    def writing(self, transactional_id: str, epoch: int, timeout_s: float) -> Transaction:
        """The open transaction of this producer. Its time runs from its first write."""
        producer = self.owned(transactional_id, epoch)
        if producer.open is None:
            producer.open = self.start(timeout_s)
        return producer.open

    def finish(self, transactional_id: str, epoch: int, commit: bool) -> None:
        """End the open transaction of this producer, if it wrote anything."""
        self._decide(self.owned(transactional_id, epoch), commit)

    def arrive(self, transactional_id: str, epoch: int) -> None:
        """A commit that was long on its way."""
        if not self.late_commits_are_checked:
            epoch = self.producers[transactional_id].epoch
        try:
            self.finish(transactional_id, epoch, commit=True)
        except Fenced:
            self.seen["late commit refused"] += 1  # the id has another owner
        else:
            self.seen["late commit taken"] += 1

    def unsettled(self, topics: list[str], partition: int, but: str) -> bool:
        """Whether another producer's transaction, or a forgotten one, may still change the group's offsets of these."""
        places = [(topic, partition) for topic in topics]
        others = [producer.open for name, producer in self.producers.items() if name != but and producer.open]
        others += [left for producer in self.producers.values() for left in producer.forgotten]
        return any(place in transaction.offsets for transaction in others for place in places)

    # The group

    def join(self, member: MemoryLog) -> None:
        """A member that has another's name takes its place: the other one is fenced when it speaks next."""
        self.members[member.worker] = member
        member.heard_s = self.now_s
        self.generation += 1

    def leave(self, member: MemoryLog) -> None:
        if self.members.get(member.worker) is member:
            del self.members[member.worker]
            self.generation += 1

    def evict(self, worker: str) -> None:
        """The group goes on without a worker that was not heard of. Its transaction ends by its own timeout."""
        self.leave(self.members[worker])

    def shares(self, partitions: int) -> dict[str, list[int]]:
        """Range assignment: contiguous, by the members' names."""
        names = sorted(self.members)
        size, more = divmod(partitions, len(names))
        bounds = [i * size + min(i, more) for i in range(len(names) + 1)]
        return {name: list(range(bounds[i], bounds[i + 1])) for i, name in enumerate(names)}

    # Time

    def wait(self) -> None:
        """A second passes for someone who waits."""
        self.seen["waited a second"] += 1
        if self.while_waiting is not None:
            self.while_waiting()
        else:
            self.pass_time(1.0)

    def pass_time(self, seconds: float) -> None:
        """Move the clock: transactions time out, members that were not heard of are put out."""
        self.now_s += seconds
        for producer in self.producers.values():
            if producer.open is not None and producer.open.deadline_s <= self.now_s:
                self.seen["transaction timed out"] += 1
                self._raise_epoch(producer)
        for transaction in [each for each in self._open if each.deadline_s <= self.now_s]:
            self.end(transaction, commit=transaction.decided)
            for producer in self.producers.values():
                producer.forgotten = [left for left in producer.forgotten if left is not transaction]
        for member in list(self.members.values()):
            if self.now_s - member.heard_s > SESSION_TIMEOUT_S and member.heartbeats_stopped:
                self.seen["session timed out"] += 1
                self.evict(member.worker)
