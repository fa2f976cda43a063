"""A commit whose request may come twice: its epoch is given up, or it would commit half of the next transaction.

client   commit ──▶ proxy holds it ┄┄┄ the connection breaks ┄┄┄┄┄┄┄┄┄┄┄┄┄┄▶ broker: once more?
              └───▶ again, by another connection ──▶ committed │ next transaction, open
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kafka_log import KafkaLog
from connectors.kafka_reader import quiet
from infra.broker import EmbeddedBroker
from infra.broker_config import Proxied
from streams.errors import OutcomeUnknown
from tests.chaos.ports import quiet_port
from tests.chaos.proxy import END_TXN, LOOPBACK, NONE, Proxy, Trouble, proxies
from tests.contracts.log_contract import joined, produce, put, values

pytestmark = pytest.mark.broker
TOPIC = "rows"


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A broker behind a proxy."""
    folder: Path = tmp_path_factory.mktemp("behind-a-proxy")
    with proxies() as network:
        proxy = network.add(quiet_port(), quiet_port())
        listeners = {"CLIENT_1": Proxied(proxy.upstream_port, proxy.port)}
        broker = EmbeddedBroker(folder / "broker", quiet_port(), proxies=listeners)
        state = broker.start()
        admin = AdminClient({"bootstrap.servers": state.bootstrap_servers}, logger=quiet)
        admin.create_topics([NewTopic(TOPIC, 1)])[TOPIC].result()
        yield proxy
        broker.stop()


@pytest.fixture
def log(way: Proxy) -> Iterator[KafkaLog]:
    made = KafkaLog({"bootstrap.servers": f"{LOOPBACK}:{way.port}"}, "group", "writer", None)
    yield made
    way.trouble(NONE)
    with suppress(RuntimeError):  # a test has closed it
        made.close()


def written(log: KafkaLog, value: str) -> None:
    """A transaction that is open, with one record."""
    log.begin()
    produce(log, TOPIC, 0, b"key", value.encode(), 1_000)
    log._producer.flush(20)


def committed(log: KafkaLog) -> list[Any]:
    return values(log.read(TOPIC, 0, 0, log.end_offset(TOPIC, 0)))


def hear_of_a_broken_connection(log: KafkaLog) -> None:
    deadline_s = time.monotonic() + 20
    while not log._shaken:
        assert time.monotonic() < deadline_s
        log._producer.poll(0.1)


def heard_of_another(log: KafkaLog) -> bool:
    """Whether the client tells of one within a second. A poll may end early, for a line of its log."""
    log._shaken = False
    deadline_s = time.monotonic() + 1
    while not log._shaken and time.monotonic() < deadline_s:
        log._producer.poll(0.1)
    return log._shaken


def test_a_commit_that_was_sent_twice_is_told_of_and_its_copy_commits_nothing(way: Proxy, log: KafkaLog) -> None:
    joined(log, TOPIC)
    before = committed(log)
    written(log, "whole")
    held = way.held
    way.trouble(Trouble(held_api=END_TXN, held_s=3.0))
    with ThreadPoolExecutor(1) as pool:
        commit = pool.submit(log.commit)
        while way.held == held:
            time.sleep(0.01)
        due_s = time.monotonic() + 3.0
        way.trouble(Trouble(cut=True))
        way.trouble(NONE)
        with pytest.raises(OutcomeUnknown, match="may come a second time"):
            commit.result(20)
    assert committed(log) == [*before, "whole"]
    log.close()
    successor = KafkaLog({"bootstrap.servers": f"{LOOPBACK}:{way.port}"}, "group", "writer", None)
    joined(successor, TOPIC)
    written(successor, "half")
    while time.monotonic() < due_s + 0.5:  # by then the copy has come
        time.sleep(0.05)
    successor.abort()
    assert committed(successor) == [*before, "whole"]
    successor.close()


def test_a_commit_that_took_long_is_not_trusted_either(way: Proxy, log: KafkaLog) -> None:
    joined(log, TOPIC)
    written(log, "slow")
    way.trouble(Trouble(held_api=END_TXN, held_s=2.5))
    with pytest.raises(OutcomeUnknown, match="may come a second time"):
        log.commit()
    assert committed(log)[-1] == "slow"


def test_a_connection_that_broke_before_is_no_reason(way: Proxy, log: KafkaLog) -> None:
    joined(log, TOPIC)
    put(log, TOPIC, "one")
    way.trouble(Trouble(cut=True))
    hear_of_a_broken_connection(log)
    way.trouble(NONE)
    while heard_of_another(log):
        pass
    put(log, TOPIC, "two")
    assert committed(log)[-2:] == ["one", "two"]


def test_offsets_are_sent_when_all_outputs_are_there(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    joined(log, TOPIC)
    log.begin()
    for _ in range(1_000):
        produce(log, TOPIC, 0, b"key", b"row", 1_000)
    waiting: list[int] = []
    producer = log._producer

    class Watched:
        def __getattr__(self, name: str) -> Any:
            if name == "send_offsets_to_transaction":
                waiting.append(len(producer))
            return getattr(producer, name)

    monkeypatch.setattr(log, "_producer", Watched())
    log.send_offsets({(TOPIC, 0): 1})
    assert waiting == [0]
    log.abort()
