"""Attempts at batches, in a folder of this machine: a file a task, empty while no step is under way."""

from __future__ import annotations

import os
from pathlib import Path

from streams.errors import Declined


class FolderAttempts:
    """Survives the process, not the machine: nothing is synced, for it is a record that kills and not a power cut.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> attempts = FolderAttempts(folder)
    >>> attempts.save(3, b"batch 7"); FolderAttempts(folder).load(3)
    b'batch 7'
    >>> attempts.clear(3); attempts.load(3) is None
    True
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, int] = {}  # partition -> descriptor
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Declined(f"no folder can be made: {error}", where=str(folder), remedy="set RIVERRUN_HOME") from error

    def load(self, partition: int) -> bytes | None:
        """What was saved and not cleared."""
        return os.pread(self._file(partition), 1_000_000, 0) or None

    def save(self, partition: int, attempt: bytes) -> None:
        """Note what is begun now. A full disk is no reason not to begin it."""
        file = self._file(partition)
        try:
            os.pwrite(file, attempt, 0)
            os.ftruncate(file, len(attempt))
        except OSError:
            os.ftruncate(file, 0)

    def clear(self, partition: int) -> None:
        """It is done."""
        os.ftruncate(self._file(partition), 0)

    def _file(self, partition: int) -> int:
        if partition not in self._files:
            self._files[partition] = os.open(self._folder / str(partition), os.O_RDWR | os.O_CREAT, 0o600)
        return self._files[partition]
