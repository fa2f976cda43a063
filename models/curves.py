"""Curves of a binary score, from its histogram of P(True): ROC and calibration. See models/scores.py for the bins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from models.scores import BINS

ROC_POINTS_MAX = 100
"""Points of a curve that is drawn: so many show no corners."""

GROUPS = 10
"""Groups of equal width that probabilities are put in to see whether they are right."""


def roc(bins: Sequence[int], negatives: Sequence[int], positives: Sequence[int]) -> list[tuple[float, float]]:
    """False and true positive rate at each threshold, from (0, 0) to (1, 1); thinned out to ROC_POINTS_MAX.

    Parameters
    ----------
    bins
        The bins in use, ascending, with the counts of negatives and of positives in each.

    Examples
    --------
    >>> roc([100, 900], [3, 1], [1, 3])
    [(0.0, 0.0), (0.25, 0.75), (1.0, 1.0)]
    >>> roc([100], [4], [0])
    []
    """
    total_negatives, total_positives = sum(negatives), sum(positives)
    if not total_negatives or not total_positives:
        return []
    assert list(bins) == sorted(bins)
    false = [0, *accumulate(reversed(negatives))]
    true = [0, *accumulate(reversed(positives))]
    points = [(f / total_negatives, t / total_positives) for f, t in zip(false, true, strict=True)]
    kept = [points[0]]
    for point in points[1:-1]:
        if point[0] - kept[-1][0] + point[1] - kept[-1][1] >= 2 / ROC_POINTS_MAX:
            kept.append(point)
    return [*kept, points[-1]]


class Group(NamedTuple):
    """Outcomes whose P(True) was in [low, high): how many, what was said of them on average, how many came true."""

    low: float
    high: float
    n: int
    predicted: float
    observed: float


def calibration(bins: Sequence[int], negatives: Sequence[int], positives: Sequence[int]) -> list[Group]:
    """How often what was called likely came true, by how likely it was called. Groups without outcomes are left out.

    What was said is known to the width of a bin: each counts as its middle.

    Examples
    --------
    >>> [(group.low, group.n, group.observed) for group in calibration([100, 110, 1000], [3, 3, 1], [1, 1, 3])]
    [(0.0, 4, 0.25), (0.1, 4, 0.25), (0.9, 4, 0.75)]
    """
    sums = [(0, 0, 0.0)] * GROUPS
    for bin_, negative, positive in zip(bins, negatives, positives, strict=True):
        middle, n = (bin_ + 0.5) / BINS, negative + positive
        place = min(int(middle * GROUPS), GROUPS - 1)
        before = sums[place]
        sums[place] = (before[0] + n, before[1] + positive, before[2] + n * middle)
    return [
        Group(place / GROUPS, (place + 1) / GROUPS, n, said / n, true / n)
        for place, (n, true, said) in enumerate(sums)
        if n
    ]
