"""Each row of the tables is one record, in event-time order, however often the source is killed."""

import json
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaConsumer, TopicPartition
from tenacity import retry, stop_after_delay, wait_fixed

from connectors.sources.replay import Replay, Stream
from streams.errors import Declined

ROWS, PARTITIONS = 30_000, 3


def streams(prefix: str) -> list[Stream]:
    n = np.arange(ROWS)
    events = pa.table({"id": n, "origin": [f"k{i % 17}" for i in n], "at": n * 10 + 1, "x": n / 7})
    labels = pd.DataFrame(
        {"id": n, "origin": [f"k{i % 17}" for i in n], "landed_at": pd.to_datetime(n * 10 + 5_001, unit="ms")}
    )
    return [
        Stream(f"{prefix}.events", events, "origin", "at"),
        Stream(f"{prefix}.labels", labels, "origin", "landed_at"),
    ]


def topics(broker: str, prefix: str) -> list[str]:
    names = [f"{prefix}.events", f"{prefix}.labels"]
    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.create_topics(
        [NewTopic(n, PARTITIONS, 1, config={"retention.ms": "-1"}) for n in names]
    ).values():
        future.result()
    return names


def read(broker: str, topic: str):
    """Committed records by partition, seen by the other client."""
    with KafkaConsumer(
        bootstrap_servers=broker, isolation_level="read_committed", enable_auto_commit=False
    ) as consumer:
        parts = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        consumer.assign(parts)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(parts)
        records = {part.partition: [] for part in parts}
        while any(consumer.position(part) < ends[part] for part in parts):
            for part, batch in consumer.poll(timeout_ms=200).items():
                records[part.partition] += batch
        return records


def check_all_once_in_order(broker: str, names: list[str]) -> None:
    for topic, late_ms in zip(names, (1, 5_001), strict=True):
        by_partition = read(broker, topic)
        ids = [[json.loads(record.value)["id"] for record in records] for records in by_partition.values()]
        assert sorted(i for part in ids for i in part) == list(range(ROWS))
        assert all(part == sorted(part) for part in ids), "event-time order in each partition"
        assert all(r.timestamp == json.loads(r.value)["id"] * 10 + late_ms for rs in by_partition.values() for r in rs)


RUN = """
import sys
from connectors.sources import replay
from tests.connectors.test_replay import streams
replay.CHUNK_RECORDS = 500
replay.Replay(sys.argv[2], streams(sys.argv[2])).run({"bootstrap.servers": sys.argv[1]}, progress=False)
"""


@pytest.mark.broker
def test_a_source_killed_in_the_middle_resumes_with_the_next_record(broker, fresh_name):
    names = topics(broker, fresh_name)

    @retry(stop=stop_after_delay(30), wait=wait_fixed(0.02))
    def wait_for(records: int) -> None:
        assert sum(map(len, read(broker, names[0]).values())) >= records

    for reached in (2_000, 9_000):
        with subprocess.Popen([sys.executable, "-c", RUN, broker, fresh_name]) as source:
            wait_for(reached)
            source.send_signal(signal.SIGKILL)
            assert source.wait() == -signal.SIGKILL, "it was killed before it was done"
    sent = Replay(fresh_name, streams(fresh_name)).run({"bootstrap.servers": broker}, progress=False)
    assert 0 < sent < 2 * ROWS - 9_000, "it resumed, it did not begin again"
    check_all_once_in_order(broker, names)
    assert Replay(fresh_name, streams(fresh_name)).run({"bootstrap.servers": broker}, progress=False) == 0


@pytest.mark.broker
def test_keys_live_where_kafka_python_puts_them_too(broker, fresh_name):
    from kafka.partitioner.default import murmur2

    names = topics(broker, fresh_name)
    Replay(fresh_name, streams(fresh_name)).run({"bootstrap.servers": broker}, progress=False)
    for partition, records in read(broker, names[0]).items():
        assert {(murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS for record in records} <= {partition}


@pytest.mark.broker
def test_other_tables_under_the_same_name_are_declined(broker, fresh_name):
    topics(broker, fresh_name)
    first, *_ = streams(fresh_name)
    Replay(fresh_name, [first._replace(table=first.table.slice(0, 100))]).run(
        {"bootstrap.servers": broker}, progress=False
    )
    with pytest.raises(Declined, match="another name"):
        Replay(fresh_name, [first]).run({"bootstrap.servers": broker}, progress=False)


@pytest.mark.broker
def test_speed_paces_by_event_time(broker, fresh_name):
    # 100 records, 10 ms of event time apart, at 0.5 x event time: the last is due after 1.98 s of the clock
    topics(broker, fresh_name)
    first, *_ = streams(fresh_name)
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    replay = Replay(fresh_name, [first._replace(table=first.table.slice(0, 100))]).at_speed(0.5)
    sent = replay.run({"bootstrap.servers": broker}, progress=False, clock=lambda: now[0], sleep=sleep)
    assert sent == 100
    assert 1.98 <= now[0] < 2.1


def test_two_streams_at_the_same_time_keep_their_order():
    a = Stream("a", pa.table({"k": [1, 2], "at": [5, 5]}), "k", "at")
    b = Stream("b", pa.table({"k": [3], "at": [5]}), "k", "at")
    assert [(m.topic, m.key) for m in Replay("r", [a, b]).messages()] == [("a", b"1"), ("a", b"2"), ("b", b"3")]


@pytest.mark.parametrize(
    ("table", "key", "time"),
    [
        ({"k": [None], "at": [1]}, "k", "at"),
        ({"k": ["x"], "at": ["y"]}, "k", "at"),
        ({"k": ["x"], "at": [1]}, "z", "at"),
        ({"k": ["x"], "at": [0]}, "k", "at"),
    ],
)
def test_a_table_without_keys_or_times_is_declined(table, key, time):
    with pytest.raises(Declined):
        Replay("r", [Stream("a", pa.table(table), key, time)])
