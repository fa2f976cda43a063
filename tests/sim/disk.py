"""The BlobStore port in memory: a disk that fails, forgets and tears when a test says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.errors import CheckpointCorrupt, StoreUnavailable
from tests.sim.cluster import Crash, ignore


def disk_error(code: int) -> StoreUnavailable:
    """What a store raises when the disk does not do what it should: ENOSPC, EIO, …"""
    return StoreUnavailable(os.strerror(code), where="checkpoints")


class TornWrite(Crash):
    """The power fails while a blob is written: this part of it lies under its name, as where a rename is no shield."""

    def __init__(self, part: float) -> None:
        super().__init__(f"{part:.0%} written")
        self.part = part


@dataclass
class MemoryBlobs:
    """Checkpoints in memory. Whoever holds ``blobs`` may break them; ``broken`` are those that someone did break."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    on: Callable[[str], None] = ignore
    at: str = ""
    """The blob that the operation which is announced is about."""
    broken: set[str] = field(default_factory=set)
    missed: set[str] = field(default_factory=set)
    """Asked for and not there, though nobody broke them, and they should be kept."""
    kept: Callable[[str], bool] = lambda _: True
    """Whether a blob should be there: one that was superseded meanwhile need not."""

    def put(self, name: str, blob: bytes) -> None:
        self.at = name
        try:
            self.on("before put")
        except TornWrite as torn:
            if name not in self.blobs:
                self.blobs[name] = blob[: int(len(blob) * torn.part)]
                self.broken.add(name)
            raise
        self.blobs[name] = blob
        self.broken.discard(name)
        self.on("after put")

    def get(self, name: str) -> bytes:
        self.at = name
        self.on("before get")
        if name not in self.blobs:
            if name not in self.broken and self.kept(name):
                self.missed.add(name)
            raise CheckpointCorrupt("there is no such blob", where=name)
        return self.blobs[name]

    def names(self) -> list[str]:
        return list(self.blobs)

    def delete(self, name: str) -> None:
        self.blobs.pop(name, None)
