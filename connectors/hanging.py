"""Transactions that hang: open in a partition although their coordinator has ended them. At human rate: kafka-python.

Kafka has left such ones behind when a broker was killed and took long to start: the markers of an abort were never
written, and nobody can read past them. `kafka-transactions.sh` finds and ends them; so does this, without Java.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from connectors.kafka_admin import administered, describe

ENDED = frozenset({"Empty", "CompleteCommit", "CompleteAbort", "Dead"})
"""States of a coordinator in which a producer has no transaction open anywhere: all markers are written, it thinks."""


class Open(NamedTuple):
    """A transaction that is open in a partition: whose it is, and the offset it begins at."""

    topic: str
    partition: int
    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    start_offset: int


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


def end_hanging(config: dict[str, Any], topics: Iterable[str]) -> list[Open]:
    """Abort what hangs in these topics; what it was. A transaction that its coordinator knows of is left alone."""
    from kafka import TopicPartition
    from kafka.admin import AbortTransactionSpec

    counts = describe(config, topics)
    parts = [TopicPartition(topic, partition) for topic, count in counts.items() for partition in range(count)]
    with administered(config, ", ".join(counts)) as admin:
        before = _open(admin, parts)
        listed = [each for of_broker in admin.list_transactions().values() for each in of_broker] if before else []
        states = {each.producer_id: str(each.state.value) for each in listed}
        found = hanging(before, states, _open(admin, parts))
        for each in found:
            part = TopicPartition(each.topic, each.partition)
            admin.abort_transaction(AbortTransactionSpec(part, *each[2:5]))
    return found


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
