"""The lead among several processes that do the same: one has it, and another one soon after that one has died.

It is the one partition of a topic, given out by a consumer group: no record is read. Membership is static, so who comes
back with its name within the session has it again at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from connectors.kafka_errors import translated
from connectors.kafka_positions import raise_fatal
from connectors.kafka_reader import RECONNECT, quiet
from streams.errors import PipelineError

SESSION_S = 10.0
"""Who is not heard of for so long has lost the lead."""

_POLL_S = 0.2
_ABSENT_S = 0.8 * SESSION_S


class KafkaLead:
    """One process's claim to the lead, in a thread of its own from ``claim`` to ``close``. It is lost for good: who has
    lost it forgets what it knew, and begins anew.

    Parameters
    ----------
    config
        Properties for librdkafka.
    topic, group
        A topic of one partition, and the consumer group that shares it among the claimants.
    name
        Of this process, unique among the claimants.
    clock
        Seconds that go on while this process is held up.
    """

    def __init__(
        self, config: dict[str, Any], topic: str, group: str, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = {
            **RECONNECT,
            **config,
            "client.id": f"{group}-{name}",
            "group.id": group,
            "group.instance.id": name,
            "session.timeout.ms": int(SESSION_S * 1_000),
            "heartbeat.interval.ms": 1_000,
            "partition.assignment.strategy": "cooperative-sticky",  # a further claimant does not take it away
            "enable.auto.commit": False,
        }
        self._topic, self._clock = topic, clock
        self._here_s = clock()
        self._joined = self._has = self._lost = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lead of {group}", daemon=True)
        self.failure: PipelineError | None = None

    def claim(self) -> None:
        """Take it as soon as nobody has it."""
        self._thread.start()

    @property
    def joined(self) -> bool:
        """Whether the group knows of us: we have the lead, or get it when who has it dies."""
        return self._joined

    @property
    def held(self) -> bool:
        """Whether it is ours, and surely so: not if this process was held up so long that another may have it."""
        return self._has and not self.lost

    @property
    def lost(self) -> bool:
        """Whether it was ours and may be another's by now; or the claim has failed, with ``failure``."""
        late = self._has and self._clock() - self._here_s > _ABSENT_S
        self._lost = self._lost or late
        return self._lost

    def close(self) -> None:
        """Claim it no longer. Until the session has ended it is kept for us."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(SESSION_S)

    def _run(self) -> None:
        try:
            with translated(f"lead by {self._topic}"):
                consumer = Consumer(self._config, logger=quiet)
                consumer.subscribe([self._topic], self._on_assign, self._on_taken, self._on_taken)
                while not self._closing.is_set():
                    self._hear(consumer.poll(_POLL_S))
                consumer.close()
        except Exception as error:  # without this thread nobody would hear of it
            self.failure = error if isinstance(error, PipelineError) else _unexpected(error)
            self._lost = True

    def _hear(self, message: Message | None) -> None:
        if not self.lost:
            self._here_s = self._clock()
        if message is not None:
            raise_fatal([message])

    def _on_assign(self, consumer: Consumer, given: list[TopicPartition]) -> None:
        consumer.incremental_assign(given)
        consumer.pause(given)
        self._here_s, self._has = self._clock(), self._has or bool(given)
        self._joined = True

    def _on_taken(self, _: Consumer, taken: list[TopicPartition]) -> None:
        self._lost = self._lost or (bool(taken) and not self._closing.is_set())


def _unexpected(error: Exception) -> PipelineError:
    failure = PipelineError(
        f"the claim to the lead ended: {error!r}", remedy="start it again; this is a bug of riverrun"
    )
    failure.__cause__ = error
    return failure
