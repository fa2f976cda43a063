"""What is known of one model of a pipeline: in each task, its versions, and what was decided on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from connectors.kafka_admin import end_offsets
from connectors.kafka_scan import scan
from infra.decisions import KeptVersion, answers, versions
from models.learner import Learner
from streams.errors import Declined
from streams.pipeline import Pipeline
from streams.records import DecisionRecord, MetricsRecord, ModelScores

TAIL = 200
"""Offsets at the end of each partition that are looked at first for the newest report."""


@dataclass(frozen=True, slots=True)
class AboutModel:
    """``scores`` are those of the newest report of each task that has made one."""

    learner: Learner
    scores: dict[int, ModelScores]
    versions: list[KeptVersion]
    decisions: list[DecisionRecord]


def about_model(config: dict[str, Any], pipeline: Pipeline, name: str) -> AboutModel:
    """All of a model. Raises Declined when there is none of this name."""
    learner = next((each for each in pipeline.learners if each.name == name), None)
    if learner is None:
        names = ", ".join(each.name for each in pipeline.learners)
        raise Declined(f"there is no model {name!r}", where=f"pipeline {pipeline.name}", remedy=f"use one of {names}")
    reports = newest_reports(config, pipeline)
    return AboutModel(
        learner,
        {task: scores for task in sorted(reports) for scores in reports[task].models if scores.model == name},
        [each for each in versions(config, pipeline) if each.model == name],
        [each for each in answers(config, pipeline) if each.model in (name, None)],
    )


def newest_reports(config: dict[str, Any], pipeline: Pipeline) -> dict[int, MetricsRecord]:
    """Task -> its newest report, of those that have made one."""
    topic, found = pipeline.topic("metrics"), dict[int, MetricsRecord]()
    decode = msgspec.json.Decoder(MetricsRecord).decode
    ends = {partition: end for (_, partition), end in end_offsets(config, [topic]).items()}
    for length in (TAIL, max(ends.values(), default=0)):
        left = {partition: max(end - length, 0) for partition, end in ends.items() if partition not in found and end}
        if left:
            found |= {record.partition: decode(record.value) for record in scan(config, topic, left)}
    return found
