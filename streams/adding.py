"""Reports added up: those of one task over several windows, and those of several tasks to one of the whole pipeline.

Sums and counts add up without rounding, so what comes out equals, exactly, what one task would have reported that had
seen all of it. Only what was too large for a record to be told whole stays so (``ScoreCounts.confusion``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from models.scores import new_score
from streams.feature_counts import added_features, tell_features
from streams.records import Count, FeatureCounts, MetricsRecord, ModelScores, ScoreCounts, ScoreValues
from streams.report import INT64_MAX
from streams.score_counts import CONFUSION_BYTES_MAX, added, counts_of, kind_of, score_of


class PipelineModel(msgspec.Struct, gc=False):
    """One model in all tasks. A task goes by itself when it is promoted, reset or deployed, so tasks may differ.

    ``versions`` and ``roles`` say how many tasks have it as what, by the newest report of each.
    """

    model: str
    versions: list[Count]
    roles: list[Count]
    counts: ScoreCounts
    values: ScoreValues


class PipelineReport(msgspec.Struct, gc=False):
    """What all tasks reported of [window_start_time_ms, window_end_time_ms), as one.

    ``tasks`` have reported of it; those in ``waiting`` may still. It is complete, and final, when none is waiting: a
    task that had no record in the window has reported of a later one.
    """

    window_start_time_ms: int
    window_end_time_ms: int
    tasks: list[int]
    waiting: list[int]
    complete: bool
    records: list[Count]  # as in MetricsRecord, from here on
    rejects: list[Count]
    repairs: list[Count]
    labels: list[Count]
    pending_labels: int  # by the newest report of each task
    label_delay_bounds_ms: list[int]
    label_delay_counts: list[int]
    label_delay_sum_ms: int
    predicted: int
    features: list[FeatureCounts]
    features_end: str | None
    models: list[PipelineModel]


Delays = tuple[list[int], list[int], int]
"""Label delays: upper bounds of the buckets in ms, their counts, the sum in ms."""


def in_turn(*reports: MetricsRecord) -> MetricsRecord:
    """Reports of one life of a task, or sums of such, as one: from the start of the first to the end of the last.

    What is no sum (version, role, pending labels, values) is that of the newest. A model whose scores began anew in
    between has those of the newer reports alone.
    """
    ordered = sorted(reports, key=lambda report: report.sequence)
    newest = ordered[-1]
    bounds, counts, sum_ms = _delays(ordered)
    whole = MetricsRecord(
        task=newest.task,
        epoch=newest.epoch,
        sequence=newest.sequence,
        window_start_time_ms=min(report.window_start_time_ms for report in ordered),
        window_end_time_ms=max(report.window_end_time_ms for report in ordered),
        records=_counts(*(report.records for report in ordered)),
        rejects=_counts(*(report.rejects for report in ordered)),
        repairs=_counts(*(report.repairs for report in ordered)),
        labels=_counts(*(report.labels for report in ordered)),
        pending_labels=newest.pending_labels,
        label_delay_bounds_ms=bounds,
        label_delay_counts=counts,
        label_delay_sum_ms=sum_ms,
        predicted=sum(report.predicted for report in ordered),
        features=[],
        features_end=None,
        models=_models_in_turn(ordered),
    )
    tell_features(whole, *added_features(ordered))
    return whole


def _models_in_turn(ordered: Sequence[MetricsRecord]) -> list[ModelScores]:
    parts: dict[tuple[str, int], list[ScoreCounts]] = {}
    for scores in [scores for report in ordered for scores in report.models]:
        parts.setdefault((scores.model, scores.since), []).append(scores.counts)
    newest = ordered[-1].models
    share = CONFUSION_BYTES_MAX // max(len(newest), 1)
    return [
        msgspec.structs.replace(scores, counts=added(parts[scores.model, scores.since], share)) for scores in newest
    ]


def side_by_side(
    window: tuple[int, int],
    reports: Mapping[int, MetricsRecord],
    newest: Mapping[int, MetricsRecord],
    waiting: Sequence[int],
) -> PipelineReport:
    """The reports of several tasks as one of the pipeline.

    Parameters
    ----------
    window
        Its start and end, ms since the Unix epoch.
    reports
        Task -> what it reported of the window, in one report or in a sum of several.
    newest
        Task -> its newest report up to the window's end, also of tasks that had nothing to report of the window itself.
    waiting
        The tasks that may still report.
    """
    every = [reports[task] for task in sorted(reports)]
    bounds, counts, sum_ms = _delays(every)
    whole = PipelineReport(
        *window,
        tasks=sorted(reports),
        waiting=list(waiting),
        complete=not waiting,
        records=_counts(*(report.records for report in every)),
        rejects=_counts(*(report.rejects for report in every)),
        repairs=_counts(*(report.repairs for report in every)),
        labels=_counts(*(report.labels for report in every)),
        pending_labels=sum(report.pending_labels for report in newest.values()),
        label_delay_bounds_ms=bounds,
        label_delay_counts=counts,
        label_delay_sum_ms=sum_ms,
        predicted=sum(report.predicted for report in every),
        features=[],
        features_end=None,
        models=_models_side_by_side(every, [newest[task] for task in sorted(newest)]),
    )
    tell_features(whole, *added_features(every))
    return whole


def _models_side_by_side(reports: list[MetricsRecord], newest: list[MetricsRecord]) -> list[PipelineModel]:
    latest = [scores for report in newest for scores in report.models]
    names = list(dict.fromkeys(scores.model for scores in latest))
    models = []
    for name in names:
        own = [scores for scores in latest if scores.model == name]
        parts = [scores.counts for report in reports for scores in report.models if scores.model == name]
        nothing = counts_of(new_score(kind_of(own[0].counts)))
        counts = added([nothing, *parts], CONFUSION_BYTES_MAX // len(names))
        values = ScoreValues(*score_of(counts).values())
        versions, roles = (Counter(getattr(scores, what) for scores in own) for what in ("version", "role"))
        models.append(PipelineModel(name, _listed(versions), _listed(roles), counts, values))
    return models


def _counts(*lists: Iterable[Count]) -> list[Count]:
    total: Counter[str] = Counter()
    for counts in lists:
        for each in counts:
            total[each.name] += each.count
    return _listed(total)


def _listed(counter: Counter[str]) -> list[Count]:
    return [Count(name, count) for name, count in sorted(counter.items())]


def _delays(reports: Sequence[MetricsRecord]) -> Delays:
    """Label delays added up, on the bounds that all reports have: a version of riverrun may have others."""
    if not reports:
        return [], [], 0
    shared = set.intersection(*(set(report.label_delay_bounds_ms) for report in reports))
    bounds = sorted(shared)
    counts = [0] * (len(bounds) + 1)
    for report in reports:
        upper = [*report.label_delay_bounds_ms, None]
        for bound, count in zip(upper, report.label_delay_counts, strict=True):
            counts[next((i for i, b in enumerate(bounds) if bound is not None and bound <= b), len(bounds))] += count
    sum_ms = sum(report.label_delay_sum_ms for report in reports)
    return bounds, counts, max(-INT64_MAX, min(sum_ms, INT64_MAX))
