"""Rebuild a task: the newest state whose signature holds, then the journaled batches after it, outputs discarded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from streams import checkpoint, journal, versions
from streams.batch import Batch, merge
from streams.errors import (
    CheckpointCorrupt,
    CheckpointOutdated,
    Declined,
    JournalMismatch,
    ModelFailed,
    PipelineError,
    RecordRejected,
    StoreUnavailable,
    VersionUnavailable,
)
from streams.journal import JournalRecord
from streams.pipeline import Pipeline
from streams.ports import BlobStore, Log
from streams.task import Task

TAIL_OFFSETS = 256
"""Offsets of the journal read first, from its end; eight times as many when no checkpoint is among them.

With the default sizes they hold the last few checkpoints, so that a restart knows which blobs to let go of later.
"""

_SEED = "something in the pipeline is not deterministic: an unseeded model, a clock, a set's order"
_log = logging.getLogger("riverrun.recovery")


@dataclass(frozen=True, slots=True)
class Recovered:
    """A task as it was after its last committed transaction.

    ``last`` is that transaction's journal record (None: the task never ran), ``next_offsets`` where its inputs go on,
    by topic. ``safe`` is the record whose state was loaded, ``replayed`` how many records were stepped over again
    since, ``checkpoints`` the names of blobs that may be fallen back to, oldest first.
    """

    task: Task
    last: JournalRecord | None
    next_offsets: dict[str, int]
    checkpoints: list[str]
    replayed: int
    safe: JournalRecord | None = None


class _Tail(NamedTuple):
    """The journal from the record whose state was loaded to its end; empty if the task never ran."""

    records: list[JournalRecord]
    state: Any
    checkpoints: list[str]


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

    A task without a journal begins a life of its own: its epoch is the end of its reports.

    ``progress`` is told how many of the records to replay are done. Raises Declined when the code changed with batches
    left to replay or a topic was made anew, CheckpointCorrupt when no checkpoint loads, or not the version that a
    replay goes back to, StoreUnavailable when the store does not answer, JournalMismatch when the replay differs from
    the journal or the group's offsets do.
    """
    topics = list(pipeline.topics_read)
    while True:
        committed = log.committed(topics, partition)  # waits until no transaction that could still change it is open
        try:
            return _recover(pipeline, partition, log, store, key, fingerprint, progress, committed)
        except (CheckpointCorrupt, JournalMismatch):
            if log.committed(topics, partition) == committed:
                raise
            fields = {"task": partition}
            _log.warning("task %d had another owner while it was being recovered: once more", partition, extra=fields)


def _recover(
    pipeline: Pipeline,
    partition: int,
    log: Log,
    store: BlobStore,
    key: bytes,
    fingerprint: str,
    progress: Callable[[int, int], None] | None,
    committed: dict[str, int | None],
) -> Recovered:
    """The same for these offsets of the group. Should we be stopped, the next owner of the task may go on, and delete
    what we look for."""
    where = f"{pipeline.topic('journal')}[{partition}]"
    topics = pipeline.topics_read
    tail = _tail(pipeline, partition, log, store, key)
    task = Task(pipeline, partition, versions.loader(store, key))
    if not tail.records:
        _refuse_lost_journal(committed, where)
        # Reports of a former life lie before this offset, so its epoch was lower; in a new topic it is 0. No report is
        # committed before the journal's first record, which holds the epoch: a crash until then leaves the same offset.
        task.begin(log.end_offset(pipeline.topic("metrics"), partition))
        return Recovered(task, None, {topic: log.beginning_offset(topic, partition) for topic in topics}, [], 0)
    safe, *rest = tail.records
    last = tail.records[-1]
    _refuse_other_topics(last, {topic: log.topic_id(topic) for topic in topics})
    _compare_offsets(last, committed, where)
    task.restore(tail.state)
    batches = [record for record in rest if record.records]
    _refuse_changed_code(batches, fingerprint, where)
    replayed, total = 0, sum(record.records for record in batches)
    for record in batches:
        if progress is not None:
            progress(replayed, total)
        _replay(task, record, log, where)
        replayed += record.records
    if batches and progress is not None:
        progress(replayed, total)
    next_offsets = {topic: last.ranges[topic][1] for topic in topics if topic in last.ranges}
    for topic in topics:  # an input that was declared since
        next_offsets.setdefault(topic, log.beginning_offset(topic, partition))
    return Recovered(task, last, next_offsets, tail.checkpoints, replayed, safe)


def read_journal(log: Log, topic: str, partition: int, start: int, end: int) -> list[JournalRecord]:
    """The journal's records with start <= offset < end. Raises JournalMismatch unless each follows the one before."""
    where = f"{topic}[{partition}]"
    records = [journal.decode(record.value or b"", where) for record in log.read(topic, partition, start, end)]
    journal.verify_chain(records, where)
    return records


def _tail(pipeline: Pipeline, partition: int, log: Log, store: BlobStore, key: bytes) -> _Tail:
    topic = pipeline.topic("journal")
    end, beginning = log.end_offset(topic, partition), log.beginning_offset(topic, partition)
    span, failed = TAIL_OFFSETS, dict[str, PipelineError]()
    while True:
        start = max(beginning, end - span)
        records = read_journal(log, topic, partition, start, end)
        for place, name, load in _states(records, store, key):
            if name in failed:
                continue
            try:
                state = load()
            except (CheckpointCorrupt, StoreUnavailable) as error:
                fields = {"task": partition, "checkpoint": name}
                _log.warning("task %d falls back to the checkpoint before: %s", partition, error, extra=fields)
                failed[name] = error
                continue
            return _Tail(records[place:], state, _names(records, place, failed))
        if start == beginning:
            break
        span *= 8
    if not records:
        return _Tail([], None, [])
    if (
        log.end_offset(topic, partition) > end
    ):  # we were stopped, and the task's next owner has deleted what we look for
        return _tail(pipeline, partition, log, store, key)
    raise _none_loads(failed, f"{topic}[{partition}]")


