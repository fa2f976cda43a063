"""The stream that every contender is given, and the model that each of them runs: the same to the last bit.

events   e0  e1  e2  …                 one a millisecond of event time
labels             l0  l1  l2  …       each a second after its event

An hour later one more of each: what comes before them need not wait for what may come behind.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from river.base import Classifier
from river.forest import ARFClassifier
from river.linear_model import LogisticRegression
from river.tree import HoeffdingTreeClassifier

T0_MS = 1_700_000_000_000
LABEL_AFTER_MS, CLOSING_AFTER_MS = 1_000, 3_600_000
EVENTS, LABELS, OUTPUT = "bench-events", "bench-labels", "bench-output"


class Row(NamedTuple):
    """An input record: on which topic, its value, and its timestamp in ms."""

    topic: str
    value: bytes
    timestamp_ms: int


class Workload(NamedTuple):
    """Which model on how many features."""

    model: str
    features: int

    @property
    def name(self) -> str:
        """As it stands in tables."""
        return f"{self.model}, {self.features} features"

    @classmethod
    def of_environment(cls) -> Workload:
        """The one that this process was started for."""
        return cls(os.environ["BENCH_MODEL"], int(os.environ["BENCH_FEATURES"]))

    def learner(self) -> Classifier:
        """The model, new."""
        made: dict[str, Any] = {
            "logistic": LogisticRegression,
            "tree": HoeffdingTreeClassifier,
            "forest": lambda: ARFClassifier(n_models=10, seed=1),
        }
        found: Classifier = made[self.model]()
        return found

    @property
    def names(self) -> list[str]:
        """The features' names."""
        return [f"x{place}" for place in range(self.features)]

    def event_type(self, *bases: type[msgspec.Struct]) -> type[Any]:
        """What an event is decoded to."""
        fields: list[Any] = [("id", str), ("key", str), ("at", datetime), *((name, float) for name in self.names)]
        return msgspec.defstruct("Seen", fields, bases=bases or None, module=__name__)

    def rows(self, events: int, seed: int = 1) -> Iterator[Row]:
        """The stream, in the order of its timestamps: so many events and their labels, then the last two."""
        draw, labels = random.Random(seed), deque[Row]()  # noqa: S311 - no secret
        for number in range(events):
            at_ms = T0_MS + number
            while labels and labels[0].timestamp_ms <= at_ms:
                yield labels.popleft()
            yield self._event(draw, number, at_ms, labels)
        yield from labels
        yield self._event(draw, events, T0_MS + CLOSING_AFTER_MS, labels)
        yield labels[-1]

    def _event(self, draw: random.Random, number: int, at_ms: int, labels: deque[Row]) -> Row:
        xs = [draw.gauss() for _ in self.names]
        at = datetime.fromtimestamp(at_ms / 1_000).astimezone()
        named = {"id": f"event {number}", "key": "one", "at": at}
        label = {**named, "label": xs[0] + xs[1] * xs[2] + draw.gauss(0, 0.3) > 0}
        labels.append(Row(LABELS, msgspec.json.encode(label), at_ms + LABEL_AFTER_MS))
        event = named | dict(zip(self.names, xs, strict=True))
        return Row(EVENTS, msgspec.json.encode(event), at_ms)


class Labelled(msgspec.Struct):
    """What a label is decoded to."""

    id: str
    key: str
    at: datetime
    label: bool


def featurizer(names: list[str]) -> Any:
    """The feature function: event -> {name: number}."""

    def features(event: Any) -> dict[str, float]:
        return {name: getattr(event, name) for name in names}

    return features
