"""Twenty numbers, a forest of ten trees: much to learn from each event."""

from __future__ import annotations

from datetime import datetime, timedelta

from river.forest import ARFClassifier

from models import Learner
from streams import Context, Event, Events, Features, Labels, Pipeline


class Measured(Event):
    """What is predicted on."""

    id: str
    key: str
    at: datetime
    x0: float
    x1: float
    x2: float
    x3: float
    x4: float
    x5: float
    x6: float
    x7: float
    x8: float
    x9: float
    x10: float
    x11: float
    x12: float
    x13: float
    x14: float
    x15: float
    x16: float
    x17: float
    x18: float
    x19: float


class Failed(Event):
    """What it turned out to be."""

    id: str
    key: str
    at: datetime
    yes: bool


NAMES = [f"x{place}" for place in range(20)]
events = Events("bench_forest-events", Measured, key="key", time="at", id="id")
labels = Labels("bench_forest-labels", Failed, key="key", time="at", joins="id", expire_after=timedelta(minutes=1))


def features(event: Measured, _now: Context) -> Features:
    """All of its numbers."""
    return {name: getattr(event, name) for name in NAMES}


def target(label: Failed) -> bool:
    """What is to be predicted."""
    return label.yes


pipeline = Pipeline(
    name="bench_forest",
    events=events,
    labels=labels,
    features=features,
    target=target,
    champion=Learner("bench_forest", ARFClassifier(n_models=10, seed=1)),
)
