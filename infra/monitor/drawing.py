"""A picture as a page draws it, made anew only where it has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from infra.monitor.drawn import History, ModelHistory, Quality, Spreads
from infra.monitor.history import history
from infra.monitor.picture import Picture
from infra.monitor.quality import span
from infra.monitor.running import RunningSums
from infra.monitor.spreads import spreads
from streams.adding import PipelineReport
from streams.merging import Window

COLUMNS = (
    "start_time_ms",
    "end_time_ms",
    "records",
    "rejects",
    "predicted",
    "labels",
    "pending_labels",
    "label_delay_mean_ms",
)

_Mark = tuple[Window, tuple[str, ...]]
"""A window, and which reports there are of it."""


class Drawing:
    """What is drawn of one picture. Made anew with it."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self._all, self._before = RunningSums(), RunningSums()
        self._made: dict[str, tuple[int, Any]] = {}
        self._last = 1
        self._history: tuple[list[_Mark], History] | None = None

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        """What was made, as long as the picture has not changed."""
        at, made = self._made.get(name, (-1, None))
        if at != self.picture.changes:
            at, made = self._made[name] = self.picture.changes, make()
        return made

    def sliding(self) -> PipelineReport | None:
        """The newest windows that scores slide over."""
        reports, length = self.picture.reports, self.picture.pipeline.sliding_periods
        if not reports.windows:
            return None
        made: PipelineReport = self._kept("sliding", lambda: reports.sliding(reports.windows[-1], length))
        return made

    def cumulative(self) -> PipelineReport | None:
        """All there was."""
        reports = self.picture.reports
        made: PipelineReport | None = self._kept("all", lambda: self._until(self._all, len(reports.windows)))
        return made

    def _reference(self) -> PipelineReport | None:
        """All before the windows that scores slide over; all but the newest window while there are no more."""
        windows = len(self.picture.reports.windows)
        if not windows:
            return None
        length = min(self.picture.pipeline.sliding_periods, windows - 1)
        made: PipelineReport | None = self._kept("before", lambda: self._until(self._before, windows - length))
        return made

    def _until(self, sums: RunningSums, windows: int) -> PipelineReport | None:
        """What was reported up to the end of the first ``windows`` that are held."""
        reports = self.picture.reports
        if windows < 1:
            return None
        window = reports.windows[windows - 1]
        found = sums.until(reports, window[1])
        start = min((each.window_start_time_ms for each in found.values()), default=window[0])
        return reports.of_sums(start, window, found)

    def quality(self) -> Quality:
        """How good the models are."""

        def make() -> Quality:
            sliding, all_ = self.sliding(), self.cumulative()
            pipeline = self.picture.pipeline
            spans = [None if each is None else span(each) for each in (sliding, all_)]
            return Quality(pipeline.name, pipeline.kind, *spans)

        made: Quality = self._kept("quality", make)
        return made

    def spreads(self) -> Spreads:
        """How features are spread, against before."""

        def make() -> Spreads:
            name, current, before = self.picture.pipeline.name, self.sliding(), self._reference()
            if current is None:
                return Spreads(name, None, None, None, [], None)
            is_before = before is not None and before.window_end_time_ms < current.window_end_time_ms
            found = spreads(before.features if before and is_before else [], current.features)
            end = before.window_end_time_ms if before and is_before else None
            start = current.window_start_time_ms
            return Spreads(name, start, current.window_end_time_ms, end, found, current.features_end)

        made: Spreads = self._kept("spreads", make)
        return made

    def history(self, last: int) -> History:
        """The newest windows."""
        self._last = max(last, self._last)
        return _newest(self._longest(self._last), last)

    def _longest(self, last: int) -> History:
        """As many as anybody has asked for. Those whose reports are the same as before stand as they are."""
        reports, pipeline = self.picture.reports, self.picture.pipeline
        marks = self._marks(last)
        old_marks, old = self._history or ([], None)
        places = {mark: place for place, mark in enumerate(old_marks)}
        shift = places.get(marks[0], -1) if marks else -1
        same = 0
        while shift >= 0 and same < len(marks) and old_marks[shift + same : shift + same + 1] == [marks[same]]:
            same += 1
        if old is not None and same == len(marks) == len(old_marks):
            return old
        if old is None or same == len(marks):
            same = 0
        made = history(pipeline, reports, len(marks) - same)
        if old is not None and same:
            made = _joined(old, shift, same, made)
        self._history = marks, made
        return made

    def _marks(self, last: int) -> list[_Mark]:
        found: dict[Window, list[str]] = {}
        lives = self.picture.reports.lives
        for name, report in self.picture.reports.held.items():
            window = report.window_start_time_ms, report.window_end_time_ms
            found.setdefault(window, []).append(f"{name}/{lives[report.task].epoch}")
        return [(window, tuple(sorted(found.get(window, [])))) for window in self.picture.reports.windows[-last:]]


def _newest(made: History, last: int) -> History:
    columns: dict[str, Any] = {name: getattr(made, name)[-last:] for name in COLUMNS}
    models = [
        msgspec.structs.replace(each, n=each.n[-last:], scores={k: v[-last:] for k, v in each.scores.items()})
        for each in made.models
    ]
    return msgspec.structs.replace(made, **columns, models=models)


def _joined(old: History, shift: int, same: int, new: History) -> History:
    """``same`` windows of the old one from ``shift`` on, then the new ones."""
    kept = slice(shift, shift + same)
    columns: dict[str, Any] = {name: getattr(old, name)[kept] + getattr(new, name) for name in COLUMNS}
    before = {model.model: model for model in old.models}
    models = [_joined_model(before.get(each.model), each, kept, len(new.end_time_ms)) for each in new.models]
    return msgspec.structs.replace(new, **columns, models=models)


def _joined_model(old: ModelHistory | None, new: ModelHistory, kept: slice, added: int) -> ModelHistory:
    before = kept.stop - kept.start
    scores: dict[str, list[float | None]] = {}
    for name in dict.fromkeys([*(old.scores if old else ()), *new.scores]):
        first = old.scores[name][kept] if old and name in old.scores else [None] * before
        scores[name] = [*first, *new.scores.get(name, [None] * added)]
    n = [*(old.n[kept] if old else [0] * before), *new.n]
    return ModelHistory(new.model, new.role, new.version, n, scores)
