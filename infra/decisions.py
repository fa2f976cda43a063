"""Decisions on a pipeline's models: sent to its tasks, and what became of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from connectors.kafka_admin import end_offsets
from connectors.kafka_errors import translated
from connectors.kafka_scan import scan
from streams.control import Action, Decision, decode
from streams.errors import Declined, RecordRejected
from streams.pipeline import Pipeline
from streams.records import DecisionRecord, VersionRecord

Place = dict[int, int]
"""Partition -> offset in the topic of decisions."""


def new_decision(
    action: Action, model: str | None, by: str, why: str, version: str | None = None, after: int | None = None
) -> Decision:
    """A decision of this moment, with an id of its own. Raises Declined when no task would take it for one."""
    made = Decision(
        id=uuid.uuid4().hex,
        action=action,
        by=by,
        why=why,
        decided_time_ms=round(time.time() * 1000),
        model=model,
        version=version,
        after=after,
    )
    try:
        return decode(msgspec.json.encode(made))
    except (RecordRejected, UnicodeEncodeError) as error:
        raise Declined(f"no decision: {error}", remedy="name a model, who decides, and why, each in a line") from error


def send(config: dict[str, Any], pipeline: Pipeline, decision: Decision) -> Place:
    """Put it before every task, in one transaction; where their answers will lie behind.

    All senders have one transactional id: of two at a time the earlier is fenced, so the order is the same everywhere.
    """
    from kafka import KafkaProducer

    topic, value = pipeline.topic("control"), msgspec.json.encode(decision)
    answers = pipeline.topic("decisions")
    before = {partition: end for (_, partition), end in end_offsets(config, [answers]).items()}
    with translated(f"topic {topic}"), KafkaProducer(**config, transactional_id=topic) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        for partition in range(pipeline.partitions):
            producer.send(topic, value, partition=partition, timestamp_ms=decision.decided_time_ms)
        producer.commit_transaction()
    return before


def answers(config: dict[str, Any], pipeline: Pipeline, since: Place | None = None) -> Iterator[DecisionRecord]:
    """What tasks have made of decisions, in the order of each task."""
    decode = msgspec.json.Decoder(DecisionRecord).decode
    for record in scan(config, pipeline.topic("decisions"), since):
        yield decode(record.value)


@dataclass(slots=True)
class KeptVersion:
    """A version of a model: the tasks that have it, and its scores there (of the task that told last)."""

    model: str
    label: str
    tasks: set[int] = field(default_factory=set)
    scores: str = ""


def versions(config: dict[str, Any], pipeline: Pipeline) -> list[KeptVersion]:
    """What can be gone back to, by model, oldest first."""
    found: dict[tuple[str, str], KeptVersion] = {}
    decode = msgspec.json.Decoder(VersionRecord).decode
    for record in scan(config, pipeline.topic("versions")):
        told = decode(record.value)
        each = found.setdefault((told.model, told.label), KeptVersion(told.model, told.label))
        if told.kept:
            each.tasks.add(told.task)
            values = {name: getattr(told.scores, name) for name in _SHOWN}
            each.scores = "  ".join(f"{name} {value:.4g}" for name, value in values.items() if value is not None)
        else:
            each.tasks.discard(told.task)
    return sorted((each for each in found.values() if each.tasks), key=lambda each: each.model)


_SHOWN = ("accuracy", "auc", "f1", "mae", "rmse")


def wait_for_answers(
    config: dict[str, Any], pipeline: Pipeline, decision: Decision, since: Place, timeout_s: float
) -> list[DecisionRecord]:
    """The answers of all tasks to this decision; of fewer when time is up."""

    def ask() -> list[DecisionRecord]:
        return [each for each in answers(config, pipeline, since) if each.decision == decision.id]

    fewer = retry_if_result(lambda found: len(found) < pipeline.partitions)
    until = Retrying(stop=stop_after_delay(timeout_s), wait=wait_fixed(0.2), retry=fewer)
    try:
        return until(ask)
    except RetryError as late:
        found: list[DecisionRecord] = late.last_attempt.result()
        return found
