"""How the values of features are spread, as counts that add up exactly over tasks and periods.

Numbers are counted in buckets of bounded relative width: eight of equal width in each octave, on both sides of zero.

```text
  bucket   …  -513         -1            0   1            513         514             521       …
  holds       (-1.125, -1] (-6e-20, 0)   0   (0, 6e-20)   [1, 1.125)  [1.125, 1.25)   [2, 2.25)
```

Which bucket a number is in depends on the number alone. Of texts and of names of features there may be too many: the
first by the alphabet are counted, so that it depends on nothing else which. So what several tasks and periods counted
adds up to exactly what one would have counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.columns import columns
from models.learner import Features
from models.scores import OTHERS

SUBDIVISIONS = 8
"""Buckets an octave: a bucket is an eighth of its lower bound wide, at the most."""

EXPONENT_MIN = -63
"""What is nearer to zero than 2**-64 (5e-20) is in the first bucket."""

VALUES_MAX = 100
"""Texts of a feature that are counted by value, the first by the alphabet; the rest is OTHERS."""

VALUE_CHARS_MAX = 50
"""Texts that are longer are OTHERS."""

NAMES_MAX = 500
"""Features that are counted, the first by name."""

NAME_CHARS_MAX = 100
"""Features with longer names are not counted."""

WAITING_MAX = 1_000
"""Events that wait to be counted at once, as that is quicker."""

FEW = 50
"""So many numbers are counted one by one, as that is quicker then."""

_BITS_BELOW = 52 - 3
"""Of the 52 bits of a float's fraction all but the first three: those say which eighth of the octave it is."""

_PLACE_BELOW = (1023 + EXPONENT_MIN - 1) * SUBDIVISIONS - 1
"""What the remaining bits say of the number before the first bucket; 1023 is the exponent of 1."""

_NUMBERS = {float, int}
_WORDS = {str, bool}
_BOOL: dict[Any, str] = {True: "true", False: "false"}


