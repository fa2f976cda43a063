"""Will this flight land more than 15 minutes late? Predict at the departure, learn at the landing."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import nycflights
from msgspec import Meta
from river.compose import Select
from river.drift import ADWIN, KSWIN, PageHinkley
from river.linear_model import LogisticRegression
from river.optim import SGD, AdaGrad
from river.preprocessing import StandardScaler
from river.tree import HoeffdingTreeClassifier

from models import Learner, Rule, on_error, on_feature, on_prediction
from streams import Context, Event, Events, Features, Labels, Missing, Pipeline, Range, Reference, Table

Airport = Literal["EWR", "JFK", "LGA"]


class Departure(Event):
    """A plane leaves the gate."""

    flight_id: str
    carrier: str
    tail: str | None
    origin: Airport
    dest: str
    departed_at: datetime
    scheduled_local_hour: Annotated[int, Meta(ge=0, le=23)]
    scheduled_min: Annotated[float, Meta(gt=0, le=1_500)]
    distance_mi: Annotated[float, Meta(gt=0)]
    dep_delay_min: Annotated[float, Meta(ge=-120, le=2_000)]


class Arrival(Event):
    """It arrives at the gate of its destination; negative minutes are early, or made up on the way."""

    flight_id: str
    carrier: str
    tail: str | None
    origin: Airport
    dest: str
    landed_at: datetime
    arr_delay_min: float | None
    lost_en_route_min: float | None


class Weather(Event):
    """What the airport's station observed."""

    origin: Airport
    observed_at: datetime
    temp_f: float | None
    humidity_pct: float | None
    wind_mph: float | None
    gust_mph: float | None
    precip_in: float | None
    pressure_mbar: float | None
    visibility_mi: float | None


class Plane(Event):
    """A row of the registry."""

    tailnum: str
    year: int | None
    seats: int


departures = Events(
    "flights.departures",
    Departure,
    key="origin",
    time="departed_at",
    id="flight_id",
    clean=[Missing("tail", tokens=("", "NA"))],
)
arrivals = Labels(
    "flights.arrivals",
    Arrival,
    key="origin",
    time="landed_at",
    joins="flight_id",
    expire_after=timedelta(days=2),
    clean=[Missing("arr_delay_min", reject=True)],
)
weather = Reference(
    "flights.weather",
    Weather,
    key="origin",
    time="observed_at",
    clean=[Range("wind_mph", 0, 231), Range("visibility_mi", 0, 10, otherwise="clip")],  # 231 mph: the highest ever
)
planes = Table(nycflights.folder() / "planes.csv", Plane, key="tailnum", missing=("NA",))

airport_delay = departures.window(by="origin", over=timedelta(hours=1)).mean("dep_delay_min")
airport_departures = departures.window(by="origin", over=timedelta(hours=1)).count()
carrier_delay = departures.window(by="carrier", over=timedelta(hours=3)).mean("dep_delay_min")
plane_delay = departures.window(by="tail", over=timedelta(hours=12)).mean("dep_delay_min")
lost_by_origin = arrivals.window(by="origin", over=timedelta(hours=3)).mean("lost_en_route_min")
lost_by_dest = arrivals.window(by="dest", over=timedelta(hours=6)).mean("lost_en_route_min")
lost_by_plane = arrivals.window(by="tail", over=timedelta(hours=48)).mean("lost_en_route_min")
lost_by_route = arrivals.window(by=("carrier", "dest"), over=timedelta(days=30)).mean("lost_en_route_min")


def between(low: float, value: float, high: float) -> float:
    """The value, or the bound it lies beyond."""
    return min(max(value, low), high)


def features(departure: Departure, now: Context) -> Features:
    """What is known when the plane leaves the gate. Minutes throughout; None where nothing was observed yet."""
    sky = now.as_of(weather, departure.origin)
    plane = now.look_up(planes, departure.tail)
    delay = departure.dep_delay_min
    lately = now[lost_by_origin]
    usual = now[lost_by_route]
    projected = delay + (usual if usual is not None else lately or 0.0) - 15  # past the limit, if all goes as usual
    return {
        "dep_delay": min(delay, 120.0),
        "delay_0_30": between(0, delay, 30),  # pieces of a line with bends at 0, 10, 20, …
        "delay_10_40": between(0, delay - 10, 30),
        "delay_20_60": between(0, delay - 20, 40),
        "projected": between(-40, projected, 60),
        "projected_from_10_early": between(0, projected + 10, 20),
        "projected_from_10_late": between(0, projected - 10, 30),
        "lost_by_origin": lately,
        "lost_by_dest": now[lost_by_dest],
        "lost_by_plane": now[lost_by_plane],
        "lost_by_route": usual,
        "airport_delay": min(now[airport_delay] or 0.0, 100.0),
        "airport_departures": now[airport_departures],
        "carrier_delay": min(now[carrier_delay] or 0.0, 100.0),
        "plane_delay": min(now[plane_delay] or 0.0, 100.0),
        "scheduled": departure.scheduled_min,
        "morning": departure.scheduled_local_hour < 10,
        "evening": departure.scheduled_local_hour >= 17,
        "wind": sky and sky.wind_mph,
        "gust": sky and (sky.gust_mph or 0.0),
        "precip": sky and min(sky.precip_in or 0.0, 0.3),
        "visibility": sky and sky.visibility_mi,
        "pressure": sky and sky.pressure_mbar,
        "temp": sky and sky.temp_f,
        "plane_age": plane and plane.year and departure.departed_at.year - plane.year,
    }


def late(arrival: Arrival) -> bool:
    """The target: more than 15 minutes after the schedule."""
    assert arrival.arr_delay_min is not None  # the cleaning rule has rejected the others
    return arrival.arr_delay_min > 15


def departed_late(features: Features) -> bool:
    """The rule of thumb that the models have to beat: it lands late if it left more than 15 minutes late."""
    return float(features["dep_delay"] or 0) > 15


def logistic() -> object:
    """Logistic regression on all features. A missing one is left out, which after scaling is the same as its mean."""
    return StandardScaler() | LogisticRegression(AdaGrad(0.05))


pipeline = Pipeline(
    name="flights",
    events=departures,
    labels=arrivals,
    references=[weather],
    tables=[planes],
    features=features,
    target=late,
    champion=Learner("logistic", logistic()),
    challengers=[
        Learner(
            "tree",
            Select("projected", "dep_delay", "airport_delay")
            | HoeffdingTreeClassifier(grace_period=400, leaf_prediction="mc"),
        ),
        Learner("small", Select("dep_delay", "projected") | StandardScaler() | LogisticRegression(SGD(0.01))),
    ],
    baselines=[
        Learner("rule", Rule(departed_late)),
        Learner("frozen", logistic(), learn_until=datetime(2013, 3, 1, tzinfo=UTC)),
    ],
    drift=[
        on_error(ADWIN(delta=1e-6)),
        on_error(PageHinkley(threshold=100)),
        on_prediction(ADWIN(delta=1e-6)),
        on_feature("visibility", KSWIN(alpha=1e-5, window_size=200, stat_size=60, seed=1), every=20),
    ],
    partitions=4,  # the three airports' names fall on three of four: a task an airport
    report_every=timedelta(days=1),
    sliding_periods=30,
    idle_after=timedelta(seconds=3),
)
