"""A look at a consumer group and its topics, now and again over one connection. At human rate, so on kafka-python."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from connectors.kafka_admin import Partition
from connectors.kafka_errors import translated


@dataclass(frozen=True, slots=True)
class GroupMember:
    """Somebody in a group: the fixed name it has there, if any, where it runs, and what it reads."""

    name: str
    host: str
    partitions: frozenset[Partition]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen: ends of logs as readers of committed records have them, the group's next offsets, and members."""

    ends: dict[Partition, int] = field(default_factory=dict)
    committed: dict[Partition, int] = field(default_factory=dict)
    state: str = ""  # Stable, Empty, PreparingRebalance, …
    members: tuple[GroupMember, ...] = ()


class Looker:
    """Looks whenever it is asked, in whatever thread. Raises PipelineError when the cluster cannot be asked.

    Parameters
    ----------
    config
        Keyword arguments for kafka-python's clients.
    partitions
        Topic -> partition count.
    """

    def __init__(self, config: dict[str, Any], group: str, partitions: Mapping[str, int]) -> None:
        self._config, self._group = config, group
        self._partitions = [(topic, number) for topic, count in partitions.items() for number in range(count)]
        self._one = threading.Lock()
        self._admin: Any = None

    def look(self) -> Looked:
        """What there is now."""
        with self._one:
            try:
                with translated(f"group {self._group}"):
                    return self._looked()
            except BaseException:
                self._close()
                raise

    def close(self) -> None:
        """Leave the cluster; another look would come back."""
        with self._one:
            self._close()

    def _close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            with suppress(Exception):  # it is of no use any more
                admin.close()

    def _looked(self) -> Looked:
        from kafka import TopicPartition
        from kafka.admin import KafkaAdminClient
        from kafka.protocol.consumer.offsets import IsolationLevel, OffsetSpec

        if self._admin is None:
            timeouts = {"bootstrap_timeout_ms": 5_000, "request_timeout_ms": 5_000}
            self._admin = KafkaAdminClient(**{**timeouts, **self._config})
        asked = {TopicPartition(*each): OffsetSpec.LATEST for each in self._partitions}
        ends = self._admin.list_partition_offsets(asked, IsolationLevel.READ_COMMITTED)
        committed = self._admin.list_group_offsets(self._group)[self._group]
        group = self._admin.describe_groups([self._group])[self._group]
        return Looked(
            ends={(key.topic, key.partition): answer.offset for key, answer in ends.items()},
            committed={(k.topic, k.partition): answer.offset for k, answer in committed.items() if answer.offset >= 0},
            state=group["group_state"],
            members=tuple(sorted((_member(each) for each in group["members"]), key=lambda member: member.name)),
        )


def _member(told: Mapping[str, Any]) -> GroupMember:
    assigned = (told["member_assignment"] or {}).get("assigned_partitions", ())  # "" while the group settles
    partitions = frozenset((each["topic"], number) for each in assigned for number in each["partitions"])
    return GroupMember(told["group_instance_id"] or told["member_id"], told["client_host"].lstrip("/"), partitions)
