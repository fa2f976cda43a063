"""What is asked of Kafka when somebody wants to know: how far tasks are, the newest rejects. Nothing of it is kept."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from connectors.kafka_admin import end_offsets, lag
from connectors.kafka_scan import scan
from infra.monitor import recoveries
from infra.monitor.answers import Recovery, Reject, Rejects, TaskHead
from infra.settings import Settings
from infra.state import checkpoint_store
from infra.text import one_line
from streams.checkpoint import BlobName
from streams.journal import JournalRecord
from streams.pipeline import Pipeline
from streams.records import RejectRecord

JOURNAL_RECORDS = 500
"""Journal records of a task that are looked at, from its end."""

TEXT_MAX = 2_000
"""Characters of a record that are shown."""


def task_heads(pipeline: Pipeline, settings: Settings) -> list[TaskHead]:
    """How far each task is. Raises PipelineError when Kafka or the store cannot be asked."""
    config, topic = settings.kafka_python(), pipeline.topic("journal")
    behind: dict[int, int] = {}
    for (_, partition), records in lag(config, pipeline.group, [each.topic for each in pipeline.inputs]).items():
        behind[partition] = behind.get(partition, 0) + records
    blobs = {name for name in checkpoint_store(settings, pipeline).names() if BlobName.parse(name)}
    journals: dict[int, list[Any]] = {}
    ends = {partition: end for (_, partition), end in end_offsets(config, [topic]).items()}
    decode = msgspec.json.Decoder(JournalRecord).decode
    for record in scan(config, topic, {partition: max(end - JOURNAL_RECORDS, 0) for partition, end in ends.items()}):
        journals.setdefault(record.partition, []).append((record.timestamp, decode(record.value)))
    recovering = recoveries.under_way(recoveries.newest(pipeline, settings), time.time_ns() // 1_000_000)
    return [
        _task_head(task, behind.get(task, 0), journals.get(task, []), blobs, recovering.get(task))
        for task in range(pipeline.partitions)
    ]


def _task_head(
    task: int, behind: int, journal: list[tuple[int, JournalRecord]], blobs: set[str], recovery: Recovery | None
) -> TaskHead:
    """``journal`` are its newest records with Kafka's times of them."""
    times = {record.sequence: at_ms for at_ms, record in journal}
    saved = [record.sequence for _, record in journal if record.state is not None]
    saved += [r.checkpoint.sequence for _, r in journal if r.checkpoint is not None and r.checkpoint.name in blobs]
    safe = max(saved, default=-1)
    return TaskHead(
        task=task,
        journal_sequence=journal[-1][1].sequence if journal else None,
        lag_records=behind,
        to_replay_records=sum(record.records for _, record in journal if record.sequence > safe),
        checkpoint_age_ms=max(journal[-1][0] - times[safe], 0) if safe in times else None,
        learns=True,
        recovery=recovery,
    )


def newest_rejects(pipeline: Pipeline, settings: Settings, last: int) -> Rejects:
    """The newest rejects, newest first."""
    config, topic = settings.kafka_python(), pipeline.topic("rejects")
    starts = {partition: max(end - 2 * last, 0) for (_, partition), end in end_offsets(config, [topic]).items()}
    decode, found = msgspec.json.Decoder(RejectRecord).decode, []
    for record in scan(config, topic, starts):
        where = f"{topic}[{record.partition}]@{record.offset}"
        found.append((record.timestamp, record.partition, record.offset, _reject(where, decode(record.value))))
    found.sort(key=lambda each: each[:3], reverse=True)
    return Rejects(pipeline.name, [each[3] for each in found[:last]])


def _reject(where: str, record: RejectRecord) -> Reject:
    key, value = shown(record.key), shown(record.value)
    return Reject(
        where=where,
        source=f"{record.topic}[{record.partition}]@{record.offset}",
        timestamp_ms=record.timestamp_ms,
        reason=record.reason,
        field=record.field[:TEXT_MAX],
        detail=record.detail[:TEXT_MAX],
        size=record.size,
        key=None if key is None else key[:TEXT_MAX],
        value=None if value is None else value[:TEXT_MAX],
        cut=not record.whole or any(len(text or "") > TEXT_MAX for text in (key, value)),
    )


def shown(data: bytes | None) -> str | None:
    r"""Bytes as text that can do no harm: what is no printable character is escaped.

    >>> shown(b"caf\xc3\xa9\x1b[31m\xff\n")
    'café\\x1b[31m\\xff\\n'
    """
    if data is None:
        return None
    text = data[: 4 * TEXT_MAX + 4].decode("utf-8", "backslashreplace")
    return one_line(text)
