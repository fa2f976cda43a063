"""Pipelines with all there is to declare, for the fuzzer: every kind of target, of field, of window and of join."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from river import base
from river.anomaly import HalfSpaceTrees
from river.compose import SelectType
from river.drift import ADWIN, KSWIN, PageHinkley
from river.linear_model import LinearRegression, LogisticRegression
from river.naive_bayes import GaussianNB
from river.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler, StatImputer
from river.stats import Mean
from river.tree import HoeffdingTreeClassifier, HoeffdingTreeRegressor

from models import Learner, Rule, on_error, on_feature, on_prediction
from streams import (
    Category,
    Context,
    Event,
    Events,
    Features,
    Labels,
    Missing,
    Pipeline,
    Range,
    Reference,
    Require,
    Table,
)

Policy = Literal["reject", "ignore"]


class Ride(Event):
    ride: str | int | None
    city: str
    at: datetime
    km: float
    seats: int | None = None
    gate: int | str | None = None
    driver: str | None = None
    pooled: bool = False


class Arrival(Event):
    ride: str | int | None
    city: str
    at: float | datetime
    minutes: float | None
    zone: str = "centre"


class Sky(Event):
    city: str
    at: int
    rain: float | None = None


class City(Event):
    city: str
    inhabitants: int


def forward(ride: Ride) -> bool:
    return ride.km >= 0


def features(ride: Ride, now: Context, declared: Declared) -> Features:
    above = now.as_of(declared.sky, ride.city)
    city = now.look_up(declared.cities, ride.city)
    return {
        "km": ride.km,
        "seats": ride.seats,
        "effort": ride.km * 3,
        "pooled": ride.pooled,
        "hour": ride.at.hour,
        "driver": ride.driver,
        "busy": now[declared.busy],
        "usual_km": now[declared.usual_km],
        "usual_minutes": now.read(declared.usual_minutes, ride.city),
        "rain": above and above.rain,
        "usual_rain": now.read(declared.usual_rain, ride.city),
        "inhabitants": city and city.inhabitants,
    }


class Declared:
    """The inputs of one pipeline: windows are declared on them, so pipelines do not share them."""

    def __init__(self, policy: Policy, early: Literal["hold", "reject"]) -> None:
        self.rides = Events(
            "rides",
            Ride,
            key="city",
            time="at",
            id="ride",
            clean=[
                Missing("driver", tokens=("", "NA")),
                Category("driver", {"ann", "bob"}, otherwise="other"),
                Range("seats", 1, 8, otherwise="missing"),
                Require(forward, "backward", field="km"),
            ],
        )
        self.arrivals = Labels(
            "arrivals",
            Arrival,
            key="city",
            time="at",
            joins="ride",
            expire_after=timedelta(seconds=60),
            early=early,
            orphan=policy,
            duplicate=policy,
            corrected=policy,
            pending_max=8,
        )
        self.sky = Reference("sky", Sky, key="city", time="at", clean=[Missing("rain", fill=0.0)])
        self.cities = Table(Path(__file__).with_name("cities.csv"), City, key="city")
        self.busy = self.rides.window(by="city", over=timedelta(seconds=60)).rate()
        self.usual_km = self.rides.window(by=("city", "gate"), over=timedelta(seconds=90)).mean("km")
        self.usual_minutes = self.arrivals.window(by="city", over=timedelta(seconds=120)).mean("minutes")
        self.usual_rain = self.sky.window(by="city", over=timedelta(seconds=120)).mean("rain")

    def pipeline(self, target: Callable[[Any], Any], **more: Any) -> Pipeline:
        def known(ride: Ride, now: Context) -> Features:
            return features(ride, now, self)

        return Pipeline(
            name="rides",
            events=self.rides,
            labels=self.arrivals,
            references=[self.sky],
            tables=[self.cities],
            features=known,
            target=target,
            report_every=timedelta(seconds=30),
            sliding_periods=3,
            **more,
        )


def long(arrival: Arrival) -> bool:
    assert arrival.minutes is not None, "no minutes"
    return arrival.minutes > 20


def minutes(arrival: Arrival) -> float:
    return arrival.minutes  # type: ignore[return-value]


def zone(arrival: Arrival) -> str:
    return arrival.zone


def many_km(x: Features) -> bool:
    return float(x["km"] or 0) > 10


class Touchy(base.Regressor):  # type: ignore[misc]
    """Counts what it learns; raises, half-updated, on 7.5 km; predicts no number at 19.25 km."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.learned = 0

    def learn_one(self, x: dict[str, Any], y: Any) -> None:
        self.learned += 1
        if x["km"] == 7.5:
            raise ZeroDivisionError("half-updated")

    def predict_one(self, x: dict[str, Any]) -> float:
        return math.nan if x["km"] == 19.25 else float(self.learned)


def numbers(last: Any) -> Any:
    return SelectType((int, float)) | StandardScaler() | last


def binary() -> Pipeline:
    """Will the ride be long? Rejects every label it cannot use."""
    return Declared("reject", "hold").pipeline(
        long,
        champion=Learner("logistic", numbers(LogisticRegression())),
        challengers=[
            Learner("tree", HoeffdingTreeClassifier(grace_period=5)),
            Learner("driver", SelectType(str) | OneHotEncoder() | LogisticRegression()),
        ],
        baselines=[Learner("rule", Rule(many_km))],
        drift=[
            on_error(ADWIN(delta=0.2)),
            on_feature("km", PageHinkley(threshold=5), every=2),
            on_prediction(KSWIN(window_size=20, stat_size=5, seed=1), every=2),
        ],
    )


def regression() -> Pipeline:
    """How many minutes? Ignores every label it cannot use."""
    return Declared("ignore", "hold").pipeline(
        minutes,
        champion=Learner("linear", numbers(LinearRegression())),
        challengers=[
            Learner("tree", SelectType((int, float)) | HoeffdingTreeRegressor(grace_period=5)),
            Learner("touchy", Touchy()),
        ],
        drift=[on_error(PageHinkley()), on_error(ADWIN(), "tree"), on_prediction(ADWIN()), on_feature("km", ADWIN())],
    )


def multiclass() -> Pipeline:
    """Which zone? Holds no early labels."""
    return Declared("reject", "reject").pipeline(
        zone,
        champion=Learner("bayes", SelectType((int, float)) | GaussianNB()),
        challengers=[Learner("tree", HoeffdingTreeClassifier(grace_period=5))],
        drift=[on_error(ADWIN())],
    )


def anomaly() -> Pipeline:
    """Is the ride unlike the others? Passes missing values on."""
    imputed = StatImputer(*[(name, Mean()) for name in ("seats", "usual_km", "usual_minutes", "rain", "usual_rain")])
    trees = HalfSpaceTrees(n_trees=3, height=4, window_size=10, seed=1)
    return Declared("reject", "hold").pipeline(
        long,
        champion=Learner("trees", imputed | SelectType((int, float)) | MinMaxScaler() | trees),
        drift=[on_prediction(ADWIN())],
        missing="keep",
    )


PIPELINES: dict[str, Callable[[], Pipeline]] = {
    "binary": binary,
    "regression": regression,
    "multiclass": multiclass,
    "anomaly": anomaly,
}
