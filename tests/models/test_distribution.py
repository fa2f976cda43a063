"""Distributions of features: buckets that hold what they say, counts that nothing but the events shows in."""

from __future__ import annotations

import math
import pickle
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.digest import state_digest
from models.distribution import (
    FEW,
    NAME_CHARS_MAX,
    NAMES_MAX,
    VALUE_CHARS_MAX,
    VALUES_MAX,
    WAITING_MAX,
    Distribution,
    Distributions,
    bounds,
    bucket_of,
    buckets,
)
from models.learner import Features
from models.scores import OTHERS

numbers = st.floats(-1e15, 1e15) | st.integers(-(10**15), 10**15) | st.sampled_from([0.0, -0.0, 5e-324, 1.0])
values = numbers | st.booleans() | st.text(max_size=3) | st.none()
rows = st.lists(st.dictionaries(st.sampled_from("abc"), values), max_size=20)


def counted(events: list[Features]) -> dict[str, Distribution]:
    spread = Distributions()
    for features in events:
        spread.add([features])
    return spread.counted()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_in_a_bucket_that_holds_it(value: float) -> None:
    low, high = bounds(bucket_of(value))
    if value > 0:
        assert low <= value < high
    elif value < 0:
        assert low < value <= high
    else:
        assert (low, high) == (0, 0)


@pytest.mark.parametrize("found", [2, 7, 8, 9, 512, 513, 520, 911])
def test_a_bucket_is_an_eighth_of_its_lower_bound_wide_at_the_most_and_the_next_one_follows(found: int) -> None:
    low, high = bounds(found)
    assert high - low <= low / 8
    assert bounds(found + 1)[0] == high
    assert (bucket_of(low), bucket_of(math.nextafter(high, 0))) == (found, found)
    assert bounds(-found) == (-high, -low)


@given(st.lists(numbers))
def test_buckets_ascend_as_the_numbers_do(drawn: list[float]) -> None:
    found = [bucket_of(value) for value in sorted(drawn)]
    assert all(one <= other for one, other in pairwise(found))
    assert buckets(np.array(sorted(drawn), np.float64)).tolist() == found, "one by one, or all at once"


@given(rows)
def test_every_value_is_counted_once(events: list[Features]) -> None:
    for name, spread in counted(events).items():
        own = [row[name] for row in events if name in row]
        assert spread.missing == len(events) - len(own) + own.count(None)
        of_numbers = [value for value in own if type(value) in (int, float)]
        assert spread.numbers == Counter(bucket_of(value) for value in of_numbers)
        texts = [str(value).lower() if type(value) is bool else value for value in own if type(value) in (bool, str)]
        assert spread.values == Counter(texts)


@given(rows, st.lists(st.integers(0, 20)), st.randoms(use_true_random=False))
def test_neither_the_order_of_events_nor_a_restart_shows(
    events: list[Features], stops: list[int], draw: random.Random
) -> None:
    # at once      a b c d
    # in parts     c │ d a │ b        restored from a pickle after each part
    straight, broken = Distributions(), Distributions()
    for row in events:
        straight.add([row])
    shuffled = list(events)
    draw.shuffle(shuffled)
    for place, row in enumerate(shuffled):
        broken.add([row])
        if place in stops:
            broken = pickle.loads(pickle.dumps(broken))
    assert state_digest(broken) == state_digest(straight)
    assert broken.counted() == straight.counted()


@given(st.lists(values, min_size=1, max_size=30))
def test_a_few_or_many_at_once_is_the_same(column: list[Any]) -> None:
    few, many = Distribution(), Distribution()
    few.add(column)
    many.add(column * (FEW + 1))
    assert many.numbers == {bucket: (FEW + 1) * count for bucket, count in few.numbers.items()}
    assert many.values == {value: (FEW + 1) * count for value, count in few.values.items()}


def test_more_events_than_may_wait_are_counted() -> None:
    events: list[Features] = [{"km": float(i), "driver": str(i % 3)} for i in range(2 * WAITING_MAX + 5)]
    assert {name: spread.n for name, spread in counted(events).items()} == {"km": 2_005, "driver": 2_005}


def test_what_becomes_of_the_features_afterwards_does_not_matter() -> None:
    spread, features = Distributions(), dict[str, Any](km=1.0)
    spread.add([features])
    features["km"] = "changed by a model"
    assert spread.counted()["km"].numbers == {513: 1}


@pytest.mark.parametrize("seed", range(5))
def test_of_too_many_texts_the_first_by_the_alphabet_are_counted_in_whatever_order_they_come(seed: int) -> None:
    texts = [f"text {i:03d}" for i in range(3 * VALUES_MAX) for _ in range(1 + i % 2)]
    random.Random(seed).shuffle(texts)
    spread = Distribution()
    for first in range(0, len(texts), 50):
        spread.add(texts[first : first + 50])
    assert spread.values.pop(OTHERS) == 300
    assert spread.values == {f"text {i:03d}": 1 + i % 2 for i in range(VALUES_MAX)}


def test_a_text_without_end_is_one_of_the_others() -> None:
    spread = Distribution()
    spread.add(["x" * VALUE_CHARS_MAX, "x" * (VALUE_CHARS_MAX + 1), OTHERS])
    assert spread.values == {"x" * VALUE_CHARS_MAX: 1, OTHERS: 2}


@pytest.mark.parametrize("seed", range(3))
def test_of_too_many_features_the_first_by_name_are_counted_in_whatever_order_they_come(seed: int) -> None:
    names = [f"word {i:04d}" for i in range(NAMES_MAX + 20)]
    random.Random(seed).shuffle(names)
    spread = Distributions()
    for place, name in enumerate(names):
        spread.add([{name: 1}])
        if place % 100 == 0:
            spread = pickle.loads(pickle.dumps(spread))
    assert list(spread.counted()) == sorted(names)[:NAMES_MAX]
    assert spread.end == sorted(names)[NAMES_MAX]


def test_a_feature_with_a_name_without_end_is_not_counted() -> None:
    assert list(counted([{"x" * NAME_CHARS_MAX: 1, "x" * (NAME_CHARS_MAX + 1): 1}])) == ["x" * NAME_CHARS_MAX]


def test_events_without_features_are_counted() -> None:
    spread = Distributions()
    spread.add([{}])
    spread.add([{"km": None}])
    assert (spread.events, spread.counted()["km"].missing) == (2, 2)
