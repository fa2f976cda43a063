"""Checkpoint blobs in a folder of any file system that pyarrow knows: local, S3, …"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyarrow import fs

from streams.errors import CheckpointCorrupt, Declined, StoreUnavailable

_TEMPORARY = ".tmp-"


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
        with _translated(self._folder):
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
        """Store a blob, in place of what may lie there: its name says what its contents are."""
        path = f"{self._folder}/{name}"
        try:
            with _translated(path):
                self._put(name, path, blob)
        except FileNotFoundError as error:
            raise _unavailable(error, path) from error

    def _put(self, name: str, path: str, blob: bytes) -> None:
        if not isinstance(self._fs, fs.LocalFileSystem):
            with self._fs.open_output_stream(path) as stream:  # object stores show a file only once it is whole
                stream.write(blob)
            return
        temporary = f"{self._folder}/{_TEMPORARY}{uuid.uuid4().hex}-{name}"  # others may write the same blob now
        with open(temporary, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def get(self, name: str) -> bytes:
        """A blob's bytes. Raises CheckpointCorrupt when there is none of this name."""
        path = f"{self._folder}/{name}"
        try:
            with _translated(path), self._fs.open_input_stream(path) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            raise CheckpointCorrupt("the blob is missing", where=path, remedy="the one before it is used") from None

    def names(self) -> Iterable[str]:
        """The blobs there are, those half-written by a process that died among them: they are to be deleted, too."""
        with _translated(self._folder):
            files = self._fs.get_file_info(fs.FileSelector(self._folder, allow_not_found=True))
        return sorted({_meant(file.base_name) for file in files})

    def delete(self, name: str) -> None:
        """Remove a blob and what is left of attempts to write it, if they are there."""
        path = f"{self._folder}/{name}"
        where = [path]
        if isinstance(self._fs, fs.LocalFileSystem):
            where = fs.FileSelector(self._folder, allow_not_found=True)
        with _translated(path):
            for file in self._fs.get_file_info(where):
                if file.type == fs.FileType.File and _meant(file.base_name) == name:
                    with suppress(FileNotFoundError):  # somebody else deleted it
                        self._fs.delete_file(file.path)


def _meant(file: str) -> str:
    """The blob that a file is, or was to be."""
    return file.removeprefix(_TEMPORARY).partition("-")[2] if file.startswith(_TEMPORARY) else file


@contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unavailable(error, where) from error


def _unavailable(error: OSError, where: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the checkpoint store does not answer: {error}",
        where=where,
        remedy="free disk space, or check the network and the rights; riverrun tries again",
    )
