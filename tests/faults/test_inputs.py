"""Rows 15, 16, 23, 25, 30 and 32: what lies in the inputs, and what happens to their topics."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from urllib.request import urlopen

import pytest
from confluent_kafka.admin import NewPartitions, NewTopic

from infra.broker_config import free_port
from tests.faults.real import Real

pytestmark = pytest.mark.broker


def test_aborted_records_and_bad_bytes_are_never_learned_from(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(200, abort_every=1)
    bad = [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"id": 3}', b'{"x": 1e999}', b"null"]
    for value in bad:
        made.send_raw("asked", value)
    made.publish(100, abort_every=2)
    made.close()
    made.worker()
    made.until_done()
    made.check()
    rejects = [each for each in made.rejects() if each.topic.endswith("-asked")]
    assert [each.value for each in rejects] == bad
    assert {each.reason for each in rejects} == {"empty", "json", "schema"}
    assert all(each.detail for each in rejects)


def test_a_producer_that_leaves_a_transaction_open_raises_an_alarm(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(100)
    hanging = made.producer(**{"transactional.id": f"{made.name}-hanging", "transaction.timeout.ms": 120_000})
    hanging.begin_transaction()
    hanging.produce(f"{made.name}-answered", b"{}", None, 0, timestamp=made.at_ms)
    hanging.flush(20)
    port = free_port()
    worker = made.worker(more={"RIVERRUN_TEST_WATCH_S": "0.3"}, arguments=["--metrics-port", str(port)])
    made.until(lambda: "has left a transaction open" in made.log().read_text())
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [line for line in lines if line.startswith("riverrun_input_blocked_seconds") and "answered" in line]
    assert float(line.rpartition(" ")[2]) > 0.5
    hanging.abort_transaction(20)
    made.publish(100)
    made.close()
    made.until_done()
    assert worker.poll() is None
    made.check()


def test_what_is_too_large_to_read_or_to_put_out_is_rejected_by_its_coordinates(real: Callable[..., Real]) -> None:
    made = real(effect='if event.note: return {"x": event.x, "wordy": 3 * event.note}')
    made.publish(100)
    made.send_raw("asked", b'{"note": "' + b"x" * 10_000_000 + b'"}', **{"message.max.bytes": 16_000_000})
    wordy = {"id": "wordy", "shop": "shop 0", "at": "2023-11-14T22:30:00Z", "x": 1, "note": 400_000 * "x"}
    made.send_raw("asked", json.dumps(wordy).encode())
    made.publish(100)
    made.close()
    made.worker()
    made.until_done()
    made.check()
    huge, wordier = [each for each in made.rejects() if each.reason == "too_large"]
    assert (huge.whole, huge.value, huge.size > 10_000_000) == (False, None, True)
    assert (wordier.whole, wordier.detail) == (True, "its features have more than 895,000 bytes")


def test_a_record_that_crashes_the_process_is_skipped_after_some_tries(real: Callable[..., Real]) -> None:
    made = real(imports="import os", effect='os.abort() if event.note == "deadly" else None')
    made.publish(60)
    made.at_ms += 1_000
    made.send_raw("asked", b'{"id": "d", "shop": "shop 0", "at": "2023-11-14T22:30:00Z", "x": 1, "note": "deadly"}')
    made.publish(60)
    made.close()
    for _ in range(8):  # four deaths; more where the batch was cut from an earlier place each time
        worker = made.worker()
        made.until(lambda: made.processed() or made.deserted())
        if made.processed():
            break
        assert worker.wait(60) == -signal.SIGABRT
    made.until_done()
    (reject,) = [each for each in made.rejects() if each.reason == "crashed_the_worker"]
    assert b"deadly" in (reject.value or b"")
    assert len(made.outputs()["features"]) == 120
    assert made.digest()


def test_partitions_that_were_added_stop_it(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(50)
    for topic in made.pipeline.topics:
        made.admin.create_partitions([NewPartitions(topic, 2)])[topic].result()
    made.refused("partition 1 was added: the pipeline declares 1", "remedy: keys have moved between tasks", task=1)


def test_a_topic_deleted_and_made_anew_stops_it_even_with_more_records_than_before(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(100)
    made.close()
    worker = made.worker()
    made.until_done()
    worker.terminate()
    assert worker.wait(30) == 0
    topic = f"{made.name}-asked"
    made.admin.delete_topics([topic])[topic].result()
    made.until(lambda: topic not in made.admin.list_topics(timeout=10).topics)
    made.admin.create_topics([NewTopic(topic, 1)])[topic].result()
    made.publish(400)
    made.refused(f"topic {topic} was deleted and made anew", "start the pipeline under another name")


def test_records_deleted_before_they_were_replayed_stop_it(real: Callable[..., Real]) -> None:
    from confluent_kafka import TopicPartition

    made = real(options="checkpoint_every=100_000, inline_bytes_max=0")
    made.publish(200)
    made.close()
    assert made.worker(die="after commit 6").wait(60) == -signal.SIGKILL
    topic = f"{made.name}-asked"
    at = made.journal()[-1].ranges[topic][1] - 10
    made.admin.delete_records([TopicPartition(topic, 0, at)])[TopicPartition(topic, 0)].result()
    before = made.outputs()
    made.refused("retention")
    assert made.outputs() == before


def test_a_tombstone_and_a_null_key_are_told_apart_from_events(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(60)
    producer = made.producer()
    producer.begin_transaction()
    made.at_ms += 1_000
    producer.produce(f"{made.name}-asked", None, b"shop 0", 0, timestamp=made.at_ms)
    keyless = b'{"id": "k", "shop": "shop 0", "at": "2023-11-14T22:30:00Z", "x": 1, "x": 2}'
    producer.produce(f"{made.name}-asked", keyless, None, 0, timestamp=made.at_ms)
    producer.commit_transaction(20)
    made.publish(60)
    made.close()
    made.worker()
    made.until_done()
    made.check()
    assert [each.reason for each in made.rejects() if each.topic.endswith("-asked")] == ["empty"]
    assert b'"x":2.0' in next(value for _, key, value in made.outputs()["features"] if key is None), "the last one wins"
