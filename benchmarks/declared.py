"""The workload of the environment as a pipeline of riverrun, with all that it does by default, and a drift detector."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from river.drift import ADWIN

from benchmarks.workload import EVENTS, LABELS, Workload, featurizer
from models import Learner, on_error
from streams import Context, Event, Events, Features, Labels, Pipeline

workload = Workload.of_environment()
Seen = workload.event_type(Event)
_features = featurizer(workload.names)


class Labelled(Event):
    """What became of it."""

    id: str
    key: str
    at: datetime
    label: bool


def features(event: Seen, _now: Context) -> Features:  # type: ignore[valid-type]
    """Those of the workload."""
    return _features(event)  # type: ignore[no-any-return]


def label(found: Labelled) -> bool:
    """What is to be predicted."""
    return found.label


pipeline = Pipeline(
    name=f"bench-{os.environ['BENCH_RUN']}",
    events=Events(EVENTS, Seen, key="key", time="at", id="id"),
    labels=Labels(LABELS, Labelled, key="key", time="at", joins="id", expire_after=timedelta(minutes=1)),
    features=features,
    target=label,
    champion=Learner(workload.model, workload.learner()),
    drift=[on_error(ADWIN())],
    idle_after=timedelta(seconds=2),
)
