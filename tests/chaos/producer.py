"""``python -m tests.chaos.producer``: publishes a history in transactions of its own, some of them aborted.

How many messages are out is committed with them, as the offset of a group of its own. So the producer survives what it
shares with the others, the broker's deaths: whatever became of a transaction, the next one begins where the committed
ones end. What was aborted is published again, in a transaction that is committed.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import time
from collections.abc import Iterator
from itertools import islice

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from connectors.hanging import end_hanging
from streams.errors import PipelineError
from tests.chaos.history import T0_MS, History, Message
from tests.chaos.pipelines.rides import FARES, RIDES, SKY

GROUP = "chaos-producer"
TRANSACTION_MAX = 1_500
ABORTED = 0.1  # share of transactions that are aborted first
_ASK_S = 10.0
_STUCK_S = 15.0
"""After which the process gives up, to be started again: librdkafka's send_offsets_to_transaction heeds no timeout
(confluentinc/librdkafka#5456), and after a broker's restart it may wait for ever."""


class Publisher:
    """A transactional producer and its position."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._connect()

    def _connect(self) -> None:
        """Fence who published before, so that its transaction has ended one way or the other."""
        config = {"bootstrap.servers": self._servers}
        own = {"transactional.id": GROUP, "retry.backoff.ms": 5, "compression.type": "lz4"}
        self._producer = Producer({**config, **own, "transaction.timeout.ms": 10_000})
        self._consumer = Consumer({**config, "group.id": GROUP, "isolation.level": "read_committed"})
        self._producer.init_transactions(_ASK_S)
        self._end_forgotten()

    def _end_forgotten(self) -> None:
        """What Kafka forgot to abort (connectors/hanging.py) our next commit in that partition would commit."""
        try:
            for each in end_hanging({"bootstrap_servers": [self._servers]}, [RIDES, FARES, SKY], GROUP):
                print(f"ended what Kafka had forgotten: {each}", file=sys.stderr, flush=True)
        except PipelineError as error:
            raise KafkaException(str(error)) from error  # as anything else that the broker cannot do just now

    def position(self) -> int:
        """How many messages are out for good."""
        (known,) = self._consumer.committed([TopicPartition(RIDES, 0)], _ASK_S)
        if known.error:
            raise KafkaException(known.error)
        return max(known.offset, 0)

    def publish(self, messages: list[Message], position: int, *, abort_first: bool) -> None:
        """These messages, so that the position behind them is ``position``; whatever happens to the broker."""
        begun = position - len(messages)
        while True:
            faulthandler.dump_traceback_later(_STUCK_S, exit=True)
            try:
                if abort_first:
                    self._send(messages, position)
                    self._producer.flush(_ASK_S)
                    self._producer.abort_transaction(_ASK_S)
                self._send(messages, position)
                self._producer.commit_transaction(_ASK_S)
            except KafkaException as error:
                print(f"at {begun}: {error}; looking what became of it", file=sys.stderr, flush=True)
                found = self._recover()
                assert found in (begun, position), f"{found} messages are out, not {begun} or {position}"
                if found == begun:
                    continue
            faulthandler.cancel_dump_traceback_later()
            return

    def _send(self, messages: list[Message], position: int) -> None:
        self._producer.begin_transaction()
        for _, topic, partition, key, value, timestamp_ms in messages:
            self._producer.produce(topic, value, key, partition, timestamp=timestamp_ms)
        self._producer.flush(_ASK_S)
        after = [TopicPartition(RIDES, 0, position)]
        self._producer.send_offsets_to_transaction(after, self._consumer.consumer_group_metadata(), _ASK_S)

    def _recover(self) -> int:
        while True:
            faulthandler.dump_traceback_later(_STUCK_S, exit=True)
            try:
                self._connect()
                return self.position()
            except KafkaException as error:
                print(f"no broker yet: {error}", file=sys.stderr, flush=True)
                time.sleep(0.2)


def transactions(history: History) -> Iterator[tuple[list[Message], bool]]:
    """The messages of each transaction, and whether it is aborted first."""
    draw, messages = random.Random(history.seed), history.messages()
    while chunk := list(islice(messages, draw.randrange(100, TRANSACTION_MAX))):
        yield chunk, draw.random() < ABORTED


def publish(servers: str, history: History, seconds: float, since_s: float) -> None:
    """Publish what is not out yet, over so many seconds from ``since_s`` (Unix epoch); what is late is sent at once."""
    publisher = Publisher(servers)
    out, position = publisher.position(), 0
    for messages, abort_first in transactions(history):
        position += len(messages)
        if position <= out:
            continue
        due_s = since_s + (messages[-1].due_ms - T0_MS) / history.span_ms * seconds
        time.sleep(max(0.0, due_s - time.time()))
        publisher.publish(messages, position, abort_first=abort_first)


def main() -> None:
    """Arguments as words, as another process of ours gives them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("servers")
    parser.add_argument("seed", type=int)
    parser.add_argument("events", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("since_s", type=float)
    given = parser.parse_args()
    publish(given.servers, History(given.seed, given.events), given.seconds, given.since_s)


if __name__ == "__main__":
    main()
