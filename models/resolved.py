"""What was resolved of late: events whose label has come, remembered so that a second label is known for one.

There may be a million of them, and each checkpoint saves them all. They are kept in the order they came in, in buckets
by time; a bucket that is full is packed once, and let go of as a whole.

    bucket   ░░░░░░ packed   ░░░░░░ packed   ░░░░░░ packed   ░░░ open
    until    gone at once when the last of them is out of date       ▲ now + ttl
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from models.learner import Label

BUCKETS = 64
"""Into how many the time is divided for which events are remembered."""

Resolved = tuple[str, int, Label]
"""The name of an event, the time in ms until which it is remembered, and its label."""

_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(list[Resolved]).decode


class _Bucket:
    __slots__ = ("entries", "first", "packed")

    def __init__(self, entries: list[Resolved], packed: bytes | None = None) -> None:
        self.entries, self.packed = entries, packed
        self.first = 0  # those before made room for others


class ResolvedEvents:
    """Events by name, until it is time to forget them.

    Parameters
    ----------
    ttl_ms
        For how long, in ms of record time.
    events_max
        How many at the most: then the oldest are forgotten sooner.

    Examples
    --------
    >>> resolved = ResolvedEvents(ttl_ms=640, events_max=1_000)
    >>> resolved.add("UA-1545", 640, True)
    >>> resolved.get("UA-1545"), resolved.get("DL-461")
    (('UA-1545', 640, True), None)
    >>> resolved.forget(now_ms=640)
    >>> len(resolved)
    0
    """

    def __init__(self, ttl_ms: int, events_max: int) -> None:
        self._by_name: dict[str, Resolved] = {}
        self._buckets: deque[_Bucket] = deque()
        self._closes_ms = 0  # from when on the open bucket, the last one, is closed
        self._append: Callable[[Resolved], None] = list[Resolved]().append
        self.get = self._by_name.get
        """The event of this name; None if it is not remembered."""
        self.limit(ttl_ms, events_max)

    def limit(self, ttl_ms: int, events_max: int) -> None:
        """Have these limits from now on. Events that are remembered stay so until their time."""
        self._ttl_ms, self._events_max = ttl_ms, events_max
        if self._buckets:
            self._go_on(self._buckets[-1], self._buckets[-1].entries[-1][1])

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._ttl_ms, self._events_max, [self._packed(bucket) for bucket in self._buckets])

    def add(self, name: str, until_ms: int, label: Label) -> None:
        """Remember an event until then: no sooner than the one that was added before."""
        if until_ms >= self._closes_ms:
            self._open(until_ms)
        entry = self._by_name[name] = (name, until_ms, label)
        self._append(entry)
        if len(self._by_name) > self._events_max:
            self._make_room()

    def _open(self, until_ms: int) -> None:
        """Close the bucket that is open, and open the one that this time lies in."""
        if self._buckets:
            self._packed(self._buckets[-1])
        self._buckets.append(_Bucket([]))
        self._go_on(self._buckets[-1], until_ms)

    def _go_on(self, bucket: _Bucket, until_ms: int) -> None:
        """Take events into this bucket, until the one that this time lies in is over."""
        width_ms = max(self._ttl_ms // BUCKETS, 1)
        self._append, self._closes_ms = bucket.entries.append, until_ms - until_ms % width_ms + width_ms

    def _packed(self, bucket: _Bucket) -> bytes:
        if bucket.packed is None or bucket is self._buckets[-1]:
            bucket.packed = _pack(bucket.entries[bucket.first :])
        return bucket.packed

    def _make_room(self) -> None:
        while len(self._by_name) > self._events_max:
            oldest = self._buckets[0]
            self._let_go(oldest.entries[oldest.first])
            oldest.first += 1
            oldest.packed = None
            if oldest.first == len(oldest.entries):
                self._drop()

    def _drop(self) -> _Bucket:
        """Take the oldest bucket out."""
        bucket = self._buckets.popleft()
        if not self._buckets:
            self._closes_ms = 0
        return bucket

    def _let_go(self, entry: Resolved) -> None:
        if self._by_name.get(entry[0]) is entry:  # and no later one of the same name
            del self._by_name[entry[0]]

    def forget(self, now_ms: int) -> None:
        """Let go of the buckets that are out of date by now."""
        while self._buckets and self._buckets[0].entries[-1][1] <= now_ms:
            oldest = self._drop()
            for entry in oldest.entries[oldest.first :]:
                self._let_go(entry)

    def _take(self, packs: Iterable[bytes]) -> None:
        for packed in packs:
            entries = _unpack(packed)
            self._buckets.append(_Bucket(entries, packed))
            self._by_name.update((entry[0], entry) for entry in entries)
        self.limit(self._ttl_ms, self._events_max)


def _restored(ttl_ms: int, events_max: int, packs: list[bytes]) -> ResolvedEvents:
    events = ResolvedEvents(ttl_ms, events_max)
    events._take(packs)
    return events
