"""Transactions that hang are told from those that run, and end as their coordinator decided.

Kafka's own bug cannot be made to happen here: what its coordinators write down, and what a marker does, is seen on
transactions that are at work.
"""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.hanging import OFFSETS_TOPIC, Open, _open, _parts, decided, end, end_hanging, hanging
from connectors.kafka_admin import administered, group_offsets
from connectors.kafka_reader import quiet
from connectors.kafka_scan import scan
from connectors.transaction_log import Entry, newest_first

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


def entry(status: str, *partitions: int, producer_id: int = 7) -> Entry:
    return Entry("id", producer_id, status, frozenset(("journal", partition) for partition in partitions))


@pytest.mark.parametrize(
    ("newest_first", "committed"),
    [
        ([entry("CompleteCommit"), entry("PrepareCommit", 1, 2)], True),
        ([entry("Empty"), entry("CompleteAbort"), entry("PrepareAbort", 1)], False),
        # the next transaction wrote elsewhere: its end says nothing of this partition
        ([entry("CompleteCommit"), entry("PrepareCommit", 2), entry("CompleteAbort"), entry("PrepareAbort", 1)], False),
        ([entry("CompleteAbort"), entry("PrepareAbort", 2), entry("CompleteCommit"), entry("PrepareCommit", 1)], True),
        # another producer's id, of before the id was made anew
        ([entry("PrepareAbort", 1, producer_id=6), entry("PrepareCommit", 1)], True),
        ([entry("CompleteCommit"), entry("PrepareCommit", 2)], None),
        ([], None),
    ],
)
def test_it_ends_as_the_newest_decision_says_that_names_its_partition(
    newest_first: list[Entry], committed: bool | None
) -> None:
    assert decided([ONE], newest_first).get(ONE) is committed


class Writer:
    """Transactions on a topic of one partition, with the offsets of a group."""

    def __init__(self, broker: str, name: str) -> None:
        self.topic, self.group, self.config = name, f"{name}-group", {"bootstrap_servers": [broker]}
        common = {"bootstrap.servers": broker}
        admin = AdminClient(common, logger=quiet)
        admin.create_topics([NewTopic(name, 1)])[name].result()
        self.producer = Producer({**common, "transactional.id": name}, logger=quiet)
        self.producer.init_transactions(20)
        self.consumer = Consumer({**common, "group.id": self.group}, logger=quiet)

    def write(self, value: bytes, offset: int) -> None:
        self.producer.begin_transaction()
        self.producer.produce(self.topic, value, partition=0)
        self.producer.flush(20)
        metadata = self.consumer.consumer_group_metadata()
        self.producer.send_offsets_to_transaction([TopicPartition(self.topic, 0, offset)], metadata, 20)

    def values(self) -> list[bytes]:
        return [record.value for record in scan(self.config, self.topic)]


@pytest.fixture
def writer(broker: str, fresh_name: str) -> Writer:
    return Writer(broker, fresh_name)


@pytest.mark.broker
def test_a_running_transaction_is_left_alone(writer: Writer) -> None:
    writer.write(b"x", 1)
    assert end_hanging(writer.config, [writer.topic], writer.group) == []
    writer.producer.commit_transaction(20)
    assert end_hanging(writer.config, [writer.topic], writer.group) == []
    assert writer.values() == [b"x"]


@pytest.mark.broker
def test_what_a_coordinator_decided_is_read_from_its_log(writer: Writer) -> None:
    for commit in (True, False):
        writer.write(b"x", 1)
        (writer.producer.commit_transaction if commit else writer.producer.abort_transaction)(20)
    entries = list(newest_first(writer.config, writer.topic))
    assert {each.transactional_id for each in entries} == {writer.topic}
    prepared = [each for each in entries if each.status.startswith("Prepare")]
    assert [each.status for each in prepared] == ["PrepareAbort", "PrepareCommit"]
    assert (writer.topic, 0) in prepared[0].partitions
    assert {topic for topic, _ in prepared[0].partitions} == {writer.topic, OFFSETS_TOPIC}
    opened = Open(writer.topic, 0, prepared[0].producer_id, 0, 0, 3)
    assert decided([opened], iter(entries)) == {opened: False}
    assert decided([opened], iter(entries[entries.index(prepared[1]) :])) == {opened: True}


@pytest.mark.broker
@pytest.mark.parametrize("commit", [True, False])
def test_a_marker_ends_it_in_the_partition_and_in_the_groups_offsets(writer: Writer, commit: bool) -> None:
    writer.write(b"x", 41)
    with administered(writer.config, "test") as admin:
        parts = list(_parts(admin, {writer.topic: 1}, writer.group))
        opened = _open(admin, parts)
        assert {each.topic for each in opened} == {writer.topic, OFFSETS_TOPIC}
        for each in opened:
            end(admin, each, commit=commit)
        assert _open(admin, parts) == []
    assert writer.values() == ([b"x"] if commit else [])
    assert group_offsets(writer.config, writer.group) == ({(writer.topic, 0): 41} if commit else {})
