"""From a typed event to the features that the models see, and the state that features look at."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from models.learner import Features
from streams.context import Context
from streams.errors import RecordRejected
from streams.inputs import AnyInput, Reference
from streams.joins import AsOfState
from streams.pipeline import Pipeline
from streams.schema import NUMBER_MAX, Event
from streams.windows import KEYS_MAX, WindowState


class Memory:
    """What is remembered of an input's events: in windows, or as the newest row of a reference."""

    def __init__(self, stream: AnyInput, windows: dict[str, WindowState], rows: AsOfState[Any] | None) -> None:
        self._windows = [(windows[each.name], each.field, each.key_of, each.window.by) for each in stream.aggregates]
        self._rows, self._key = rows, stream.key

    @classmethod
    def of(cls, stream: AnyInput, windows: dict[str, WindowState], as_of: dict[str, AsOfState[Any]]) -> Memory | None:
        """The memory of this input; None if nothing is remembered."""
        rows = as_of[stream.topic] if isinstance(stream, Reference) else None
        return cls(stream, windows, rows) if stream.aggregates or rows is not None else None

    def admit(self, event: Event, now_ms: int) -> None:
        """Raise RecordRejected when ``observe`` could not remember this event: a key too many, or what is no key."""
        try:
            for window, _, key_of, by in self._windows:
                if not window.admits(key_of(event), now_ms):
                    raise _too_many(",".join(by))
            if self._rows is not None and not self._rows.admits(getattr(event, self._key)):
                raise _too_many(self._key)
        except TypeError as error:
            raise RecordRejected(f"no key of a window or a join: {error}", reason="schema") from error

    def observe(self, event: Event, time_ms: int, now_ms: int) -> None:
        """Remember an event, after it was used itself."""
        for window, field, key_of, _ in self._windows:
            value = 1.0 if field is None else getattr(event, field)
            if value is not None:
                window.advance(now_ms)
                window.add(time_ms, key_of(event), value)
        if self._rows is not None:
            self._rows.put(getattr(event, self._key), time_ms, event, now_ms)


class Featurizer:
    """Keeps a task's windows and reference rows, and calls the pipeline's feature function.

    ``memories`` has one entry an input.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._function, self._inputs = pipeline.features, pipeline.inputs
        self._keep_missing = pipeline.missing == "keep"
        self.windows = {
            aggregate.name: WindowState(round(aggregate.window.over.total_seconds() * 1000))
            for stream in pipeline.inputs
            for aggregate in stream.aggregates
        }
        self.as_of: dict[str, AsOfState[Any]] = {stream.topic: AsOfState() for stream in pipeline.references}
        self._names: tuple[str, ...] = ()
        self._given: tuple[str, ...] = ()
        self._pick: Any = lambda _: ()
        self._wire()

    def _wire(self) -> None:
        self._now = Context(self.windows, self.as_of)
        self.memories = [Memory.of(stream, self.windows, self.as_of) for stream in self._inputs]

    def features(self, event: Event, time_ms: int, now_ms: int) -> Features:
        """The event's features, checked, in the canonical order: by name.

        Raises RecordRejected when the feature function fails on this event, or returns what no model can use.
        """
        now = self._now
        now.event, now.time_ms, now.now_ms = event, time_ms, now_ms
        try:
            features = self._function(event, now)
        except Exception as error:
            raise RecordRejected(
                f"features() raised {type(error).__name__}: {error}", reason="features_failed"
            ) from error
        finally:
            now.event = None
        if not isinstance(features, dict):
            raise RecordRejected(f"features() gave a {type(features).__name__}, not a dict", reason="feature_type")
        names = self._names
        if tuple(features) != self._given:
            names = self._put_in_order(features)
        values = self._pick(features)
        for value in values:
            if type(value) is not float or not -NUMBER_MAX <= value <= NUMBER_MAX:
                return self._checked(names, values)
        return dict(zip(names, values, strict=True))

    def _checked(self, names: tuple[str, ...], values: tuple[Any, ...]) -> Features:
        """Features that are not all numbers with a fraction."""
        checked: Features = {}
        for name, value in zip(names, values, strict=True):
            kind = type(value)
            if kind is float or kind is int:
                if not -NUMBER_MAX <= value <= NUMBER_MAX:
                    said = value if kind is float else f"an integer of {value.bit_length()} bits"
                    raise RecordRejected(f"feature {name} is {said}", reason="feature_out_of_range", field=name)
            elif value is None:
                if not self._keep_missing:
                    continue
            elif kind is not str and kind is not bool:
                raise RecordRejected(
                    f"feature {name} is a {kind.__name__}, not a number, bool or text",
                    reason="feature_type",
                    field=name,
                )
            checked[name] = value
        return checked

    def _put_in_order(self, features: Features) -> tuple[str, ...]:
        """The names of the features in canonical order, remembered for the next event."""
        for name in features:
            if not isinstance(name, str):
                raise RecordRejected(f"feature {name!r} has no text for a name", reason="feature_type")
        names = self._names = tuple(sorted(features))
        self._given = tuple(features)
        self._pick = itemgetter(*names) if len(names) > 1 else lambda row: tuple([row[name] for name in names])
        return names

    def state(self) -> dict[str, Any]:
        """Windows and reference rows, to be pickled before the next call."""
        return {"windows": self.windows, "as_of": self.as_of}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state. Windows and references declared since then start empty."""
        self.windows |= {name: window for name, window in state["windows"].items() if name in self.windows}
        self.as_of |= {topic: rows for topic, rows in state["as_of"].items() if topic in self.as_of}
        self._wire()


def _too_many(field: str) -> RecordRejected:
    what = f"more than {KEYS_MAX:,} values of {field} are remembered: is it a category?"
    return RecordRejected(what, reason="too_many_keys", field=field)
