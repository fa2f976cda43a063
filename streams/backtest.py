"""The same task over recorded history: no Kafka, no waiting, the same predictions bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from streams.batch import InputBuffers
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.task import Task

CHUNK = 10_000
"""Records read ahead per input."""


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
    task = Task(pipeline, partition)
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
        yield task.step(batch).outputs
        if progress is not None:
            progress(len(batch.records))
