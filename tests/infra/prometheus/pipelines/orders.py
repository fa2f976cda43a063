"""Will an order be large? Tests disturb it; its name, its pace and how it is saved come from the environment."""

from __future__ import annotations

import os
import time
from datetime import timedelta

from river.drift import ADWIN
from river.linear_model import LogisticRegression
from river.preprocessing import StandardScaler

from models import Learner, on_error
from streams import Alert, Context, Event, Events, Features, Labels, Pipeline, measures

NAME = os.environ.get("ORDERS_NAME", "orders")
PAUSE_S = float(os.environ.get("ORDERS_PAUSE_S", "0"))
CHECKPOINT_EVERY = int(os.environ.get("ORDERS_CHECKPOINT_EVERY", "10_000"))


class Order(Event):
    id: str
    shop: str
    at_ms: int
    x: float


class Sum(Event):
    id: str
    shop: str
    at_ms: int
    large: bool


orders = Events(f"{NAME}-orders", Order, key="shop", time="at_ms", id="id")
sums = Labels(f"{NAME}-sums", Sum, key="shop", time="at_ms", joins="id", expire_after=timedelta(days=1))


def features(order: Order, now: Context) -> Features:
    time.sleep(PAUSE_S)
    return {"x": order.x}


def large(label: Sum) -> bool:
    return label.large


pipeline = Pipeline(
    name=NAME,
    events=orders,
    labels=sums,
    features=features,
    target=large,
    champion=Learner("logistic", StandardScaler() | LogisticRegression()),
    drift=[on_error(ADWIN())],
    alerts=[Alert("bad input", measures.rejects(), above=0.1)],
    report_every=timedelta(minutes=1),
    sliding_periods=5,
    idle_after=timedelta(seconds=2),  # a busy machine makes no label an orphan
    batch_max=500,
    checkpoint_every=CHECKPOINT_EVERY,
    replay_max=timedelta(hours=1),
    inline_bytes_max=0,
)
