"""Where blobs go, and who writes them: what all tasks of a worker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.ports import Background, BlobStore, Telemetry


@dataclass(frozen=True, slots=True)
class Store:
    """Checkpoints and versions lie in ``blobs``, signed with ``key``; ``background`` writes them beside the data path.

    ``clock`` gives seconds and only goes forward.
    """

    blobs: BlobStore
    key: bytes
    background: Background
    telemetry: Telemetry
    clock: Callable[[], float]
