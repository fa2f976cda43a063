"""Distributions of features as they are published: to counts, back, and added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from models.distribution import NAMES_MAX, Distribution, Distributions
from streams.outputs import OUTPUT_BYTES_MAX
from streams.records import Count, FeatureCounts, MetricsRecord

END_BYTES_MAX = 1_000
"""Room for the name that the features told end with."""


def counts_of_features(spread: Distributions) -> list[FeatureCounts]:
    """All features that are counted, by name.

    Examples
    --------
    >>> spread = Distributions()
    >>> for km in (0.0, 1.0, 1.1, None):
    ...     spread.add([{"km": km}])
    >>> counts_of_features(spread)
    [FeatureCounts(name='km', n=3, missing=1, buckets=[0, 513], counts=[1, 2], values=[])]
    """
    return [_published(name, each) for name, each in spread.counted().items()]


def _published(name: str, spread: Distribution) -> FeatureCounts:
    found = sorted(spread.numbers)
    return FeatureCounts(
        name=name,
        n=spread.n,
        missing=spread.missing,
        buckets=found,
        counts=[spread.numbers[bucket] for bucket in found],
        values=[Count(value, spread.values[value]) for value in sorted(spread.values)],
    )


def distribution_of(counts: FeatureCounts) -> Distribution:
    """The distribution that was published so.

    >>> spread = Distribution({513: 2}, {"ann": 1}, missing=4)
    >>> distribution_of(_published("driver", spread)) == spread
    True
    """
    numbers = dict(zip(counts.buckets, counts.counts, strict=True))
    return Distribution(numbers, {value.name: value.count for value in counts.values}, counts.missing)


def distribution_in(reports: Sequence[MetricsRecord], name: str) -> Distribution | None:
    """The distribution of one feature over several reports; None where one had no room to tell, or none has it."""
    if any(report.features_end is not None and name >= report.features_end for report in reports):
        return None
    found = [feature for report in reports for feature in report.features if feature.name == name]
    spread = _added(found)
    spread.missing = sum(report.predicted for report in reports) - spread.n
    return spread if found else None


def _added(features: Iterable[FeatureCounts]) -> Distribution:
    spread = Distribution()
    for feature in features:
        spread.add_numbers(feature.buckets, feature.counts)
        spread.add_values({value.name: value.count for value in feature.values})
    return spread


def added_features(reports: Sequence[MetricsRecord]) -> tuple[list[FeatureCounts], str | None]:
    """The features of several reports as one: their counts, and the name from which on they are not known.

    A feature that a report does not list was missing in all of its events.
    """
    end = min((report.features_end for report in reports if report.features_end is not None), default=None)
    parts: dict[str, list[FeatureCounts]] = {}
    for feature in [feature for report in reports for feature in report.features]:
        if end is None or feature.name < end:
            parts.setdefault(feature.name, []).append(feature)
    spreads = {name: _added(own) for name, own in parts.items()}
    names = sorted(spreads)
    if len(names) > NAMES_MAX:
        end = names[NAMES_MAX]
    predicted = sum(report.predicted for report in reports)
    for spread in spreads.values():
        spread.missing = predicted - spread.n
    return [_published(name, spreads[name]) for name in names[:NAMES_MAX]], end


def tell_features(record: Any, features: Sequence[FeatureCounts], end: str | None) -> None:
    """Put these features into a report: as many as it has room for, by name."""
    record.features_end = end
    room = OUTPUT_BYTES_MAX - END_BYTES_MAX - len(msgspec.json.encode(record))
    for feature in features:
        room -= len(msgspec.json.encode(feature)) + 1
        if room < 0:
            record.features_end = feature.name
            return
        record.features.append(feature)
