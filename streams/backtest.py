"""The same task over recorded history: no Kafka, no waiting, the same predictions bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from streams import checkpoint
from streams.batch import Batch, InputBuffers
from streams.errors import ModelFailed
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.skipping import step_without
from streams.task import Task

CHUNK = 10_000
"""Records read ahead per input."""

BACKUP_EVERY = 20
"""Batches between backups of the task, for a record that a model raises on."""


def backtest(
    pipeline: Pipeline,
    partition: int,
    inputs: Sequence[Iterator[Record]],
    progress: Callable[[int], None] | None = None,
) -> Iterator[list[Output]]:
    """Step one task over all its records, batch by batch, and give what it would have put out.

    Parameters
    ----------
    pipeline
        What to run.
    partition
        Which of its tasks.
    inputs
        For each of the pipeline's inputs, in its order, the partition's records by offset.
    progress
        Is told how many records each batch had.
    """
    steady = _Steady(Task(pipeline, partition))
    buffers = InputBuffers([0] * len(inputs))
    left = set(range(len(inputs)))
    while True:
        for index in sorted(left):
            if buffers.waiting(index) < CHUNK:
                chunk = list(islice(inputs[index], CHUNK))
                buffers.add(index, chunk)
                if not chunk:
                    left.discard(index)
        ended = [index for index in range(len(inputs)) if index not in left]
        batch = buffers.cut(pipeline.batch_max, idle=ended)
        if not batch.records:
            if not left:
                return
            continue
        yield steady.step(batch)
        if progress is not None:
            progress(len(batch.records))


class _Steady:
    """A task that records which models raise on do not stop: it goes back to a backup and leaves them out, as live."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._frozen = checkpoint.freeze(task.state())
        self._since: list[Batch] = []

    def step(self, batch: Batch) -> list[Output]:
        try:
            step = self._task.step(batch)
        except ModelFailed as failed:
            self._task, batch, step = step_without(self._rebuilt, batch, failed)
        self._since.append(batch)
        if len(self._since) >= BACKUP_EVERY:
            self._frozen, self._since = checkpoint.freeze(self._task.state()), []
            self._task.versions.unsaved.clear()  # nobody decides here: none is gone back to
        return step.outputs

    def _rebuilt(self) -> Task:
        task = self._task.successor(checkpoint.thaw(self._frozen))
        for batch in self._since:
            task.step(batch)
        return task
