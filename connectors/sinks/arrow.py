"""JSON records to Arrow columns, a chunk at a time. One bad record is set aside; it cannot stop the sink.

msgspec decodes and checks, Arrow builds the columns. (``pyarrow.json`` was tried: it has no maps, takes dates out of
text, and turns an integer of 30 digits into a float without a word.)

A feature may be a number in one record and text in the next. Until a file is written its values therefore stay in one
column a type, so that the file's column depends on the records alone and not on how they were cut into chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import astuple

from connectors.sinks.schema import COORDINATES, UTC_MS, Table, widest
from models.columns import columns
from streams.ports import Record
from streams.schema import TIME_MS_MAX, TIME_MS_MIN

_ROWS_AT_ONCE = 2_000  # with more the decoded objects leave the processor's cache, with fewer a chunk costs more
_SET_ASIDE = (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError, pa.ArrowException)
_FEATURE_TYPES = {"bool": pa.bool_(), "number": pa.float64(), "text": pa.string()}
_OF = {bool: "bool", int: "number", float: "number", str: "text"}
_MARK = "\0"  # between type and name in a chunk's feature columns: "number\0dep_delay_min"


class Unreadable(NamedTuple):
    """A record that is not what its topic promises, and why."""

    record: Record
    why: str


def decode(table: Table, topic: str, partition: int, records: Sequence[Record]) -> tuple[pa.Table, list[Unreadable]]:
    """Records of one partition as a chunk of rows, in order, and those that could not be read.

    Examples
    --------
    >>> from connectors.sinks.schema import table
    >>> drift = {"task": 0, "time_ms": 5, "topic": "t", "partition": 0, "offset": 3, "detector": "ADWIN",
    ...          "watched": "error of tree", "model": "tree", "value": 0.5, "action": "reported"}
    >>> good, bad = Record(7, 5, None, msgspec.json.encode(drift)), Record(8, 5, None, b'{"task": "x"}')
    >>> rows, unreadable = decode(table("drift", "binary"), "f.drift", 0, [good, bad])
    >>> rows["_offset"].to_pylist(), unreadable[0].why
    ([7], 'Expected `int`, got `str` - at `$.task`')
    """
    if len(records) <= _ROWS_AT_ONCE:
        try:
            return _chunk(table, topic, partition, records), []
        except _SET_ASIDE as error:
            if len(records) == 1:
                return _chunk(table, topic, partition, []), [Unreadable(records[0], str(error))]
    step = min((len(records) + 1) // 2, _ROWS_AT_ONCE)  # halves close in on the bad record
    parts = [decode(table, topic, partition, records[i : i + step]) for i in range(0, len(records), step)]
    return join([rows for rows, _ in parts]), [bad for _, unreadable in parts for bad in unreadable]


def join(chunks: Sequence[pa.Table]) -> pa.Table:
    """Chunks one after another; a feature that one of them lacks is null there."""
    return pa.concat_tables(chunks, promote_options="default")


def finish(chunk: pa.Table) -> pa.Table:
    """A chunk as it is written: each feature in one column of the widest type it took, all-null ones left out.

    A feature whose name is taken (DuckDB knows no case) gets a ``_`` at its end: the feature "offset" is ``offset_``.
    """
    features: dict[str, list[str]] = {}
    columns: dict[str, Any] = {}
    for field in chunk.column_names:
        kind, mark, name = field.partition(_MARK)
        if not mark:
            columns[field] = chunk[field]
        elif kind in _FEATURE_TYPES:
            features.setdefault(name, []).append(field)
        else:
            features.setdefault(name, [])
    taken = {name.lower() for name in columns}
    for name, fields in features.items():
        if fields:
            while name.lower() in taken:
                name += "_"  # noqa: PLW2901
            taken.add(name.lower())
            columns[name] = _merged([chunk[field] for field in fields])
    return pa.table(columns)


def unfinish(rows: pa.Table, table: Table) -> pa.Table:
    """Rows read back from a file, as a chunk that more chunks can be joined to."""
    kinds = {arrow: kind for kind, arrow in _FEATURE_TYPES.items()}
    own = set(table.schema.names)
    names = [f.name if f.name in own else f"{kinds[f.type]}{_MARK}{f.name}" for f in rows.schema]
    return rows.rename_columns(names).replace_schema_metadata()


def _merged(columns: list[Any]) -> Any:
    target = columns[0].type
    for column in columns[1:]:
        target = widest(target, column.type)
    return pc.coalesce(*(column.cast(target) for column in columns)) if len(columns) > 1 else columns[0]


def _chunk(table: Table, topic: str, partition: int, records: Sequence[Record]) -> pa.Table:
    partitions = pa.repeat(pa.scalar(partition, pa.int64()), len(records))
    offsets = pa.array([record.offset for record in records], pa.int64())
    if table.record is None:
        rest = [
            pa.array([record.timestamp_ms for record in records], pa.int64()),
            pa.array([record.key for record in records], pa.binary()),
            pa.array([record.value for record in records], pa.binary()),
        ]
        return pa.table([pa.repeat(pa.scalar(topic), len(records)), partitions, offsets, *rest], schema=table.schema)
    read = msgspec.json.Decoder(table.record).decode
    rows = [read(record.value or b"") for record in records]
    fields = _fields(rows, table.record.__struct_fields__)
    own = [column for column in table.columns if column not in COORDINATES]
    arrays = {column.name: array(fields[column.source], column.type) for column in own}
    arrays |= {"_partition": partitions, "_offset": offsets}
    if table.flattened:
        arrays |= _features(fields[table.flattened])
    return pa.table(arrays)


def _fields(rows: Sequence[Any], names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Field -> its values in all rows."""
    return dict(zip(names, zip(*map(astuple, rows), strict=True), strict=True)) if rows else dict.fromkeys(names, ())


