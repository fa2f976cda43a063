"""Step over a batch that a model raises on: with a task made anew, and without the record it raised on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streams import checkpoint
from streams.batch import Batch
from streams.errors import ModelFailed, RecordRejected
from streams.task import Step, Task

SKIPS_MAX = 100
"""Records of one batch that models may fail on; with more the pipeline is wrong and not the records."""

_log = logging.getLogger("riverrun.models")


def step_without(rebuild: Callable[[], Task], batch: Batch, failed: ModelFailed) -> tuple[Task, Batch, Step]:
    """The task after the batch, the batch with what was skipped, and the step.

    ``rebuild`` gives the task as it was before the batch: the one that failed may be half-updated. Raises ModelFailed
    when models fail on more than ``SKIPS_MAX`` records of the batch.
    """
    task = rebuild()
    frozen = checkpoint.freeze(task.state())  # should they fail on more than one
    skipped = dict(batch.skipped)
    while len(skipped) < SKIPS_MAX:
        assert failed.record is not None, "Task.step says which record it was"
        _log.warning("task %d skips a record: %s", task.partition, failed, extra=_fields(task, failed.record))
        skipped[failed.record] = RecordRejected(failed.what, reason=failed.reason)
        batch = replace(batch, skipped=skipped)
        try:
            return task, batch, task.step(batch)
        except ModelFailed as again:
            failed = again
            task = task.successor(checkpoint.thaw(frozen))
    failed.remedy = f"models failed on {SKIPS_MAX} records of one batch: mend the feature function, or the models"
    raise failed


def _fields(task: Task, record: tuple[int, int]) -> dict[str, Any]:
    """Which record of which task, for a log."""
    index, offset = record
    topic, partition = task.pipeline.topics_read[index], task.partition
    return {"task": partition, "topic": topic, "partition": partition, "offset": offset}
