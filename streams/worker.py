"""The worker: runs the tasks that the consumer group assigns to it, each batch one transaction.

One turn of the loop, in this order:

1. poll      take what has come
2. cut       a batch a task, in canonical order
3. step      predict and learn, in memory
4. begin     a transaction, after the learning: a slow model cannot time it out
5. produce   the outputs and a journal record a task
6. offsets   with the group's metadata, which fences a worker that lost its tasks
7. commit
8. checkpoint, now and then, in a transaction of its own

A crash before 7 leaves nothing behind but memory that is gone; after 7, recovery replays from the last checkpoint. A
transaction that fails leaves memory ahead of the log, so the worker gives up its tasks and rebuilds them: it never
learns a batch twice in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from streams import checkpoint, journal
from streams.batch import Batch, InputBuffers
from streams.fingerprint import fingerprint
from streams.journal import JournalRecord
from streams.pipeline import Pipeline
from streams.ports import BlobStore, Fetched, Log, Telemetry
from streams.recovery import Recovered, recover
from streams.task import Step, Task

POLL_TIMEOUT_S = 0.1
CHECKPOINTS_KEPT = 3
SETTLE_AFTER_S = 1.0
"""How long all inputs must have been silent before an empty batch takes the markers at their ends."""


@dataclass(slots=True)
class TaskRun:
    """A task at work: its buffers, where its journal ends, and when its inputs last brought something."""

    task: Task
    buffers: InputBuffers
    last: JournalRecord | None
    positions: list[int]
    checkpoints: list[str]
    since_checkpoint: int = 0
    active_s: list[float] = field(default_factory=list)
    first_s: float | None = None
    paused: set[int] = field(default_factory=set)

    @property
    def dirty(self) -> bool:
        """Whether anything was committed since the last checkpoint, be it only trailing offsets."""
        return self.last is not None and self.last.checkpoint is None

    def idle(self, now_s: float, idle_after_s: float) -> set[int]:
        """Inputs that are read to their end and have been silent for long enough not to be waited for."""
        if self.first_s is None:
            return set()
        return {
            index
            for index, active_s in enumerate(self.active_s)
            if self.buffers.at_end(index) and now_s - max(active_s, self.first_s) >= idle_after_s
        }


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
    ) -> None:
        self.pipeline, self._log, self._store, self._key = pipeline, log, store, key
        self._telemetry, self._clock, self._wall = telemetry, clock, wall
        self._topics = [stream.topic for stream in pipeline.inputs]
        self._index = {topic: index for index, topic in enumerate(self._topics)}
        self._fingerprint = fingerprint(pipeline)
        self._idle_after_s = pipeline.idle_after.total_seconds()
        self.runs: dict[int, TaskRun] = {}

    def run(self, stop: Callable[[], bool]) -> None:
        """Work until ``stop`` says so; then save checkpoints, so that the next start replays nothing, and leave."""
        try:
            self._log.subscribe(self._topics, self)
            while not stop():
                self.turn()
            self._checkpoint([run for run in self.runs.values() if run.dirty])
        finally:
            self.runs.clear()
            self._log.close()

    def turn(self) -> None:
        """One turn of the loop."""
        for fetched in self._log.poll(self._poll_timeout_s(), self.pipeline.batch_max * 2):  # 1 poll
            self._take(fetched)
        self._checkpoint([run for run in self.runs.values() if run.last is None])  # before the first batch
        now_s = self._clock()
        work = [(run, batch) for run in self.runs.values() if (batch := self._cut(run, now_s)) is not None]  # 2 cut
        if not work:
            return
        steps = [(run, batch, run.task.step(batch)) for run, batch in work]  # 3 step
        stepped_s = self._clock()
        self._commit(steps)  # 4 to 7
        self._observe(steps, stepped_s - now_s, self._clock() - stepped_s)
        due = [run for run, _ in work if run.since_checkpoint >= self.pipeline.checkpoint_every]
        self._checkpoint(due)  # 8

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
        settle = run.buffers.trailing and now_s - max(run.active_s) >= SETTLE_AFTER_S
        batch = run.buffers.cut(self.pipeline.batch_max, run.idle(now_s, self._idle_after_s), settle)
        for index in [i for i in run.paused if run.buffers.waiting(i) < 2 * self.pipeline.batch_max]:
            run.paused.discard(index)
            self._log.resume([(self._topics[index], run.task.partition)])
        return batch if batch.records or settle else None

    def _commit(self, steps: list[tuple[TaskRun, Batch, Step]]) -> None:
        log, offsets = self._log, dict[tuple[str, int], int]()
        records = [(run, self._journal_record(run, batch, step)) for run, batch, step in steps]
        log.begin()  # 4
        for run, _, step in steps:  # 5
            partition = run.task.partition
            topics = {output.name: self.pipeline.topic(output.name) for output in step.outputs}
            for name, key, value, timestamp_ms in step.outputs:
                log.produce(topics[name], partition, key, value, timestamp_ms)
        for run, record in records:
            partition = run.task.partition
            self._produce_journal(partition, record, run.task.now_ms)
            offsets |= {(topic, partition): next_offset for topic, (_, next_offset) in record.ranges.items()}
        log.send_offsets(offsets)  # 6
        log.commit()  # 7
        for run, record in records:
            self._committed(run, record)

    def _journal_record(self, run: TaskRun, batch: Batch, step: Step) -> JournalRecord:
        return JournalRecord(
            sequence=run.last.sequence + 1 if run.last else 0,
            previous=run.last.digest() if run.last else "",
            ranges=dict(zip(self._topics, batch.ranges, strict=True)),
            records=len(batch.records),
            input_digest=journal.input_digest(batch),
            outputs=len(step.outputs),
            output_digest=journal.output_digest(step.outputs),
            fingerprint=self._fingerprint,
        )

    def _produce_journal(self, partition: int, record: JournalRecord, now_ms: int) -> None:
        topic = self.pipeline.topic("journal")
        self._log.produce(topic, partition, str(partition).encode(), record.encode(), max(now_ms, 0))

    def _committed(self, run: TaskRun, record: JournalRecord) -> None:
        run.last = record
        run.positions = [record.ranges[topic][1] for topic in self._topics]
        run.since_checkpoint += record.records

    def _checkpoint(self, runs: list[TaskRun]) -> None:
        """Save the state of these tasks, and journal where it lies."""
        for run in runs:
            started_s = self._clock()
            name = checkpoint.save(self._store, run.task.state(), self._key)
            empty = Batch(tuple((position, position) for position in run.positions), [])
            record = self._journal_record(run, empty, Step())
            record = msgspec.structs.replace(record, checkpoint=name)
            self._log.begin()
            self._produce_journal(run.task.partition, record, run.task.now_ms)
            self._log.send_offsets(
                {(t, run.task.partition): p for t, p in zip(self._topics, run.positions, strict=True)}
            )
            self._log.commit()
            self._committed(run, record)
            run.since_checkpoint = 0
            self._prune(run, name)
            task = str(run.task.partition)
            self._telemetry.observe("checkpoint_seconds", self._clock() - started_s, task=task)
            self._telemetry.gauge("checkpoint_timestamp_seconds", self._wall(), task=task)

    def _prune(self, run: TaskRun, name: str) -> None:
        if name not in run.checkpoints:
            run.checkpoints.append(name)
        while len(run.checkpoints) > CHECKPOINTS_KEPT:
            self._store.delete(run.checkpoints.pop(0))

    def assigned(self, partitions: list[int]) -> None:
        """The group gave us these tasks: bring them back, and read on where they stopped."""
        for partition in partitions:
            started_s = self._clock()
            recovered = recover(self.pipeline, partition, self._log, self._store, self._key, self._fingerprint)
            self.runs[partition] = self._start(recovered)
            for topic, offset in recovered.next_offsets.items():
                self._log.seek(topic, partition, offset)
            self._telemetry.observe("recovery_seconds", self._clock() - started_s, task=str(partition))
            self._telemetry.count("replayed_records", recovered.replayed, task=str(partition))

    def _start(self, recovered: Recovered) -> TaskRun:
        positions = [recovered.next_offsets[topic] for topic in self._topics]
        return TaskRun(
            recovered.task,
            InputBuffers(positions),
            recovered.last,
            positions,
            recovered.checkpoints,
            since_checkpoint=recovered.replayed,
            active_s=[self._clock()] * len(self._topics),
        )

    def revoked(self, partitions: list[int], *, lost: bool) -> None:
        """The group takes these tasks away. Unless they are lost already, their next owner need not replay."""
        runs = [run for partition in partitions if (run := self.runs.pop(partition, None))]
        if not lost:
            self._checkpoint([run for run in runs if run.dirty])

    def _observe(self, steps: list[tuple[TaskRun, Batch, Step]], step_s: float, transaction_s: float) -> None:
        tell = self._telemetry
        tell.observe("batch_seconds", step_s)
        tell.observe("transaction_seconds", transaction_s)
        for run, batch, step in steps:
            task = str(run.task.partition)
            for topic, count in step.records.items():
                tell.count("records", count, topic=topic, task=task)
            for reason, count in step.rejects.items():
                tell.count("rejects", count, reason=reason, task=task)
            for outcome, count in step.labels.items():
                tell.count("labels", count, outcome=outcome, task=task)
            for watched, count in step.drifts.items():
                tell.count("drifts", count, watched=watched, task=task)
            for delay_ms in step.label_delays_ms:
                tell.observe("label_delay_seconds", delay_ms / 1000)
            tell.gauge("pending_labels", run.task.pending_labels, task=task)
            for model, values in step.scores.items():
                for score, value in values._asdict().items():
                    if value is not None:
                        tell.gauge("model_score", value, model=model, score=score, task=task)
            self._observe_lag(run, batch, task)

    def _observe_lag(self, run: TaskRun, batch: Batch, task: str) -> None:
        behind = False
        for topic, position in zip(self._topics, run.positions, strict=True):
            lag = self._log.lag(topic, run.task.partition, position)
            if lag is not None:
                behind = behind or lag > 0
                self._telemetry.gauge("lag_records", lag, topic=topic, task=task)
        if batch.records:
            age_s = self._wall() - batch.records[-1][1].timestamp_ms / 1000
            self._telemetry.gauge("lag_seconds", age_s if behind else 0.0, task=task)
