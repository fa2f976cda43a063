"""Rebuild a task: the newest checkpoint whose signature holds, then the journaled batches again, outputs discarded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streams import checkpoint, journal
from streams.batch import merge
from streams.errors import CheckpointCorrupt, Declined, JournalMismatch
from streams.journal import JournalRecord
from streams.pipeline import Pipeline
from streams.ports import BlobStore, Log
from streams.task import Task

TAIL_OFFSETS = 256
"""Offsets of the journal read first, from its end; eight times as many when no checkpoint is among them.

With the default sizes they hold the last few checkpoints, so that a restart knows which blobs to let go of later.
"""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A task as it was after its last committed transaction.

    ``last`` is that transaction's journal record (None: the task never ran), ``next_offsets`` where its inputs go on,
    by topic, ``replayed`` how many records were stepped over again.
    """

    task: Task
    last: JournalRecord | None
    next_offsets: dict[str, int]
    checkpoints: list[str]
    replayed: int


def recover(
    pipeline: Pipeline,
    partition: int,
    log: Log,
    store: BlobStore,
    key: bytes,
    fingerprint: str,
    progress: Callable[[int, int], None] | None = None,
) -> Recovered:
    """Bring a task back from its journal and checkpoints.

    ``progress`` is told how many of the records to replay are done. Raises Declined when the code changed with batches
    left to replay, CheckpointCorrupt when no checkpoint loads, JournalMismatch when the replay differs from the journal
    or the group's offsets do.
    """
    where = f"{pipeline.topic('journal')}[{partition}]"
    topics = [stream.topic for stream in pipeline.inputs]
    committed = log.committed(topics, partition)  # waits until no transaction that could still change it is open
    tail, state, saved = _tail(pipeline, partition, log, store, key)
    task = Task(pipeline, partition)
    if not tail:
        _refuse_lost_journal(committed, where)
        return Recovered(task, None, {topic: log.beginning_offset(topic, partition) for topic in topics}, [], 0)
    last = tail[-1]
    _compare_offsets(last, committed, where)
    task.restore(state)
    _refuse_changed_code(tail, fingerprint, where)
    replayed, total = 0, sum(record.records for record in tail[1:])
    for record in tail[1:]:
        _replay(task, record, log, where)
        replayed += record.records
        if progress is not None:
            progress(replayed, total)
    next_offsets = {topic: last.ranges[topic][1] for topic in topics if topic in last.ranges}
    for topic in topics:  # an input that was declared since
        next_offsets.setdefault(topic, log.beginning_offset(topic, partition))
    return Recovered(task, last, next_offsets, saved, replayed)


def _tail(
    pipeline: Pipeline, partition: int, log: Log, store: BlobStore, key: bytes
) -> tuple[list[JournalRecord], Any, list[str]]:
    """The journal from the newest checkpoint that loads, the state in it, and the names of it and those before.

    Empty if there is no journal yet.
    """
    topic = pipeline.topic("journal")
    where = f"{topic}[{partition}]"
    end, beginning = log.end_offset(topic, partition), log.beginning_offset(topic, partition)
    span, corrupt = TAIL_OFFSETS, dict[str, CheckpointCorrupt]()
    while True:
        start = max(beginning, end - span)
        records = [journal.decode(record.value or b"", where) for record in log.read(topic, partition, start, end)]
        journal.verify_chain(records, where)
        for place in range(len(records) - 1, -1, -1):
            name = records[place].checkpoint
            if name is None or name in corrupt:
                continue
            try:
                state = checkpoint.load(store, name, key)
            except CheckpointCorrupt as error:
                corrupt[name] = error
                continue
            saved = [record.checkpoint for record in records[: place + 1] if record.checkpoint not in {None, *corrupt}]
            return records[place:], state, [name for name in dict.fromkeys(saved) if name]
        if start == beginning:
            break
        span *= 8
    if not records:
        return [], None, []
    raise CheckpointCorrupt(
        f"none of {len(corrupt)} checkpoints loads: {next(iter(corrupt.values()), 'the journal names none')}",
        where=where,
        remedy="bring back the checkpoint folder and RIVERRUN_SIGNING_KEY of the worker that wrote them",
    )


def _refuse_lost_journal(committed: dict[str, int | None], where: str) -> None:
    if any(offset is not None for offset in committed.values()):
        raise JournalMismatch(
            "the group has committed offsets, but the journal is empty",
            where=where,
            remedy="the journal topic was deleted: restore it, or start anew under another pipeline name",
        )


def _compare_offsets(last: JournalRecord, committed: dict[str, int | None], where: str) -> None:
    for topic, offset in committed.items():
        if offset is not None and topic in last.ranges and offset != last.ranges[topic][1]:
            raise JournalMismatch(
                f"the group's offset of {topic} is {offset}, the journal's {last.ranges[topic][1]}",
                where=where,
                remedy="offsets were set by hand, or two pipelines share a name: set them back to the journal's",
            )


def _refuse_changed_code(tail: list[JournalRecord], fingerprint: str, where: str) -> None:
    others = {record.fingerprint for record in tail[1:]} - {fingerprint}
    if others:
        raise Declined(
            f"{len(tail) - 1} batches are still to be replayed that other code, tables or libraries made"
            f" ({', '.join(others)}; now {fingerprint})",
            where=where,
            remedy="start the earlier version once and stop it with SIGTERM: it saves a checkpoint, then deploy",
        )


def _replay(task: Task, record: JournalRecord, log: Log, where: str) -> None:
    ranges = [record.ranges[stream.topic] for stream in task.pipeline.inputs]
    records = [
        log.read(stream.topic, task.partition, first, next_offset) if next_offset > first else ()
        for stream, (first, next_offset) in zip(task.pipeline.inputs, ranges, strict=True)
    ]
    batch = merge(ranges, records)
    if len(batch.records) != record.records or journal.input_digest(batch) != record.input_digest:
        raise JournalMismatch(
            f"batch {record.sequence} had {record.records} input records, now {len(batch.records)}, or others",
            where=where,
            remedy="the input topics lost or changed records (retention, compaction, deletion): restore them",
        )
    step = task.step(batch)
    if journal.output_digest(step.outputs) != record.output_digest:
        raise JournalMismatch(
            f"replaying batch {record.sequence} gave other outputs than were committed",
            where=where,
            remedy="something in the pipeline is not deterministic: an unseeded model, a clock, a set's order",
        )
