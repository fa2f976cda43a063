"""Cut what was fetched into batches, in the one canonical order.

The order is a k-way merge of the inputs by (record timestamp, the input's place in the declaration), each partition's
own order kept. A batch takes records only while every input that could still hold an older one shows its next record:

    departures   8:00  8:05        9:10
    arrivals           8:03  8:30              <- nothing more fetched: 9:10 waits, until the next arrival is seen
    weather      7:51              8:51  9:51     or arrivals is known to be idle

So the order is the same however the records were fetched, and that of a batch follows from its ranges alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from streams.errors import RecordRejected
from streams.ports import Record

Range = tuple[int, int]
"""[first offset, next offset): offsets in between may be missing (markers of transactions)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one task steps over in one transaction.

    ``records`` are (index of the input in the declaration, record) in canonical order; ``ranges`` has one entry an
    input, also for those that nothing was taken from. ``skipped`` maps (index, offset) of records that must not be
    stepped over to why: they are rejected.
    """

    ranges: tuple[Range, ...]
    records: list[tuple[int, Record]]
    skipped: Mapping[tuple[int, int], RecordRejected] = field(default_factory=dict)


class InputBuffers:
    """The fetched records of one task, by input, that no batch has taken yet.

    Examples
    --------
    >>> buffers = InputBuffers([0, 0])
    >>> buffers.add(0, [Record(0, 100, None, b"a"), Record(1, 300, None, b"b")])
    >>> buffers.add(1, [Record(0, 200, None, b"c")])
    >>> [record.value for _, record in buffers.cut(10, idle=()).records]
    [b'a', b'c']
    >>> [record.value for _, record in buffers.cut(10, idle=[1]).records]
    [b'b']
    """

    def __init__(self, next_offsets: Sequence[int], urgent: int | None = None) -> None:
        self._urgent = urgent  # an input whose records come first, whatever their time, and that is never waited for
        self._queues: list[deque[Record]] = [deque() for _ in next_offsets]
        self._next = list(next_offsets)  # first offset that no batch has taken
        self._end: list[int | None] = [None] * len(next_offsets)

    def add(self, index: int, records: Iterable[Record], end_offset: int | None = None) -> None:
        """Take in what was fetched of an input; ``end_offset`` if it was read to its end."""
        self._queues[index].extend(records)
        self._end[index] = end_offset

    def waiting(self, index: int) -> int:
        """Records of this input that wait here."""
        return len(self._queues[index])

    def at_end(self, index: int) -> bool:
        """Whether nothing waits and the input was read to its end."""
        return not self._queues[index] and self._end[index] is not None

    def read_to(self, index: int) -> int | None:
        """The end of the input's log if it was read to it, None if there is more to fetch."""
        return self._end[index]

    @property
    def trailing(self) -> bool:
        """Whether offsets without records (markers, aborted records) are all that is left before the ends."""
        if any(self._queues) or None in self._end:
            return False
        return any(end is not None and end > start for end, start in zip(self._end, self._next, strict=True))

    def cut(self, records_max: int, idle: Collection[int], settle: bool = False) -> Batch:
        """The next batch. Inputs in ``idle`` are not waited for.

        The batch is empty, and its ranges too, when an input has to be waited for; with ``settle`` an empty batch takes
        the trailing offsets, so that the group's lag comes to 0.
        """
        queues = self._queues
        taken: list[tuple[int, Record]] = []
        starts = tuple(self._next)
        if self._urgent is not None:
            idle = {*idle, self._urgent}
            while queues[self._urgent] and len(taken) < records_max:
                record = queues[self._urgent].popleft()
                self._next[self._urgent] = record.offset + 1
                taken.append((self._urgent, record))
        while len(taken) < records_max:
            best, best_ms = -1, 0
            for index, queue in enumerate(queues):
                if queue:
                    timestamp_ms = queue[0][1]
                    if best < 0 or timestamp_ms < best_ms:
                        best, best_ms = index, timestamp_ms
                elif index not in idle:
                    best = -1
                    break
            if best < 0:
                break
            record = queues[best].popleft()
            self._next[best] = record.offset + 1
            taken.append((best, record))
        if taken or settle:
            self._skip_markers()
        return Batch(tuple(zip(starts, self._next, strict=True)), taken)

    def _skip_markers(self) -> None:
        """What lies between an input's last record and its end holds no records."""
        for index, end in enumerate(self._end):
            if end is not None and not self._queues[index]:
                self._next[index] = max(self._next[index], end)


def merge(ranges: Sequence[Range], records: Sequence[Iterable[Record]], urgent: int | None = None) -> Batch:
    """The batch of these ranges, from the records of each input in them."""
    buffers = InputBuffers([first for first, _ in ranges], urgent)
    for index, (_, next_offset) in enumerate(ranges):
        buffers.add(index, records[index], end_offset=next_offset)
    batch = buffers.cut(2**62, idle=range(len(ranges)))
    return Batch(tuple(ranges), batch.records)
