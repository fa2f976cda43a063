"""What is saved of a pipeline's tasks: journal and checkpoints, looked at beside running workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from connectors.blobs import FolderBlobStore
from connectors.kafka_log import KafkaLog
from infra.settings import Settings
from streams import checkpoint
from streams.checkpoint import BlobName
from streams.checkpointer import KEPT, sizes
from streams.errors import CheckpointCorrupt, Declined
from streams.fingerprint import fingerprint
from streams.journal import JournalRecord, Saved
from streams.pipeline import Pipeline
from streams.ports import Log
from streams.recovery import read_journal, recover
from streams.task import Task

OFFSETS_MAX = 2_000
"""Offsets of a journal that are looked at, from its end."""


def checkpoint_store(settings: Settings, pipeline: Pipeline) -> FolderBlobStore:
    """Where a pipeline's checkpoints lie."""
    return FolderBlobStore.at(settings.checkpoints or settings.data_folder(pipeline.name) / "checkpoints")


@dataclass(frozen=True, slots=True)
class SavedTask:
    """A task as its journal and the store have it."""

    task: int
    records: list[JournalRecord]  # the journal's newest
    blobs: list[str]  # all of its blobs in the store

    @property
    def named(self) -> list[Saved]:
        """Checkpoints that the journal names, oldest first."""
        return [record.checkpoint for record in self.records if record.checkpoint]

    @property
    def kept(self) -> list[Saved]:
        """Those of them that are in the store."""
        return [saved for saved in self.named if saved.name in self.blobs]

    @property
    def safe_sequence(self) -> int | None:
        """The newest journal record whose state is saved; None if none is."""
        inline = [record.sequence for record in self.records if record.state is not None]
        return max([*inline, *(saved.sequence for saved in self.kept)], default=None)

    @property
    def to_replay(self) -> int:
        """Records that a restart would step over again."""
        safe = self.safe_sequence
        return sum(record.records for record in self.records if safe is None or record.sequence > safe)

    @property
    def orphans(self) -> list[str]:
        """Blobs that no restart will look for."""
        return checkpoint.superseded(self.blobs, self.task, [saved.name for saved in self.kept[-KEPT:]])


class SavedState:
    """Looks at journal and store of a pipeline; changes nothing but by ``prune``. Make one with ``SavedState.of``."""

    def __init__(self, pipeline: Pipeline, log: Log, store: FolderBlobStore, key: bytes) -> None:
        self.pipeline, self._log, self.store, self._key = pipeline, log, store, key

    @classmethod
    @contextmanager
    def of(cls, pipeline: Pipeline, settings: Settings) -> Iterator[SavedState]:
        """That of a pipeline, with the cluster and the store of the settings."""
        log = KafkaLog(settings.confluent(), pipeline.group, f"{pipeline.group}-state", None)
        try:
            yield cls(pipeline, log, checkpoint_store(settings, pipeline), settings.signing_key_bytes())
        finally:
            log.close()

    def tasks(self) -> list[SavedTask]:
        """All tasks of the pipeline."""
        names: dict[int, list[str]] = {}
        for name in self.store.names():
            parsed = BlobName.parse(name)
            if parsed:
                names.setdefault(parsed.task, []).append(name)
        topic = self.pipeline.topic("journal")
        found = []
        for task in range(self.pipeline.partitions):
            end, beginning = self._log.end_offset(topic, task), self._log.beginning_offset(topic, task)
            records = read_journal(self._log, topic, task, max(beginning, end - OFFSETS_MAX), end)
            found.append(SavedTask(task, records, names.get(task, [])))
        return found

    def verify(self, saved: SavedTask) -> Iterator[tuple[str, CheckpointCorrupt | None]]:
        """Each state that a restart of the task may load, by name, and what is wrong with it."""
        inline = [record for record in saved.records if record.state is not None][-1:]
        for record in inline:
            yield (
                f"journal record {record.sequence}",
                self._wrong(checkpoint.unseal, record.state, self._key, "journal"),
            )
        for each in saved.named[-KEPT:]:
            yield each.name, self._wrong(checkpoint.load, self.store, each.name, self._key)

    def _wrong(self, load: Any, *args: Any) -> CheckpointCorrupt | None:
        try:
            load(*args)
        except CheckpointCorrupt as error:
            return error
        return None

    def recovered(self, task: int) -> tuple[Task, int]:
        """The task as a restart would bring it back, and how many records that replays. Raises what a worker would."""
        back = recover(
            self.pipeline,
            task,
            self._log,
            self.store,
            self._key,
            fingerprint(self.pipeline),
        )
        if back.last is None:
            raise Declined(
                f"task {task} has not run yet", where=self.pipeline.topic("journal"), remedy="start a worker"
            )
        return back.task, back.replayed

    def prune(self, saved: SavedTask) -> list[str]:
        """Delete the task's orphaned blobs; their names."""
        for name in saved.orphans:
            self.store.delete(name)
        return saved.orphans


def parts(task: Task) -> list[tuple[str, int]]:
    """The parts of a task's state and their pickled sizes in bytes, the largest first."""
    return sizes(task.state())
