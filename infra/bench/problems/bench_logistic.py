"""The least that a pipeline can do: three numbers, a logistic regression."""

from __future__ import annotations

from datetime import datetime, timedelta

from river.linear_model import LogisticRegression

from models import Learner
from streams import Context, Event, Events, Features, Labels, Pipeline


class Shown(Event):
    """What is predicted on."""

    id: str
    key: str
    at: datetime
    x: float
    y: float
    z: float


class Clicked(Event):
    """What it turned out to be."""

    id: str
    key: str
    at: datetime
    yes: bool


events = Events("bench_logistic-events", Shown, key="key", time="at", id="id")
labels = Labels("bench_logistic-labels", Clicked, key="key", time="at", joins="id", expire_after=timedelta(minutes=1))


def features(event: Shown, _now: Context) -> Features:
    """All of its numbers."""
    return {"x": event.x, "y": event.y, "z": event.z}


def target(label: Clicked) -> bool:
    """What is to be predicted."""
    return label.yes


pipeline = Pipeline(
    name="bench_logistic",
    events=events,
    labels=labels,
    features=features,
    target=target,
    champion=Learner("bench_logistic", LogisticRegression()),
)
