"""Recorded inputs: the raw records that the sink archived, in order, for the backtest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq

from streams.errors import Declined
from streams.ports import Record


def partitions(root: Path, topic: str) -> list[int]:
    """The partitions of a topic that were recorded under ``root``, a pipeline's folder of Parquet files."""
    return sorted(int(folder.name[2:]) for folder in _folder(root, topic).glob("p=*"))


def records(root: Path, topic: str, partition: int) -> Iterator[Record]:
    """The records of one partition, by offset. Raises Declined where a file cannot be read."""
    for path in sorted((_folder(root, topic) / f"p={partition}").glob("*.parquet")):
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=["offset", "timestamp_ms", "key", "value"]):
                    columns = [batch.column(name).to_pylist() for name in ("offset", "timestamp_ms", "key", "value")]
                    yield from map(Record, *columns)
        except (OSError, ValueError) as error:
            raise Declined(
                f"the file cannot be read: {error}", where=str(path), remedy="start the sink: it makes the file anew"
            ) from error


def count(root: Path, topic: str) -> int:
    """How many records of a topic were recorded."""
    return sum(pq.read_metadata(path).num_rows for path in _folder(root, topic).glob("p=*/*.parquet"))


def _folder(root: Path, topic: str) -> Path:
    return root / "inputs" / f"topic={quote(topic, safe='')}"
