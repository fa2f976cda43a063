"""The worker: runs the tasks that the consumer group assigns to it, each batch one transaction.

One turn of the loop, in this order:

0. hold        while a transaction is under way that a batch cut now would only wait for
1. poll        take what has come
2. cut         a batch a task, in canonical order
3. step        predict and learn, in memory; small states are sealed
4. settle      wait for the transaction of the turn before
5. begin       a transaction, after the learning: a slow model cannot time it out
6. produce     a journal record a task, which names the checkpoint that is safe by now; then the outputs. In this
               order: should Kafka ever end the transaction half-way (no KIP-890), there is a record to tell of it
7. checkpoint  when due: the state is taken here; pickled and stored beside the data path
   meanwhile, beside the data path (streams/transactions.py):
8. offsets     with the group's metadata, which fences a worker that lost its tasks
9. commit

A crash before 9 leaves nothing behind but memory that is gone; after 9, recovery replays from the last checkpoint. A
transaction that fails leaves memory ahead of the log, so the worker gives up its tasks and rebuilds them: it never
learns a batch twice in place. A batch that a model raises on is stepped over by a rebuilt task, without that record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from streams import observe
from streams.attempts import Caution, deadly
from streams.batch import Batch, InputBuffers
from streams.checkpoint import freeze_here
from streams.checkpointer import Checkpointer, Span
from streams.errors import Declined, ModelFailed, PipelineError
from streams.fingerprint import fingerprint
from streams.pipeline import Pipeline
from streams.ports import Attempts, Background, BlobStore, Fetched, Freeze, Log, Telemetry
from streams.records import OUTPUTS
from streams.recovery import Recovered, recover
from streams.skipping import step_without
from streams.store import Store
from streams.task import Step, Task
from streams.task_run import RECORDS_FIRST, TaskRun
from streams.transactions import Transactions, Work

POLL_TIMEOUT_S = 0.1
SETTLE_AFTER_S = 1.0
"""How long all inputs must have been silent before an empty batch takes the markers at their ends."""

_log = logging.getLogger("riverrun.worker")


class Worker:
    """One worker of a pipeline.

    Parameters
    ----------
    pipeline
        What to run.
    log
        Where inputs come from and outputs go to.
    store, key
        Where checkpoints lie, and the key they are signed with.
    telemetry
        Told what happens, once a batch.
    clock, wall
        Seconds: one that only goes forward, for waiting; and since the Unix epoch, for reporting lag. Neither has any
        influence on what is put out.
    background, committing
        Beside the data path: one stores checkpoints, the other commits transactions.
    attempts
        Remembers the batch that is being stepped over, should the process die of it.
    progress
        Told of a recovery: which task, records replayed, records to replay.
    freeze
        Pickles the states of checkpoints.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        log: Log,
        store: BlobStore,
        key: bytes,
        telemetry: Telemetry,
        clock: Callable[[], float],
        wall: Callable[[], float],
        background: Background,
        committing: Background,
        attempts: Attempts,
        progress: Callable[[int, int, int], None] = lambda _task, _done, _total: None,
        freeze: Freeze = freeze_here,
    ) -> None:
        self.pipeline, self._log, self._attempts = pipeline, log, attempts
        self._telemetry, self._clock, self._progress = telemetry, clock, progress
        self._store = Store(store, key, background, telemetry, clock, freeze)
        self._topics = pipeline.topics_read
        self._index = {topic: index for index, topic in enumerate(self._topics)}
        self._fingerprint = fingerprint(pipeline)
        self._transactions = Transactions(pipeline, log, telemetry, clock, wall, committing, self._fingerprint)
        self._idle_after_s = pipeline.idle_after.total_seconds()
        self._watch = observe.Watch(telemetry, log)
        self._turn_s = 0.0  # what it took to cut and step over what was cut last
        self.runs: dict[int, TaskRun] = {}

    def run(self, stop: Callable[[], bool]) -> None:
        """Work until ``stop`` says so; then save checkpoints, so that the next start replays nothing, and leave."""
        try:
            self._log.subscribe(list(self._topics), self)
            while not stop():
                self.turn()
            self._save_changed(list(self.runs.values()))
        finally:
            with suppress(PipelineError):  # it was left before that could be told: recovery sees what became of it
                self._transactions.settle()
            self.runs.clear()
            self._log.close()

    def turn(self) -> None:
        """One turn of the loop."""
        self._transactions.hold(self._turn_s)
        for fetched in self._log.poll(self._poll_timeout_s(), self.pipeline.batch_max * 2):  # 1 poll
            self._take(fetched)
        now_s = self._clock()
        new = [run for run in self.runs.values() if run.last is None and now_s >= run.checkpoints.retry_at_s]
        if new:
            self._transactions.settle()
            self._save(new)
        cut = [(run, batch) for run in self.runs.values() if (batch := self._cut(run, now_s)) is not None]  # 2 cut
        if any(run.caution.wary(run.positions) for run, _ in cut) or not cut:
            self._transactions.settle()
        if cut:
            with self._telemetry.span("batch"):
                self._transact(cut, now_s)  # 3 to 6
        squeezed = self._watch.look(list(self.runs.values()), now_s)
        for run in self.runs.values():  # 7 checkpoint
            if run.last is not None:
                run.checkpoints.begin(run.task, run.last.sequence, run.positions, early=run in squeezed)
        observe.checkpoints(self._telemetry, self.runs.values())

    def _transact(self, cut: list[tuple[TaskRun, Batch]], began_s: float) -> None:
        work = []
        for run, batch in cut:
            fields = {"task": run.task.partition, "sequence": run.next_sequence, "records": len(batch.records)}
            with self._telemetry.span("step", **fields):
                work.append(self._step(run, batch))
        self._turn_s = self._clock() - began_s
        self._telemetry.observe("batch_seconds", self._turn_s)
        self._transactions.send(work)

    def _poll_timeout_s(self) -> float:
        waiting = any(run.buffers.waiting(i) for run in self.runs.values() for i in range(len(self._topics)))
        return POLL_TIMEOUT_S / 10 if waiting else POLL_TIMEOUT_S

    def _take(self, fetched: Fetched) -> None:
        run = self.runs.get(fetched.partition)
        if run is None:
            return
        index, now_s = self._index[fetched.topic], self._clock()
        run.buffers.add(index, fetched.records, fetched.end_offset)
        if fetched.records:
            run.active_s[index] = now_s
            run.first_s = now_s if run.first_s is None else run.first_s
            if run.buffers.waiting(index) > 8 * self.pipeline.batch_max and index not in run.paused:
                run.paused.add(index)
                self._log.pause([(fetched.topic, fetched.partition)])

    def _cut(self, run: TaskRun, now_s: float) -> Batch | None:
        """A batch to step over, or an empty one if there is a checkpoint to tell of; None if there is nothing."""
        if run.last is None:
            return None
        nothing = run.nothing() if run.checkpoints.done(run.task) else None
        if run.checkpoints.full:
            return nothing
        settle = run.buffers.trailing and now_s - max(run.active_s) >= SETTLE_AFTER_S
        records_max = run.caution.records_max(run.positions, run.records_max)
        batch = run.buffers.cut(records_max, run.idle(now_s, self._idle_after_s), settle)
        for index in [i for i in run.paused if run.buffers.waiting(i) < 2 * self.pipeline.batch_max]:
            run.paused.discard(index)
            self._log.resume([(self._topics[index], run.task.partition)])
        return batch if batch.records or settle else nothing

    def _step(self, run: TaskRun, batch: Batch) -> Work:
        started_s = self._clock()
        if batch.records:
            if run.caution.verdict(batch) == "skip":
                index, record = batch.records[0]
                batch = replace(batch, skipped={(index, record.offset): deadly()})
            run.caution.begin(batch)
            try:
                step = run.task.step(batch)
            except ModelFailed as failed:
                run.task, batch, step = step_without(lambda: self._rebuilt(run.task.partition), batch, failed)
            run.caution.done()
        else:
            step = Step()
        seconds = self._clock() - started_s
        run.pace(len(batch.records), seconds, self.pipeline.batch_max)
        saved = run.checkpoints.finished(run.task) or (run.checkpoints.small(run.task) if batch.records else None)
        return Work(run, batch, step, seconds, saved)

    def _rebuilt(self, partition: int) -> Task:
        self._transactions.settle()
        return self._recover(partition).task

    def _save_changed(self, runs: list[TaskRun]) -> None:
        self._transactions.settle()
        self._save([run for run in runs if run.dirty])

    def _save(self, runs: list[TaskRun]) -> None:
        """Save the state of these tasks at once, and journal it. A store that fails leaves them as they are."""
        work = []
        for run in runs:
            saved = run.checkpoints.now(run.task, run.next_sequence, run.positions)
            if saved is not None:
                work.append(Work(run, run.nothing(), Step(), saved=saved))
        if work:
            with self._telemetry.span("save"):
                self._transactions.send(work)
                self._transactions.settle()

    def assigned(self, partitions: list[int]) -> None:
        """The group gave us these tasks: bring them back, and read on where they stopped."""
        self._transactions.settle()
        ids = {topic: self._log.topic_id(topic) for topic in self._topics}
        for partition in partitions:
            if partition >= self.pipeline.partitions:
                raise Declined(
                    f"partition {partition} was added: the pipeline declares {self.pipeline.partitions}",
                    where=", ".join(self._topics),
                    remedy="keys have moved between tasks: make topics of the declared partition count again",
                )
            with self._telemetry.span("recover", task=partition):
                recovered = self._recover(partition)
            self.runs[partition] = self._start(recovered, ids)
            for topic, offset in recovered.next_offsets.items():
                self._log.seek(topic, partition, offset)
        self._watch.forget()

    def _recover(self, partition: int) -> Recovered:
        started_s, task, tell = self._clock(), str(partition), self._telemetry

        def progress(done: int, total: int) -> None:
            tell.gauge("recovery_remaining_records", total - done, task=task)
            self._progress(partition, done, total)

        tell.gauge("recovering", 1.0, task=task)
        # What a broker that died forgot to abort in one of them, our next commit there would commit too.
        self._log.settle([self.pipeline.topic(name) for name in OUTPUTS], partition)
        store = self._store
        recovered = recover(self.pipeline, partition, self._log, store.blobs, store.key, self._fingerprint, progress)
        seconds = self._clock() - started_s
        tell.gauge("recovering", 0.0, task=task)
        tell.observe("recovery_seconds", seconds, task=task)
        tell.count("replayed_records", recovered.replayed, task=task)
        self._log_back(recovered, seconds)
        return recovered

    def _log_back(self, recovered: Recovered, seconds: float) -> None:
        task, replayed = recovered.task, recovered.replayed
        fields = {
            "task": task.partition,
            "seconds": round(seconds, 3),
            "replayed": replayed,
            "offsets": recovered.next_offsets,
            "versions": task.model_versions,
        }
        _log.info("task %d is back after %.2f s: %d records replayed", task.partition, seconds, replayed, extra=fields)

    def _start(self, recovered: Recovered, topic_ids: dict[str, str]) -> TaskRun:
        partition, safe, last = recovered.task.partition, recovered.safe, recovered.last
        positions = tuple(recovered.next_offsets[topic] for topic in self._topics)
        checkpoints = Checkpointer(
            self.pipeline,
            self._store,
            partition,
            recovered.checkpoints,
            sequence=safe.sequence if safe else -1,
            positions=tuple(safe.ranges[topic][1] if safe and topic in safe.ranges else 0 for topic in self._topics),
            span=Span(recovered.replayed),
            inline=safe is None or safe.state is not None,
        )
        return TaskRun(
            recovered.task,
            self._topics,
            InputBuffers(positions, urgent=len(positions) - 1),
            last,
            positions,
            checkpoints,
            Caution.after_restart(self._attempts, partition, positions),
            topic_ids,
            active_s=[self._clock()] * len(self._topics),
            records_max=min(RECORDS_FIRST, self.pipeline.batch_max),
        )

    def revoked(self, partitions: list[int], *, lost: bool) -> None:
        """The group takes these tasks away. Unless they are lost already, their next owner need not replay."""
        runs = [run for partition in partitions if (run := self.runs.pop(partition, None))]
        if lost:
            self._transactions.settle()
        else:
            self._save_changed(runs)
        for partition in partitions:
            self._telemetry.forget(task=str(partition))
