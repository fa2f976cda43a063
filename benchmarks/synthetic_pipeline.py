"""The synthetic workload as a pipeline of riverrun: all that it does by default, and a drift watch."""

from __future__ import annotations

import os
from datetime import timedelta

from river.drift import ADWIN

from benchmarks.workload import EVENTS, LABELS, SYNTHETIC, featurizer
from benchmarks.workload import Labelled as Fields
from models import Learner, on_error
from streams import Context, Event, Events, Features, Labels, Pipeline

workload = SYNTHETIC[os.environ["BENCH_WORKLOAD"]]
Seen = workload.event_type(Event)
_features = featurizer(workload.names)


class Labelled(Event, Fields):
    """What became of it."""


def features(event: Seen, _now: Context) -> Features:  # type: ignore[valid-type]
    """Those of the workload."""
    return _features(event)  # type: ignore[no-any-return]


def label(found: Labelled) -> bool:
    """What is to be predicted."""
    return found.label


pipeline = Pipeline(
    name=os.environ["BENCH_RUN"],
    events=Events(EVENTS, Seen, key="key", time="at", id="id"),
    labels=Labels(LABELS, Labelled, key="key", time="at", joins="id", expire_after=timedelta(minutes=1)),
    features=features,
    target=label,
    champion=Learner(workload.model, workload.learner()),
    drift=[on_error(ADWIN())],
    partitions=int(os.environ.get("BENCH_PARTITIONS", "1")),
    replay_max=timedelta(seconds=float(said)) if (said := os.environ.get("BENCH_REPLAY_S")) else None,
)
