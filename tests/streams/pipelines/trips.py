"""Tiny pipelines about taxi trips: will it be long, how long will it be, where does it go?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from river.drift import ADWIN, PageHinkley
from river.linear_model import LinearRegression, LogisticRegression
from river.naive_bayes import GaussianNB
from river.preprocessing import StandardScaler
from river.tree import HoeffdingTreeClassifier

from models import Learner, Rule, on_error, on_feature
from streams import Context, Event, Events, Features, Labels, Missing, Pipeline, Range, Reference, Require

Policy = Literal["reject", "ignore"]


class Start(Event):
    trip: str | None
    city: str
    at: datetime | None
    km: float
    driver: str | None = None


class End(Event):
    trip: str | None
    city: str
    at: datetime
    minutes: float | None
    zone: str = "centre"


class Sky(Event):
    city: str
    at: datetime
    rain: float


def forward(start: Start) -> bool:
    return start.km >= 0


starts = Events(
    "starts",
    Start,
    key="city",
    time="at",
    id="trip",
    clean=[
        Missing("driver", tokens=("", "NA")),
        Range("km", -1, 1_000, otherwise="clip"),
        Require(forward, "backward"),
    ],
)
sky = Reference("sky", Sky, key="city", time="at")
busy = starts.window(by="city", over=timedelta(seconds=60)).count()
usual_km = starts.window(by=("city", "driver"), over=timedelta(seconds=90)).mean("km")


def ends(
    early: Literal["hold", "reject"] = "hold",
    orphan: Policy = "reject",
    duplicate: Policy = "reject",
    corrected: Policy = "reject",
    pending_max: int = 1_000,
) -> Labels[End]:
    return Labels(
        "ends",
        End,
        key="city",
        time="at",
        joins="trip",
        expire_after=timedelta(seconds=60),
        early=early,
        orphan=orphan,
        duplicate=duplicate,
        corrected=corrected,
        pending_max=pending_max,
    )


ends_of_trips = ends()
usual_minutes = ends_of_trips.window(by="city", over=timedelta(seconds=120)).mean("minutes")


def features(start: Start, now: Context) -> Features:
    above = now.as_of(sky, start.city)
    return {
        "usual_minutes": now[usual_minutes],
        "km": start.km,
        "busy": now[busy],
        "usual_km": now[usual_km],
        "rain": above and above.rain,
    }


def plain(start: Start, now: Context) -> Features:
    """Features that need no window."""
    return {"km": start.km}


calls: Counter[str] = Counter()


def counted(start: Start, now: Context) -> Features:
    """Not deterministic: knows how often it was called."""
    calls["counted"] += 1
    return {"km": start.km, "calls": calls["counted"]}


def long(end: End) -> bool:
    assert end.minutes is not None, "no minutes"
    return end.minutes > 20


def minutes(end: End) -> float:
    return end.minutes  # type: ignore[return-value]


def zone(end: End) -> str:
    return end.zone


def many_km(x: Features) -> bool:
    return float(x["km"] or 0) > 10


def logistic() -> Learner:
    return Learner("logistic", StandardScaler() | LogisticRegression())


pipeline = Pipeline(
    name="trips",
    events=starts,
    labels=ends_of_trips,
    references=[sky],
    features=features,
    target=long,
    champion=logistic(),
    challengers=[Learner("tree", HoeffdingTreeClassifier(grace_period=20))],
    baselines=[
        Learner("rule", Rule(many_km)),
        Learner("frozen", logistic().model, learn_until=datetime.fromtimestamp(1_060, UTC)),
    ],
    drift=[on_error(ADWIN(delta=0.2)), on_feature("km", PageHinkley(threshold=5), every=2)],
    report_every=timedelta(seconds=30),
    sliding_periods=3,
    batch_max=10,
    checkpoint_every=40,
    inline_bytes_max=0,  # so that tests see blobs and replays; those of small states set it
    idle_after=timedelta(seconds=1),
)


def lean(**changes: Any) -> Pipeline:
    """The pipeline with one model, one feature and no reference."""
    small = {"features": plain, "references": (), "challengers": (), "baselines": (), "drift": (), "labels": ends()}
    return replace(pipeline, **(small | changes))


def regression() -> Pipeline:
    """How many minutes?"""
    return lean(target=minutes, champion=Learner("linear", StandardScaler() | LinearRegression()))


def multiclass() -> Pipeline:
    """Which zone?"""
    return lean(
        target=zone, champion=Learner("bayes", GaussianNB()), baselines=[Learner("tree", HoeffdingTreeClassifier())]
    )
