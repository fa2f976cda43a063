"""Declared cleaning rules. Each looks at one typed event and mends it or rejects it; nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

from streams.errors import RecordRejected
from streams.schema import Event


@dataclass(frozen=True)
class Missing:
    """What to do when ``field`` is None or one of ``tokens`` (how the source writes "unknown").

    With ``fill`` the field gets that value; with ``fill=None`` it becomes None, which is then the imputer's business;
    with ``reject=True`` the record is rejected with the reason "missing".

    >>> class Plane(Event):
    ...     tail: str | None = None
    >>> plane = Plane(tail="NA")
    >>> Missing("tail", tokens=("NA", ""))(plane), plane.tail
    ('tail missing', None)
    """

    field: str
    tokens: tuple[Any, ...] = ()
    fill: Any = None
    reject: bool = False

    def __call__(self, event: Event) -> str | None:
        """The repair that was made, in words, or None."""
        value = getattr(event, self.field)
        if value is not None and value not in self.tokens:
            return None
        if self.reject:
            raise RecordRejected(f"{self.field} is missing", reason="missing", field=self.field)
        if value is None and self.fill is None:
            return None
        setattr(event, self.field, self.fill)
        return f"{self.field} missing"


@dataclass(frozen=True)
class Range:
    """What to do when a number lies outside [low, high]: "reject", "clip" to the bound, or make it "missing".

    >>> class Wind(Event):
    ...     mph: float | None
    >>> gale = Wind(mph=1048.4)
    >>> Range("mph", 0, 200, otherwise="missing")(gale), gale.mph
    ('mph out of range', None)
    """

    field: str
    low: float
    high: float
    otherwise: Literal["reject", "clip", "missing"] = "reject"

    def __call__(self, event: Event) -> str | None:
        """The repair that was made, in words, or None."""
        value = getattr(event, self.field)
        if value is None or self.low <= value <= self.high:
            return None
        if self.otherwise == "reject":
            raise RecordRejected(
                f"{self.field} is {value}, outside [{self.low}, {self.high}]", reason="out_of_range", field=self.field
            )
        clipped = type(value)(min(max(value, self.low), self.high))
        setattr(event, self.field, clipped if self.otherwise == "clip" else None)
        return f"{self.field} out of range"


@dataclass(frozen=True)
class Category:
    """What to do when a text is none of ``known``: "reject", make it "missing", or call it ``other``.

    >>> class Departure(Event):
    ...     carrier: str | None
    >>> departure = Departure(carrier="ZZ")
    >>> Category("carrier", {"UA", "DL"}, otherwise="other")(departure), departure.carrier
    ('carrier unknown', 'other')
    """

    field: str
    known: Collection[str]
    otherwise: Literal["reject", "missing", "other"] = "reject"
    other: str = "other"

    def __call__(self, event: Event) -> str | None:
        """The repair that was made, in words, or None."""
        value = getattr(event, self.field)
        if value is None or value in self.known:
            return None
        if self.otherwise == "reject":
            raise RecordRejected(f"{self.field} is {value!r}, not known", reason="unknown_category", field=self.field)
        setattr(event, self.field, self.other if self.otherwise == "other" else None)
        return f"{self.field} unknown"


@dataclass(frozen=True)
class Require:
    """Reject, with ``reason``, what an importable function of the event does not hold true for.

    >>> class Trip(Event):
    ...     start: int
    ...     end: int
    >>> def ends_after_start(trip):
    ...     return trip.end >= trip.start
    >>> Require(ends_after_start, reason="ends_before_start")(Trip(start=2, end=1))
    Traceback (most recent call last):
        ...
    streams.errors.RecordRejected: ends_after_start does not hold
    """

    holds: Callable[[Any], bool]
    reason: str
    field: str = ""

    def __call__(self, event: Event) -> str | None:
        """None: a requirement mends nothing."""
        if not self.holds(event):
            raise RecordRejected(f"{self.holds.__name__} does not hold", reason=self.reason, field=self.field)
        return None


CleaningRule = Missing | Range | Category | Require
