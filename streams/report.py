"""A task's report of one period: counts that add up across tasks and periods to those of the whole pipeline."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.distribution import Distributions
from models.learner import LiveModel
from models.prequential import Prequential
from streams.feature_counts import counts_of_features, tell_features
from streams.records import Count, MetricsRecord, ModelScores, ScoreValues
from streams.score_counts import CONFUSION_BYTES_MAX, counts_of

DELAY_BOUNDS_MS = (1_000, 10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000)
"""Buckets of the label delay: 1 s, 10 s, 1 min, 10 min, 1 h, 6 h, 1 d, 7 d, longer."""

INT64_MAX = 2**63 - 1


class Counts:
    """What happened to one task of late: records by the place of their input, and the rest by name."""

    __slots__ = ("label_delays_ms", "labels", "records", "rejects")

    def __init__(self, inputs: int) -> None:
        self.records = [0] * inputs
        self.labels, self.rejects = Counter[str](), Counter[str]()
        self.label_delays_ms: list[int] = []

    def clear(self) -> None:
        """Begin anew, in place."""
        self.records[:] = [0] * len(self.records)
        for each in (self.labels, self.rejects, self.label_delays_ms):
            each.clear()


@dataclass(slots=True)
class PeriodReport:
    """What happened to one task in the open period of record time: from ``start_ms`` until before ``due_ms``."""

    period_ms: int
    start_ms: int | None = None
    due_ms: int = 0
    epoch: int = 0
    sequence: int = 0
    records: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    delay_counts: list[int] = field(default_factory=lambda: [0] * (len(DELAY_BOUNDS_MS) + 1))
    delay_sum_ms: int = 0
    features: Distributions = field(default_factory=Distributions)

    def open(self, now_ms: int) -> None:
        """Begin the period that ``now_ms`` lies in."""
        self.start_ms = now_ms - now_ms % self.period_ms
        self.due_ms = self.start_ms + self.period_ms

    def add(self, counts: Counts, topics: Sequence[str]) -> None:
        """Count what happened since, and each label by how long after its event it came."""
        self.records.update(dict(zip(topics, counts.records, strict=True)))  # zeros too: the order says nothing then
        self.labels.update(counts.labels)
        self.rejects.update(counts.rejects)
        for delay_ms in counts.label_delays_ms:
            self.delay_counts[bisect_left(DELAY_BOUNDS_MS, delay_ms)] += 1
        self.delay_sum_ms += sum(counts.label_delays_ms)

    def close(
        self, task: int, now_ms: int, pending: int, models: Sequence[LiveModel], scores: Sequence[Prequential]
    ) -> MetricsRecord:
        """End the period that is open, and open the one that ``now_ms`` lies in."""
        assert self.start_ms is not None
        record = MetricsRecord(
            task=task,
            epoch=self.epoch,
            sequence=self.sequence,
            window_start_time_ms=self.start_ms,
            window_end_time_ms=self.start_ms + self.period_ms,
            records=_counts(self.records),
            rejects=_counts(self.rejects),
            repairs=_counts(self.repairs),
            labels=_counts(self.labels),
            pending_labels=pending,
            label_delay_bounds_ms=list(DELAY_BOUNDS_MS),
            label_delay_counts=self.delay_counts,
            label_delay_sum_ms=max(-INT64_MAX, min(self.delay_sum_ms, INT64_MAX)),
            predicted=self.features.events,
            features=[],
            features_end=None,
            models=[
                _model_scores(*one, self.sequence, CONFUSION_BYTES_MAX // len(models))
                for one in zip(models, scores, strict=True)
            ],
        )
        tell_features(record, counts_of_features(self.features), self.features.end)
        self.features = Distributions()
        self.open(now_ms)
        self.sequence += 1
        for counter in (self.records, self.rejects, self.repairs, self.labels):
            counter.clear()
        self.delay_counts, self.delay_sum_ms = [0] * (len(DELAY_BOUNDS_MS) + 1), 0
        return record


def _counts(counter: Counter[str]) -> list[Count]:
    return [Count(name, count) for name, count in sorted(counter.items()) if count]


def _model_scores(model: LiveModel, score: Prequential, sequence: int, confusion_bytes_max: int) -> ModelScores:
    since = sequence - score.periods
    period = score.close()
    return ModelScores(
        model.name,
        model.version,
        model.role,
        since,
        counts=counts_of(period, confusion_bytes_max),
        cumulative=ScoreValues(*score.total.values()),
        sliding=ScoreValues(*score.window().values()),
    )
