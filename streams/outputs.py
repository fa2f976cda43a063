"""The output records of a task, encoded. What they mean is in records.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from models.learner import Label, LiveModel
from models.panel import Drift
from models.pending import PendingEvent
from models.scores import Values
from streams.control import Decision
from streams.errors import RecordRejected
from streams.ports import Output, Record
from streams.records import (
    DecisionRecord,
    DriftRecord,
    FeaturesRecord,
    MetricsRecord,
    OutcomeRecord,
    PredictionRecord,
    RejectRecord,
    ScoreValues,
    Verdict,
    VersionRecord,
)
from streams.versions import Version

RECORD_BYTES_MAX = 500_000
"""The largest input record that is looked into. A reject holds the record whole, in base64, up to this size."""

KEY_BYTES_MAX = 50_000
DETAIL_CHARS_MAX = 1_000
OUTPUT_BYTES_MAX = 900_000
"""The largest record put out: below what Kafka takes by default (1 MiB), with room for key and headers."""

PREDICTION_BYTES_MAX = OUTPUT_BYTES_MAX - 5_000
"""The largest record of features or predictions: an outcome repeats the prediction and adds its label."""

_encode = msgspec.json.Encoder().encode


class LabelFound(msgspec.Struct, gc=False):
    """The label that came for an event: its value, event time, topic and offset."""

    label: Label
    time_ms: int
    topic: str
    offset: int


_output: Callable[[type[Output], tuple[Any, ...]], Output] = tuple.__new__  # half the cost of Output(...)


def features(event: PendingEvent, topic: str, partition: int, timestamp_ms: int) -> Output:
    """The row the models saw."""
    row = FeaturesRecord(event.event_id, event.event_time_ms, topic, partition, event.offset, event.features)
    return _output(Output, ("features", event.key, _encode(row), timestamp_ms))


def _predicted(event: PendingEvent, models: Sequence[LiveModel], topic: str, partition: int) -> tuple[Any, ...]:
    """The fields of ``Predicted``, the champion first."""
    champion, said = models[0], event.predictions[0]
    return (
        event.event_id,
        event.event_time_ms,
        topic,
        partition,
        event.offset,
        champion.name,
        champion.version,
        champion.role,
        said.value,
        said.probability,
        said.probabilities,
        _shadows(event, models) if len(models) > 1 else [],
    )


def _shadows(event: PendingEvent, models: Sequence[LiveModel]) -> list[Verdict]:
    others = zip(models[1:], event.predictions[1:], strict=True)
    return [
        Verdict(model.name, model.version, model.role, said.value, said.probability, said.probabilities)
        for model, said in others
    ]


def prediction(
    event: PendingEvent, models: Sequence[LiveModel], topic: str, partition: int, timestamp_ms: int
) -> Output:
    """What the models said of an event."""
    row = PredictionRecord(*_predicted(event, models, topic, partition))
    return _output(Output, ("predictions", event.key, _encode(row), timestamp_ms))


def too_large(output: Output) -> RecordRejected:
    """Why this cannot be put out."""
    what = f"its {output.name} have more than {PREDICTION_BYTES_MAX:,} bytes"
    return RecordRejected(what, reason="too_large")


def outcome(
    event: PendingEvent,
    found: LabelFound | None,
    models: Sequence[LiveModel],
    topic: str,
    partition: int,
    timestamp_ms: int,
) -> Output:
    """A prediction with its label, or without (``found`` is None) when it expired."""
    if found is None:
        end: tuple[Any, ...] = ("expired", None, None, None, None, None)
    else:
        delay_ms = found.time_ms - event.event_time_ms
        end = ("scored", found.label, found.time_ms, delay_ms, found.topic, found.offset)
    row = OutcomeRecord(*_predicted(event, models, topic, partition), *end)
    return _output(Output, ("outcomes", event.key, _encode(row), timestamp_ms))


def reject(topic: str, partition: int, record: Record, why: RecordRejected, timestamp_ms: int) -> Output:
    """A record that could not be used and why: whole, or by its coordinates alone where it is too large to repeat."""
    key = record.key if len(record.key or b"") <= KEY_BYTES_MAX else None
    size = len(record.value or b"") + len(record.key or b"")
    whole = key == record.key and len(record.value or b"") <= RECORD_BYTES_MAX
    row = RejectRecord(
        topic,
        partition,
        record.offset,
        record.timestamp_ms,
        why.reason,
        short(why.field),
        short(why.what),
        size,
        whole,
        key,
        record.value if whole else None,
    )
    return Output("rejects", key, _encode(row), timestamp_ms)


def short(text: str) -> str:
    """Error texts may repeat what they complain of, also where that is no valid text.

    >>> len(short("x" * 100_000)), short(chr(0xD800))
    (1000, '?')
    """
    text = text.encode(errors="replace").decode()
    return text if len(text) <= DETAIL_CHARS_MAX else text[: DETAIL_CHARS_MAX - 1] + "…"


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


def decision(
    made: Decision, reason: str, number: int, topic: str, partition: int, offset: int, timestamp_ms: int
) -> Output:
    """What became of a decision; ``reason`` is empty if it was obeyed."""
    row = DecisionRecord(
        partition,
        timestamp_ms,
        topic,
        partition,
        offset,
        made.id,
        made.action,
        made.model,
        made.version,
        made.by,
        made.why,
        made.decided_time_ms,
        obeyed=not reason,
        reason=reason,
        number=number,
    )
    return Output("decisions", str(partition).encode(), _encode(row), timestamp_ms)


def version(of: Version, task: int, now_ms: int, values: Values, *, kept: bool) -> Output:
    """A version of a model, that is kept from now on, or no longer."""
    row = VersionRecord(task, now_ms, of.model, of.label, of.version, kept, ScoreValues(*values))
    return Output("versions", str(task).encode(), _encode(row), now_ms)


def metrics(report: MetricsRecord) -> Output:
    """A task's report of a closed period."""
    return Output("metrics", str(report.task).encode(), _encode(report), report.window_end_time_ms)
