"""Stores the versions of one task's models, and lets go of those that no restart can ask for.

    journal    ──── 7 ───── 8 ───── 9 ───── 10 ──── 11 ──▶
    version         kept ──▶ blob           dropped
    checkpoint                      9 ◀── may be loaded: a replay of 10 may go back to the version
                                                    11 ◀── the oldest that may be loaded: now the blob is deleted

A version is stored once its batch is on its way, and no state of after that batch counts as safe before it is: what a
crash takes away is kept again by the replay.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from streams import checkpoint
from streams.errors import StoreUnavailable
from streams.store import Store
from streams.versions import VersionName, Versions

RETRY_S = 5.0
"""How long to leave a store alone that did not take a version."""

_log = logging.getLogger("riverrun.versions")


@dataclass(slots=True)
class Shelf:
    """One task's versions in the store. What was dropped before the record ``since`` is not known."""

    store: Store
    task: int
    since: int
    writes: dict[str, Future[None]] = field(default_factory=dict)
    retired: dict[str, int] = field(default_factory=dict)
    retry_at_s: float = 0.0
    stale: bool = True

    def note_dropped(self, versions: Versions, sequence: int) -> None:
        """They were dropped by the batch of this journal record, or before it."""
        for name in versions.dropped:
            self.retired[name], self.stale = sequence, True
        versions.dropped.clear()

    def put_away(self, versions: Versions) -> None:
        """Have stored what was kept by batches that are on their way, or committed."""
        self._see_what_is_stored(versions)
        if self.store.clock() >= self.retry_at_s:
            for name, frozen in versions.unsaved.items():
                if name not in self.writes:
                    self.writes[name] = self.store.background.submit(lambda n=name, f=frozen: self._write(n, f))  # type: ignore[misc]

    def _write(self, name: str, frozen: bytes) -> None:
        self.store.blobs.put(name, checkpoint.seal(frozen, self.store.key))

    def _see_what_is_stored(self, versions: Versions) -> None:
        for name in [name for name, write in self.writes.items() if write.done()]:
            try:
                self.writes.pop(name).result()
            except StoreUnavailable as error:
                self.retry_at_s = self.store.clock() + RETRY_S
                self.store.telemetry.count("checkpoint_failures", 1, task=str(self.task))
                said = "task %d goes on without a checkpoint until its versions are stored: %s"
                _log.warning(said, self.task, error, extra={"task": self.task})
            else:
                versions.unsaved.pop(name, None)

    def store_now(self, versions: Versions) -> None:
        """Store at once what is not stored. Raises StoreUnavailable."""
        for name, frozen in list(versions.unsaved.items()):
            self._write(name, frozen)
            del versions.unsaved[name]

    def spare(self, versions: Versions, oldest: int) -> set[str] | None:
        """The blobs to spare if ``oldest`` is the oldest record whose state may be loaded; None: do not delete any."""
        if oldest < self.since:
            return None
        self.retired = {name: sequence for name, sequence in self.retired.items() if sequence > oldest}
        self.stale = bool(self.retired)
        return {version.blob for version in versions.listed.values()} | set(self.retired)


def left_over(names: Iterable[str], task: int, spared: Collection[str], before_ms: int) -> list[str]:
    """The task's versions that are not spared, of before a time: a later one may be a successor's, if there is one.

    >>> old, new = (str(VersionName.of(0, time_ms, "tree", "monday")) for time_ms in (1, 5))
    >>> left_over([old, new, "notes.txt"], 0, [], before_ms=5) == [old]
    True
    """
    parsed = [(name, VersionName.parse(name)) for name in names if name not in spared]
    return [name for name, it in parsed if it and it.task == task and it.time_ms < before_ms]
