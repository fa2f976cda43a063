"""Checkpoint blobs in a folder of any file system that pyarrow knows: local, S3, …"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pyarrow import fs

from streams.errors import CheckpointCorrupt, Declined


class FolderBlobStore:
    """Blobs as files of one folder, written whole: a temporary name, flushed to the disk, then renamed.

    Examples
    --------
    >>> import tempfile
    >>> store = FolderBlobStore.at(tempfile.mkdtemp())
    >>> store.put("one", b"state"); store.get("one"), list(store.names())
    (b'state', ['one'])
    """

    def __init__(self, file_system: fs.FileSystem, folder: str) -> None:
        self._fs, self._folder = file_system, folder.rstrip("/")
        self._fs.create_dir(self._folder, recursive=True)

    @classmethod
    def at(cls, location: str | Path) -> FolderBlobStore:
        """The store at a path, or at a URI such as ``s3://bucket/checkpoints``."""
        text = str(location)
        try:
            file_system, folder = fs.FileSystem.from_uri(text if "://" in text else str(Path(text).absolute()))
        except (ValueError, OSError) as error:
            raise Declined(
                f"no file system for checkpoints: {error}", where=text, remedy="give a path or URI"
            ) from error
        return cls(file_system, folder)

    def put(self, name: str, blob: bytes) -> None:
        """Store a blob, unless the very same is there already: its name is the digest of its contents."""
        path = f"{self._folder}/{name}"
        if self._fs.get_file_info(path).type == fs.FileType.File:
            return
        if not isinstance(self._fs, fs.LocalFileSystem):
            with self._fs.open_output_stream(path) as stream:  # object stores show a file only once it is whole
                stream.write(blob)
            return
        temporary = f"{self._folder}/.tmp-{name}"
        with open(temporary, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def get(self, name: str) -> bytes:
        """A blob's bytes. Raises CheckpointCorrupt when there is none of this name."""
        try:
            with self._fs.open_input_stream(f"{self._folder}/{name}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            raise CheckpointCorrupt("the blob is missing", where=f"{self._folder}/{name}") from None

    def names(self) -> Iterable[str]:
        """The blobs there are."""
        files = self._fs.get_file_info(fs.FileSelector(self._folder))
        return sorted(file.base_name for file in files if not file.base_name.startswith(".tmp-"))

    def delete(self, name: str) -> None:
        """Remove a blob, if it is there."""
        path = f"{self._folder}/{name}"
        if self._fs.get_file_info(path).type == fs.FileType.File:
            self._fs.delete_file(path)
