"""A learner: one River model, what it predicts, and when it stops learning.

Three kinds of target: ``binary`` (the label is a bool), ``multiclass`` (a str or an int) and ``regression`` (a float).
For a binary target the model may be a classifier or an anomaly detector, whose score is read as P(True).
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import msgspec
from river import base

from models import tree_sizes
from models.digest import state_digest

Kind = Literal["binary", "multiclass", "regression"]
Role = Literal["champion", "challenger", "baseline"]
Label = bool | int | float | str
Features = dict[str, bool | int | float | str | None]


class Prediction(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a model says before it sees the label.

    ``value`` is the predicted label (None when a multiclass model has seen no class yet), ``probability`` is P(True)
    of a binary target, ``probabilities`` maps each known class, as text, to its probability (multiclass only).
    """

    value: Label | None
    probability: float | None = None
    probabilities: dict[str, float] | None = None

    @property
    def made(self) -> bool:
        """Whether the model was asked at all: one declared after the event was predicted on has said nothing of it.

        >>> Prediction(True, 0.9).made, Prediction(None, None, {}).made, Prediction(None).made
        (True, True, False)
        """
        return self.value is not None or self.probabilities is not None


@dataclass(frozen=True)
class Learner:
    """One model of a pipeline, as declared.

    Parameters
    ----------
    name
        How topics, scores and commands call it; unique in the pipeline.
    model
        Any River classifier, regressor or anomaly detector, or a River pipeline that ends in one. It is copied: the
        declared object itself never learns. Random models need a seed.
    learn_until
        Time (with a time zone) of the first event that is only predicted and no longer learned from; None: learns
        for ever. A model frozen this way is the yardstick for what learning on is worth.

    Examples
    --------
    >>> from river.linear_model import LogisticRegression
    >>> Learner("logistic", LogisticRegression()).until_ms
    inf
    """

    name: str
    model: Any
    learn_until: datetime | None = None

    @cached_property
    def until_ms(self) -> float:
        """Event time, in ms since the Unix epoch, before which an event is learned from."""
        return math.inf if self.learn_until is None else self.learn_until.timestamp() * 1000

    def version(self) -> str:
        """Eight hex digits that change when the declared model does."""
        return self._version

    @cached_property
    def _version(self) -> str:
        return hashlib.sha256(f"{self.name} {self.learn_until} {state_digest(self.model)}".encode()).hexdigest()[:8]


class Rule(base.Classifier):  # type: ignore[misc]
    """A yardstick that never learns: a binary prediction by a function of the features.

    Parameters
    ----------
    function
        An importable function of the features (a dict) that returns a bool.

    Examples
    --------
    >>> def delayed(x):
    ...     return x["dep_delay_min"] > 15
    >>> Rule(delayed).predict_proba_one({"dep_delay_min": 20})
    {True: 1.0}
    """

    def __init__(self, function: Callable[[Features], bool]) -> None:
        self.function = function

    def learn_one(self, x: Features, y: Label) -> None:
        """Rules do not learn."""

    def predict_proba_one(self, x: Features) -> dict[bool, float]:
        """All the probability on what the function says."""
        return {bool(self.function(x)): 1.0}


PREDICTION_MAX = 1e100
"""The largest magnitude of a predicted number: a model that says more has diverged, and its errors squared overflow."""


def _bounded(probability: float) -> float:
    """A probability that rounding, or an anomaly score, took out of [0, 1]. NaN is a broken model.

    >>> _bounded(1.0000000002)
    1.0
    """
    if math.isnan(probability):
        raise ArithmeticError("the model predicts NaN")
    return min(max(probability, 0.0), 1.0)


def _binary(model: Any) -> Callable[[Features], Prediction]:
    ask = model.predict_proba_one

    def predict(x: Features) -> Prediction:
        said = ask(x)
        # A model that has seen nothing says nothing: even odds. One that has seen a single class knows only that one.
        probability = float(said.get(True, 0.0)) if said else 0.5
        if not 0.0 <= probability <= 1.0:
            probability = _bounded(probability)
        return Prediction(probability >= 0.5, probability)

    return predict


def _anomaly(model: Any) -> Callable[[Features], Prediction]:
    def predict(x: Features) -> Prediction:
        probability = _bounded(float(model.score_one(x)))
        return Prediction(probability >= 0.5, probability)

    return predict


def _multiclass(model: Any) -> Callable[[Features], Prediction]:
    def predict(x: Features) -> Prediction:
        said = model.predict_proba_one(x)
        total = sum(said.values())
        if not -PREDICTION_MAX <= total <= PREDICTION_MAX:
            raise ArithmeticError(f"the model predicts {'NaN' if math.isnan(total) else total}")
        best = max(said, key=said.__getitem__) if said else None
        return Prediction(best, None, {str(label): _bounded(float(p)) for label, p in said.items()})

    return predict


def _regression(model: Any) -> Callable[[Features], Prediction]:
    def predict(x: Features) -> Prediction:
        value = float(model.predict_one(x))
        if not -PREDICTION_MAX <= value <= PREDICTION_MAX:
            raise ArithmeticError(f"the model predicts {value}")
        return Prediction(value)

    return predict


def final_step(model: Any) -> Any:
    """The estimator at the end of a River pipeline, or the model itself."""
    return model[-1] if hasattr(model, "steps") else model


def predictor(model: Any, kind: Kind) -> Callable[[Features], Prediction]:
    """The function that asks this model for a prediction of this kind."""
    if kind == "regression":
        return _regression(model)
    if kind == "multiclass":
        return _multiclass(model)
    return _anomaly(model) if isinstance(final_step(model), base.AnomalyDetector) else _binary(model)


def _learner(model: Any) -> Callable[[Features, Label], None]:
    """The function that teaches this model the label of features that it has predicted on."""
    learn: Callable[..., None] = model.learn_one
    return (lambda x, _label: learn(x)) if isinstance(final_step(model), base.AnomalyDetector) else learn


class LiveModel:
    """A declared learner at work: its own copy of the model, its version and its role.

    ``generation`` counts how often it was begun anew: it was reset, or went back to a version. ``version`` says which
    model this is: the declared version, and the generation if there was more than one.
    """

    def __init__(self, learner: Learner, role: Role, kind: Kind) -> None:
        self.learner, self.role, self.kind = learner, role, kind
        self.name, self.declared_version = learner.name, learner.version()
        self.until_ms = learner.until_ms
        self.load(copy.deepcopy(learner.model), generation=0)

    def begin_anew(self, model: Any = None) -> None:
        """Go on as another: as declared, all that was learned forgotten, or as ``model``, that it was once."""
        self.load(copy.deepcopy(self.learner.model) if model is None else model, self.generation + 1)

    def load(self, model: Any, generation: int) -> None:
        """Go on with this model in place of the present one."""
        tree_sizes.use()  # its module, if it is a tree, is imported by now
        self.model, self.generation = model, generation
        self.version = f"{self.declared_version}.{generation}" if generation else self.declared_version
        self.predict = predictor(model, self.kind)
        self.learn = _learner(model)