def buckets(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bucket of each number; they ascend as the numbers do. float64 in, int64 out, of the same shape.

    Examples
    --------
    >>> buckets(np.array([-1.0, -0.0, 5e-324, 1.0, 1.13, 2.0, 1e15])).tolist()
    [-513, 0, 1, 513, 514, 521, 911]
    """
    places: NDArray[np.int64] = (
        np.abs(numbers).view(np.int64) >> _BITS_BELOW
    )  # the exponent's bits, and those that tell the eighth
    places -= _PLACE_BELOW
    return np.maximum(places, 1) * np.sign(numbers).astype(np.int64)


def bucket_of(number: float) -> int:
    """The bucket of one number.

    >>> [bucket_of(number) for number in (-1.0, 0.0, 5e-324, 1.0, 2, 10**15)]
    [-513, 0, 1, 513, 521, 911]
    """
    fraction, exponent = frexp(abs(number))
    place = int(fraction * (2 * SUBDIVISIONS)) + (exponent - EXPONENT_MIN) * SUBDIVISIONS + (1 - SUBDIVISIONS)
    return max(place, 1) if number > 0 else min(-place, -1) if number < 0 else 0


def bounds(bucket: int) -> tuple[float, float]:
    """Between which numbers a bucket lies: the one nearer to zero is in it (but for the first), the other one is not.

    Examples
    --------
    >>> bounds(513), bounds(-514), bounds(0)
    ((1.0, 1.125), (-1.25, -1.125), (0.0, 0.0))
    """
    if bucket == 0:
        return 0.0, 0.0
    octave, part = divmod(abs(bucket) - 1, SUBDIVISIONS)
    width = 2.0 ** (octave + EXPONENT_MIN - 1) / SUBDIVISIONS
    low = (SUBDIVISIONS + part) * width if abs(bucket) > 1 else 0.0
    high = (SUBDIVISIONS + part + 1) * width
    return (low, high) if bucket > 0 else (-high, -low)


@dataclass(slots=True)
class Distribution:
    """How the values of one feature are spread.

    ``numbers`` counts by bucket, ``values`` by value: texts, and "true" and "false". ``missing`` counts the events
    without a value.

    Examples
    --------
    >>> spread = Distribution()
    >>> spread.add([1.0, 1.1, 3, 0.0, None, "ann", True])
    >>> spread.numbers, spread.values, spread.n
    ({513: 2, 525: 1, 0: 1}, {'ann': 1, 'true': 1}, 6)
    """

    numbers: dict[int, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    missing: int = 0

    @property
    def n(self) -> int:
        """How many values."""
        return sum(self.numbers.values()) + sum(self.values.values())

    def add(self, column: Sequence[bool | int | float | str | None]) -> None:
        """Count values. None is no value."""
        kinds = set(map(type, column))
        if kinds & _NUMBERS:
            numbers: Sequence[Any]
            numbers = column if kinds <= _NUMBERS else [value for value in column if type(value) in _NUMBERS]
            if len(numbers) > FEW:
                self.add_numbers(*_counted(buckets(np.array(numbers, np.float64))))
            else:
                few = Counter(map(bucket_of, numbers))
                self.add_numbers(few.keys(), few.values())
        if kinds & _WORDS:
            words: list[Any] = [value for value in column if type(value) in _WORDS]
            self.add_values(Counter([_BOOL.get(word, word) for word in words]))

    def add_numbers(self, found: Iterable[int], counts: Iterable[int]) -> None:
        """Add the counts of these buckets."""
        own = self.numbers
        for bucket, count in zip(found, counts, strict=True):
            own[bucket] = own.get(bucket, 0) + count

    def add_values(self, counts: Mapping[str, int]) -> None:
        """Add the counts of these values."""
        own = self.values
        for value, count in counts.items():
            name = value if len(value) <= VALUE_CHARS_MAX else OTHERS
            own[name] = own.get(name, 0) + count
        if len(own) > VALUES_MAX:
            for name in sorted(own.keys() - {OTHERS})[VALUES_MAX:]:
                own[OTHERS] = own.get(OTHERS, 0) + own.pop(name)


def _counted(found: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """The buckets, ascending, and how often each was found."""
    least = int(found.min())
    counts = np.bincount(found - least)
    used = np.flatnonzero(counts)
    return (used + least).tolist(), counts[used].tolist()


class Distributions:
    """How the values of all features are spread over the events of a period.

    Examples
    --------
    >>> spread = Distributions()
    >>> spread.add([{"km": 2.5, "driver": "ann"}, {"km": 2.6}])
    >>> [(name, each.n, each.missing) for name, each in spread.counted().items()]
    [('driver', 1, 1), ('km', 2, 0)]
    """

    def __init__(self) -> None:
        self.events = 0
        self.end: str | None = None
        """Features from this name on are not counted, there are too many; None: all are."""
        self._known: dict[str, Distribution] = {}
        self._waiting: list[Features] = []

    def add(self, rows: Sequence[Features]) -> None:
        """Count events that are predicted on."""
        self.events += len(rows)
        self._waiting += [features.copy() for features in rows]  # whatever becomes of the dicts themselves
        if len(self._waiting) >= WAITING_MAX:
            self._count()

    def counted(self) -> dict[str, Distribution]:
        """Feature -> how its values are spread, by name; of those that came, be it without a value."""
        self._count()
        for each in self._known.values():
            each.missing = self.events - each.n
        return dict(sorted(self._known.items()))

    def _count(self) -> None:
        """Count what waits. In which parts does not show."""
        rows, self._waiting = self._waiting, []
        for name, column in columns(rows):
            if len(name) <= NAME_CHARS_MAX and (self.end is None or name < self.end):
                self._known.setdefault(name, Distribution()).add(column)
        if len(self._known) > NAMES_MAX:
            names = sorted(self._known)
            self.end = names[NAMES_MAX]
            self._known = {name: self._known[name] for name in names[:NAMES_MAX]}

    def __reduce__(self) -> tuple[Any, ...]:
        state = [(name, *_unzipped(each.numbers), *_unzipped(each.values)) for name, each in self.counted().items()]
        return _restored, (self.events, self.end, state)


def _unzipped(counts: Mapping[Any, int]) -> tuple[list[Any], list[int]]:
    names = sorted(counts)
    return names, [counts[name] for name in names]


def _restored(events: int, end: str | None, state: Sequence[tuple[Any, ...]]) -> Distributions:
    spread = Distributions()
    spread.events, spread.end = events, end
    for name, found, counts, values, of_values in state:
        spread._known[name] = Distribution(
            dict(zip(found, counts, strict=True)), dict(zip(values, of_values, strict=True))
        )
    return spread
