"""Will it be clicked? As little work an event as a pipeline can have: three features, one model, a drift detector."""

from __future__ import annotations

from datetime import datetime, timedelta

from river.drift import ADWIN
from river.linear_model import LogisticRegression

from models import Learner, on_error
from streams import Context, Event, Events, Features, Labels, Pipeline


class Shown(Event):
    """An advertisement was shown."""

    id: str
    page: str
    at: datetime
    x: float
    y: float
    z: float


class Clicked(Event):
    """It was clicked, or will not be."""

    id: str
    page: str
    at: datetime
    clicked: bool


shown = Events("clicks-shown", Shown, key="page", time="at", id="id")
clicked = Labels("clicks-clicked", Clicked, key="page", time="at", joins="id", expire_after=timedelta(minutes=1))


def features(event: Shown, _now: Context) -> Features:
    """The three numbers as they came."""
    return {"x": event.x, "y": event.y, "z": event.z}


def was_clicked(label: Clicked) -> bool:
    """What is to be predicted."""
    return label.clicked


pipeline = Pipeline(
    name="clicks",
    events=shown,
    labels=clicked,
    features=features,
    target=was_clicked,
    champion=Learner("logistic", LogisticRegression()),
    drift=[on_error(ADWIN())],
    partitions=4,
    report_every=timedelta(seconds=1),
)
