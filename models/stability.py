"""How far a distribution has moved from another one: the population stability index."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from itertools import accumulate

from models.distribution import Distribution

GROUPS = 10
"""Groups that numbers are put in, of about equal weight in the reference."""

_MISSING = "missing"
_Group = int | str


def population_stability(reference: Distribution, current: Distribution) -> float | None:
    """The population stability index (PSI) of a distribution against a reference; 0 when they are alike.

    The sum, over groups, of (p - q) ln(p / q), where p is the share of a group in the current distribution and q in the
    reference. Groups are ten ranges of numbers, of about equal weight in the reference, each text, and what is missing.
    Half an event is added to each group, so that one which is empty on one side has a finite part in the sum. As a rule
    of thumb less than 0.1 is little and more than 0.25 is much; of few events chance alone makes it about (groups - 1)
    times (1/n + 1/m). None without events on one side.

    Examples
    --------
    >>> reference, current = Distribution(), Distribution()
    >>> reference.add([0.5, 1.5, 2.5, 3.5] * 100)
    >>> population_stability(reference, reference)
    0.0
    >>> current.add([2.5, 3.5] * 200)
    >>> population_stability(reference, current) > 0.25
    True
    >>> population_stability(reference, Distribution()) is None
    True

    References: Siddiqi, "Credit Risk Scorecards", Wiley 2006; Yurdakul, Naranjo, "Statistical properties of the
    population stability index", Journal of Risk Model Validation 14, 2020.
    """
    tops = _tops(reference)
    wanted, got = _grouped(reference, tops), _grouped(current, tops)
    if not wanted.total() or not got.total():
        return None
    groups = wanted.keys() | got.keys()
    index = 0.0
    for group in sorted(groups, key=str):
        q = (wanted[group] + 0.5) / (wanted.total() + 0.5 * len(groups))
        p = (got[group] + 0.5) / (got.total() + 0.5 * len(groups))
        index += (p - q) * math.log(p / q)
    return index


def _tops(reference: Distribution) -> list[int]:
    """The last bucket of each group of numbers but the last."""
    found = sorted(reference.numbers)
    below = list(accumulate(reference.numbers[bucket] for bucket in found))
    tops = {found[bisect_left(below, below[-1] * part / GROUPS)] for part in range(1, GROUPS)} if found else set()
    return sorted(tops)


def _grouped(spread: Distribution, tops: list[int]) -> Counter[_Group]:
    """How many events are in each group."""
    groups: Counter[_Group] = Counter({f"value {value}": count for value, count in spread.values.items()})
    groups[_MISSING] = spread.missing
    for bucket, count in spread.numbers.items():
        groups[bisect_left(tops, bucket)] += count
    return +groups
