"""The digest says whether two states are the same, wherever they were built."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections import Counter, OrderedDict, deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.proba import Gaussian

from models.digest import state_digest
from tests.models import zoo

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(), max_size=4)
    ),
    max_leaves=12,
)


@given(plain)
def test_the_digest_survives_pickling_and_copying(value: Any) -> None:
    assert state_digest(pickle.loads(pickle.dumps(value))) == state_digest(value)
    assert state_digest(copy.deepcopy(value)) == state_digest(value)


@given(plain, plain)
def test_different_values_have_different_digests(left: Any, right: Any) -> None:
    if repr(left) != repr(right):
        same_set = left == right and pickle.dumps(left) != pickle.dumps(right)  # {1, 2} may print in either order
        assert same_set or state_digest(left) != state_digest(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("1", 1),
        ("a", b"a"),
        ([1], (1,)),
        ([[1], 2], [[1, 2]]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        ([1.0], [1.0000000000000002]),
        (np.array([1.0]), np.array([1])),
        (np.array([[1, 2]]), np.array([1, 2])),
        (timedelta(1), timedelta(2)),
        (datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC)),
        ({1, 2}, {1, 3}),
        (Counter("aab"), Counter("abb")),
        (deque([1, 2]), deque([2, 1])),
    ],
)
def test_what_differs_in_type_order_or_value_differs_in_digest(left: Any, right: Any) -> None:
    assert state_digest(left) != state_digest(right)
    for value in (left, right):
        assert state_digest(pickle.loads(pickle.dumps(value))) == state_digest(value)


def test_the_order_of_a_set_does_not_count() -> None:
    names = [f"name {i}" for i in range(100)]
    backwards = names[::-1]
    assert state_digest(set(names)) == state_digest(set(backwards))


def test_a_cycle_is_walked_once() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    assert state_digest(pickle.loads(pickle.dumps(loop))) == state_digest(loop)


def test_structs_count_by_their_fields() -> None:
    assert state_digest(zoo.Row(at=1, name="a")) == state_digest(zoo.Row(at=1, name="a"))
    assert state_digest(zoo.Row(at=1, name="a")) != state_digest(zoo.Row(at=1, name="b"))
    assert issubclass(zoo.Row, msgspec.Struct)


@pytest.mark.parametrize("name", zoo.MAKERS)
def test_a_models_digest_survives_a_pickle_and_changes_with_learning(name: str) -> None:
    model = zoo.taught(name)
    again = pickle.loads(pickle.dumps(model))
    assert state_digest(again) == state_digest(model)
    zoo.teach(again, 200, 201)
    assert state_digest(again) != state_digest(model)
    zoo.teach(model, 200, 201)
    assert state_digest(again) == state_digest(model), "both learned the same, one of them after a round trip"


def test_digests_are_the_same_in_processes_that_hash_text_differently() -> None:
    here = {name: state_digest(zoo.taught(name)) for name in zoo.MAKERS}
    code = "from tests.models import zoo; zoo.print_digests()"
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        there = dict(line.split("\t") for line in done.stdout.splitlines())
        assert there == here


def test_an_unseeded_random_source_does_not_count_and_a_seeded_one_does() -> None:
    assert state_digest(Gaussian(seed=None)) == state_digest(Gaussian(seed=None))
    once, twice = Gaussian(seed=1), Gaussian(seed=1)
    for gaussian in (once, twice, twice):
        gaussian.sample()
    assert state_digest(once) != state_digest(twice)
    assert state_digest(once) != state_digest(Gaussian(seed=2))
