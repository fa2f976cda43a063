"""The output records of a task, encoded. What they mean is in records.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from models.learner import Label, LiveModel, Prediction
from models.panel import Drift
from models.pending import PendingEvent
from streams.errors import RecordRejected
from streams.ports import Output, Record
from streams.records import (
    DriftRecord,
    FeaturesRecord,
    MetricsRecord,
    OutcomeRecord,
    PredictionRecord,
    RejectRecord,
    Verdict,
)

_encode = msgspec.json.Encoder().encode


class LabelFound(NamedTuple):
    """The label that came for an event: its value, event time, topic and offset."""

    label: Label
    time_ms: int
    topic: str
    offset: int


def features(event: PendingEvent, topic: str, partition: int, timestamp_ms: int) -> Output:
    """The row the models saw."""
    row = FeaturesRecord(event.event_id, event.event_time_ms, topic, partition, event.offset, event.features)
    return Output("features", event.key, _encode(row), timestamp_ms)


def _verdicts(models: Sequence[LiveModel], predictions: Sequence[Prediction]) -> list[Verdict]:
    return [Verdict(m.name, m.version, m.role, *said) for m, said in zip(models, predictions, strict=True)]


def prediction(
    event: PendingEvent, models: Sequence[LiveModel], topic: str, partition: int, timestamp_ms: int
) -> Output:
    """What the models said of an event, the champion first."""
    champion, *shadows = _verdicts(models, event.predictions)
    row = PredictionRecord(
        event.event_id,
        event.event_time_ms,
        topic,
        partition,
        event.offset,
        champion.model,
        champion.version,
        champion.role,
        champion.prediction,
        champion.probability,
        champion.probabilities,
        shadows,
    )
    return Output("predictions", event.key, _encode(row), timestamp_ms)


def outcome(
    event: PendingEvent,
    found: LabelFound | None,
    models: Sequence[LiveModel],
    topic: str,
    partition: int,
    timestamp_ms: int,
) -> Output:
    """A prediction with its label, or without (``found`` is None) when it expired."""
    champion, *shadows = _verdicts(models, event.predictions)
    row = OutcomeRecord(
        event.event_id,
        event.event_time_ms,
        topic,
        partition,
        event.offset,
        "scored" if found else "expired",
        found.label if found else None,
        found.time_ms if found else None,
        found.time_ms - event.event_time_ms if found else None,
        found.topic if found else None,
        found.offset if found else None,
        champion.model,
        champion.version,
        champion.role,
        champion.prediction,
        champion.probability,
        champion.probabilities,
        shadows,
    )
    return Output("outcomes", event.key, _encode(row), timestamp_ms)


def reject(topic: str, partition: int, record: Record, why: RecordRejected, timestamp_ms: int) -> Output:
    """A record that could not be used, whole, and why."""
    row = RejectRecord(
        topic,
        partition,
        record.offset,
        record.timestamp_ms,
        why.reason,
        why.field,
        why.what,
        record.key,
        record.value,
    )
    return Output("rejects", record.key, _encode(row), timestamp_ms)


def drift(seen: Drift, topic: str, partition: int, offset: int, timestamp_ms: int) -> Output:
    """A detector's alarm, at the record that tipped it."""
    row = DriftRecord(
        partition,
        timestamp_ms,
        topic,
        partition,
        offset,
        seen.detector,
        seen.watched,
        seen.model,
        seen.value,
        action="reported",
    )
    return Output("drift", str(partition).encode(), _encode(row), timestamp_ms)


def metrics(report: MetricsRecord) -> Output:
    """A task's report of a closed period."""
    return Output("metrics", str(report.task).encode(), _encode(report), report.window_end_time_ms)
