"""Versions of models: each as it was at some moment, to go back to. Kept by name in a task, their bytes in the store.

    every day of record time ─┐                 ┌── listed: rides in the task's state
    before a reset, rollback ─┼──▶ a version ───┤
    `riverrun models save`   ─┘                 └── its bytes: unsaved ──▶ a blob, before the next checkpoint

A replay makes again what was not yet stored; what a replay may go back to is not deleted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from models.learner import LiveModel
from streams import checkpoint
from streams.errors import CheckpointCorrupt, VersionUnavailable
from streams.ports import BlobStore

_NAME = re.compile(r"(\d{4,})-v(\d{15})-([0-9a-f]{32})")


class VersionName(NamedTuple):
    """What a version's blob is called: whose it is, the task's time when it was saved, and which version it is."""

    task: int
    time_ms: int
    digest: str

    def __str__(self) -> str:
        return f"{self.task:04d}-v{self.time_ms:015d}-{self.digest}"

    @classmethod
    def of(cls, task: int, time_ms: int, model: str, label: str) -> VersionName:
        """The name of a model's version."""
        return cls(task, time_ms, hashlib.sha256(f"{model}\0{label}".encode()).hexdigest()[:32])

    @classmethod
    def parse(cls, name: str) -> VersionName | None:
        """The parts of a name; None for one that is not a version's.

        >>> VersionName.parse(str(VersionName.of(3, 41, "tree", "before"))).time_ms, VersionName.parse("notes.txt")
        (41, None)
        """
        match = _NAME.fullmatch(name)
        return cls(int(match[1]), int(match[2]), match[3]) if match else None


@dataclass(frozen=True, slots=True)
class Version:
    """A model as it was at ``time_ms``, by the task's time; ``label`` is what people call it, ``blob`` its bytes."""

    model: str
    label: str
    declared: str
    version: str
    time_ms: int
    blob: str


def as_of(time_ms: int) -> str:
    """What a version is called that is kept because time has come to this.

    >>> as_of(1_362_096_000_000)
    '2013-03-01T00:00:00Z'
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


def nothing_stored(name: str) -> Any:
    """For a task without a store: it has in memory what it saved, and nothing else."""
    raise CheckpointCorrupt("there is no store", where=name, remedy="go back to another version")


@dataclass(slots=True)
class Versions:
    """The versions of one task's models.

    ``listed`` is state. ``unsaved`` are the bytes of versions that no store is known to hold, ``dropped`` the blobs of
    versions that were let go, both until the shell has seen to them; ``load`` gets what a store holds. ``news`` are the
    versions kept and dropped, with whether it was kept, until the task has told of them.

    Examples
    --------
    >>> from river.linear_model import LinearRegression
    >>> from models.learner import Learner
    >>> line = LiveModel(Learner("line", LinearRegression()), "champion", "regression")
    >>> versions = Versions(task=0, kept_max=2)
    >>> kept = [versions.keep(line, label, time_ms=5).label for label in ("monday", "tuesday", "wednesday")]
    >>> versions.labels("line"), len(versions.dropped)
    (['tuesday', 'wednesday'], 1)
    """

    task: int
    kept_max: int
    load: Callable[[str], Any] = nothing_stored
    listed: dict[tuple[str, str], Version] = field(default_factory=dict)
    unsaved: dict[str, bytes] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    news: list[tuple[Version, bool]] = field(default_factory=list)

    def labels(self, model: str) -> list[str]:
        """The versions that there are of a model, oldest first."""
        return [label for name, label in self.listed if name == model]

    def keep(self, model: LiveModel, label: str, time_ms: int) -> Version:
        """Keep the model as it is now; its oldest version goes when there are too many."""
        blob = str(VersionName.of(self.task, max(time_ms, 0), model.name, label))
        kept = Version(model.name, label, model.declared_version, model.version, time_ms, blob)
        self._drop(model.name, label)
        self.listed[model.name, label] = kept
        self.unsaved[blob] = checkpoint.freeze((blob, model.model))
        self.news.append((kept, True))
        for oldest in self.labels(model.name)[: -self.kept_max]:
            self._drop(model.name, oldest)
        return kept

    def _drop(self, model: str, label: str) -> None:
        gone = self.listed.pop((model, label), None)
        if gone is not None:
            self.dropped.append(gone.blob)
            self.news.append((gone, False))

    def get(self, model: str, label: str) -> Any:
        """The model as it was. Raises VersionUnavailable when its bytes are lost, StoreUnavailable when they cannot be
        had now."""
        blob = self.listed[model, label].blob
        try:
            if blob in self.unsaved:
                return checkpoint.thaw(self.unsaved[blob])[1]
            return self.load(blob)
        except CheckpointCorrupt as error:
            raise VersionUnavailable(f"{label} of {model}: {error.what}", where=blob, remedy=error.remedy) from error


def loader(store: BlobStore, key: bytes) -> Callable[[str], Any]:
    """How to get a version from a store. Nothing is unpickled that is not signed by us, or is another version's."""

    def load(name: str) -> Any:
        named, model = checkpoint.unseal(store.get(name), key, name)
        if named != name:
            raise CheckpointCorrupt(f"it holds {named}", where=name, remedy="go back to another version")
        return model

    return load
