"""How far recoveries are, told in a topic while they last. Beside the data path: what cannot be told is let go."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from confluent_kafka import KafkaException, Producer

from connectors.kafka_reader import RECONNECT, quiet
from streams.records import RecoveryRecord

EVERY_S = 0.5


class RecoveryReports:
    """Tells of the recoveries of one worker: when one begins, when it ends, and twice a second at the most between.

    Outside of transactions, as a recovery is before the next one: these are no outputs, and nothing is made of them but
    what people see.

    Parameters
    ----------
    config
        Properties for librdkafka.
    topic
        The pipeline's topic ``recovery``.
    worker
        Who tells.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self, config: dict[str, Any], topic: str, worker: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = {**RECONNECT, **config, "linger.ms": 0, "message.timeout.ms": 5_000}
        self._topic, self._worker, self._clock = topic, worker, clock
        self._due_s: dict[int, float] = {}
        self._producer: Producer | None = None

    def tell(self, task: int, replayed: int, total: int) -> None:
        """So many of the records to replay are done."""
        now_s = self._clock()
        if replayed in (0, total) or now_s >= self._due_s[task]:
            self._due_s[task] = now_s + EVERY_S
            self._send(RecoveryRecord(task, self._worker, replayed, total))

    def _send(self, record: RecoveryRecord) -> None:
        with suppress(KafkaException, BufferError):
            if self._producer is None:
                self._producer = Producer(self._config, logger=quiet)
            self._producer.produce(self._topic, msgspec.json.encode(record), str(record.task).encode(), record.task)
            self._producer.poll(0)
