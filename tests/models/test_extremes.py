"""The largest, smallest and emptiest numbers that are let in: River's models survive them, whatever they then say."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from river.forest import ARFRegressor
from river.linear_model import LinearRegression, LogisticRegression, PAClassifier, SoftmaxRegression
from river.preprocessing import MinMaxScaler, StandardScaler
from river.tree import HoeffdingTreeClassifier, HoeffdingTreeRegressor

from models.learner import Kind, Label, Learner, LiveModel
from tests.models import zoo

EXTREMES = (1e15, -1e15, 0.0, -0.0, 5e-324, 1e-160, 3.0)
MODELS: dict[str, tuple[Kind, Callable[[], Any]]] = {
    "logistic": ("binary", zoo.MAKERS["logistic"]),
    "tree": ("binary", zoo.MAKERS["tree"]),
    "forest": ("binary", zoo.MAKERS["forest"]),
    "bayes": ("binary", zoo.MAKERS["bayes"]),
    "imputer": ("binary", zoo.MAKERS["imputer"]),
    "half-space trees": ("binary", zoo.MAKERS["half-space trees"]),
    "unscaled logistic": ("binary", LogisticRegression),
    "passive-aggressive": ("binary", PAClassifier),
    "linear": ("regression", lambda: StandardScaler() | LinearRegression()),
    "unscaled linear": ("regression", LinearRegression),
    "regression tree": ("regression", lambda: HoeffdingTreeRegressor(grace_period=10)),
    "regression forest": ("regression", lambda: ARFRegressor(n_models=3, seed=1)),
    "bayes of classes": ("multiclass", zoo.MAKERS["bayes"]),
    "tree of classes": ("multiclass", lambda: HoeffdingTreeClassifier(grace_period=10)),
    "softmax": ("multiclass", lambda: StandardScaler() | SoftmaxRegression()),
}


def rows(kind: Kind, numbers: Callable[[random.Random], float]) -> Iterator[tuple[dict[str, Any], Label]]:
    draw = random.Random(1)
    for _ in range(200):
        x = {"x": numbers(draw), "y": numbers(draw)}
        yield x, {"binary": draw.random() < 0.4, "regression": numbers(draw), "multiclass": draw.choice("abc")}[kind]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_was_fed_extremes_still_predicts_numbers_and_still_learns(name: str) -> None:
    kind, make = MODELS[name]
    model = LiveModel(Learner(name, make()), "champion", kind)
    for numbers in (lambda draw: draw.choice(EXTREMES), lambda draw: draw.gauss(0, 1)):
        for x, label in rows(kind, numbers):
            model.predict(x)  # raises where it is no number
            model.learn(x, label)


def test_a_linear_model_behind_a_minmaxscaler_predicts_nan_on_what_is_new_and_is_found_out_at_once() -> None:
    # The scaler knows no least and no greatest of a feature before it has learned from it: inf - inf. In a pipeline
    # such an event is rejected (model_failed) and never learned from; and so are all that come after.
    model = LiveModel(Learner("linear", MinMaxScaler() | LinearRegression()), "champion", "regression")
    with pytest.raises(ArithmeticError, match="the model predicts nan"):
        model.predict({"x": 1.0})
    model.learn({"x": 1.0}, 1.0)
    assert model.predict({"x": 1.0}).value is not None
    with pytest.raises(ArithmeticError, match="the model predicts nan"):
        model.predict({"x": 1.0, "new": 1.0})
