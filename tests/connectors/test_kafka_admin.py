"""Topics, offsets and lag on a real broker."""

from __future__ import annotations

import subprocess
import sys

import pytest
from confluent_kafka import Producer, TopicPartition

from connectors import kafka_admin
from connectors.kafka_reader import quiet
from streams.errors import Declined

pytestmark = pytest.mark.broker


def test_missing_topics_are_made_once_and_keep_their_records(broker: str, fresh_name: str):
    config, topics = {"bootstrap_servers": broker}, {f"{fresh_name}-a": 2, f"{fresh_name}-b": 2}
    assert kafka_admin.create_topics(config, topics) == sorted(topics)
    assert kafka_admin.create_topics(config, topics) == []
    assert kafka_admin.describe(config, [*topics, "no-such-topic"]) == topics
    assert topics.items() <= kafka_admin.describe(config).items()
    assert "__consumer_offsets" not in kafka_admin.describe(config)


def test_unequal_partition_counts_are_declined(broker: str, fresh_name: str):
    config, one, two = {"bootstrap_servers": broker}, f"{fresh_name}-1", f"{fresh_name}-2"
    kafka_admin.create_topics(config, {one: 1, two: 2})
    with pytest.raises(Declined, match="has 1 partitions, not 4"):
        kafka_admin.create_topics(config, {one: 4})
    with pytest.raises(Declined, match=f"{one} has 1, {two} has 2"):
        kafka_admin.equal_partitions(config, [one, two])
    with pytest.raises(Declined, match="there is no topic no-such-topic"):
        kafka_admin.equal_partitions(config, [one, "no-such-topic"])
    assert kafka_admin.equal_partitions(config, [two]) == 2


def test_ends_group_offsets_and_lag(broker: str, fresh_name: str):
    # offset   0  1  2=marker  3 (open)
    config, topic, group = {"bootstrap_servers": broker}, f"{fresh_name}-t", f"{fresh_name}-g"
    kafka_admin.create_topics(config, {topic: 2})
    producer = Producer({"bootstrap.servers": broker, "transactional.id": fresh_name}, logger=quiet)
    producer.init_transactions()
    producer.begin_transaction()
    for value in ("a", "b"):
        producer.produce(topic, value, partition=0)
    metadata = _group_metadata(broker, group)
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], metadata)
    producer.commit_transaction()
    assert kafka_admin.group_offsets(config, group) == {(topic, 0): 1}
    producer.begin_transaction()
    producer.produce(topic, "open", partition=0)
    producer.flush()
    assert kafka_admin.end_offsets(config, [topic]) == {(topic, 0): 3, (topic, 1): 0}
    assert kafka_admin.end_offsets(config, [topic], read_committed=False) == {(topic, 0): 4, (topic, 1): 0}
    assert kafka_admin.beginning_offsets(config, [topic]) == {(topic, 0): 0, (topic, 1): 0}
    assert kafka_admin.lag(config, group, [topic]) == {(topic, 0): 2, (topic, 1): 0}
    assert kafka_admin.lag(config, f"{group}-new", [topic]) == {(topic, 0): 3, (topic, 1): 0}
    producer.abort_transaction()


UNREACHABLE = """
from connectors import kafka_admin
from streams.errors import BrokerUnreachable
try:
    kafka_admin.describe({"bootstrap_servers": ["127.0.0.1:1"], "bootstrap_timeout_ms": 300})
except BrokerUnreachable as error:
    print(error.where)
"""


def test_a_cluster_out_of_reach_is_retriable():
    # In a process of its own: kafka-python leaves a thread and a socket behind when it cannot connect.
    done = subprocess.run([sys.executable, "-c", UNREACHABLE], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("topics at 127.0.0.1:1\n", "")


def _group_metadata(broker: str, group: str):
    from confluent_kafka import Consumer

    consumer = Consumer({"bootstrap.servers": broker, "group.id": group}, logger=quiet)
    metadata = consumer.consumer_group_metadata()
    consumer.close()
    return metadata
