"""What some records ask of the models, and all that is put out of them, in order.

A task walks over the records first and asks no model: what came, what waits, which label belongs to what. Then its
agenda is worked off, stage by stage. That takes little more than half the time that it takes record by record, as a
processor runs best in what it has run just before.

    walk      e0 ─▶ Predict   l0 ─▶ Learn   not JSON ─▶ a reject   e1 ─▶ Predict   …
    ask       predict, learn, predict, …: in order, as what is predicted follows from what was learned
    watch     scores and drift: what was predicted, beside what it turned out to be
    say       the outputs, in order
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from models.panel import Drift, ModelError, Panel
from models.pending import PendingEvent
from streams import outputs
from streams.errors import ModelFailed
from streams.outputs import PREDICTION_BYTES_MAX, LabelFound
from streams.ports import Output

Place = tuple[int, int]
"""Of a record: the index of its input, and its offset."""


class Predict(msgspec.Struct, gc=False):
    """Ask the models about an event; put out its features, which are encoded by now, and what the models say."""

    event: PendingEvent
    features: Output
    now_ms: int
    place: Place


class Learn(msgspec.Struct, gc=False):
    """Score and teach the models by the label of an event; put out what became of it."""

    event: PendingEvent
    found: LabelFound
    now_ms: int
    place: Place


class Expire(msgspec.Struct, gc=False):
    """Put out that no label of an event came in time."""

    event: PendingEvent
    now_ms: int


Entry = Predict | Learn | Expire | Output


class Agenda:
    """What is to be done by the models of a task, and put out.

    Parameters
    ----------
    panel
        The models.
    name
        Of the pipeline.
    topic, partition
        Where its events come from.
    """

    def __init__(self, panel: Panel, name: str, topic: str, partition: int) -> None:
        self._panel, self._name, self._topic, self._partition = panel, name, topic, partition
        self.entries: list[Entry] = []
        self._drifts: dict[int, list[Drift]] = {}  # at which entry
        self._said: list[Output] = []

    def work_off(self, drifts: Counter[str]) -> list[Output]:
        """Do all of it, and give the outputs. What drift is seen is counted in ``drifts``.

        Raises ModelFailed, of the first record that a model or a detector fails on.
        """
        entries: Sequence[Entry] = self.entries
        failed: ModelFailed | None = None
        self.entries, self._drifts, self._said = [], {}, []
        for stage in (self._ask, self._watch, self._say):
            try:
                stage(entries)
            except ModelFailed as error:  # in a later stage an earlier record may fail
                entries, failed = _before(error.record, entries), error
        if failed is not None:
            raise failed
        drifts.update(drift.watched for found in self._drifts.values() for drift in found)
        return self._said

    def _ask(self, entries: Sequence[Entry]) -> None:
        predict, learn = self._panel.predict, self._panel.learn
        try:
            for entry in entries:
                if isinstance(entry, Predict):
                    entry.event.predictions = predict(entry.event.features)
                elif isinstance(entry, Learn):
                    learn(entry.event.features, entry.found.label, entry.event.event_time_ms)
        except Exception as error:
            raise self._failed(entry, error) from error

    def _watch(self, entries: Sequence[Entry]) -> None:
        panel = self._panel
        panel.score([(entry.found.label, entry.event.predictions) for entry in entries if isinstance(entry, Learn)])
        if not panel.watches:
            return
        try:
            for number, entry in enumerate(entries):
                if isinstance(entry, Predict):
                    drifts = panel.watch(entry.event.features, entry.event.predictions)
                elif isinstance(entry, Learn):
                    drifts = panel.watch_errors(entry.found.label, entry.event.predictions)
                else:
                    continue
                if drifts:
                    self._drifts[number] = drifts
        except Exception as error:
            raise self._failed(entry, error) from error

    def _say(self, entries: Sequence[Entry]) -> None:
        said, models, topic, partition = self._said, self._panel.models, self._topic, self._partition
        try:
            for number, entry in enumerate(entries):
                if isinstance(entry, Predict):
                    said += entry.features, self._prediction(entry)
                elif isinstance(entry, Learn):
                    said.append(outputs.outcome(entry.event, entry.found, models, topic, partition, entry.now_ms))
                elif isinstance(entry, Expire):
                    said.append(outputs.outcome(entry.event, None, models, topic, partition, entry.now_ms))
                else:
                    said.append(entry)
                if number in self._drifts:
                    said += self._drifted(entry, self._drifts[number])
        except Exception as error:
            raise self._failed(entry, error) from error

    def _prediction(self, entry: Predict) -> Output:
        models, at_ms = self._panel.models, entry.features.timestamp_ms
        prediction = outputs.prediction(entry.event, models, self._topic, self._partition, at_ms)
        if len(prediction.value) > PREDICTION_BYTES_MAX:
            raise ModelError(f"the prediction has more than {PREDICTION_BYTES_MAX:,} bytes")
        return prediction

    def _drifted(self, entry: Entry, drifts: Sequence[Drift]) -> list[Output]:
        assert isinstance(entry, Predict | Learn), "nothing else is watched"
        topic, offset = self._topic, entry.event.offset
        if isinstance(entry, Learn):
            topic, offset = entry.found.topic, entry.found.offset
        return [outputs.drift(drift, topic, self._partition, offset, entry.now_ms) for drift in drifts]

    def _failed(self, entry: Entry, error: Exception) -> ModelFailed:
        assert isinstance(entry, Predict | Learn), "no model is asked about anything else"
        failed = ModelFailed(
            str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}",
            where=f"{self._name}[{self._partition}], record time {entry.now_ms} ms",
            remedy="the record is skipped; give each model a StatImputer for features that may be None",
        )
        failed.record = entry.place
        return failed


def _before(place: Place | None, entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries before those of this record."""
    return entries[: next(n for n, each in enumerate(entries) if getattr(each, "place", None) == place)]
