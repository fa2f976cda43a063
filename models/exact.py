"""Sums of floats without any rounding, so that neither their order nor how they are split shows in the result.

Every finite float is a whole number of quanta of 2**-1074, the smallest float there is. Python's integers have no
bounds. So a sum counted in quanta is exact, and two sums add up to exactly the sum of both.

As floats a sum is written by its expansion: the float nearest to it, the float nearest to what is left, and so on until
nothing is left. Equal sums have equal expansions.

References: Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric predicates", Discrete &
Computational Geometry 18, 1997.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import lshift

import numpy as np
from numpy.typing import NDArray

QUANTA = 1 << 1074
"""How many quanta make 1."""

ADDENDS_MAX = 1_000
"""Floats added up at once: 1,023 integers of 53 bits fit into 64."""

FEW = 20
"""So many are added up one by one, as that is quicker then."""

_SPLIT = 2.0**27 + 1
"""Times this, and back: a float in two halves of 26 bits."""


def quanta(values: NDArray[np.float64]) -> int:
    """The exact sum of finite floats, in quanta. float64, shape (up to ADDENDS_MAX,).

    Examples
    --------
    >>> rounded(quanta(np.array([1e100, 1.0, -1e100])))
    1.0
    >>> quanta(np.array([5e-324, 5e-324])), quanta(np.array([]))
    (2, 0)
    """
    assert len(values) <= ADDENDS_MAX, "the sum of one exponent must fit into 64 bits"
    if len(values) <= FEW:
        return of_expansion(values.tolist())
    fractions, exponents = np.frexp(values)
    least = int(exponents.min())
    sums = np.zeros(int(exponents.max()) - least + 1, np.int64)  # by exponent
    np.add.at(sums, exponents - least, (fractions * 2.0**53).astype(np.int64))
    used = np.flatnonzero(sums)
    total: int = sum(map(lshift, sums[used].tolist(), used.tolist()))
    shift = least - 53 + 1074
    return total << shift if shift >= 0 else total >> -shift  # nothing is lost: a float is a whole number of quanta


def rounded(total: int) -> float:
    """The float nearest to a sum in quanta.

    >>> rounded(QUANTA // 2)
    0.5
    """
    return total / QUANTA


def expansion(total: int) -> list[float]:
    """A sum in quanta as floats: rounded, then what rounding left, and so on. Their exact sum is the sum.

    >>> tenth = quanta(np.array([0.1]))
    >>> expansion(3 * tenth), expansion(0)
    ([0.30000000000000004, -2.7755575615628914e-17], [0.0])
    """
    parts = [rounded(total)]
    while total := total - _of(parts[-1]):
        parts.append(rounded(total))
    return parts


def of_expansion(parts: Iterable[float]) -> int:
    """The sum in quanta that an expansion stands for.

    >>> of_expansion(expansion(12_345)), of_expansion([])
    (12345, 0)
    """
    return sum(map(_of, parts))


def _of(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (QUANTA // denominator)


def squares(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The squares of floats as sums of two floats: rounded, and what rounding left. float64, both of the same shape.

    Exact for magnitudes from 1e-145 to 1e145.

    Examples
    --------
    >>> high, low = squares(np.array([0.1]))
    >>> from fractions import Fraction
    >>> Fraction(high[0]) + Fraction(low[0]) == Fraction(0.1) ** 2
    True

    References: Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 18,
    1971.
    """
    high = values * values
    scaled = values * _SPLIT
    upper = scaled - (scaled - values)
    lower = values - upper
    return high, ((upper * upper - high) + 2.0 * (upper * lower)) + lower * lower
