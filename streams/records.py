"""What a task writes to its output topics, one Struct a topic. The JSON here is riverrun's public wire format.

Times end in ``_time_ms`` or ``_ms`` and are milliseconds since the Unix epoch (durations: milliseconds). An event is
named by its ``event_id`` and by its coordinates ``topic[partition]@offset``. Nothing in a record depends on a clock or
on how the input was cut into batches, so the same input always gives the same bytes.
"""

from __future__ import annotations

import msgspec

Scalar = bool | int | float | str
"""A label or a prediction: bool (binary), str or int (multiclass) or float (regression)."""


class Verdict(msgspec.Struct, gc=False):
    """What one model said of one event. ``probability`` is P(True), binary only; ``probabilities`` multiclass only."""

    model: str
    version: str
    role: str  # champion | challenger | baseline
    prediction: Scalar | None
    probability: float | None
    probabilities: dict[str, float] | None


class FeaturesRecord(msgspec.Struct, gc=False):
    """The clean, featurized row that the models saw."""

    event_id: str
    event_time_ms: int
    topic: str
    partition: int
    offset: int
    features: dict[str, bool | int | float | str | None]


class Predicted(msgspec.Struct, gc=False):
    """An event and what was said of it: the champion's verdict, and those of the other models in ``shadows``."""

    event_id: str
    event_time_ms: int
    topic: str
    partition: int
    offset: int
    model: str
    version: str
    role: str
    prediction: Scalar | None
    probability: float | None
    probabilities: dict[str, float] | None
    shadows: list[Verdict]


class PredictionRecord(Predicted, gc=False):
    """What the models say of an event, as it comes."""


class OutcomeRecord(Predicted, gc=False):
    """A prediction joined with its label: the row that was scored and learned from; or expired without a label.

    ``status`` is "scored" or "expired"; the label fields are null when expired.
    """

    status: str
    label: Scalar | None
    label_time_ms: int | None
    label_delay_ms: int | None
    label_topic: str | None
    label_offset: int | None


class ConfusionCell(msgspec.Struct, gc=False):
    """How often a label was met by a prediction. Values as text: "true", "false", or the class."""

    label: str
    prediction: str
    count: int


class ScoreCounts(msgspec.Struct, gc=False):
    """Sums and counts from which every score follows; two of them add up to exactly the score of both.

    See models/scores.py and streams/score_counts.py. A sum of numbers is a list of floats whose exact sum is the sum:
    the first is the sum rounded. It is empty where the target is no number.
    """

    n: int
    confusion: list[ConfusionCell]  # rare classes are one, "(others)", where all would be too many
    log_loss_units: int  # log losses, in units of 2**-24 nat
    bins: list[int]  # probability histogram, only the bins in use: bin i holds P(True) in [i/B, (i+1)/B)
    negatives: list[int]
    positives: list[int]
    abs_error_sum: list[float]
    squared_error_sum: list[float]
    label_sum: list[float]
    label_squared_sum: list[float]


class ScoreValues(msgspec.Struct, gc=False):
    """Scores worked out from counts. Null where undefined (no positives seen, another kind of target, …)."""

    n: int
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None
    log_loss: float | None
    mae: float | None
    rmse: float | None
    r2: float | None


class ModelScores(msgspec.Struct, gc=False):
    """One model in one report: this period's counts (mergeable), and the values so far and over the sliding window.

    ``since`` is the sequence of the task's report that the scores begin with: a later one than 0 if the model was
    declared, declared anew or reset since.
    """

    model: str
    version: str
    role: str
    since: int
    counts: ScoreCounts
    cumulative: ScoreValues
    sliding: ScoreValues


class Count(msgspec.Struct, gc=False):
    """A named count: of records by input, of rejects by reason, of labels by what became of them."""

    name: str
    count: int


class FeatureCounts(msgspec.Struct, gc=False):
    """How the values of a feature are spread over the events that were predicted on. See models/distribution.py."""

    name: str
    n: int  # events with a value of it
    missing: int  # events without
    buckets: list[int]  # of numbers, eight an octave, only those in use; bucket 0 holds zeros
    counts: list[int]  # numbers in each bucket
    values: list[Count]  # texts, "true" and "false"; the first 100 by the alphabet, the rest is "(others)"


