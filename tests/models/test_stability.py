"""The population stability index, worked out by hand and in the cases where it has no value of its own."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.distribution import Distribution
from models.stability import GROUPS, population_stability


def spread(*values: float | str | None) -> Distribution:
    made = Distribution(missing=values.count(None))
    made.add(values)
    return made


columns = st.lists(st.floats(-1e6, 1e6) | st.sampled_from(["a", "b", True]) | st.none(), min_size=1)


def test_of_two_texts_it_is_what_one_works_out_by_hand() -> None:
    # share of "a"   3 of 4, then 1 of 4; half an event more in each of two groups
    reference, current = spread("a", "a", "a", "b"), spread("a", "b", "b", "b")
    share = 3.5 / 5
    assert population_stability(reference, current) == pytest.approx(
        2 * (2 * share - 1) * math.log(share / (1 - share))
    )


def test_numbers_are_compared_in_groups_of_equal_weight_in_the_reference() -> None:
    draw = random.Random(1)
    reference = spread(*[draw.gauss(0, 1) for _ in range(20_000)])
    same = spread(*[draw.gauss(0, 1) for _ in range(20_000)])
    shifted = spread(*[draw.gauss(0.5, 1) for _ in range(20_000)])
    by_chance = (GROUPS - 1) * (1 / 20_000 + 1 / 20_000)
    assert 0 <= (population_stability(reference, same) or 0) < 5 * by_chance
    assert population_stability(reference, shifted) == pytest.approx(0.25, abs=0.05), "0.5² for normal distributions"


@given(columns)
def test_it_is_zero_for_the_same_counts(values: list[float | str | None]) -> None:
    assert population_stability(spread(*values), spread(*reversed(values))) == 0.0


@given(columns, columns)
def test_it_is_finite_and_not_negative_whatever_is_empty(
    left: list[float | str | None], right: list[float | str | None]
) -> None:
    index = population_stability(spread(*left), spread(*right))
    assert index is not None
    assert 0 <= index < math.inf


def test_values_that_went_missing_show() -> None:
    reference, current = spread(*[1.0] * 100), spread(*[1.0] * 50, *[None] * 50)
    assert (population_stability(reference, current) or 0) > 0.25


def test_it_is_undefined_without_events_on_one_side() -> None:
    assert population_stability(Distribution(), spread(1.0)) is None
    assert population_stability(spread(1.0), Distribution()) is None
