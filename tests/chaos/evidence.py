"""What two runs left behind, read by others than wrote it (kafka-python, DuckDB); and their final states."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import duckdb
from kafka import KafkaConsumer, TopicPartition

from connectors.blobs import FolderBlobStore
from connectors.kafka_log import KafkaLog
from infra.settings import Settings
from models.digest import state_digest
from streams import journal, load_pipeline
from streams.pipeline import Pipeline
from streams.records import OUTPUTS
from streams.recovery import recover
from tests.chaos.compare import Difference, compare
from tests.chaos.history import History
from tests.chaos.pipelines.rides import FARES, PARTITIONS, RIDES, SKY

Row = tuple[int, bytes | None, bytes | None]
"""(timestamp in ms, key, value)"""


class Evidence(NamedTuple):
    """How two runs compare. ``published`` has the inputs and the history: its mistakes are the producer's."""

    published: Difference
    topics: Difference
    warehouse: Difference
    states_unequal: int


def committed(servers: str, topic: str, partition: int, offsets: array[int] | None = None) -> Iterator[Row]:
    """A partition's committed records in order; ``offsets`` takes in where they lie."""
    options = {"isolation_level": "read_committed", "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    # Every byte is compared; checksums, in Python, would take as long as all the rest.
    consumer = KafkaConsumer(bootstrap_servers=servers, max_poll_records=5_000, check_crcs=False, **options)
    try:
        at = TopicPartition(topic, partition)
        consumer.assign([at])
        end = consumer.end_offsets([at])[at]
        consumer.seek_to_beginning(at)
        while consumer.position(at) < end:
            for batch in consumer.poll(timeout_ms=500).values():
                for record in batch:
                    if offsets is not None:
                        offsets.append(record.offset)
                    yield record.timestamp, record.key, record.value
    finally:
        consumer.close()


def gather(settings: Settings, history: History, wanted: Path, found: Path) -> Evidence:
    """Compare what was published with the history, and the runs of two pipelines, given by their files, on the
    settings' broker. In two processes, as one reads and compares no faster than Python does."""
    runs, topics, warehouse = (settings, wanted, found), Difference(), Difference()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:  # a fork would take Kafka's threads along
        published = pool.submit(_published, settings.servers(), history)
        parts = [pool.submit(_compare_partition, *runs, out, place) for out in OUTPUTS for place in range(PARTITIONS)]
        rows = [pool.submit(_rows_unequal, *runs, out) for out in OUTPUTS]
        states = [pool.submit(_states_differ, *runs, place) for place in range(PARTITIONS)]
        for part in parts:
            topic, sunk = part.result()
            topics, warehouse = topics + topic, warehouse + sunk
        warehouse += Difference(unequal=sum(each.result() for each in rows))
        return Evidence(published.result(), topics, warehouse, sum(each.result() for each in states))


def _published(servers: str, history: History) -> Difference:
    wanted: dict[tuple[str, int], list[Row]] = {(t, p): [] for t in (RIDES, FARES, SKY) for p in range(PARTITIONS)}
    for _, topic, partition, key, value, timestamp_ms in history.messages():
        wanted[topic, partition].append((timestamp_ms, key, value))
    return sum((compare(rows, committed(servers, *at)) for at, rows in wanted.items()), Difference())


def _compare_partition(
    settings: Settings, wanted: Path, found: Path, output: str, partition: int
) -> tuple[Difference, Difference]:
    """One partition of an output: that of one run with the other's, and the other's with what the sink made of it."""
    want, got, servers = load_pipeline(wanted), load_pipeline(found), settings.servers()
    offsets = array("q")
    rows = committed(servers, got.topic(output), partition, offsets)
    topic = compare(committed(servers, want.topic(output), partition), rows)
    return topic, compare(offsets, _sunk_offsets(settings, got, output, partition))


def _sunk_offsets(settings: Settings, pipeline: Pipeline, output: str, partition: int) -> list[int]:
    """Which records of a partition are in the warehouse, in order, each as often as it is there."""
    if not (table := _table(settings, pipeline, output)):
        return []
    found = duckdb.sql(f"SELECT _offset FROM {table} WHERE _partition = {partition} ORDER BY 1").fetchall()
    return [offset for (offset,) in found]


def _rows_unequal(settings: Settings, wanted: Path, found: Path, output: str) -> int:
    """Rows of either warehouse that the other does not have in the same place of the same partition."""
    tables = [_table(settings, load_pipeline(file), output) for file in (wanted, found)]
    if not all(tables):
        return 0  # one of them has no rows: that is in the counts of the topics
    place = "row_number() OVER (PARTITION BY _partition ORDER BY _offset) AS place"
    one, other = (f"(SELECT * EXCLUDE (_offset), {place} FROM {table})" for table in tables)
    differing = f"({one} EXCEPT ALL {other}) UNION ALL ({other} EXCEPT ALL {one})"
    (count,) = duckdb.sql(f"SELECT count(*) FROM ({differing})").fetchall()[0]
    return int(count)


def _table(settings: Settings, pipeline: Pipeline, output: str) -> str:
    """SQL for an output's table in the warehouse; "" if it has no file yet."""
    folder = settings.data_folder(pipeline.name) / "parquet" / output
    if not any(folder.glob("p=*/*.parquet")):
        return ""
    return f"read_parquet('{folder}/p=*/*.parquet', union_by_name=true, hive_partitioning=false)"


def _states_differ(settings: Settings, wanted: Path, found: Path, partition: int) -> bool:
    one, other = (_state(settings, load_pipeline(file), partition) for file in (wanted, found))
    return one != other


def _state(settings: Settings, pipeline: Pipeline, partition: int) -> str:
    """Digest of a task's final state as the next worker would find it, without the pipeline's name in it."""
    store = FolderBlobStore.at(settings.data_folder(pipeline.name) / "checkpoints")
    log = KafkaLog(settings.confluent(), pipeline.group, f"state-of-{pipeline.name}", None)
    try:
        topic = pipeline.topic("journal")
        end = log.end_offset(topic, partition)
        *_, last = log.read(topic, partition, max(0, end - 50), end)
        made_by = journal.decode(last.value or b"", topic).fingerprint
        task = recover(pipeline, partition, log, store, settings.signing_key_bytes(), made_by).task
    finally:
        log.close()
    return state_digest({name: part for name, part in task.state().items() if name != "pipeline"})
