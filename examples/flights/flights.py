"""Will this flight land more than 15 minutes late? Predict at the departure, learn at the landing."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import nycflights
from msgspec import Meta
from river.compose import Select
from river.drift import ADWIN, KSWIN, PageHinkley
from river.linear_model import LogisticRegression
from river.optim import SGD
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


def scaled(value: float | None, usual: float, much: float) -> float | None:
    """How far the value is from the usual one, in units of a large difference. None stays None: it was not observed."""
    return None if value is None else (value - usual) / much


def features(departure: Departure, now: Context) -> Features:
    """What is known when the plane leaves the gate, each scaled so that 1 is a lot; delays in half hours."""
    sky = now.as_of(weather, departure.origin)
    plane = now.look_up(planes, departure.tail)
    delay = departure.dep_delay_min / 30
    lately = (now[lost_by_origin] or 0.0) / 30
    usual = (now[lost_by_route] or 0.0) / 30
    projected = delay + usual - 0.5  # beyond the limit, if all goes as usual
    return {
        "dep_delay": min(delay, 4.0),
        "delay_0_30_min": between(0, delay, 1),  # pieces of a line that bends at 0 and 10 minutes
        "delay_10_40_min": between(0, delay - 1 / 3, 1),
        "projected": between(-4 / 3, projected, 2),
        "projected_near": between(0, projected + 1 / 3, 2 / 3),
        "lost_by_origin": 2 * lately,
        "lost_by_dest": (now[lost_by_dest] or 0.0) / 15,
        "lost_by_plane": (now[lost_by_plane] or 0.0) / 15,
        "lost_by_route": 2 * usual,
        "airport_delay": min((now[airport_delay] or 0.0) / 30, 3.0),
        "airport_departures": (now[airport_departures] or 0.0) / 20,
        "carrier_delay": min((now[carrier_delay] or 0.0) / 30, 3.0),
        "plane_delay": min((now[plane_delay] or 0.0) / 30, 3.0),
        "evening": departure.scheduled_local_hour >= 17,
        "wind": scaled(sky and sky.wind_mph, 10, 10),
        "precip": scaled(sky and sky.precip_in, 0, 0.2),
        "mist": scaled(sky and sky.visibility_mi, 10, -10),
        "pressure": scaled(sky and sky.pressure_mbar, 1_017, 10),
        "temp": scaled(sky and sky.temp_f, 55, 20),
        "plane_age": scaled(plane and plane.year, departure.departed_at.year, -10),
    }


def late(arrival: Arrival) -> bool:
    """The target: more than 15 minutes after the schedule."""
    assert arrival.arr_delay_min is not None  # the cleaning rule has rejected the others
    return arrival.arr_delay_min > 15


def departed_late(features: Features) -> bool:
    """The rule of thumb that the models have to beat: it lands late if it left more than 15 minutes late."""
    return float(features["dep_delay"] or 0) > 0.5


pipeline = Pipeline(
    name="flights",
    events=departures,
    labels=arrivals,
    references=[weather],
    tables=[planes],
    features=features,
    target=late,
    champion=Learner("logistic", LogisticRegression(SGD(0.007))),  # a feature that is None counts as the usual value
    challengers=[
        Learner("patient", LogisticRegression(SGD(0.003))),
        Learner("tree", Select("projected", "airport_delay") | HoeffdingTreeClassifier(leaf_prediction="mc")),
    ],
    baselines=[
        Learner("rule", Rule(departed_late)),
        Learner("frozen", LogisticRegression(SGD(0.007)), learn_until=datetime(2013, 3, 1, tzinfo=UTC)),
    ],
    drift=[
        on_error(ADWIN(delta=1e-6)),
        on_error(PageHinkley(threshold=100)),
        on_prediction(ADWIN(delta=1e-6)),
        on_feature("mist", KSWIN(alpha=1e-5, window_size=200, stat_size=60, seed=1), every=100),
    ],
    partitions=4,  # the three airports' names fall on three of four: a task an airport
    report_every=timedelta(days=1),
    sliding_periods=30,
    idle_after=timedelta(seconds=10),  # a replay of the past: rather wait than run ahead of an input that is slow
)
