"""The inputs a pipeline declares: events to predict on, their labels, and reference streams to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Literal

from streams.cleaning import CleaningRule
from streams.schema import E
from streams.windows import Aggregate, WindowSpec


@dataclass(frozen=True, eq=False)
class Input(Generic[E]):
    """A topic of typed JSON records.

    Parameters
    ----------
    topic
        Its name.
    type
        The records' type, an ``Event``.
    key
        The field that decides the partition. All inputs of a pipeline are keyed alike, so that one task sees all that
        belongs together.
    time
        The field with the event time: a datetime with a zone, or ms since the Unix epoch.
    clean
        Rules applied to each record, in this order.
    """

    topic: str
    type: type[E]
    key: str
    time: str
    clean: Sequence[CleaningRule] = ()
    aggregates: list[Aggregate] = field(default_factory=list, init=False, repr=False)

    def window(self, by: str | tuple[str, ...], over: timedelta) -> WindowSpec:
        """A window over the time just past, per value of the field (or fields) ``by``."""
        return WindowSpec(self, (by,) if isinstance(by, str) else tuple(by), over)


@dataclass(frozen=True, eq=False, kw_only=True)
class Events(Input[E]):
    """What is predicted on. ``id`` is the field that names an event; a second event of the same name is rejected."""

    id: str


@dataclass(frozen=True, eq=False)
class Reference(Input[E]):
    """What is looked at: ``now.as_of(reference, key)`` is the row last observed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Labels(Input[E]):
    """What the events turned out to be.

    Parameters
    ----------
    joins
        The field that holds the event's ``id``.
    expire_after
        How long an event waits. Then it is expired: counted, reported, never learned from.
    early
        A label that comes before its event: "hold" it for as long, or "reject" it.
    orphan, duplicate, corrected
        A label without an event; a second label, the same; a second label, another (the first one counts). Each is
        counted, and with "reject" also sent to the rejects topic.
    """

    joins: str
    expire_after: timedelta
    early: Literal["hold", "reject"] = "reject"
    orphan: Literal["reject", "ignore"] = "reject"
    duplicate: Literal["reject", "ignore"] = "reject"
    corrected: Literal["reject", "ignore"] = "reject"
    pending_max: int = 1_000_000


AnyInput = Input[Any]
