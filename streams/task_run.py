"""A task at work in a worker: what it has taken in, where its journal ends, how safe its state is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams import journal
from streams.attempts import Caution
from streams.batch import Batch, InputBuffers
from streams.checkpointer import Checkpointer
from streams.journal import JournalRecord, Saved, Skip
from streams.outputs import short
from streams.task import Step, Task

RECORDS_FIRST = 250
"""A task begins with batches of so many records: how long its models take is not known yet, and who has waited for its
return should not wait for a long step as well."""

STEP_S_MAX = 2.0
"""A step should not take longer: how a stream is cut into batches changes no output, only when it comes."""


@dataclass(slots=True)
class TaskRun:
    """One task: its buffers, the newest record of its journal, its checkpoints, and when its inputs brought something.

    ``last`` is the newest record that was sent, and ``positions`` the inputs' next offsets behind it: one transaction
    may still be under way. ``topic_ids`` are Kafka's ids of the topics.
    """

    task: Task
    topics: Sequence[str]
    buffers: InputBuffers
    last: JournalRecord | None
    positions: tuple[int, ...]
    checkpoints: Checkpointer
    caution: Caution
    topic_ids: dict[str, str]
    active_s: list[float]
    records_max: int
    first_s: float | None = None
    paused: set[int] = field(default_factory=set)

    @property
    def next_sequence(self) -> int:
        """The number that its next journal record will have."""
        return 0 if self.last is None else self.last.sequence + 1

    @property
    def dirty(self) -> bool:
        """Whether anything was committed since the state that is safe, be it only trailing offsets."""
        return self.last is not None and self.last.sequence != self.checkpoints.sequence

    def idle(self, now_s: float, idle_after_s: float) -> set[int]:
        """Inputs that are read to their end and have been silent for long enough not to be waited for."""
        if self.first_s is None:
            return set()
        return {
            index
            for index, active_s in enumerate(self.active_s)
            if self.buffers.at_end(index) and now_s - max(active_s, self.first_s) >= idle_after_s
        }

    def pace(self, records: int, seconds: float, usual: int) -> None:
        """Let batches shrink while a step takes too long: the group takes a worker that is silent for one that died."""
        if seconds > STEP_S_MAX:
            self.records_max = max(1, min(records, self.records_max) // 2)
        elif seconds < STEP_S_MAX / 4 and self.records_max <= records:
            self.records_max = min(2 * self.records_max, usual)

    def nothing(self) -> Batch:
        """An empty batch, for a journal record that only tells of a checkpoint."""
        return Batch(tuple((position, position) for position in self.positions), [])

    def record(self, batch: Batch, step: Step, fingerprint: str, saved: Saved | bytes | None) -> JournalRecord:
        """The journal record of a step, with a state or a checkpoint that is safe by now."""
        skipped = [
            Skip(self.topics[index], offset, why.reason, short(why.what))
            for (index, offset), why in batch.skipped.items()
        ]
        return JournalRecord(
            sequence=self.next_sequence,
            previous=self.last.digest() if self.last else "",
            ranges=dict(zip(self.topics, batch.ranges, strict=True)),
            records=len(batch.records),
            input_digest=journal.input_digest(batch),
            outputs=len(step.outputs),
            output_digest=journal.output_digest(step.outputs),
            fingerprint=fingerprint,
            topic_ids=self.topic_ids,
            skipped=tuple(skipped),
            checkpoint=saved if isinstance(saved, Saved) else None,
            state=saved if isinstance(saved, bytes) else None,
        )

    def sent(self, record: JournalRecord, seconds: float) -> None:
        """The record is on its way to the journal; its batch took so long to step over."""
        self.last, self.positions = record, self._ends(record)
        self.checkpoints.sent(self.task, record, seconds)

    def committed(self, record: JournalRecord) -> None:
        """The record is in the journal."""
        self.checkpoints.journaled(self.task, record, self._ends(record))

    def _ends(self, record: JournalRecord) -> tuple[int, ...]:
        return tuple(record.ranges[topic][1] for topic in self.topics)
