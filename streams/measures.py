"""What an alert may watch: numbers worked out of the merged reports of a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from models.stability import population_stability
from streams.adding import PipelineModel, PipelineReport
from streams.feature_counts import distribution_in
from streams.merging import Reports, Window
from streams.records import Count, FeatureCounts


@dataclass(frozen=True)
class Measure:
    """A number for each window. ``title`` says what it is; ``score`` and ``models`` name what it needs, for `check`.

    ``of`` takes the reports, a window, and over how many windows up to it to look; None where there is nothing to
    measure.
    """

    title: str
    of: Callable[[Reports, Window, int], float | None]
    score: str | None = None
    models: tuple[str, ...] = ()


def rejects() -> Measure:
    """The share of records that could not be used, of all that were read: 0 to 1."""
    return Measure("share of rejects", _in_report(lambda r: _share(_total(r.rejects), _total(r.records))))


def repairs() -> Measure:
    """How many values were mended by cleaning, per record: 0 and up."""
    return Measure("repairs per record", _in_report(lambda r: _share(_total(r.repairs), _total(r.records))))


def missing(feature: str) -> Measure:
    """The share of events without a value of this feature, of all that were predicted on: 0 to 1."""
    return Measure(f"share of events without {feature}", _in_report(lambda r: _missing(r, feature)))


def moved(feature: str) -> Measure:
    """How far the values of a feature have moved: the population stability index against all windows before.

    Over 0.25 is much; see models/stability.py. Take it ``over`` windows enough for a thousand events or so.
    """
    return Measure(f"population stability index of {feature}", lambda *asked: _moved(feature, *asked))


def expired() -> Measure:
    """The share of events that got no label in time, of all that stopped waiting for one: 0 to 1."""
    return Measure("share of expired labels", _in_report(_expired))


def score(name: str, model: str | None = None) -> Measure:
    """A score: accuracy, auc, log_loss, rmse, … (streams/records.py). Of the champion, if no model is named."""
    title = f"{name} of {model or 'the champion'}"
    return Measure(title, _in_report(lambda r: _score(r, name, model)), name, (model,) if model else ())


def lead(name: str, model: str) -> Measure:
    """How much higher a score of this model is than the champion's."""

    def difference(report: PipelineReport) -> float | None:
        own, champions = _score(report, name, model), _score(report, name, None)
        return None if own is None or champions is None else own - champions

    return Measure(f"lead of {model} over the champion in {name}", _in_report(difference), name, (model,))


def _in_report(of: Callable[[PipelineReport], float | None]) -> Callable[[Reports, Window, int], float | None]:
    return lambda reports, window, over: of(reports.sliding(window, over))


def _total(counts: Iterable[Count]) -> int:
    return sum(each.count for each in counts)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _missing(report: PipelineReport, feature: str) -> float | None:
    if report.features_end is not None and feature >= report.features_end:
        return None  # there was no room to tell
    counts = _feature(report, feature)
    return _share(report.predicted if counts is None else counts.missing, report.predicted)


def _feature(report: PipelineReport, name: str) -> FeatureCounts | None:
    return next((each for each in report.features if each.name == name), None)


def _moved(feature: str, reports: Reports, window: Window, over: int) -> float | None:
    first = reports.windows.index(window) - over + 1
    if first <= 0:
        return None
    now = distribution_in(reports.last(window, over), feature)
    before = distribution_in(reports.until(reports.windows[first - 1]), feature)
    return None if now is None or before is None else population_stability(before, now)


def _expired(report: PipelineReport) -> float | None:
    counts = {each.name: each.count for each in report.labels}
    late = counts.get("expired", 0)
    return _share(late, late + counts.get("scored", 0))


def _score(report: PipelineReport, name: str, model: str | None) -> float | None:
    found = _champion(report) if model is None else next((m for m in report.models if m.model == model), None)
    value = None if found is None else getattr(found.values, name)
    return None if value is None else float(value)


def _champion(report: PipelineReport) -> PipelineModel | None:
    """The champion of the most tasks: they may differ for a moment."""

    def tasks(model: PipelineModel) -> int:
        return next((each.count for each in model.roles if each.name == "champion"), 0)

    return max(report.models, key=tasks, default=None)
