"""Parquet files that are whole or not there: written aside, synced, renamed. And the layout a folder was begun with."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.sinks.schema import Kind, widest
from streams.errors import Declined

NEXT_OFFSET = b"riverrun.next_offset"
"""Key in a file's metadata: every record before this offset that lies in the file's bucket is in the file."""
ANCHOR = "_schema.parquet"
_PARQUET = {
    "compression": "zstd",
    "dictionary_pagesize_limit": 2**14,  # 2**20 makes dictionaries of numbers that are all different
}
_TEMPORARY = ".tmp-"
_TEMPORARY_S_MAX = 3_600.0  # what a killed process left behind is removed after an hour


class Layout(msgspec.Struct, frozen=True):
    """What the files of a folder have in common. Fixed when the folder is made."""

    bucket_offsets: int
    kind: Kind


def fix_layout(root: Path, layout: Layout) -> None:
    """Write ``layout.json`` in a new folder; in an old one compare with it.

    Raises
    ------
    Declined
        The folder was begun with another layout.
    """
    path = root / "layout.json"
    root.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        rename_into(path, _written(path, msgspec.json.encode(layout)))
    begun = msgspec.json.decode(path.read_bytes(), type=Layout)
    if begun != layout:
        remedy = "go back to those settings, or move the folder away and let the sink fill a new one from Kafka"
        raise Declined(f"the folder holds {begun}, asked for is {layout}", where=str(path), remedy=remedy)


def fix_topic(root: Path, topic: str, topic_id: str) -> None:
    """Remember Kafka's id of a topic whose offsets name our files; at a later start compare with it.

    Raises
    ------
    Declined
        A topic of that name was deleted and made anew: its offsets mean other records.
    """
    path = root / "topics" / quote(topic, safe="")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        rename_into(path, _written(path, topic_id.encode()))
    if path.read_text() != topic_id:
        remedy = "move the folder away and start the sink with a new group; both can be queried with DuckDB"
        raise Declined(
            f"topic {topic!r} was deleted and made anew since {root} was begun", where=topic_id, remedy=remedy
        )


def part_folder(root: Path, table: str, topic: str, partition: int) -> Path:
    """Where the files of one partition lie. Nothing in a name leads out of ``root``.

    Raises
    ------
    Declined
        The topic's name is empty, ``.`` or ``..``, or holds a NUL; Kafka has no such topics.

    Examples
    --------
    >>> part_folder(Path("d"), "features", "flights.features", 3).as_posix()
    'd/features/p=3'
    >>> part_folder(Path("d"), "inputs", "a/../../b", 0).as_posix()
    'd/inputs/topic=a%2F..%2F..%2Fb/p=0'
    """
    if topic in {"", ".", ".."} or "\0" in topic:
        raise Declined(f"{topic!r} is no topic", remedy="name a topic that Kafka can have")
    folder = root / table / f"topic={quote(topic, safe='')}" if table == "inputs" else root / table
    return folder / f"p={partition}"


def covered_to(path: Path) -> int:
    """The offset up to which a file holds its bucket, read from its footer; 0 when there is no file.

    Raises pyarrow.ArrowException or OSError when the file is truncated or is no Parquet file of ours.
    """
    if not path.exists():
        return 0
    metadata = pq.read_metadata(path).metadata or {}
    if NEXT_OFFSET not in metadata:
        raise pa.ArrowInvalid(f"{path.name} was not written by a sink")
    return int(metadata[NEXT_OFFSET])


def write_bucket(path: Path, rows: pa.Table, next_offset: int) -> bool:
    """Put the bucket's rows up to ``next_offset`` at ``path``, unless the file there already holds as much.

    A process that was stopped and replaced may come back with old rows: comparing and renaming happen under a lock of
    the folder, so it cannot put them over newer ones. Returns whether the file was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {**(rows.schema.metadata or {}), NEXT_OFFSET: str(next_offset).encode()}
    temporary = _temporary(path)
    try:
        pq.write_table(rows.replace_schema_metadata(metadata), temporary, **_PARQUET)
        _sync(temporary)
        with _locked(path.parent):
            if covered_to(path) >= next_offset:
                return False
            rename_into(path, temporary)
            return True
    finally:
        temporary.unlink(missing_ok=True)


def anchor(folder: Path, schema: pa.Schema) -> pa.Schema:
    """Widen the folder's empty ``_schema.parquet`` so that it has every column of ``schema``; returns all columns.

    Globs over the folder then always match a file, and a column has a type before any row has it.
    """
    path = folder / ANCHOR
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        known = pq.read_schema(path) if path.exists() else pa.schema([])
        columns = {field.name: field.type for field in known}
        for field in schema:
            columns[field.name] = widest(columns.get(field.name, field.type), field.type)
        merged = pa.schema(columns.items())
        if not path.exists() or merged != known:
            temporary = _temporary(path)
            try:
                pq.write_table(merged.empty_table(), temporary)
                _sync(temporary)
                rename_into(path, temporary)
            finally:
                temporary.unlink(missing_ok=True)
    return merged


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files so old that no living process writes them."""
    for path in folder.glob(f"{_TEMPORARY}*"):
        if time.time() - path.stat().st_mtime > _TEMPORARY_S_MAX:
            path.unlink(missing_ok=True)


def rename_into(path: Path, temporary: Path) -> None:
    """Rename, and sync the folder: after a power cut the name is the old file or the new one."""
    temporary.replace(path)
    _sync(path.parent)


def _temporary(path: Path) -> Path:
    return path.parent / f"{_TEMPORARY}{uuid.uuid4().hex}"  # outside of *.parquet; two processes never share one


def _written(path: Path, data: bytes) -> Path:
    temporary = _temporary(path)
    temporary.write_bytes(data)
    _sync(temporary)
    return temporary


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go when the process dies
        yield
