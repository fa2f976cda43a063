"""Where blobs go, and who writes them: what all tasks of a worker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.checkpoint import freeze_here
from streams.ports import Background, BlobStore, Freeze, Telemetry


@dataclass(frozen=True, slots=True)
class Store:
    """Checkpoints and versions lie in ``blobs``, signed with ``key``; ``background`` writes them beside the data path.

    ``clock`` gives seconds and only goes forward; ``freeze`` pickles a checkpoint's state.
    """

    blobs: BlobStore
    key: bytes
    background: Background
    telemetry: Telemetry
    clock: Callable[[], float]
    freeze: Freeze = freeze_here
