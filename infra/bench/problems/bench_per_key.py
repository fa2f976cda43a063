"""A model of its own for each key: a thousand small logistic regressions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from river.base import Classifier
from river.linear_model import LogisticRegression

from models import Learner
from streams import Context, Event, Events, Features, Labels, Pipeline


class Used(Event):
    """What is predicted on."""

    id: str
    key: str
    at: datetime
    x: float
    y: float
    z: float


class Bought(Event):
    """What it turned out to be."""

    id: str
    key: str
    at: datetime
    yes: bool


class PerKey(Classifier):  # type: ignore[misc]  # River has no types
    """A logistic regression for each value of the feature "key"."""

    def __init__(self) -> None:
        self.models: dict[str, LogisticRegression] = {}

    def _of(self, x: dict[str, Any]) -> tuple[LogisticRegression, dict[str, float]]:
        rest = dict(x)
        key = rest.pop("key")
        model = self.models.get(key)
        if model is None:
            model = self.models[key] = LogisticRegression()
        return model, rest

    def learn_one(self, x: dict[str, Any], y: bool) -> None:
        """Let the model of the key learn."""
        model, rest = self._of(x)
        model.learn_one(rest, y)

    def predict_proba_one(self, x: dict[str, Any]) -> dict[bool, float]:
        """What the model of the key says."""
        model, rest = self._of(x)
        return model.predict_proba_one(rest)  # type: ignore[no-any-return]


events = Events("bench_per_key-events", Used, key="key", time="at", id="id")
labels = Labels("bench_per_key-labels", Bought, key="key", time="at", joins="id", expire_after=timedelta(minutes=1))


def features(event: Used, _now: Context) -> Features:
    """All of its numbers."""
    return {"key": event.key, "x": event.x, "y": event.y, "z": event.z}


def target(label: Bought) -> bool:
    """What is to be predicted."""
    return label.yes


pipeline = Pipeline(
    name="bench_per_key",
    events=events,
    labels=labels,
    features=features,
    target=target,
    champion=Learner("bench_per_key", PerKey()),
)
