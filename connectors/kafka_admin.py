"""Topics, offsets and lag, asked of the cluster itself. At human rate, so on kafka-python.

Every function takes ``config``, the keyword arguments for kafka-python's clients, and raises errors of
streams/errors.py only: BrokerUnreachable, or Declined.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from connectors.kafka_errors import translated
from streams.errors import Declined

Partition = tuple[str, int]
"""(topic, partition)"""

_TIMEOUT_MS = 10_000
logging.getLogger("kafka").addHandler(logging.NullHandler())  # what matters reaches us as errors


def create_topics(
    config: dict[str, Any],
    partitions: Mapping[str, int],
    retention_ms: int = -1,
    more: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Create the topics that are missing, and wait until they can be used.

    Parameters
    ----------
    partitions
        Topic -> partition count. A topic that exists is left as it is, and must have this count.
    retention_ms
        How long new topics keep their records, ms of record time; -1 keeps them for good.
    more
        Other settings of new topics, by Kafka's names.

    Returns
    -------
    list of str
        The topics that were created, sorted.

    Raises
    ------
    Declined
        A topic exists with another partition count: its keys would not meet those of the other topics.
    """
    existing = describe(config, partitions)
    for topic, count in existing.items():
        if count != partitions[topic]:
            raise Declined(
                f"topic {topic} has {count} partitions, not {partitions[topic]}",
                where=topic,
                remedy="declare its partition count, or delete the topic; a topic cannot be repartitioned in place",
            )
    missing = sorted(partitions.keys() - existing.keys())
    if missing:
        configs = {"retention.ms": str(retention_ms), **more}
        new = {topic: {"num_partitions": partitions[topic], "configs": configs} for topic in missing}
        try:
            with administered(config, ", ".join(missing)) as admin:
                admin.create_topics(new, wait_for_metadata=True)
        except Declined as error:
            from kafka.errors import TopicAlreadyExistsError

            if not isinstance(error.__cause__, TopicAlreadyExistsError):
                raise
            return create_topics(config, partitions, retention_ms, more)  # another process was first: look again
    return missing


def describe(config: dict[str, Any], topics: Iterable[str] | None = None) -> dict[str, int]:
    """Topic -> partition count, of those among ``topics`` that exist; None asks for all but Kafka's own."""
    with administered(config, "topics") as admin:
        answers = admin.describe_topics(None if topics is None else list(topics))
    known = [answer for answer in answers if not answer["error_code"] and not answer["is_internal"]]
    return {answer["name"]: len(answer["partitions"]) for answer in sorted(known, key=lambda answer: answer["name"])}


def equal_partitions(config: dict[str, Any], topics: Iterable[str]) -> int:
    """The partition count that all these topics have. Declined if one is missing, or the counts differ."""
    wanted = list(topics)
    counts = describe(config, wanted)
    missing = [topic for topic in wanted if topic not in counts]
    if missing:
        raise Declined(
            f"there is no topic {missing[0]}", where=", ".join(missing), remedy="`riverrun topics apply FILE` makes it"
        )
    if len(set(counts.values())) != 1:
        raise Declined(
            "the topics do not have equally many partitions: "
            + ", ".join(f"{topic} has {count}" for topic, count in counts.items()),
            where=", ".join(wanted),
            remedy="make them anew with one partition count, so that equal keys meet in one task",
        )
    return next(iter(counts.values()))


def end_offsets(config: dict[str, Any], topics: Iterable[str], *, read_committed: bool = True) -> dict[Partition, int]:
    """(topic, partition) -> end of the log; with ``read_committed`` the end of what readers of the group may see."""
    from kafka.protocol.consumer.offsets import IsolationLevel, OffsetSpec

    isolation = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
    return _offsets(config, topics, OffsetSpec.LATEST, isolation)


def beginning_offsets(config: dict[str, Any], topics: Iterable[str]) -> dict[Partition, int]:
    """(topic, partition) -> offset of the oldest record that is left."""
    from kafka.protocol.consumer.offsets import IsolationLevel, OffsetSpec

    return _offsets(config, topics, OffsetSpec.EARLIEST, IsolationLevel.READ_UNCOMMITTED)


def group_offsets(config: dict[str, Any], group: str) -> dict[Partition, int]:
    """(topic, partition) -> the group's next offset, where it has committed one."""
    with administered(config, f"group {group}") as admin:
        answers = admin.list_group_offsets(group)[group]
    return {(key.topic, key.partition): answer.offset for key, answer in answers.items() if answer.offset >= 0}


def lag(config: dict[str, Any], group: str, topics: Iterable[str]) -> dict[Partition, int]:
    """(topic, partition) -> offsets the group has still to read: all there are, where it has committed none."""
    wanted = list(topics)
    ends, read = end_offsets(config, wanted), beginning_offsets(config, wanted) | group_offsets(config, group)
    return {partition: max(end - read[partition], 0) for partition, end in ends.items()}


def _offsets(config: dict[str, Any], topics: Iterable[str], spec: Any, isolation: Any) -> dict[Partition, int]:
    from kafka import TopicPartition

    counts = describe(config, topics)
    asked = {TopicPartition(topic, p): spec for topic, count in counts.items() for p in range(count)}
    if not asked:
        return {}
    with administered(config, ", ".join(counts)) as admin:
        answers = admin.list_partition_offsets(asked, isolation)
    return {(key.topic, key.partition): answer.offset for key, answer in sorted(answers.items())}


@contextmanager
def administered(config: dict[str, Any], where: str) -> Iterator[Any]:
    from kafka.admin import KafkaAdminClient

    servers = config["bootstrap_servers"]
    at = servers if isinstance(servers, str) else ",".join(servers)
    timeouts = {"bootstrap_timeout_ms": _TIMEOUT_MS, "request_timeout_ms": _TIMEOUT_MS}
    with translated(f"{where} at {at}"), KafkaAdminClient(**{**timeouts, **config}) as admin:
        yield admin
