"""Transactions that hang: open in a partition although their coordinator has ended them. At human rate: kafka-python.

Kafka leaves such ones behind when a broker was killed and took long to start: its coordinator goes on before it knows
the partitions' leaders, and writes no markers where it knows none. Nobody can read past them; and the producer's next
commit in such a partition would commit what was left there, aborted or not: the group's offsets, too.

How one is to end the coordinator has written down (transaction_log.py): what was to be committed may have its markers
elsewhere, so to abort it would tear it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from connectors import transaction_log
from connectors.kafka_admin import administered, describe
from connectors.transaction_log import Entry, java_hash

ENDED = frozenset({"Empty", "CompleteCommit", "CompleteAbort", "Dead"})
"""States of a coordinator in which a producer has no transaction open anywhere: all markers are written, it thinks."""

OFFSETS_TOPIC = "__consumer_offsets"
LOOK_AGAIN_S = 0.5
"""A producer that is at work has ended its transaction by then, or begun the next one."""


class Open(NamedTuple):
    """A transaction that is open in a partition: whose it is, and the offset it begins at."""

    topic: str
    partition: int
    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    start_offset: int


class Fate(NamedTuple):
    """What became of a transaction that hung: committed or aborted, or left as it is, where nobody can tell (None)."""

    of: Open
    committed: bool | None


def hanging(before: Iterable[Open], states: Mapping[int, str], after: Iterable[Open]) -> list[Open]:
    """Those open before and after the coordinator said that their producer has none open.

    ``states`` maps producer ids to what the coordinator says; it has forgotten one that it does not name.

    >>> one = Open("journal", 1, 7, 0, 0, 34)
    >>> hanging([one], {7: "CompleteAbort"}, [one]) == [one], hanging([one], {7: "Ongoing"}, [one])
    (True, [])
    >>> hanging([one], {7: "CompleteAbort"}, [one._replace(start_offset=40)])
    []
    """
    still = set(after)
    return [each for each in before if each in still and states.get(each.producer_id, "Dead") in ENDED]


def decided(opens: Iterable[Open], newest_first: Iterable[Entry]) -> dict[Open, bool]:
    """Which of one producer's transactions were to be committed: as the newest entry says that names their partition.

    >>> one = Open("journal", 1, 7, 0, 0, 34)
    >>> done = Entry("id", 7, "CompleteCommit", frozenset())
    >>> decided([one], [done, Entry("id", 7, "PrepareCommit", frozenset({("journal", 1)}))]) == {one: True}
    True
    """
    left, found = {(each.topic, each.partition): each for each in opens}, dict[Open, bool]()
    for entry in newest_first:
        for place in left.keys() & entry.partitions:
            each = left[place]
            if entry.producer_id == each.producer_id and entry.status in {"PrepareCommit", "PrepareAbort"}:
                found[left.pop(place)] = entry.status == "PrepareCommit"
        if not left:
            break
    return found


def end_hanging(config: dict[str, Any], topics: Iterable[str], group: str | None = None) -> list[Fate]:
    """End what hangs in these topics, and in the group's offsets, as its coordinator decided; what it was.

    A transaction that its coordinator has still to end is left alone.
    """
    counts = describe(config, topics)
    with administered(config, ", ".join(counts)) as admin:
        parts = list(_parts(admin, counts, group))
        before = _open(admin, parts)
        if not before:
            return []
        listed = _listed(admin)
        ids = {each.producer_id: each.transactional_id for each in listed}
        found = hanging(before, _states(listed), _open(admin, parts))
        if found:
            time.sleep(LOOK_AGAIN_S)
            found = hanging(found, _states(_listed(admin)), _open(admin, parts))
        fates = list(_fates(config, found, ids))
        for each in fates:
            if each.committed is not None:
                end(admin, each.of, commit=each.committed)
    return fates


def _parts(admin: Any, counts: Mapping[str, int], group: str | None) -> Iterator[Any]:
    from kafka import TopicPartition

    for topic, count in counts.items():
        yield from (TopicPartition(topic, partition) for partition in range(count))
    if group is not None:
        (offsets,) = admin.describe_topics([OFFSETS_TOPIC])
        if offsets["partitions"]:  # none before the first group
            yield TopicPartition(OFFSETS_TOPIC, java_hash(group) % len(offsets["partitions"]))


def _listed(admin: Any) -> list[Any]:
    return [each for of_broker in admin.list_transactions().values() for each in of_broker]


def _states(listed: Iterable[Any]) -> dict[int, str]:
    return {each.producer_id: str(each.state.value) for each in listed}


def _fates(config: dict[str, Any], found: Iterable[Open], ids: Mapping[int, str]) -> Iterator[Fate]:
    by_producer: dict[int, list[Open]] = {}
    for each in found:
        by_producer.setdefault(each.producer_id, []).append(each)
    for producer_id, opens in by_producer.items():
        named = ids.get(producer_id)
        if named is None:  # forgotten for a week: Kafka's own tool aborts it, too
            yield from (Fate(each, False) for each in opens)
            continue
        fates = decided(opens, transaction_log.newest_first(config, named))
        yield from (Fate(each, fates.get(each)) for each in opens)


def end(admin: Any, each: Open, *, commit: bool) -> None:
    """Write the marker that is missing."""
    from kafka import TopicPartition
    from kafka.admin import AbortTransactionSpec, KafkaAdminClient

    def request(spec: Any) -> Any:  # kafka-python writes markers of aborts only: those of commits differ in one field
        made = KafkaAdminClient._abort_transaction_request(spec)
        made.markers[0].transaction_result = commit
        return made

    admin._abort_transaction_request = request
    admin.abort_transaction(AbortTransactionSpec(TopicPartition(each.topic, each.partition), *each[2:5]))


def _open(admin: Any, parts: list[Any]) -> list[Open]:
    return [
        Open(
            part.topic,
            part.partition,
            each.producer_id,
            each.producer_epoch,
            max(each.coordinator_epoch, 0),
            each.current_transaction_start_offset,
        )
        for part, state in admin.describe_producers(parts).items()
        for each in state.active_producers
        if each.current_transaction_start_offset >= 0
    ]
