"""How features are spread now, against how they were before: shares by range or value, and the PSI of the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.monitor.drawn import Bar, FeatureSpread
from models.distribution import Distribution, bounds
from models.scores import OTHERS
from models.stability import population_stability
from streams.feature_counts import distribution_of
from streams.records import FeatureCounts

BARS = 24
"""Ranges of equal width that numbers are drawn in."""

VALUES = 12
"""Values that are drawn, the most frequent; the others are one."""

TAIL = 0.005
"""Share of the numbers on either side that are drawn in the outermost range, so that a few do not set the scale."""


def spreads(reference: Sequence[FeatureCounts], current: Sequence[FeatureCounts]) -> list[FeatureSpread]:
    """Each feature that either side has, by name."""
    before = {each.name: distribution_of(each) for each in reference}
    now = {each.name: distribution_of(each) for each in current}
    names = sorted(before.keys() | now.keys())
    return [_spread(name, before.get(name, Distribution()), now.get(name, Distribution())) for name in names]


def _spread(name: str, reference: Distribution, current: Distribution) -> FeatureSpread:
    return FeatureSpread(
        name=name,
        psi=population_stability(reference, current),
        reference_n=reference.n,
        reference_missing=reference.missing,
        current_n=current.n,
        current_missing=current.missing,
        bars=[*_ranges(reference, current), *_values(reference, current)],
    )


def _ranges(reference: Distribution, current: Distribution) -> list[Bar]:
    """Numbers in ranges of equal width; what lies across a border is shared out, as if spread evenly in its bucket.

    >>> spread = Distribution()
    >>> spread.add([float(number) for number in range(100)])
    >>> bars = _ranges(spread, spread)
    >>> len(bars), round(sum(bar.current for bar in bars), 9)
    (24, 1.0)
    """
    both: dict[int, int] = dict(reference.numbers)
    for bucket, count in current.numbers.items():
        both[bucket] = both.get(bucket, 0) + count
    if not both:
        return []
    low, high = _limits(both)
    if low == high:
        return [Bar(f"{low:.4g}", low, high, _share(reference), _share(current))]
    width = (high - low) / BARS
    sides = [_shared_out(each, low, width) for each in (reference, current)]
    edges = [low + width * place for place in range(BARS + 1)]
    return [
        Bar(f"{edges[place]:.3g} to {edges[place + 1]:.3g}", edges[place], edges[place + 1], *both_shares)
        for place, both_shares in enumerate(zip(*sides, strict=True))
    ]


def _share(spread: Distribution) -> float:
    return sum(spread.numbers.values()) / (spread.n or 1)


def _limits(numbers: Mapping[int, int]) -> tuple[float, float]:
    """Between which numbers nearly all lie."""
    found = sorted(numbers)
    left = TAIL * sum(numbers.values())
    first, last = _beyond(found, numbers, left), _beyond(found[::-1], numbers, left)
    return bounds(first)[0], bounds(last)[1]


def _beyond(ordered: Sequence[int], numbers: Mapping[int, int], left: float) -> int:
    """The first bucket that is not all in the tail."""
    for bucket in ordered:
        left -= numbers[bucket]
        if left < 0:
            return bucket
    return ordered[-1]


def _shared_out(spread: Distribution, low: float, width: float) -> list[float]:
    shares = [0.0] * BARS
    for bucket, count in spread.numbers.items():
        start, end = bounds(bucket)
        first, last = (min(max((edge - low) / width, 0.0), BARS) for edge in (start, end))
        if last - first < 1e-9:  # one number, or beyond the limits
            shares[min(int(first), BARS - 1)] += count
            continue
        place = first
        while place < last - 1e-9:
            until = min(float(int(place) + 1), last)
            shares[min(int(place), BARS - 1)] += count * (until - place) / (last - first)
            place = until
    return [share / (spread.n or 1) for share in shares]


def _values(reference: Distribution, current: Distribution) -> list[Bar]:
    """Texts, "true" and "false", the most frequent first."""
    weights = {
        name: reference.values.get(name, 0) + current.values.get(name, 0)
        for name in reference.values.keys() | current.values.keys()
    }
    kept = sorted(weights.keys() - {OTHERS}, key=lambda name: (-weights[name], name))[:VALUES]
    bars = [Bar(name, None, None, *(_part(side, {name}) for side in (reference, current))) for name in kept]
    rest = weights.keys() - set(kept)
    if rest:
        bars.append(Bar(OTHERS, None, None, *(_part(side, rest) for side in (reference, current))))
    return bars


def _part(spread: Distribution, names: set[str]) -> float:
    return sum(spread.values.get(name, 0) for name in names) / (spread.n or 1)