def _features(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, values in columns(rows):
        kinds = {_OF[t] for t in set(map(type, values)) if t in _OF}
        made[f"{_MARK}{name}"] = pa.nulls(len(rows))  # keeps the name's place in the order
        for kind in sorted(kinds):
            own = values if len(kinds) == 1 else [v if _OF.get(type(v)) == kind else None for v in values]
            made[f"{kind}{_MARK}{name}"] = array(own, _FEATURE_TYPES[kind])
    return made


def array(values: Sequence[Any], arrow: pa.DataType) -> Any:
    """Values of a Struct's field as an Arrow array.

    Times outside the years 1 to 9999 are null. Raises ValueError or TypeError for a value of another kind.

    Examples
    --------
    >>> array([True, 3], pa.string()).to_pylist(), array([1, None], pa.float64()).to_pylist()
    (['true', '3'], [1.0, None])
    """
    if pa.types.is_struct(arrow):
        fields = [arrow.field(i) for i in range(arrow.num_fields)]
        parts = _fields(values, [f.name for f in fields])
        return pa.StructArray.from_arrays([array(parts[f.name], f.type) for f in fields], fields=fields)
    if pa.types.is_list(arrow):
        return pa.ListArray.from_arrays(_starts(values), array(list(chain.from_iterable(values)), arrow.value_type))
    if arrow == UTC_MS:
        values = [v if v is None or TIME_MS_MIN <= v <= TIME_MS_MAX else None for v in values]
        return pa.array(values, pa.int64()).cast(arrow)
    if pa.types.is_map(arrow):
        values = [None if v is None else list(v.items()) for v in values]
    try:
        return pa.array(values, arrow)
    except pa.ArrowException:
        if arrow == pa.float64():
            return pa.array([None if v is None else float(v) for v in values], arrow)
        if arrow == pa.string():
            return pa.array([_text(v) for v in values], arrow)
        raise


def _text(value: Any) -> str | None:
    """As JSON writes it, so that True is "true" like in a confusion cell."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _starts(lists: Sequence[list[Any]]) -> Any:
    lengths = pa.array([0, *map(len, lists)], pa.int32())
    return pc.cumulative_sum(lengths)
