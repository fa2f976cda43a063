"""What the monitor's API says for a page to draw: reports reduced to what an eye can see. Otherwise as answers.py."""

from __future__ import annotations

import msgspec

from infra.monitor.answers import Recovery
from streams.records import ConfusionCell, Count, ScoreValues


class ModelHistory(msgspec.Struct):
    """A model's scores at each window, over the windows up to it: ``n`` outcomes, and name of a score -> its values.

    Scores that are undefined throughout are left out. ``role`` and ``version`` are the newest.
    """

    model: str
    role: str
    version: str
    n: list[int]
    scores: dict[str, list[float | None]]


class History(msgspec.Struct):
    """The newest windows of event time, oldest first, in columns: each list has an entry a window.

    ``pending_labels`` are those at its end; ``label_delay_mean_ms`` is null in a window without labels.
    """

    pipeline: str
    kind: str
    sliding_periods: int
    period_ms: int
    start_time_ms: list[int]
    end_time_ms: list[int]
    records: list[int]
    rejects: list[int]
    predicted: list[int]
    labels: list[int]
    pending_labels: list[int]
    label_delay_mean_ms: list[int | None]
    models: list[ModelHistory]


class CalibrationGroup(msgspec.Struct):
    """Outcomes whose P(True) was in [low, high): what was said on average, and how many came true."""

    low: float
    high: float
    n: int
    predicted: float
    observed: float


class ModelQuality(msgspec.Struct):
    """How good a model was over a span. ``roc`` are points (false positive rate, true positive rate).

    Both curves are of a binary target only; ``confusion`` is of the classes that came most often.
    """

    model: str
    role: str
    versions: list[Count]
    values: ScoreValues
    confusion: list[ConfusionCell]
    roc: list[list[float]]
    calibration: list[CalibrationGroup]


class Span(msgspec.Struct):
    """What came between two times, and how good the models were then."""

    start_time_ms: int
    end_time_ms: int
    records: list[Count]
    rejects: list[Count]
    repairs: list[Count]
    labels: list[Count]
    predicted: int
    pending_labels: int
    label_delay_bounds_ms: list[int]
    label_delay_counts: list[int]
    label_delay_sum_ms: int
    models: list[ModelQuality]


class Quality(msgspec.Struct):
    """The windows that scores slide over, and all there were; null before the first report."""

    pipeline: str
    kind: str
    sliding: Span | None
    all: Span | None


class Bar(msgspec.Struct):
    """A range of numbers, or a value (``low`` and ``high`` are null): its share of the events then and now."""

    name: str
    low: float | None
    high: float | None
    reference: float
    current: float


class FeatureSpread(msgspec.Struct):
    """How a feature is spread: in the reference and now. ``psi`` is the population stability index of the two."""

    name: str
    psi: float | None
    reference_n: int
    reference_missing: int
    current_n: int
    current_missing: int
    bars: list[Bar]


class Spreads(msgspec.Struct):
    """Features over the windows that scores slide over, against all that came before them, the reference.

    ``reference_end_time_ms`` is null while there is nothing before them. ``features_end``: features from this name on
    are not told, there are too many.
    """

    pipeline: str
    current_start_time_ms: int | None
    current_end_time_ms: int | None
    reference_end_time_ms: int | None
    features: list[FeatureSpread]
    features_end: str | None


class TopicFlow(msgspec.Struct):
    """A topic now: offsets to its end, and how many are added a second. Of an input also what is done, and how fast.

    Rates are null at the first look.
    """

    topic: str
    role: str  # reference | label | event | features | predictions | …
    end: int
    per_s: float | None
    done: int | None
    done_per_s: float | None
    lag: int | None


class Member(msgspec.Struct):
    """A worker in the group, and the tasks that it has."""

    worker: str
    host: str
    tasks: list[int]


class TaskFlow(msgspec.Struct):
    """A task now: next offsets by input, what it has still to read, how fast it goes, and who has it.

    ``recovery`` is null unless it is being brought back just now.
    """

    task: int
    worker: str | None
    positions: list[Count]
    lag_records: int
    done_per_s: float | None
    journal_sequence: int | None
    to_replay_records: int
    checkpoint_age_ms: int | None
    learns: bool
    recovery: Recovery | None


class Flow(msgspec.Struct):
    """What moves in a pipeline, as Kafka has it at ``asked_time_ms``; rates are over the last ``over_s`` seconds.

    Offsets of a topic that is written in transactions also count the ends of these.
    """

    pipeline: str
    asked_time_ms: int
    over_s: float
    group_state: str
    topics: list[TopicFlow]
    members: list[Member]
    tasks: list[TaskFlow]