class MetricsRecord(msgspec.Struct, gc=False):
    """One task's report of one period of record time, [window_start_time_ms, window_end_time_ms).

    ``epoch`` is the life of the task: one that began anew, without a journal, behind reports of a former one has a
    higher epoch. Within one ``sequence`` counts the reports up by one.
    """

    task: int
    epoch: int
    sequence: int
    window_start_time_ms: int
    window_end_time_ms: int
    records: list[Count]  # by input
    rejects: list[Count]  # by reason
    repairs: list[Count]  # values mended by a cleaning rule, by field and remedy
    labels: list[Count]  # scored, expired, duplicate, corrected, orphan, early
    pending_labels: int
    label_delay_bounds_ms: list[int]  # upper bounds of the histogram's buckets, the last one open
    label_delay_counts: list[int]  # one longer than the bounds
    label_delay_sum_ms: int
    predicted: int  # events that were predicted on
    features: list[FeatureCounts]  # of those events, by name
    features_end: str | None  # features from this name on are not told, there was no room; null: all are
    models: list[ModelScores]


class DriftRecord(msgspec.Struct, gc=False):
    """A detector saw the distribution change. Coordinates are those of the record that tipped it."""

    task: int
    time_ms: int
    topic: str
    partition: int
    offset: int
    detector: str
    watched: str  # "error of logistic", "feature visibility_mi", "prediction of logistic"
    model: str | None
    value: float
    action: str  # what was done about it: "reported"


class RejectRecord(msgspec.Struct, gc=False):
    """A record that could not be used: ``key`` and ``value`` are the raw bytes in base64.

    ``size`` is the bytes of both; where that is too much to repeat ``whole`` is false, and the record is to be read at
    its coordinates.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    reason: str
    field: str
    detail: str
    size: int
    whole: bool
    key: bytes | None
    value: bytes | None


class VersionRecord(msgspec.Struct, gc=False):
    """A model as it was at a moment, kept to go back to, or let go: ``kept`` is false then."""

    task: int
    time_ms: int  # the task's time: of the last record before it
    model: str
    label: str  # what people call it: "2013-03-01T00:00:00Z", "before 4f…", a name they gave
    version: str
    kept: bool
    scores: ScoreValues  # over the sliding window, at its last closed period


class DecisionRecord(msgspec.Struct, gc=False):
    """What became of a decision in one task: obeyed, or not and for which ``reason``. Coordinates are its record's."""

    task: int
    time_ms: int  # the task's time: of the last record before it
    topic: str
    partition: int
    offset: int
    decision: str
    action: str
    model: str | None
    version: str | None
    by: str
    why: str
    decided_time_ms: int
    obeyed: bool
    reason: str
    number: int  # how many decisions were obeyed, this one counted


class RecoveryRecord(msgspec.Struct, gc=False):
    """How far the recovery of a task is: told now and then while it lasts, outside of transactions."""

    task: int
    worker: str
    replayed: int  # records
    total: int  # records that are to be replayed, those counted that are


class AlertRecord(msgspec.Struct, gc=False):
    """A declared alert has begun (``lasts``), or is over. The monitor puts it out, after a crash perhaps twice."""

    alert: str  # identity: the name, and the window that it began or ended with
    name: str
    lasts: bool
    window_start_time_ms: int
    window_end_time_ms: int
    measure: str
    value: float
    bound: str  # "above 0.1"
    over: int  # windows the value is taken over, up to this one
    waiting: list[int]  # tasks that had not reported of the window yet


OUTPUTS: dict[str, type[msgspec.Struct]] = {
    "features": FeaturesRecord,
    "predictions": PredictionRecord,
    "outcomes": OutcomeRecord,
    "metrics": MetricsRecord,
    "drift": DriftRecord,
    "decisions": DecisionRecord,
    "versions": VersionRecord,
    "rejects": RejectRecord,
}
"""Output of a task -> record type. The topic is ``{pipeline}.{name}``; streams/journal.py has the journal's record."""

PUBLISHED: dict[str, type[msgspec.Struct]] = {**OUTPUTS, "alerts": AlertRecord}
"""The same, with what the monitor puts out."""
