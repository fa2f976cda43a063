"""Partitions kept as Parquet files, one per bucket of offsets. Knows nothing of Kafka but records and offsets.

``{root}/{table}/p=3/00000000000000050000.parquet`` holds the records of partition 3 with offsets 50,000 to 99,999;
``{root}/inputs/topic=…/p=3/…`` the raw archive of an input. The last, open bucket is rewritten whole whenever it is
flushed, by an atomic rename, and what is committed is its start until it is full:

    offsets    0 ─────────── 50,000 ────────── 100,000 ──── 112,345
    files      [ full, final ][ full, final   ][ open          ]
    committed                                  ^ 100,000: after a crash the open bucket is read again

So a file's content depends on offsets alone. A crash between rename and commit repeats work, never rows. (There are no
``date=`` folders: a bucket can span midnight.)

Files are read by anyone at any time; a file that turns out truncated is moved to ``{root}/quarantine`` and read again
from Kafka. Records that are not what their topic promises are kept under ``{root}/quarantine`` too, in the same layout.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.sinks.arrow import Unreadable, decode, finish, join, unfinish
from connectors.sinks.files import (
    Layout,
    anchor,
    covered_to,
    fix_layout,
    part_folder,
    remove_leftovers,
    rename_into,
    write_bucket,
)
from connectors.sinks.schema import Kind, Table, table
from streams.ports import Record

BUCKET_OFFSETS = 50_000
BROKEN, SET_ASIDE = "quarantine/files", "quarantine/records"
_UNREADABLE = pa.schema(
    {"offset": pa.int64(), "timestamp_ms": pa.int64(), "key": pa.binary(), "value": pa.binary(), "why": pa.string()}
)


class Part(NamedTuple):
    """One partition of one topic, and the table it goes to."""

    table: str
    topic: str
    partition: int


class Flushed(NamedTuple):
    """What a flush did: rows that are newly visible, records set aside, files moved to quarantine."""

    rows: int
    unreadable: int
    broken_files: int


@dataclass(slots=True)
class Bucket:
    """The rows of one bucket so far, and how far the file on disk is."""

    start: int
    next_offset: int
    on_disk: int
    chunks: list[pa.Table] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass(slots=True)
class PartWriter:
    """The buckets of one partition that are not finally written yet, oldest first; the last may be open."""

    part: Part
    table: Table
    folder: Path
    next_offset: int
    buckets: dict[int, Bucket] = field(default_factory=dict)


class ParquetSink:
    """Keeps partitions as Parquet files under ``root``.

    Parameters
    ----------
    root
        The ``parquet`` folder of a pipeline.
    kind
        What the pipeline predicts: the type of predictions and labels.
    bucket_offsets
        Offsets in a file, at least 1. Fixed for a folder. A whole open bucket of each partition is held in memory.

    Raises
    ------
    Declined
        The folder was begun with another kind or bucket size.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> sink, part = ParquetSink(Path(folder.name), "binary", bucket_offsets=10), Part("inputs", "flights", 0)
    >>> sink.open(part, committed=None)
    0
    >>> sink.write(part, [Record(offset, 1_000, b"k", b"v") for offset in range(12)])
    >>> sink.flush(part).rows, sink.next_offset_to_commit(part)
    (12, 10)
    >>> folder.cleanup()
    """

    def __init__(self, root: Path, kind: Kind, bucket_offsets: int = BUCKET_OFFSETS) -> None:
        assert bucket_offsets > 0
        self.root, self.kind, self.bucket_offsets = root, kind, bucket_offsets
        fix_layout(root, Layout(bucket_offsets, kind))
        self._writers: dict[Part, PartWriter] = {}
        self._broken_files = 0

    def open(self, part: Part, committed: int | None) -> int:
        """Take a partition on; returns the offset to read from.

        That is the start of the bucket that ``committed`` lies in, or of the first broken file's. ``committed`` None
        means the group has never committed: everything is read. A file in quarantine is made again at every open until
        one stands in its place, or the person who has looked at it removes it.
        """
        folder = part_folder(self.root, *part)
        remove_leftovers(folder)
        start = self._start(committed or 0)
        aside = part_folder(self.root / BROKEN, *part)
        for name in sorted({path.name for place in (folder, aside) for path in place.glob("[0-9]*.parquet")}):
            bucket_start = int(name.removesuffix(".parquet"))
            if self._covered(folder / name) < min(bucket_start + self.bucket_offsets, start):
                start = bucket_start
        self._writers[part] = PartWriter(part, table(part.table, self.kind), folder, start)
        return start

    def write(self, part: Part, records: Sequence[Record]) -> None:
        """Take records in the order of their offsets, each offset once, into memory. Reads footers, writes nothing."""
        writer = self._writers[part]
        i = 0
        while i < len(records):
            start = self._start(records[i].offset)
            end = start + self.bucket_offsets
            until = bisect_left(records, end, lo=i, key=attrgetter("offset"))
            run = records[i:until]
            assert run[0].offset >= writer.next_offset, f"{part}: offset {run[0].offset} comes again"
            self._take(writer, self._bucket(writer, start, run[0].offset), run)
            writer.next_offset = run[-1].offset + 1
            i = until

    def flush(self, part: Part, *, open_too: bool = True) -> Flushed:
        """Write what is new of the full buckets, and of the open one too.

        Raises OSError (a full disk); then nothing is lost: flush again.
        """
        writer = self._writers[part]
        rows = unreadable = 0
        for start, bucket in list(writer.buckets.items()):
            end = start + self.bucket_offsets
            full = writer.next_offset >= end
            next_offset = end if full else bucket.next_offset
            if next_offset > bucket.on_disk and (full or open_too):
                rows += self._write_out(writer, bucket, next_offset)
                unreadable += sum(bad.record.offset >= bucket.on_disk for bad in bucket.unreadable)
                bucket.on_disk = next_offset
            if full:
                del writer.buckets[start]
        broken_files, self._broken_files = self._broken_files, 0
        return Flushed(rows, unreadable, broken_files)

    def next_offset_to_commit(self, part: Part) -> int:
        """Everything before it is in final files: the start of the oldest bucket that is not."""
        writer = self._writers[part]
        return next(iter(writer.buckets), self._start(writer.next_offset))

    def full(self, part: Part) -> bool:
        """Whether a whole bucket waits in memory to be written."""
        return len(self._writers[part].buckets) > 1

    def close(self, part: Part) -> None:
        """Forget the partition; what was not flushed is read again by whoever opens it next."""
        del self._writers[part]

    def _start(self, offset: int) -> int:
        return offset - offset % self.bucket_offsets

    def _bucket(self, writer: PartWriter, start: int, first_offset: int) -> Bucket:
        bucket = writer.buckets.get(start)
        if bucket is None:
            path = _path(writer.folder, start)
            bucket = writer.buckets[start] = Bucket(start, start, self._covered(path))
            if first_offset > start and not self._final(bucket):
                bucket.chunks += _head(path, writer.table, first_offset)
        return bucket

    def _final(self, bucket: Bucket) -> bool:
        return bucket.on_disk == bucket.start + self.bucket_offsets

    def _take(self, writer: PartWriter, bucket: Bucket, run: Sequence[Record]) -> None:
        bucket.next_offset = run[-1].offset + 1
        if self._final(bucket):
            return  # it is being read again only on the way from a broken file before it
        rows, unreadable = decode(writer.table, writer.part.topic, writer.part.partition, run)
        bucket.chunks.append(rows)
        bucket.unreadable += unreadable

    def _write_out(self, writer: PartWriter, bucket: Bucket, next_offset: int) -> int:
        """Write the bucket's file; returns how many of its rows were not on disk before."""
        bucket.chunks = [join(bucket.chunks).combine_chunks()]
        rows = finish(bucket.chunks[0])
        path = _path(writer.folder, bucket.start)
        self._covered(path)  # a file that was broken meanwhile gives way
        anchor(self.root / writer.table.name, rows.schema)
        write_bucket(path, rows, next_offset)
        if bucket.unreadable:
            aside = part_folder(self.root / SET_ASIDE, *writer.part)
            write_bucket(_path(aside, bucket.start), _set_aside(bucket.unreadable), next_offset)
        return int(pc.sum(pc.greater_equal(rows[writer.table.offset_column], bucket.on_disk)).as_py() or 0)

    def _covered(self, path: Path) -> int:
        try:
            return covered_to(path)
        except (OSError, pa.ArrowException):
            aside = self.root / BROKEN / path.relative_to(self.root)
            aside.parent.mkdir(parents=True, exist_ok=True)
            rename_into(aside, path)
            self._broken_files += 1
            return 0


def _path(folder: Path, start: int) -> Path:
    return folder / f"{start:020d}.parquet"


def _head(path: Path, kept: Table, first_offset: int) -> list[pa.Table]:
    """What the file holds of offsets that Kafka no longer has: its retention may have taken the bucket's head."""
    if not path.exists():
        return []
    rows = pq.ParquetFile(path).read()
    head = rows.filter(pc.less(rows[kept.offset_column], first_offset))
    return [unfinish(head, kept)] if len(head) else []


def _set_aside(unreadable: list[Unreadable]) -> pa.Table:
    rows = [{**bad.record._asdict(), "why": bad.why} for bad in unreadable]
    return pa.Table.from_pylist(rows, schema=_UNREADABLE)
