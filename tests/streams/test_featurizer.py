"""What features() returns is checked and put in order before a model sees it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from river.linear_model import LogisticRegression
from river.preprocessing import StatImputer
from river.stats import Mean

from models import Learner
from models.digest import state_digest
from streams.errors import RecordRejected
from streams.featurizer import Featurizer
from streams.inputs import Input
from streams.schema import Event
from tests.streams import kit
from tests.streams.pipelines import trips

NOW_MS = kit.T0_MS


class Given:
    """A feature function that gives what it was told to."""

    def __init__(self, features: Any) -> None:
        self.features = features

    def __call__(self, event: Any, now: Any) -> Any:
        if isinstance(self.features, Exception):
            raise self.features
        return self.features


def featurizer(features: Any, **changes: Any) -> Featurizer:
    return Featurizer(trips.lean(features=Given(features), **changes))


def featurized(features: Any, **changes: Any) -> Any:
    event = trips.Start(trip="a", city="nyc", at=None, km=1.0)
    return featurizer(features, **changes).features(event, NOW_MS, NOW_MS)


def rejection(features: Any) -> tuple[str, str]:
    with pytest.raises(RecordRejected) as caught:
        featurized(features)
    return caught.value.reason, caught.value.field


def test_features_come_in_the_order_of_their_names_however_they_were_written() -> None:
    assert list(featurized({"b": 1, "a": 2.0, "c": "x"}).items()) == [("a", 2.0), ("b", 1), ("c", "x")]
    assert list(featurized({"c": "x", "a": 2.0, "b": 1})) == ["a", "b", "c"]


def test_features_may_change_from_event_to_event() -> None:
    source = featurizer({})
    event = trips.Start(trip="a", city="nyc", at=None, km=1.0)
    for given in ({}, {"b": 1, "a": 2}, {"a": 1}, {"c": 1}, {}, {"c": 1, "a": 3}, {"a": 1, "b": 2}):
        source._function.features = given  # type: ignore[attr-defined]
        assert list(source.features(event, NOW_MS, NOW_MS).items()) == sorted(given.items())


def test_missing_features_are_left_out_or_kept_as_declared() -> None:
    assert featurized({"a": None, "b": 1}) == {"b": 1}
    assert featurized({"a": None, "b": 1}, missing="keep") == {"a": None, "b": 1}


def test_kept_missing_features_are_imputed_by_rivers_imputer() -> None:
    model = StatImputer(("km", Mean())) | LogisticRegression()
    pipeline = trips.lean(missing="keep", features=Given({"km": None}), champion=Learner("imputed", model))
    task, outputs = kit.run(pipeline, kit.history(1, references=False))
    assert kit.read(outputs, "features")[0].features == {"km": None}
    assert kit.read(outputs, "outcomes")
    assert task.digest()


@pytest.mark.parametrize(
    ("features", "reason", "field"),
    [
        ({"x": float("nan")}, "feature_out_of_range", "x"),
        ({"x": float("inf")}, "feature_out_of_range", "x"),
        ({"x": -float("inf")}, "feature_out_of_range", "x"),
        ({"x": 1e308}, "feature_out_of_range", "x"),
        ({"x": 10**16}, "feature_out_of_range", "x"),
        ({"x": 10**10_000}, "feature_out_of_range", "x"),
        ({"a": 1, "x": [1]}, "feature_type", "x"),
        ({"x": {}}, "feature_type", "x"),
        ({"x": b"bytes"}, "feature_type", "x"),
        ({"x": np.float64(1)}, "feature_type", "x"),
        ({1: 1}, "feature_type", ""),
        ({"a": 1, 1: 1}, "feature_type", ""),
        (None, "feature_type", ""),
        ([("x", 1)], "feature_type", ""),
        (KeyError("x"), "features_failed", ""),
        (RecursionError(), "features_failed", ""),
        (RecordRejected("no", reason="mine"), "features_failed", ""),
    ],
)
def test_what_no_model_can_use_is_rejected(features: Any, reason: str, field: str) -> None:
    assert rejection(features) == (reason, field)


@pytest.mark.parametrize("value", [1e15, -1e15, 0, True, "text", ""])
def test_numbers_bools_and_texts_pass_as_they_are(value: Any) -> None:
    assert featurized({"x": value}) == {"x": value}


def test_after_a_rejection_the_next_event_is_featurized_as_ever() -> None:
    source = featurizer({"x": [1], "y": 1})
    event = trips.Start(trip="a", city="nyc", at=None, km=1.0)
    for bad in ({"x": [1], "y": 1}, {1: 1}, None):
        source._function.features = bad  # type: ignore[attr-defined]
        with pytest.raises(RecordRejected):
            source.features(event, NOW_MS, NOW_MS)
        source._function.features = {"x": 1, "y": 2}  # type: ignore[attr-defined]
        assert source.features(event, NOW_MS, NOW_MS) == {"x": 1, "y": 2}


def observe(source: Featurizer, stream: Input[Any], event: Event, at_ms: int) -> None:
    memory = source.memories[trips.pipeline.inputs.index(stream)]
    assert memory is not None
    memory.observe(event, at_ms, at_ms)


def observed(count: int) -> Featurizer:
    source = Featurizer(trips.pipeline)
    for i in range(count):
        at_ms = kit.T0_MS + i * 1_000
        observe(source, trips.starts, trips.Start(trip=str(i), city="nyc", at=None, km=float(i)), at_ms)
        observe(source, trips.sky, trips.Sky(city="nyc", at=None, rain=i / 10), at_ms)  # type: ignore[arg-type]
    return source


def test_an_event_sees_what_came_before_it_and_not_itself() -> None:
    source = Featurizer(trips.pipeline)
    event = trips.Start(trip="a", city="nyc", at=None, km=4.0)
    assert source.features(event, NOW_MS, NOW_MS) == {"busy": 0, "km": 4.0}
    observe(source, trips.starts, event, NOW_MS)
    assert source.features(event, NOW_MS, NOW_MS) == {"busy": 1, "km": 4.0, "usual_km": 4.0}


def test_a_restored_featurizer_sees_what_the_first_one_saw() -> None:
    first, second = observed(20), Featurizer(trips.pipeline)
    second.restore(pickle.loads(pickle.dumps(first.state())))
    event = trips.Start(trip="a", city="nyc", at=None, km=4.0)
    at_ms = kit.T0_MS + 25_000
    assert second.features(event, at_ms, at_ms) == first.features(event, at_ms, at_ms)
    assert state_digest(second.state()) == state_digest(first.state())


def test_windows_declared_since_start_empty_and_dropped_ones_are_forgotten() -> None:
    state = pickle.loads(pickle.dumps(observed(5).state()))
    kept = state["windows"].pop(trips.busy.name)
    state["windows"]["an earlier window"] = kept
    second = Featurizer(trips.pipeline)
    second.restore(state)
    event = trips.Start(trip="a", city="nyc", at=None, km=4.0)
    at_ms = kit.T0_MS + 5_000
    assert second.features(event, at_ms, at_ms)["busy"] == 0
    assert second.features(event, at_ms, at_ms)["usual_km"] == 2.0
    assert "an earlier window" not in second.windows


def test_features_are_asked_once_an_event() -> None:
    trips.calls.clear()
    pipeline = replace(trips.lean(features=trips.counted))
    _, outputs = kit.run(pipeline, kit.history(1, references=False))
    assert trips.calls["counted"] == len(kit.read(outputs, "features"))