def _states(records: list[JournalRecord], store: BlobStore, key: bytes) -> Iterator[tuple[int, str, Callable[[], Any]]]:
    """The states that records hold or name, the newest first: place of the record it is the state after, name, how."""
    if not records:
        return
    first, found = records[0].sequence, list[tuple[int, str, Callable[[], Any]]]()
    for record in records:
        if record.state is not None:
            name = f"journal record {record.sequence}"
            found.append((record.sequence, name, _loader(checkpoint.unseal, record.state, key, name)))
        if record.checkpoint is not None and record.checkpoint.sequence >= first:
            name = record.checkpoint.name
            found.append((record.checkpoint.sequence, name, _loader(checkpoint.load, store, name, key)))
    for sequence, name, load in sorted(found, key=lambda state: -state[0]):
        yield sequence - first, name, load


def _loader(load: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    return lambda: load(*args)


def _names(records: list[JournalRecord], place: int, failed: Mapping[str, PipelineError]) -> list[str]:
    """Blobs worth keeping: those of the state that was loaded and before, and what could not be read just now."""
    loaded = records[place].sequence
    saved = [record.checkpoint for record in records if record.checkpoint]
    return [
        each.name
        for each in dict.fromkeys(saved)
        if isinstance(failed.get(each.name), StoreUnavailable) or (each.name not in failed and each.sequence <= loaded)
    ]


def _none_loads(failed: Mapping[str, PipelineError], where: str) -> PipelineError:
    for error in failed.values():
        if isinstance(error, StoreUnavailable):
            return error
    newest = next(iter(failed.values()), None)
    if isinstance(newest, CheckpointOutdated):
        return CheckpointOutdated(f"the checkpoint is of no use: {newest.what}", where=where, remedy=newest.remedy)
    return CheckpointCorrupt(
        f"none of {len(failed)} checkpoints loads: {newest or 'the journal names none'}",
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


def _refuse_other_topics(last: JournalRecord, ids: Mapping[str, str]) -> None:
    for topic, known in last.topic_ids.items():
        if ids.get(topic, known) != known:
            raise Declined(
                f"topic {topic} was deleted and made anew since the task read it",
                where=topic,
                remedy="its offsets mean other records now: restore it, or start the pipeline under another name",
            )


def _compare_offsets(last: JournalRecord, committed: dict[str, int | None], where: str) -> None:
    for topic, offset in committed.items():
        if offset is not None and topic in last.ranges and offset != last.ranges[topic][1]:
            raise JournalMismatch(
                f"the group's offset of {topic} is {offset}, the journal's {last.ranges[topic][1]}",
                where=where,
                remedy="offsets were set by hand, or two pipelines share a name: set them back to the journal's",
            )


def _refuse_changed_code(batches: list[JournalRecord], fingerprint: str, where: str) -> None:
    made_by = {record.fingerprint for record in batches}
    others = made_by - {fingerprint}
    if others:
        remedy = "start the earlier version once and stop it with SIGTERM: it saves a checkpoint, then deploy"
        if len(made_by) > 1:  # the checkpoint that the deploy began with was harmed
            remedy = "no one version can replay them: put the newest checkpoint back from a backup"
        raise Declined(
            f"{len(batches)} batches are still to be replayed that other code, tables or libraries made"
            f" ({', '.join(sorted(others))}; now {fingerprint})",
            where=where,
            remedy=remedy,
        )


def _replay(task: Task, record: JournalRecord, log: Log, where: str) -> None:
    topics = task.pipeline.topics_read
    ranges = [record.ranges[topic] for topic in topics]
    records = [
        log.read(topic, task.partition, first, next_offset) if next_offset > first else ()
        for topic, (first, next_offset) in zip(topics, ranges, strict=True)
    ]
    merged = merge(ranges, records, urgent=len(topics) - 1)
    skipped = {
        (topics.index(skip.topic), skip.offset): RecordRejected(skip.detail, reason=skip.reason)
        for skip in record.skipped
    }
    batch = Batch(merged.ranges, merged.records, skipped)
    if len(batch.records) != record.records or journal.input_digest(batch) != record.input_digest:
        raise JournalMismatch(
            f"batch {record.sequence} had {record.records} input records, now {len(batch.records)}, or others",
            where=where,
            remedy="the input topics lost or changed records (retention, compaction, deletion): restore them",
        )
    try:
        step = task.step(batch)
    except VersionUnavailable as error:
        raise error.__cause__ or error from None
    except ModelFailed as error:
        raise JournalMismatch(
            f"replaying batch {record.sequence} a model raised that had not: {error.what}", where=where, remedy=_SEED
        ) from error
    if journal.output_digest(step.outputs) != record.output_digest:
        raise JournalMismatch(
            f"replaying batch {record.sequence} gave other outputs than were committed",
            where=where,
            remedy=_SEED,
        )
