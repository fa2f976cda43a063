"""Sinks on a real broker: whatever is killed, shared or broken, each committed record is one row."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import duckdb
import msgspec
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from tenacity import retry, stop_after_delay, wait_fixed

from connectors.sinks import parquet
from connectors.sinks.parquet import ParquetSink
from connectors.sinks.runner import run_sink
from streams.errors import Declined
from streams.records import FeaturesRecord

pytestmark = pytest.mark.broker
PARTITIONS, BUCKET = 4, 100


class Counts:
    """A Telemetry that adds up."""

    def __init__(self):
        self.counts, self.gauges = Counter(), {}

    def count(self, name, amount, **labels):
        self.counts[name] += amount

    def span(self, name, **fields):
        return nullcontext()

    def gauge(self, name, value, **labels):
        self.gauges[name] = value

    def forget(self, task): ...

    def observe(self, name, value, **labels):
        self.counts[name] += 1


@pytest.fixture
def topic(broker, fresh_name):
    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.create_topics([NewTopic(fresh_name, PARTITIONS, 1)]).values():
        future.result()
    return fresh_name


def produce(broker, topic, count, *, start=0, aborted=()):
    """Records of a transaction each hundred; every second hundred has aborted ones before it."""
    producer = Producer({"bootstrap.servers": broker, "transactional.id": f"to-{topic}-{start}", "retry.backoff.ms": 5})
    producer.init_transactions()
    for first in range(start, start + count, 100):
        for keep in (False, True) if first // 100 in aborted else (True,):
            producer.begin_transaction()
            for i in range(first, min(first + 100, start + count)):
                row = FeaturesRecord(f"e{i}", 1_000 + i, "in", 0, i, {"x": float(i)})
                producer.produce(topic, msgspec.json.encode(row), str(i), i % PARTITIONS, timestamp=1_000 + i)
            producer.flush()
            producer.commit_transaction() if keep else producer.abort_transaction()


def sink(broker, topic, root, counts=None, *, once=True, stop=lambda: False, **settings):
    config = {"bootstrap.servers": broker, "session.timeout.ms": 3_000, "heartbeat.interval.ms": 300}
    tables = {topic: "features"}
    settings = {"flush_s": 0.1, "bucket_offsets": BUCKET, **settings}
    run_sink(
        config, f"sink-{topic}", tables, "binary", root, telemetry=counts or Counts(), stop=stop, once=once, **settings
    )


def events(root: Path) -> list[str]:
    sql = f"SELECT event_id FROM read_parquet('{root}/features/**/*.parquet', union_by_name = true)"
    return sorted(duckdb.sql(sql).fetchnumpy()["event_id"].tolist())


def expected(count: int) -> list[str]:
    return sorted(f"e{i}" for i in range(count))


@retry(stop=stop_after_delay(40), wait=wait_fixed(0.05))
def until(condition):
    assert condition()


def test_committed_records_become_rows_once_and_aborted_ones_never(broker, topic, tmp_path):
    produce(broker, topic, 1_000, aborted={0, 3, 9})
    counts = Counts()
    root = tmp_path / "parquet"
    sink(broker, topic, root, counts)
    assert events(root) == expected(1_000)
    assert counts.counts["sink_rows"] == 1_000
    produce(broker, topic, 300, start=1_000)
    sink(broker, topic, root, counts)
    assert events(root) == expected(1_300)
    assert counts.counts["sink_rows"] == 1_300, "rows that were there are not counted again"
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*), sum(x) FROM features").fetchone() == (1_300, sum(range(1_300)))


RUN = """
import sys
from tests.connectors.test_sink_runner import sink
from pathlib import Path
sink(sys.argv[1], sys.argv[2], Path(sys.argv[3]), once=False)
"""


def start(broker, topic, root):
    return subprocess.Popen([sys.executable, "-c", RUN, broker, topic, str(root)])


def test_sinks_that_are_killed_and_share_partitions_lose_and_double_nothing(broker, topic, tmp_path):
    root, done = tmp_path / "parquet", threading.Event()
    feeder = threading.Thread(target=lambda: (produce(broker, topic, 6_000, aborted=range(0, 60, 7)), done.set()))
    feeder.start()
    first, second = start(broker, topic, root), start(broker, topic, root)
    try:
        until(lambda: len(events(root)) > 500)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        first = start(broker, topic, root)  # the dead one's partitions come back when its session times out
        until(done.is_set)
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
        feeder.join()
    sink(broker, topic, root)
    assert events(root) == expected(6_000)


def test_stop_flushes_what_it_has(broker, topic, tmp_path, monkeypatch):
    # flushes are an hour apart: the first is due at once, before there are records; the second is the stop's
    root, counts, taken, asked = tmp_path / "parquet", Counts(), Counter(), Counter()
    write = ParquetSink.write
    monkeypatch.setattr(
        ParquetSink, "write", lambda self, part, records: (write(self, part, records), taken.update(n=len(records)))
    )

    def stop() -> bool:
        asked["n"] += 1
        if asked["n"] == 2:
            produce(broker, topic, 200)
        return taken["n"] == 200

    sink(broker, topic, root, counts, once=False, stop=stop, flush_s=3_600.0, bucket_offsets=10_000)
    assert counts.counts["sink_rows"] == 200
    assert events(root) == expected(200)


def test_a_full_disk_pauses_and_resumes(broker, topic, tmp_path, monkeypatch):
    produce(broker, topic, 1_000)
    root, counts, full, read_while_full = tmp_path / "parquet", Counts(), [3], Counter()

    import pyarrow.parquet as pq

    write, write_table = ParquetSink.write, pq.write_table

    def no_space(table, *args, **kwargs):
        if table.num_rows and full[0]:
            full[0] -= 1
            if full[0] == 2:
                produce(broker, topic, 400, start=1_000)  # which comes while the disk is full
            raise OSError(28, "No space left on device")
        return write_table(table, *args, **kwargs)

    def watched(self, part, records):
        read_while_full["n"] += len(records) * bool(counts.gauges.get("sink_blocked"))
        write(self, part, records)

    monkeypatch.setattr("connectors.sinks.files.pq.write_table", no_space)
    monkeypatch.setattr(ParquetSink, "write", watched)
    sink(broker, topic, root, counts)
    assert counts.counts["sink_write_failures"] == 3
    assert read_while_full["n"] == 0, "nothing is read while it is full"
    assert counts.gauges["sink_blocked"] == 0
    assert events(root) == expected(1_400)


def test_a_rebalance_while_the_disk_is_full_stops_no_partition_for_good(broker, topic, tmp_path, monkeypatch):
    produce(broker, topic, 400)
    root, counts, write_bucket = tmp_path / "parquet", Counts(), parquet.write_bucket
    other = Consumer({"bootstrap.servers": broker, "group.id": f"sink-{topic}"})
    seen = []  # in this order: blocked, rebalanced

    def no_space(*args):
        if len(seen) < 2:
            raise OSError(28, "No space left on device")
        return write_bucket(*args)

    def stop() -> bool:  # called each round
        if not seen and counts.gauges.get("sink_blocked"):
            seen.append("blocked")
            other.subscribe([topic])
        elif len(seen) == 1:
            other.poll(0.1)
            if other.assignment():
                other.close()
                seen.append("rebalanced")
        return len(seen) == 2 and events(root) == expected(400)

    monkeypatch.setattr(parquet, "write_bucket", no_space)
    sink(broker, topic, root, counts, once=False, stop=stop)


def test_a_topic_made_anew_stops_the_sink(broker, topic, tmp_path):
    root = tmp_path / "parquet"
    produce(broker, topic, 1_000)
    sink(broker, topic, root)
    admin = AdminClient({"bootstrap.servers": broker})
    admin.delete_topics([topic])[topic].result()
    until(lambda: topic not in admin.list_topics(timeout=5).topics)
    until(lambda: admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result() is None)
    produce(broker, topic, 100)
    with pytest.raises(Declined, match="made anew"):
        sink(broker, topic, root)
    assert events(root) == expected(1_000)
