"""Which record kills the process? Found by trying a batch again, then its records one by one. Decides; does no I/O.

    batch dies, dies again ──▶ careful: a record a batch ──▶ a record dies, dies again ──▶ skipped, rejected
                                   └── none died, the batch's end is reached ──▶ batches again

Only a death *within* a step counts: the attempt is noted before it and forgotten after it. How a stream is cut into
batches changes no output, so being careful is not seen from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from streams.batch import Batch
from streams.errors import RecordRejected
from streams.ports import Attempts

TRIES = 2
"""Deaths of the same batch before it is taken record by record; deaths of a record before it is skipped."""


class Attempt(msgspec.Struct, frozen=True):
    """A step that was begun: how often now, the batch's first record and its ends, where being careful ends.

    ``first`` is (index of the input, offset): it says which batch it was, for a batch is cut where its inputs stand.
    """

    tries: int
    first: tuple[int, int]
    ends: tuple[int, ...]
    careful_until: tuple[int, ...] | None = None


@dataclass(slots=True)
class Caution:
    """One task's memory of steps that did not return.

    Examples
    --------
    >>> from streams.ports import Record
    >>> kept = {}
    >>> class Kept:
    ...     load = lambda _, partition: kept.get(partition)
    ...     save = lambda _, partition, attempt: kept.update({partition: attempt})
    ...     clear = lambda _, partition: kept.pop(partition)
    >>> batch = Batch(((0, 5),), [(0, Record(0, 1_000, None, b"{}"))])
    >>> for _ in range(2):  # begun twice, never done: the process died
    ...     Caution.after_restart(Kept(), 0, positions=(0,)).begin(batch)
    >>> Caution.after_restart(Kept(), 0, positions=(0,)).records_max((0,), 1_000)
    1
    """

    store: Attempts
    partition: int
    last: Attempt | None = None
    careful_until: tuple[int, ...] | None = None
    wary_until: tuple[int, ...] = ()

    @classmethod
    def after_restart(cls, store: Attempts, partition: int, positions: Sequence[int]) -> Caution:
        """What is known when a task comes back that goes on at these offsets."""
        raw = store.load(partition)
        try:
            last = msgspec.json.decode(raw, type=Attempt) if raw else None
        except msgspec.MsgspecError:  # torn by a power cut: then the process did not die of a record
            last = None
        if last is None or positions[last.first[0]] > last.first[1]:  # that batch was committed after all
            return cls(store, partition)
        careful = last.careful_until
        if careful is None and last.tries >= TRIES:
            careful = last.ends
        return cls(store, partition, last, careful, last.ends)

    def records_max(self, positions: tuple[int, ...], usual: int) -> int:
        """How many records the next batch may have, from these positions."""
        if self.careful_until is None:
            return usual
        if all(position >= until for position, until in zip(positions, self.careful_until, strict=True)):
            self.careful_until = None
            return usual
        return 1

    def wary(self, positions: tuple[int, ...]) -> bool:
        """Whether the batch that starts here may be the one that the process died of, or come before it.

        Then what lies before it should be committed first: else the next process would not come as far again.
        """
        wary = any(position < until for position, until in zip(positions, self.wary_until, strict=False))
        return wary or self.careful_until is not None

    def _tries(self, batch: Batch) -> int:
        """How often this batch, or in careful times this record, was begun and not done.

        A batch that holds the first record of the one before counts as the same: what that one came behind was not
        committed yet, so it is cut from an earlier place now.
        """
        last, careful = self.last, self.careful_until is not None
        if last is None or careful != (last.careful_until is not None):
            return 0
        index, offset = last.first
        start, end = batch.ranges[index]
        same = last.first == _first(batch) if careful else start <= offset < end
        return last.tries if same else 0

    def verdict(self, batch: Batch) -> Literal["try", "skip"]:
        """Whether the one record of this batch has killed the process often enough."""
        return "skip" if self.careful_until is not None and self._tries(batch) >= TRIES else "try"

    def begin(self, batch: Batch) -> None:
        """Note that this batch is stepped over now."""
        ends = tuple(next_offset for _, next_offset in batch.ranges)
        self.last = Attempt(self._tries(batch) + 1, _first(batch), ends, self.careful_until)
        self.store.save(self.partition, msgspec.json.encode(self.last))

    def done(self) -> None:
        """The step returned."""
        self.last = None
        self.store.clear(self.partition)


def _first(batch: Batch) -> tuple[int, int]:
    index, record = batch.records[0]
    return index, record.offset


def deadly(record_tries: int = TRIES) -> RecordRejected:
    """Why such a record is rejected."""
    return RecordRejected(f"the process died of it {record_tries} times in a row", reason="crashed_the_worker")
