"""The Log port on a real broker: the contract, and what only Kafka can get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from connectors import kafka_reader
from connectors.kafka_log import KafkaLog
from connectors.kafka_reader import quiet
from streams.errors import BrokerUnreachable, Declined, Fenced, PipelineError
from streams.ports import Log
from tests.contracts.log_contract import Listener, LogContract, joined, polled, produce, put, put_with, values


class KafkaKit:
    """Topics and logs under names of one test's own."""

    def __init__(self, broker: str, name: str) -> None:
        self.config, self.name = {"bootstrap.servers": broker}, name
        self._admin = AdminClient({"bootstrap.servers": broker}, logger=quiet)
        self._topics = 0
        self._logs: list[Log] = []

    def topic(self, partitions: int) -> str:
        self._topics += 1
        topic = f"{self.name}-{self._topics}"
        self._admin.create_topics([NewTopic(topic, partitions)])[topic].result()
        return topic

    def log(self, worker: str, transaction_timeout_s: float = 15.0) -> KafkaLog:
        config = {**self.config, "transaction.timeout.ms": round(transaction_timeout_s * 1000)}
        log = KafkaLog(config, f"{self.name}-group", f"{self.name}-{worker}", None)
        self._logs.append(log)
        return log

    def close(self) -> None:
        for log in self._logs:
            try:
                log.close()
            except (PipelineError, RuntimeError):
                continue  # a test closed it, or wanted it broken


@pytest.fixture
def kit(broker: str, fresh_name: str) -> Iterator[KafkaKit]:
    kit = KafkaKit(broker, fresh_name)
    yield kit
    kit.close()


@pytest.mark.broker
class TestKafkaLog(LogContract):
    def test_a_fenced_worker_leaves_in_peace_with_its_transaction_open(self, kit: KafkaKit):
        topic, zombie, successor = kit.topic(1), kit.log("same"), kit.log("same")
        joined(zombie, topic)
        zombie.begin()
        produce(zombie, topic, 0, None, b"late", 1)
        successor.subscribe([topic], Listener(successor, [topic]))
        with pytest.raises(Fenced):
            zombie.send_offsets({(topic, 0): 1})
        zombie.close()

    def test_a_worker_that_comes_back_asks_anew_and_does_not_wait_for_librdkafka_to_ask_again(self, kit: KafkaKit):
        topic, killed, back = kit.topic(1), kit.log("same"), kit.log("same")
        joined(killed, topic)
        killed.begin()
        produce(killed, topic, 0, None, b"open", 1)
        killed._producer.flush()
        first = back._producer
        back.subscribe([topic], Listener(back, [topic]))
        assert back._producer is not first
        put(back, topic, "a")
        assert values(back.read(topic, 0, 0, back.end_offset(topic, 0))) == ["a"]

    def test_the_end_waits_for_an_open_transaction(self, kit: KafkaKit):
        topic, writer, reader = kit.topic(1), kit.log("writer"), kit.log("reader")
        joined(writer, topic)
        put(writer, topic, "a")
        writer.begin()
        produce(writer, topic, 0, None, b"open", 1_000)
        writer.send_offsets({(topic, 0): 1})
        writer._producer.flush()
        with ThreadPoolExecutor(2) as pool:
            end = pool.submit(reader.end_offset, topic, 0)
            committed = pool.submit(reader.committed, [topic], 0)
            with pytest.raises(TimeoutError):
                end.result(0.3)
            assert not committed.done()
            writer.commit()
            assert values(reader.read(topic, 0, 0, end.result(20))) == ["a", "open"]
            assert committed.result(20) == {topic: 1}

    def test_a_worker_that_was_replaced_in_the_group_cannot_commit(self, kit: KafkaKit):
        # Another process takes its place (static membership) while it is stopped: group.instance.id is fenced.
        topic = kit.topic(1)
        old = KafkaLog(kit.config, f"{kit.name}-group", f"{kit.name}-old", "place-1")
        new = KafkaLog(kit.config, f"{kit.name}-group", f"{kit.name}-new", "place-1")
        joined(old, topic)
        joined(new, topic)
        old.begin()
        with pytest.raises(Fenced):
            old.send_offsets({(topic, 0): 1})
        new.close()
        with pytest.raises(Fenced):
            polled(old, until=lambda _: False)
        old.close()

    def test_unequal_partition_counts_are_declined(self, kit: KafkaKit):
        one, two, log = kit.topic(1), kit.topic(2), kit.log("a")
        log.subscribe([one, two], Listener(log, [one, two]))
        with pytest.raises(Declined, match="do not have the same partitions"):
            polled(log, until=bool)

    def test_an_unknown_topic_is_declined(self, kit: KafkaKit):
        log = kit.log("a")
        log.subscribe(["no-such-topic"], Listener(log, ["no-such-topic"]))
        with pytest.raises(Declined, match="no-such-topic"):
            polled(log, until=bool)

    def test_reading_what_is_not_there_is_declined(self, kit: KafkaKit):
        topic, log = kit.topic(1), kit.log("a")
        put_with(kit, topic, "a")
        with pytest.raises(Declined, match="the log ends at offset 2, but offsets up to 50"):
            list(log.read(topic, 0, 0, 50))
        with pytest.raises(Declined):
            list(log.read(topic, 0, 70, 80))

    def test_a_record_over_the_limit_is_declined(self, kit: KafkaKit):
        topic, log = kit.topic(1), kit.log("a")
        joined(log, topic)
        log.begin()
        with pytest.raises(Declined, match="too large"):
            produce(log, topic, 0, None, bytes(2_000_000), 1_000)

    def test_an_answer_without_an_offset_is_asked_for_again(self, fresh_name: str):
        # librdkafka's admin client gives -1001 and no error for what was under way when a broker died: read as the end
        # of a journal, it looks empty.
        log = KafkaLog({"bootstrap.servers": "127.0.0.1:1"}, fresh_name, fresh_name, None)
        told = iter([-1001, 7, -1001, 7, -1001, 0])

        def list_offsets(asked: dict[TopicPartition, OffsetSpec], **_: object) -> dict[TopicPartition, Any]:
            answer = SimpleNamespace(result=lambda: SimpleNamespace(offset=next(told)))
            return dict.fromkeys(asked, answer)

        log._ends._admin = SimpleNamespace(list_offsets=list_offsets)  # type: ignore[assignment]
        assert log.end_offset("any", 0) == 7
        assert log.beginning_offset("any", 0) == 0

    def test_a_broker_out_of_reach_is_retriable(self, fresh_name: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(kafka_reader, "REQUEST_TIMEOUT_S", 0.2)
        log = KafkaLog({"bootstrap.servers": "127.0.0.1:1"}, fresh_name, fresh_name, None)
        log._ends._deadline_s = 0.1
        with pytest.raises(BrokerUnreachable):
            log.beginning_offset("any", 0)
