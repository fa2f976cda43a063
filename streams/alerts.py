"""Alerts: what is watched in the merged reports of a pipeline, and whether it is beyond its bound.

    windows   8:00   9:00   10:00  11:00  12:00     judged once each, in order, when all tasks have reported
    measure   0.01   0.20   0.30   0.02   0.01      of the newest ``over`` windows
    above 0.1         ×      ×                      windows=2: it begins with 10:00 and ends with 11:00

What comes of the same reports is the same, whoever works it out and when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from streams.measures import Measure
from streams.merging import Reports, Window
from streams.records import AlertRecord


@dataclass(frozen=True)
class Alert:
    """Something that somebody wants to be told of.

    Parameters
    ----------
    name
        What it is called.
    measure
        The number that is watched: see streams/measures.py.
    above, below
        The bound: one of the two. A number that is equal to it is not beyond.
    over
        The number is taken over so many windows, up to the one that is judged. A window is one ``report_every``.
    windows
        It begins when the number was beyond the bound in so many windows in a row, and ends with the first that is not.
    pauses
        Whether no model learns while it lasts: see infra/monitor/pausing.py.

    Examples
    --------
    >>> from streams.measures import rejects
    >>> alert = Alert("many rejects", rejects(), above=0.1, windows=2)
    >>> alert.bound, alert.beyond(0.2), alert.beyond(0.1)
    ('above 0.1', True, False)
    """

    name: str
    measure: Measure
    above: float | None = None
    below: float | None = None
    over: int = 1
    windows: int = 1
    pauses: bool = False

    @property
    def bound(self) -> str:
        """The bound in words."""
        return f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"

    def beyond(self, value: float) -> bool:
        """Whether a number is beyond the bound."""
        if self.above is not None:
            return value > self.above
        return self.below is not None and value < self.below


class Standing(msgspec.Struct):
    """How an alert stands.

    ``judged_time_ms`` is the end of the newest window that was judged; ``beyond`` how many windows in a row, up to it,
    were beyond the bound.
    """

    judged_time_ms: int | None = None
    beyond: int = 0
    lasts: bool = False


def judge(alert: Alert, standing: Standing, reports: Reports) -> Iterator[AlertRecord]:
    """Judge all windows that can be and were not, and give what is to be told: that it has begun, or is over.

    A window without anything to measure changes nothing. ``standing`` is brought up to date.
    """
    for window in _not_judged(standing, reports):
        standing.judged_time_ms = window[1]
        value = alert.measure.of(reports, window, alert.over)
        if value is None:
            continue
        standing.beyond = standing.beyond + 1 if alert.beyond(value) else 0
        lasts = standing.beyond >= (1 if standing.lasts else alert.windows)
        if lasts != standing.lasts:
            standing.lasts = lasts
            yield _told(alert, window, value, lasts, reports)


def _not_judged(standing: Standing, reports: Reports) -> list[Window]:
    """In order, up to the first that is not settled."""
    left = []
    for window in reversed(reports.windows):
        if standing.judged_time_ms is not None and window[1] <= standing.judged_time_ms:
            break
        left.append(window)
    settled = []
    for window in reversed(left):
        if not reports.settled(window):
            break
        settled.append(window)
    return settled


def _told(alert: Alert, window: Window, value: float, lasts: bool, reports: Reports) -> AlertRecord:
    return AlertRecord(
        alert=f"{alert.name} {'from' if lasts else 'until'} {window[1]}",
        name=alert.name,
        lasts=lasts,
        window_start_time_ms=window[0],
        window_end_time_ms=window[1],
        measure=alert.measure.title,
        value=value,
        bound=alert.bound,
        over=alert.over,
        waiting=reports.waiting(window),
    )
