"""The tables of the warehouse: one column for every field of a record, its Arrow type and what it means.

The records in streams/records.py are the one source: field types are read off the Structs. A table also carries the
coordinates of the output record itself, ``_partition`` and ``_offset``: rows sort by them, and audits find the record.
"""

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec
import pyarrow as pa

from streams.errors import Declined
from streams.records import PUBLISHED, Scalar

Kind = Literal["binary", "multiclass", "regression"]
"""What a pipeline predicts; it fixes the type of ``prediction`` and ``label``."""

SCALAR: dict[str, pa.DataType] = {"binary": pa.bool_(), "multiclass": pa.string(), "regression": pa.float64()}
UTC_MS = pa.timestamp("ms", "UTC")
_PLAIN: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
}


class Column(NamedTuple):
    """A column ``name`` filled from the field ``source`` of a record."""

    name: str
    source: str
    type: pa.DataType


class Table(NamedTuple):
    """A table and its columns. ``record`` is the Struct its rows are decoded with; None: rows are kept raw.

    ``flattened`` names the field whose entries become columns of their own, one a feature.
    """

    name: str
    record: type[msgspec.Struct] | None
    columns: tuple[Column, ...]
    flattened: str | None

    @property
    def schema(self) -> pa.Schema:
        """The columns that every file of the table has, in order."""
        return pa.schema([(column.name, column.type) for column in self.columns])

    @property
    def offset_column(self) -> str:
        """The column with the offset of the record in its own topic; files are sorted by it."""
        return "_offset" if self.record else "offset"


RAW = (
    Column("topic", "", pa.string()),
    Column("partition", "", pa.int64()),
    Column("offset", "", pa.int64()),
    Column("timestamp_ms", "", pa.int64()),
    Column("key", "", pa.binary()),
    Column("value", "", pa.binary()),
)
COORDINATES = (Column("_partition", "", pa.int64()), Column("_offset", "", pa.int64()))
TABLES = (*PUBLISHED, "inputs")


@cache
def table(name: str, kind: Kind) -> Table:
    """The table of an output by its name in ``PUBLISHED``, or the raw archive ``inputs``.

    Raises
    ------
    Declined
        There is no such table.

    Examples
    --------
    >>> [column.name for column in table("inputs", "binary").columns]
    ['topic', 'partition', 'offset', 'timestamp_ms', 'key', 'value']
    >>> schema = table("outcomes", "multiclass").schema
    >>> str(schema.field("label").type), str(schema.field("label_time").type), str(schema.field("label_delay_ms").type)
    ('string', 'timestamp[ms, tz=UTC]', 'int64')
    >>> table("features", "binary").flattened
    'features'
    """
    if name == "inputs":
        return Table(name, None, RAW, None)
    record = PUBLISHED.get(name)
    if record is None:
        raise Declined(f"no table {name!r}", remedy=f"one of {', '.join(TABLES)}")
    hints = typing.get_type_hints(record)
    flattened = "features" if name == "features" else None
    fields = [(field, arrow_type(hint, kind)) for field, hint in hints.items() if field != flattened]
    columns = [Column(_time_name(f), f, UTC_MS if _is_time(f) else arrow) for f, arrow in fields]
    return Table(name, record, (*columns, *COORDINATES), flattened)


def arrow_type(hint: Any, kind: Kind) -> pa.DataType:
    """The Arrow type of an annotation in streams/records.py.

    Examples
    --------
    >>> str(arrow_type(int | None, "binary")), str(arrow_type(dict[str, float], "binary"))
    ('int64', 'map<string, double>')
    >>> str(arrow_type(Scalar, "regression")), str(arrow_type(Scalar | None, "multiclass"))
    ('double', 'string')
    """
    if isinstance(hint, types.UnionType):
        members = set(typing.get_args(hint)) - {type(None)}
        if members == set(typing.get_args(Scalar)):
            return SCALAR[kind]
        (hint,) = members
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is list:
        return pa.list_(arrow_type(arguments[0], kind))
    if typing.get_origin(hint) is dict:
        return pa.map_(arrow_type(arguments[0], kind), arrow_type(arguments[1], kind))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return pa.struct([(name, arrow_type(h, kind)) for name, h in typing.get_type_hints(hint).items()])
    return _PLAIN[hint]


def widest(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """The type that holds both: numbers take in bools, text takes in everything. What DuckDB does across files.

    Examples
    --------
    >>> str(widest(pa.bool_(), pa.float64())), str(widest(pa.float64(), pa.string()))
    ('double', 'string')
    """
    return a if a == b else pa.float64() if {a, b} == {pa.bool_(), pa.float64()} else pa.string()


def _is_time(field: str) -> bool:
    return field == "time_ms" or field.endswith("_time_ms")


def _time_name(field: str) -> str:
    return field.removesuffix("_ms") if _is_time(field) else field
