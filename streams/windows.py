"""Windows over event time: how often, how much on average, at which rate, per key, in the time just past.

    now - over                     now
        (────────────────────────────]        an event at `now` sees what came before it, not itself
          x     x  x        x     x           mean, count and rate of these

`now` is the highest record time the task has seen. Late events are counted as long as they lie inside the window, and
early ones (clocks differ) as long as they lie ahead by no more than its length: a date in the year 9999 would stay.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from streams.inputs import Input

KEYS_MAX = 1_000_000
"""The keys a window, or a reference, may hold. A record with one more is rejected: is its key a category at all?"""

_TIME_UNKNOWN_MS = -(2**62)


@dataclass(frozen=True, eq=False)
class WindowSpec:
    """A window of one input, per key: ``departures.window(by="origin", over=timedelta(hours=1))``."""

    source: Input[Any]
    by: tuple[str, ...]
    over: timedelta

    def mean(self, field: str) -> Aggregate:
        """Mean of a numeric field; None when the window is empty. Missing values are left out."""
        return self._declare("mean", field)

    def count(self) -> Aggregate:
        """Number of events; 0 when the window is empty."""
        return self._declare("count", None)

    def rate(self) -> Aggregate:
        """Events per hour, over the whole length of the window."""
        return self._declare("rate", None)

    def _declare(self, what: Literal["mean", "count", "rate"], field: str | None) -> Aggregate:
        aggregate = Aggregate(self, what, field)
        if all(known.name != aggregate.name for known in self.source.aggregates):  # else each event would count twice
            self.source.aggregates.append(aggregate)
        return aggregate


@dataclass(frozen=True, eq=False)
class Aggregate:
    """What is asked of a window. Read it in the feature function: ``now[aggregate]``."""

    window: WindowSpec
    what: Literal["mean", "count", "rate"]
    field: str | None

    @cached_property
    def key_of(self) -> Callable[[Any], Any]:
        """The window's key in a record: the value of its field, a tuple where it is kept by several."""
        return attrgetter(*self.window.by)

    @cached_property
    def name(self) -> str:
        """Says what it is, and is the same for two declarations of the same: they share their state."""
        over = f"{self.window.over.total_seconds():.15g}s"
        return (
            f"{self.what}({self.field or '*'}) of {self.window.source.topic} by {','.join(self.window.by)} over {over}"
        )


@dataclass(slots=True)
class WindowState:
    """Running sums of one window, for all keys. Memory is what the window holds: old entries leave as time passes.

    Examples
    --------
    >>> window = WindowState(over_ms=1_000)
    >>> window.add(0, "JFK", 10.0); window.add(600, "JFK", 20.0)
    >>> window.advance(900); window.mean("JFK"), window.count("JFK")
    (15.0, 2)
    >>> window.advance(1_000); window.mean("JFK"), window.count("JFK")
    (20.0, 1)
    >>> window.advance(5_000); window.mean("JFK") is None
    True
    """

    over_ms: int
    entries: deque[tuple[int, Any, float]] = field(default_factory=deque)
    sums: dict[Any, list[float]] = field(default_factory=dict)  # key -> [count, sum, what the sum was rounded by]
    now_ms: int = _TIME_UNKNOWN_MS

    def add(self, time_ms: int, key: Any, value: float) -> None:
        """Count a value at its event time, unless that has left the window already, or is not near yet."""
        now_ms, over_ms = self.now_ms, self.over_ms
        if time_ms <= now_ms - over_ms or (time_ms > now_ms + over_ms and now_ms != _TIME_UNKNOWN_MS):
            return
        entries = self.entries
        if not entries or time_ms >= entries[-1][0]:
            entries.append((time_ms, key, value))
        else:
            insort(entries, (time_ms, key, value), key=_time_of)
        sums = self.sums.get(key)
        if sums is None:
            assert len(self.sums) < KEYS_MAX, "caller asks `admits` before"
            self.sums[key] = [1, value, 0.0]
        else:
            sums[0] += 1
            _add(sums, value)

    def admits(self, key: Any, now_ms: int) -> bool:
        """Whether there is room for this key. Raises TypeError for what can be none, such as a list."""
        if key in self.sums or len(self.sums) < KEYS_MAX:
            return True
        self.advance(now_ms)
        return len(self.sums) < KEYS_MAX

    def advance(self, now_ms: int) -> None:
        """Let go of what is older than the window at ``now_ms``."""
        if now_ms <= self.now_ms:
            return
        self.now_ms = now_ms
        entries, horizon_ms = self.entries, now_ms - self.over_ms
        while entries and entries[0][0] <= horizon_ms:
            _, key, value = entries.popleft()
            sums = self.sums[key]
            if sums[0] == 1:
                del self.sums[key]
            else:
                sums[0] -= 1
                _add(sums, -value)

    def mean(self, key: Any) -> float | None:
        """Mean of the key's values, None without any."""
        sums = self.sums.get(key)
        return None if sums is None else (sums[1] + sums[2]) / sums[0]

    def count(self, key: Any) -> int:
        """Number of the key's values."""
        sums = self.sums.get(key)
        return 0 if sums is None else int(sums[0])

    def rate(self, key: Any) -> float:
        """The key's values per hour."""
        return self.count(key) * 3_600_000 / self.over_ms


def _add(sums: list[float], value: float) -> None:
    """Add to the sum, and what is lost by rounding to the correction beside it: a huge value leaves no trace.

    References: Knuth, "The Art of Computer Programming", vol. 2, 4.2.2, theorem B (TwoSum).
    """
    total = sums[1]
    rounded = total + value
    added = rounded - total
    sums[1] = rounded
    sums[2] += (total - (rounded - added)) + (value - added)


def _time_of(entry: tuple[int, Any, float]) -> int:
    return entry[0]
