"""Recoveries that are under way, as workers tell of them while they last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from connectors.kafka_admin import end_offsets
from connectors.kafka_scan import scan
from infra.monitor.answers import Recovery
from infra.settings import Settings
from streams.pipeline import Pipeline
from streams.records import RecoveryRecord

SILENT_MS = 10_000
"""What was not told of for so long has ended, or its worker has."""


class Told(NamedTuple):
    """What was told last of a task's recovery, and when, ms since the Unix epoch by the worker's clock."""

    at_ms: int
    record: RecoveryRecord


def newest(pipeline: Pipeline, settings: Settings) -> dict[int, Told]:
    """Task -> what was told last. Raises PipelineError when Kafka cannot be asked."""
    config, topic = settings.kafka_python(), pipeline.topic("recovery")
    ends = {partition: end for (_, partition), end in end_offsets(config, [topic]).items() if end}
    decode = msgspec.json.Decoder(RecoveryRecord).decode
    last = scan(config, topic, {partition: end - 1 for partition, end in ends.items()}) if ends else ()
    return {record.partition: Told(record.timestamp, decode(record.value)) for record in last}


def under_way(told: Mapping[int, Told], now_ms: int) -> dict[int, Recovery]:
    """Task -> how far its recovery is.

    Examples
    --------
    >>> told = {0: Told(1_000, RecoveryRecord(0, "1", 40, 90)), 1: Told(1_000, RecoveryRecord(1, "1", 90, 90))}
    >>> under_way(told, now_ms=2_000)
    {0: Recovery(worker='1', replayed=40, total=90)}
    >>> under_way(told, now_ms=12_000)
    {}
    """
    return {
        task: Recovery(record.worker, record.replayed, record.total)
        for task, (at_ms, record) in told.items()
        if record.replayed < record.total and now_ms - at_ms < SILENT_MS
    }
