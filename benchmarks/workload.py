"""The stream that every contender is given, and the model that each of them runs: the same to the last bit.

events   e0  e1  e2  …                 one a millisecond of event time, unless told otherwise
labels             l0  l1  l2  …       each a second after its event

This module is imported in the peers' environments: msgspec and River are all it may need.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import msgspec
from river.base import Classifier
from river.forest import ARFClassifier
from river.linear_model import LogisticRegression
from river.tree import HoeffdingTreeClassifier

T0_MS = 1_700_000_000_000
LABEL_AFTER_MS = 1_000
EVENTS, LABELS = "bench-events", "bench-labels"


class Row(NamedTuple):
    """An input record: on which topic and partition, its key, its value, and its timestamp in ms."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    timestamp_ms: int


class Loop(Protocol):
    """What is done with each record, wherever it comes from. All state is picklable."""

    def take(self, topic: str, value: bytes, timestamp_ms: int) -> bytes | None:
        """Decode a record. Of an event: the prediction, encoded. Of a label: learn. Of another: remember it."""


class Workload(Protocol):
    """A stream, and what is to be done with it."""

    name: str
    topics: tuple[str, ...]
    """The inputs; at the same time, those named earlier come first. The last one is that of the events."""

    pipeline: str
    """The file in this folder that declares it to riverrun."""

    def rows(self, events: int, partitions: int = 1) -> Iterator[Row]:
        """The stream in the order of its timestamps: so many events, and what belongs to them."""

    def loop(self) -> Loop:
        """A loop that has seen nothing yet."""


class Synthetic:
    """Which model on how many features, drawn from a normal distribution."""

    topics: tuple[str, ...] = (LABELS, EVENTS)
    pipeline = "synthetic_pipeline.py"

    def __init__(self, model: str, features: int) -> None:
        self.model, self.features = model, features
        self.name = f"{model}-{features}"
        self.names = [f"x{place}" for place in range(features)]

    def learner(self) -> Classifier:
        """The model, new."""
        made: dict[str, Any] = {
            "logistic": LogisticRegression,
            "tree": HoeffdingTreeClassifier,
            "forest": lambda: ARFClassifier(n_models=10, seed=1),
        }
        found: Classifier = made[self.model]()
        return found

    def event_type(self, *bases: type[msgspec.Struct]) -> type[Any]:
        """What an event is decoded to."""
        fields: list[Any] = [("id", str), ("key", str), ("at", datetime), *((name, float) for name in self.names)]
        return msgspec.defstruct("Seen", fields, bases=bases or None, module=__name__)

    def loop(self) -> SyntheticLoop:
        """A loop that has seen nothing yet."""
        return SyntheticLoop(self)

    def rows(
        self, events: int, partitions: int = 1, start_ms: float = T0_MS, per_ms: float = 1.0, first: int = 0
    ) -> Iterator[Row]:
        """So many events, ``per_ms`` a millisecond from ``start_ms`` on, each partition in turn, and their labels."""
        draw, labels = random.Random(first), deque[Row]()  # noqa: S311 - no secret
        for number in range(first, first + events):
            at_ms = int(start_ms + (number - first) / per_ms)
            while labels and labels[0].timestamp_ms <= at_ms:
                yield labels.popleft()
            yield self._event(draw, number, at_ms, number % partitions, labels)
        yield from labels

    def _event(self, draw: random.Random, number: int, at_ms: int, partition: int, labels: deque[Row]) -> Row:
        xs = [draw.gauss() for _ in self.names]
        key, label_ms = b"%d" % partition, at_ms + LABEL_AFTER_MS
        named = {"id": f"event {number}", "key": key.decode(), "at": datetime.fromtimestamp(at_ms / 1_000, UTC)}
        label = named | {
            "at": datetime.fromtimestamp(label_ms / 1_000, UTC),
            "label": xs[0] + xs[1] * xs[2] + draw.gauss(0, 0.3) > 0,
        }
        labels.append(Row(LABELS, partition, key, msgspec.json.encode(label), label_ms))
        event = named | dict(zip(self.names, xs, strict=True))
        return Row(EVENTS, partition, key, msgspec.json.encode(event), at_ms)


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


class Waiting:
    """A model, the features that wait for their label, and labels that overtook their event."""

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self.features: dict[str, dict[str, float]] = {}
        self.labels: dict[str, bool] = {}  # stays empty where the inputs are read in the order of their timestamps

    def predict(self, event_id: str, x: dict[str, float]) -> float:
        """P(True), and keep the features; learn at once if the label is there already."""
        probability: float = self.model.predict_proba_one(x).get(True, 0.5)
        if event_id in self.labels:
            self.model.learn_one(x, self.labels.pop(event_id))
        else:
            self.features[event_id] = x
        return probability

    def learn(self, event_id: str, label: bool) -> None:
        """Learn from the features that were predicted on."""
        x = self.features.pop(event_id, None)
        if x is None:
            self.labels[event_id] = label
        else:
            self.model.learn_one(x, label)


class SyntheticLoop:
    """The bare loop: decode, predict, encode; when the label comes, learn."""

    def __init__(self, workload: Synthetic, waiting: Waiting | None = None) -> None:
        self.waiting, self._workload = waiting or Waiting(workload.learner()), workload
        self._decode = msgspec.json.Decoder(workload.event_type()).decode
        self._decode_label = msgspec.json.Decoder(Labelled).decode
        self._encode, self._features = msgspec.json.Encoder().encode, featurizer(workload.names)

    def __getstate__(self) -> dict[str, Any]:
        """What a snapshot holds."""
        return {"workload": self._workload, "waiting": self.waiting}

    def __setstate__(self, state: dict[str, Any]) -> None:
        SyntheticLoop.__init__(self, **state)

    def take(self, topic: str, value: bytes, _timestamp_ms: int) -> bytes | None:
        """Of an event its prediction."""
        if topic == EVENTS:
            event = self._decode(value)
            probability = self.waiting.predict(event.id, self._features(event))
            return self._encode({"id": event.id, "probability": probability})
        label = self._decode_label(value)
        self.waiting.learn(label.id, label.label)
        return None


SYNTHETIC = {each.name: each for each in (Synthetic(m, n) for m in ("logistic", "tree", "forest") for n in (3, 20))}
NAMES = (*SYNTHETIC, "flights")


def workload_of(name: str) -> Workload:
    """The workload of this name."""
    if name == "flights":
        from benchmarks.flights import Flights  # here, because data and windows come with it

        return Flights()
    return SYNTHETIC[name]


def of_environment() -> Workload:
    """The one that this process was started for."""
    return workload_of(os.environ["BENCH_WORKLOAD"])
