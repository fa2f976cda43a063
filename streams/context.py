"""What a feature function may know besides its event: windows, reference streams, tables, and the time."""

from __future__ import annotations

from typing import Any

from streams.inputs import Reference
from streams.joins import AsOfState, R, Table
from streams.schema import E, Event
from streams.windows import Aggregate, WindowState


class Context:
    """The world as known when an event happened. Reading it changes no answer.

    ``now[aggregate]`` reads a window at the event's own key: the fields that the window is kept ``by``.
    """

    __slots__ = ("_as_of", "_windows", "event", "now_ms", "time_ms")

    def __init__(self, windows: dict[str, WindowState], as_of: dict[str, AsOfState[Any]]) -> None:
        self._windows, self._as_of = windows, as_of
        self.event: Event | None = None
        self.time_ms = 0
        """Event time of the event, ms since the Unix epoch."""
        self.now_ms = 0
        """The task's time: the highest record time seen. Windows end here."""

    def __getitem__(self, aggregate: Aggregate) -> float | None:
        return self.read(aggregate, aggregate.key_of(self.event))

    def read(self, aggregate: Aggregate, key: Any) -> float | None:
        """A window at a key of choice: a value, or a tuple where it is kept by several fields."""
        state = self._windows[aggregate.name]
        state.advance(self.now_ms)
        if aggregate.what == "mean":
            return state.mean(key)
        return state.count(key) if aggregate.what == "count" else state.rate(key)

    def as_of(self, reference: Reference[E], key: Any) -> E | None:
        """The reference row last observed for the key at the event's time, or None."""
        return self._as_of[reference.topic].at(key, self.time_ms)

    def look_up(self, table: Table[R], key: Any) -> R | None:
        """The table's row of this key, or None."""
        return table.get(key)
