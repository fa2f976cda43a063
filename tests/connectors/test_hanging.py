"""Transactions that hang are told from those that run. Kafka's own bug cannot be made to happen here."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.hanging import Open, end_hanging, hanging
from connectors.kafka_reader import quiet

ONE = Open("journal", 1, 7, 0, 0, 34)


@pytest.mark.parametrize("state", ["Empty", "CompleteCommit", "CompleteAbort", "Dead"])
def test_open_in_the_partition_and_ended_for_its_coordinator_hangs(state: str) -> None:
    assert hanging([ONE], {7: state}, [ONE]) == [ONE]


@pytest.mark.parametrize("state", ["Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"])
def test_one_that_its_coordinator_is_about_to_end_does_not_hang(state: str) -> None:
    assert hanging([ONE], {7: state}, [ONE]) == []


def test_one_that_has_ended_meanwhile_or_is_the_next_one_does_not_hang() -> None:
    assert hanging([ONE], {7: "CompleteCommit"}, []) == []
    assert hanging([ONE], {7: "CompleteCommit"}, [ONE._replace(start_offset=40)]) == []


def test_one_that_no_coordinator_knows_hangs() -> None:
    assert hanging([ONE], {8: "Ongoing"}, [ONE]) == [ONE]


@pytest.mark.broker
def test_a_running_transaction_is_left_alone(broker: str, fresh_name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker}, logger=quiet)
    admin.create_topics([NewTopic(fresh_name, 2)])[fresh_name].result()
    producer = Producer({"bootstrap.servers": broker, "transactional.id": fresh_name}, logger=quiet)
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(fresh_name, b"x", partition=1)
    producer.flush(20)
    assert end_hanging({"bootstrap_servers": broker}, [fresh_name]) == []
    producer.commit_transaction(20)
    assert end_hanging({"bootstrap_servers": broker}, [fresh_name]) == []
