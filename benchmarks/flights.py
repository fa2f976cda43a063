"""The flights of examples/flights as a workload: its features, windows, joins and cleaning, one model, one task.

No peer has windows that look back from each event, joins as of its time, or cleaning rules. So each contender is given
those of the example, and runs them with riverrun's own code, as a library. What differs is all around it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.workload import Row, Waiting
from streams.errors import RecordRejected
from streams.featurizer import Featurizer
from streams.intake import Intake
from streams.ports import Record

EXAMPLE = Path(__file__).parents[1] / "examples" / "flights"
MONTHS_ROWS = 25_000
"""Departures a month, at least."""


def example() -> Any:
    """The module examples/flights/flights.py, imported as it is when riverrun runs it."""
    if str(EXAMPLE) not in sys.path:
        sys.path.insert(0, str(EXAMPLE))
    import flights

    return flights


class Flights:
    """The first departures of 2013, with their arrivals and the weather."""

    name, pipeline = "flights", "flights_pipeline.py"
    topics = ("flights.weather", "flights.arrivals", "flights.departures")

    def rows(self, events: int, partitions: int = 1) -> Iterator[Row]:
        """In the order of event time, until so many planes have departed."""
        assert partitions == 1
        example()
        import nycflights
        import source

        from connectors.sources.replay import Replay, Stream

        tables = nycflights.tables(min(events // MONTHS_ROWS + 2, 12))
        streams = [Stream(f"flights.{name}", rows, "origin", source.TIMES[name]) for name, rows in tables.items()]
        departed = 0
        for topic, key, value, timestamp_ms in Replay("bench", streams).messages():
            departed += topic == self.topics[-1]
            if departed > events:
                return
            yield Row(topic, 0, key, value, timestamp_ms)

    def loop(self) -> FlightsLoop:
        """A loop that has seen nothing yet."""
        return FlightsLoop()


class FlightsLoop:
    """Decode, clean, featurize, predict, encode; when the label comes, learn."""

    def __init__(self, waiting: Waiting | None = None) -> None:
        pipeline = example().pipeline
        self.waiting = waiting or Waiting(pipeline.champion.model.clone())
        for table in pipeline.tables:
            table.load()
        self._featurizer, self._target = Featurizer(pipeline), pipeline.target
        self._taken = {
            stream.topic: (stream, Intake(stream), memory)
            for stream, memory in zip(pipeline.inputs, self._featurizer.memories, strict=True)
        }
        self._events, self._labels = pipeline.events, pipeline.labels
        self._encode, self._repairs = msgspec.json.Encoder().encode, Counter[str]()
        self._now_ms = 0

    def __getstate__(self) -> dict[str, Any]:
        """What a snapshot holds: the model, what waits, windows and weather."""
        return {"waiting": self.waiting, "featurizer": self._featurizer.state(), "now_ms": self._now_ms}

    def __setstate__(self, state: dict[str, Any]) -> None:
        FlightsLoop.__init__(self, state["waiting"])
        self._featurizer.restore(state["featurizer"])
        self._now_ms = state["now_ms"]

    def take(self, topic: str, value: bytes, timestamp_ms: int) -> bytes | None:
        """Of a departure its prediction."""
        stream, intake, memory = self._taken[topic]
        now_ms = self._now_ms = max(self._now_ms, timestamp_ms)
        try:
            event, time_ms = intake(Record(0, timestamp_ms, None, value), self._repairs)
        except RecordRejected:
            return None
        said = None
        if stream is self._events:
            x = self._featurizer.features(event, time_ms, now_ms)
            said = self._encode({"id": event.flight_id, "probability": self.waiting.predict(event.flight_id, x)})
        elif stream is self._labels:
            self.waiting.learn(event.flight_id, self._target(event))
        if memory is not None:
            memory.observe(event, time_ms, now_ms)
        return said
