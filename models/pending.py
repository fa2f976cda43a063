"""Pair each prediction with its late label, once. No Kafka, clock or disk.

An event waits here with the features it was predicted on. What a label meets decides what becomes of it:

    event ──▶ pending ──label──▶ resolved ──▶ forgotten     label again: duplicate (same value) or corrected
                 └──ttl_ms─────▶ expired                    label now: orphan
    label ──▶ held (early) ──event──▶ resolved
                 └──ttl_ms──▶ orphan

Time is the records' own, the highest seen so far, so expiry is the same in every replay.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from models.learner import Features, Label, Prediction
from models.resolved import ResolvedEvents

Met = Literal["scored", "held", "duplicate", "corrected", "orphan", "early"]


class PendingEvent(msgspec.Struct, gc=False, array_like=True):
    """An event that waits for its label: its name, key, time and offset, the frozen features, what each model said."""

    event_id: str
    key: bytes | None
    event_time_ms: int
    offset: int
    features: Features
    predictions: tuple[Prediction, ...]


class HeldLabel(NamedTuple):
    """A label that came before its event, with its record (offset, time, raw key and value) should no event come."""

    label: Label
    label_time_ms: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class PendingLabels:
    """Events that wait for labels, labels that wait for events, and what was resolved of late.

    Parameters
    ----------
    ttl_ms
        How long an event waits for its label, and a label is remembered, in ms of record time.
    pending_max
        How many events may wait at once; beyond it the oldest expire early.
    hold_early
        Whether a label that comes before its event waits for it.

    Examples
    --------
    >>> waiting = PendingLabels(ttl_ms=1_000)
    >>> waiting.add(PendingEvent("UA-1545", b"EWR", 0, 7, {"x": 1.0}, ()), now_ms=0)
    >>> waiting.match("UA-1545", True, now_ms=10)[0]
    'scored'
    >>> waiting.resolve("UA-1545", True, now_ms=10)
    >>> [waiting.match("UA-1545", label, now_ms=20)[0] for label in (True, False)]
    ['duplicate', 'corrected']
    """

    ttl_ms: int
    pending_max: int = 1_000_000
    hold_early: bool = False
    pending: OrderedDict[str, tuple[int, PendingEvent]] = field(default_factory=OrderedDict)
    held: OrderedDict[str, tuple[int, HeldLabel]] = field(default_factory=OrderedDict)
    resolved: ResolvedEvents = field(init=False)

    def __post_init__(self) -> None:
        self.resolved = ResolvedEvents(self.ttl_ms, self.pending_max)

    def __len__(self) -> int:
        return len(self.pending)

    def go_on_from(self, kept: PendingLabels) -> None:
        """Take over what waits and what is remembered elsewhere; the limits stay those of here."""
        self.pending, self.held, self.resolved = kept.pending, kept.held, kept.resolved
        self.resolved.limit(self.ttl_ms, self.pending_max)

    def __reduce__(self) -> tuple[Any, ...]:
        kept = _Kept(list(self.pending.values()), list(self.held.items()))
        return _restored, (self.ttl_ms, self.pending_max, self.hold_early, _pack(kept), self.resolved)

    @property
    def overfull(self) -> bool:
        """Whether more events, or more early labels, wait than may: ``expire`` lets the oldest go."""
        return len(self.pending) > self.pending_max or len(self.held) > self.pending_max

    def knows(self, event_id: str, now_ms: int) -> bool:
        """Whether this event is waiting, or was resolved less than ``ttl_ms`` ago."""
        if event_id in self.pending:
            return True
        past = self.resolved.get(event_id)
        return past is not None and past[1] > now_ms

    def add(self, event: PendingEvent, now_ms: int) -> None:
        """Let the event wait for its label. The caller has asked ``knows`` before."""
        assert event.event_id not in self.pending, "caller rejects an event it knows"
        self.pending[event.event_id] = (now_ms + self.ttl_ms, event)

    def match(self, event_id: str, label: Label, now_ms: int) -> tuple[Met, PendingEvent | None]:
        """What this label meets. Changes nothing."""
        waiting = self.pending.get(event_id)
        if waiting is not None:
            return "scored", waiting[1]
        past = self.resolved.get(event_id)
        if past is not None and past[1] > now_ms:
            return ("duplicate" if past[2] == label else "corrected"), None
        if event_id in self.held:
            return ("duplicate" if self.held[event_id][1].label == label else "corrected"), None
        return ("held" if self.hold_early else "orphan"), None

    def resolve(self, event_id: str, label: Label, now_ms: int) -> None:
        """The label came: stop waiting, remember it for ``ttl_ms`` so that a second one is known."""
        del self.pending[event_id]
        self.resolved.add(event_id, now_ms + self.ttl_ms, label)

    def hold(self, event_id: str, label: HeldLabel, now_ms: int) -> None:
        """Let an early label wait for its event."""
        self.held[event_id] = (now_ms + self.ttl_ms, label)

    def take_held(self, event_id: str) -> HeldLabel | None:
        """The early label of an event that has come now, if there is one."""
        waiting = self.held.pop(event_id, None)
        return None if waiting is None else waiting[1]

    def move_predictions(self, places: Sequence[int | None]) -> None:
        """The models changed: give each its own predictions again, by their former places; a new one made none."""
        for event_id, (until_ms, event) in self.pending.items():
            moved = tuple([Prediction(None) if place is None else event.predictions[place] for place in places])
            self.pending[event_id] = (until_ms, msgspec.structs.replace(event, predictions=moved))

    def expires_ms(self, now_ms: int) -> int:
        """Until when, by what is known at ``now_ms``, nothing will have waited too long."""
        heads = [next(iter(waiting.values()))[0] for waiting in (self.pending, self.held) if waiting]
        return min(heads, default=now_ms + self.ttl_ms)

    def expire(self, now_ms: int) -> tuple[list[PendingEvent], list[tuple[str, HeldLabel]]]:
        """Let go of what has waited too long: the events without a label, and the labels without an event."""
        events: list[PendingEvent] = []
        labels: list[tuple[str, HeldLabel]] = []
        while self.pending and (next(iter(self.pending.values()))[0] <= now_ms or len(self.pending) > self.pending_max):
            events.append(self.pending.popitem(last=False)[1][1])
        while self.held and (next(iter(self.held.values()))[0] <= now_ms or len(self.held) > self.pending_max):
            event_id, (_, label) = self.held.popitem(last=False)
            labels.append((event_id, label))
        return events, labels


class _Kept(msgspec.Struct, array_like=True, gc=False):
    """All that waits, as it is pickled: MessagePack is ten times as quick as pickle with so many small objects."""

    pending: list[tuple[int, PendingEvent]]
    held: list[tuple[str, tuple[int, HeldLabel]]]


_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(_Kept).decode


def _restored(
    ttl_ms: int, pending_max: int, hold_early: bool, packed: bytes, resolved: ResolvedEvents
) -> PendingLabels:
    kept, waiting = _unpack(packed), PendingLabels(ttl_ms, pending_max, hold_early)
    waiting.pending.update((event.event_id, (until_ms, event)) for until_ms, event in kept.pending)
    waiting.held.update(kept.held)
    waiting.resolved = resolved
    return waiting
