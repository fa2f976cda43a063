"""How a pipeline went, window by window: what came, what was rejected, how long labels took, and scores that slide.

A score at a window is that of the windows up to it, as many as scores slide over: what ``Reports.sliding`` gives for
it, though not window by window: sums that slide are merged three times a window, however long they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from infra.monitor.drawn import History, ModelHistory
from models.scores import Score, Values, new_score
from streams.merging import Reports, Window
from streams.pipeline import Pipeline
from streams.records import Count, MetricsRecord, ModelScores
from streams.score_counts import score_of

DIGITS = 5
"""Of a score that is drawn."""

_Series = tuple[int, str, int]
"""Task, model, and the report that its scores begin with: what was scored before is another series."""


def history(pipeline: Pipeline, reports: Reports, last: int) -> History:
    """The newest windows, oldest first."""
    windows = reports.windows[-last:]
    by_window = _by_window(reports)
    length = pipeline.sliding_periods
    spanned = reports.windows[-(last + length - 1) :]
    of_windows = [by_window.get(window, []) for window in windows]
    delays = [sum(sum(report.label_delay_counts) for report in own) for own in of_windows]
    delay_sums = [sum(report.label_delay_sum_ms for report in own) for own in of_windows]
    return History(
        pipeline=pipeline.name,
        kind=pipeline.kind,
        sliding_periods=length,
        period_ms=round(pipeline.report_every.total_seconds() * 1_000),
        start_time_ms=[start for start, _ in windows],
        end_time_ms=[end for _, end in windows],
        records=[_total(report.records for report in own) for own in of_windows],
        rejects=[_total(report.rejects for report in own) for own in of_windows],
        predicted=[sum(report.predicted for report in own) for own in of_windows],
        labels=[_total(report.labels for report in own) for own in of_windows],
        pending_labels=_pending(reports, windows),
        label_delay_mean_ms=[s // n if n else None for s, n in zip(delay_sums, delays, strict=True)],
        models=_models(pipeline, [by_window.get(window, []) for window in spanned], len(windows)),
    )


def _by_window(reports: Reports) -> dict[Window, list[MetricsRecord]]:
    found: dict[Window, list[MetricsRecord]] = {}
    for report in reports.held.values():
        found.setdefault((report.window_start_time_ms, report.window_end_time_ms), []).append(report)
    return found


def _total(lists: Iterable[Iterable[Count]]) -> int:
    return sum(each.count for counts in lists for each in counts)


def _pending(reports: Reports, windows: Sequence[Window]) -> list[int]:
    """Labels that were waited for at the end of each window, by the newest report of each task until then."""
    waits = {task: life.total.pending_labels for task, life in reports.lives.items() if life.total}
    ordered = sorted(reports.held.values(), key=lambda report: (report.window_end_time_ms, report.sequence))
    found, place = [], 0
    for _, end in windows:
        while place < len(ordered) and ordered[place].window_end_time_ms <= end:
            waits[ordered[place].task] = ordered[place].pending_labels
            place += 1
        found.append(sum(waits.values()))
    return found


def _models(pipeline: Pipeline, windows: Sequence[Sequence[MetricsRecord]], last: int) -> list[ModelHistory]:
    """``windows`` are those that the ``last`` ones slide over, too."""
    length = pipeline.sliding_periods
    leaves: dict[_Series, list[Score | None]] = {}
    current: list[dict[tuple[int, str], _Series]] = []  # at each window the series of each task and model
    newest: dict[tuple[int, str], _Series] = {}
    told: dict[str, ModelScores] = {}
    for place, own in enumerate(windows):
        for report in sorted(own, key=lambda report: report.sequence):
            newest |= {(report.task, each.model): (report.task, each.model, each.since) for each in report.models}
            told |= {each.model: each for each in report.models}
            for each in report.models:
                series = leaves.setdefault((report.task, each.model, each.since), [None] * len(windows))
                series[place] = score_of(each.counts) if each.counts.n else None
        current.append(dict(newest))
    sums = {series: sliding_sums(scores, length, pipeline) for series, scores in leaves.items()}
    names = [name for learner in pipeline.learners if (name := learner.name) in told]
    return [_model(told[name], _columns(pipeline, name, sums, current)[-last:]) for name in names]


def _columns(
    pipeline: Pipeline,
    name: str,
    sums: dict[_Series, list[Score | None]],
    current: Sequence[dict[tuple[int, str], _Series]],
) -> list[Values]:
    """The model's scores at each window, over all tasks."""
    found = []
    for place, at in enumerate(current):
        parts = [sums[series][place] for (_, model), series in at.items() if model == name]
        whole: Any = new_score(pipeline.kind)
        for part in parts:
            if part is not None:
                whole.merge(part)
        found.append(whole.values())
    return found


def _model(told: ModelScores, values: Sequence[Values]) -> ModelHistory:
    scores = {}
    for name in Values._fields[1:]:
        column = [getattr(each, name) for each in values]
        if any(value is not None for value in column):
            scores[name] = [None if value is None else float(f"{value:.{DIGITS}g}") for value in column]
    return ModelHistory(told.model, told.role, told.version, [each.n for each in values], scores)


def sliding_sums(scores: Sequence[Score | None], length: int, pipeline: Pipeline) -> list[Score | None]:
    """For each place the sum of the ``length`` scores up to it; None where there is nothing to add up.

    Each sum is of the end of one block and the beginning of the next, and both are made but once:

        blocks of 3      a    b    c  │  d    e    f
        sum at e         ┄    ┄    c  +  d…e
    """

    def plus(one: Score | None, other: Score | None) -> Score | None:
        if one is None or other is None:
            return other if one is None else one
        both: Any = new_score(pipeline.kind)
        both.merge(one)
        both.merge(other)
        return both  # type: ignore[no-any-return]

    found: list[Score | None] = []
    ends: list[Score | None] = []  # of the block before: place in it -> sum from there to its end
    beginning: Score | None = None
    for place, score in enumerate(scores):
        within = place % length
        if within == 0 and place:
            ends, total = [], None
            for each in reversed(scores[place - length : place]):
                total = plus(each, total)
                ends.append(total)
            ends.reverse()
            beginning = None
        beginning = plus(beginning, score)
        rest = ends[within + 1] if ends and within + 1 < length else None
        found.append(plus(rest, beginning))
    return found
