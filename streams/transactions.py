"""Commits batches beside the data path, one transaction at a time: meanwhile the next batch is stepped over.

    data path   step 1 ─ send 1 ─ step 2 ───────── settle 1 ─ send 2 ─ step 3 ───────── settle 2 ─ …
    beside               └ flush, offsets, commit ┘                └ flush, offsets, commit ┘

So memory is ahead of the log by one batch, and by a second one while that is stepped over. A transaction that fails is
told of by ``settle``: what memory holds then never was, and the worker gives it up.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass

from streams import observe
from streams.batch import Batch
from streams.journal import JOURNAL, JournalRecord, Saved
from streams.pipeline import Pipeline
from streams.ports import Background, Log, Telemetry
from streams.records import OUTPUTS
from streams.task import Step
from streams.task_run import TaskRun

USUAL_KEPT = 0.8
"""How much of what a transaction usually takes is kept when one more has taken its time."""


@dataclass(frozen=True, slots=True)
class Work:
    """A batch that was stepped over, how long that took, and the state or checkpoint that its record tells of."""

    run: TaskRun
    batch: Batch
    step: Step
    seconds: float = 0.0
    saved: Saved | bytes | None = None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A transaction that was sent: its batches, their journal records, and the seconds that it took, once it has."""

    work: list[Work]
    records: list[JournalRecord]
    began_s: float
    seconds: Future[float]


class Transactions:
    """A worker's. ``beside`` commits them; ``clock`` and ``wall`` are the worker's."""

    def __init__(
        self,
        pipeline: Pipeline,
        log: Log,
        telemetry: Telemetry,
        clock: Callable[[], float],
        wall: Callable[[], float],
        beside: Background,
        fingerprint: str,
    ) -> None:
        self._log, self._telemetry, self._clock, self._wall = log, telemetry, clock, wall
        self._beside, self._fingerprint = beside, fingerprint
        self._topics = {name: pipeline.topic(name) for name in (JOURNAL, *OUTPUTS)}
        self._under_way: UnderWay | None = None
        self._usual_s = 0.0

    def hold(self, ahead_s: float) -> None:
        """Wait until so long before what is under way is likely to be committed.

        A batch that is cut earlier, and takes ``ahead_s`` to step over, only waits for that commit; records that come
        meanwhile would wait for the one after it.
        """
        if (under_way := self._under_way) is not None:
            left_s = under_way.began_s + self._usual_s - ahead_s - self._clock()
            if left_s > 0:
                with suppress(TimeoutError):
                    under_way.seconds.exception(left_s)  # is raised by ``settle``

    def send(self, work: list[Work]) -> None:
        """Put out what these batches gave, all in one transaction, once the one before is settled."""
        self.settle()
        began_s, offsets = self._clock(), dict[tuple[str, int], int]()
        records = [each.run.record(each.batch, each.step, self._fingerprint, each.saved) for each in work]
        self._log.begin()
        for each, record in zip(work, records, strict=True):
            task = each.run.task
            self._log.produce(self._topics, task.partition, [record.output(task.partition, task.now_ms)])
            offsets |= {(topic, task.partition): next_offset for topic, (_, next_offset) in record.ranges.items()}
        for each in work:
            self._log.produce(self._topics, each.run.task.partition, each.step.outputs)
        for each, record in zip(work, records, strict=True):
            each.run.sent(record, each.seconds)
        context = copy_context()  # of the trace
        seconds = self._beside.submit(lambda: context.run(self._commit, offsets, began_s))
        self._under_way = UnderWay(work, records, began_s, seconds)

    def _commit(self, offsets: dict[tuple[str, int], int], began_s: float) -> float:
        with self._telemetry.span("commit"):
            self._log.send_offsets(offsets)
            self._log.commit()
        return self._clock() - began_s

    def settle(self) -> None:
        """Wait for what is under way. Raises what went wrong with it."""
        under_way, self._under_way = self._under_way, None
        if under_way is None:
            return
        seconds = under_way.seconds.result()
        self._usual_s += (1 - USUAL_KEPT) * (seconds - self._usual_s)
        self._telemetry.observe("transaction_seconds", seconds)
        for each, record in zip(under_way.work, under_way.records, strict=True):
            each.run.committed(record)
        observe.batches(self._telemetry, self._log, self._wall, [(w.run, w.batch, w.step) for w in under_way.work])
