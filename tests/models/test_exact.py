"""Sums without rounding, with fractions as independent eyes."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ulp

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.exact import ADDENDS_MAX, FEW, QUANTA, expansion, of_expansion, quanta, rounded, squares

finite = st.floats(allow_nan=False, allow_infinity=False)
floats = st.lists(finite, max_size=50)


@given(floats)
def test_a_sum_is_that_of_the_fractions(values: list[float]) -> None:
    assert Fraction(quanta(np.array(values)), QUANTA) == sum(map(Fraction, values))


@given(floats)
def test_a_few_or_many_at_once_is_the_same(values: list[float]) -> None:
    assert quanta(np.array([*values, *[0.0] * FEW])) == of_expansion(values)


@given(floats, floats)
def test_sums_add_up(left: list[float], right: list[float]) -> None:
    assert quanta(np.array(left)) + quanta(np.array(right)) == quanta(np.array([*right, *left]))


@pytest.mark.parametrize("value", [1.7976931348623157e308, -1.0, 5e-324, 2.2250738585072014e-308])
def test_as_many_of_one_size_as_are_added_up_at_once_fit(value: float) -> None:
    assert quanta(np.full(ADDENDS_MAX, value)) == ADDENDS_MAX * quanta(np.array([value]))


@given(st.lists(st.floats(-1e300, 1e300), max_size=50))
def test_an_expansion_is_exact_and_falls_and_survives_json(values: list[float]) -> None:
    total = quanta(np.array(values))
    parts = expansion(total)
    assert of_expansion(parts) == total
    assert of_expansion(msgspec.json.decode(msgspec.json.encode(parts), type=list[float])) == total
    assert parts[0] == rounded(total) == float(Fraction(total, QUANTA))
    assert all(abs(after) <= ulp(before) / 2 for before, after in pairwise(parts))


@given(st.lists(st.floats(1e-145, 1e145) | st.floats(-1e145, -1e-145) | st.just(0.0), min_size=1, max_size=20))
def test_squares_are_exact(values: list[float]) -> None:
    high, low = squares(np.array(values))
    for value, one, other in zip(values, high.tolist(), low.tolist(), strict=True):
        assert Fraction(one) + Fraction(other) == Fraction(value) ** 2
        assert one == value * value
