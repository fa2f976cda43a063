"""The pipeline that chaos is let loose on: will a ride take long? Two models, windows, an as-of join, drift.

It is declared twice, by name, in ``disturbed.py`` and ``undisturbed.py``: two pipelines that read the same topics.
"""

from __future__ import annotations

from datetime import timedelta

from river.drift import ADWIN, PageHinkley
from river.linear_model import LogisticRegression
from river.preprocessing import StandardScaler
from river.tree import HoeffdingTreeClassifier

from models import Learner, on_error, on_feature
from streams import Context, Event, Events, Features, Labels, Pipeline, Range, Reference

PARTITIONS = 4
LONG_MIN = 20.0
RIDES, FARES, SKY = "chaos.rides", "chaos.fares", "chaos.sky"


class Ride(Event):
    ride: str
    city: str
    at_ms: int
    km: float


class Fare(Event):
    ride: str
    city: str
    at_ms: int
    minutes: float


class Sky(Event):
    city: str
    at_ms: int
    rain: float


rides = Events(RIDES, Ride, key="city", time="at_ms", id="ride", clean=[Range("km", 0, 100, otherwise="clip")])
fares = Labels(FARES, Fare, key="city", time="at_ms", joins="ride", expire_after=timedelta(minutes=2), early="hold")
sky = Reference(SKY, Sky, key="city", time="at_ms")
busy = rides.window(by="city", over=timedelta(seconds=30)).count()
usual_minutes = fares.window(by="city", over=timedelta(minutes=1)).mean("minutes")


def features(ride: Ride, now: Context) -> Features:
    above = now.as_of(sky, ride.city)
    return {"km": ride.km, "busy": now[busy], "usual_minutes": now[usual_minutes], "rain": above and above.rain}


def long(fare: Fare) -> bool:
    return fare.minutes > LONG_MIN


def declare(name: str) -> Pipeline:
    """The pipeline under a name.

    ``idle_after`` is longer than any run. Which inputs are idle is the one thing that real time decides, and under
    chaos time passes otherwise: an input that stands still for 200 ms is as a rule cut off and not idle. So each input
    ends with a closing record instead (history.py), and everything before it is taken without anything being idle.
    """
    return Pipeline(
        name=name,
        events=rides,
        labels=fares,
        references=[sky],
        features=features,
        target=long,
        champion=Learner("logistic", StandardScaler() | LogisticRegression()),
        challengers=[Learner("tree", HoeffdingTreeClassifier(grace_period=100, max_depth=6))],
        drift=[on_error(ADWIN()), on_feature("km", PageHinkley(), every=10)],
        partitions=PARTITIONS,
        report_every=timedelta(seconds=20),
        sliding_periods=6,
        idle_after=timedelta(hours=2),
        batch_max=1_000,
        checkpoint_every=5_000,
    )
