"""How far recoveries are, told on a real broker: now and then, and at no price."""

from __future__ import annotations

from uuid import uuid4

import msgspec
import pytest

from connectors.kafka_admin import create_topics
from connectors.kafka_recoveries import EVERY_S, RecoveryReports
from connectors.kafka_scan import scan
from infra.broker_config import free_port
from streams.records import RecoveryRecord
from tests.connectors.test_kafka_lead import until


@pytest.mark.broker
def test_a_recovery_is_told_of_when_it_begins_and_ends_and_twice_a_second_between(broker: str) -> None:
    config, topic, now_s = {"bootstrap_servers": broker}, f"recovery-{uuid4().hex[:8]}", [100.0]
    create_topics(config, {topic: 2})
    reports = RecoveryReports({"bootstrap.servers": broker}, topic, "7", lambda: now_s[0])
    for replayed in range(0, 101, 10):  # task 1 takes 2 s and a bit
        reports.tell(1, replayed, 100)
        now_s[0] += 0.42 * EVERY_S
    expected = [RecoveryRecord(1, "7", replayed, 100) for replayed in (0, 30, 60, 90, 100)]

    def told() -> list[RecoveryRecord]:
        return [msgspec.json.decode(record.value, type=RecoveryRecord) for record in scan(config, topic)]

    until(lambda: len(told()) >= len(expected))
    assert told() == expected


def test_a_broker_that_is_away_holds_nothing_up() -> None:
    now_s = [0.0]
    reports = RecoveryReports({"bootstrap.servers": f"127.0.0.1:{free_port()}"}, "t", "7", lambda: now_s[0])
    for replayed in range(10_000):
        now_s[0] += EVERY_S
        reports.tell(0, replayed, 10_000)
