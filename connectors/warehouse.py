"""The warehouse: a DuckDB file that holds only views over the sinks' Parquet files, and safe queries over it.

A second process cannot open a DuckDB file that a writer holds. So the file is written once under another name and
renamed, no process of ours keeps it open, and it is made anew only when the views change (a feature that is new): any
DuckDB client can query it while everything runs. What people add to the file is lost then; attach it read-only instead.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
import pyarrow as pa

from connectors.sinks.files import Layout, rename_into
from connectors.views import View, text, views
from streams.errors import Declined

_HARMLESS = {
    *("SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"),
    *("unnest", "range", "generate_series", "repeat", "json_each", "json_tree", "histogram", "histogram_values"),
    *("duckdb_views", "duckdb_columns"),
}
_DIGEST = "warehouse.sha256"
_VIEWS_SQL = """
SELECT view_name, v.comment, column_name, data_type, c.comment
FROM duckdb_views() v JOIN duckdb_columns() c ON table_name = view_name
WHERE NOT v.internal ORDER BY view_name, column_index
"""


class ViewColumn(NamedTuple):
    """A column as people see it."""

    name: str
    type: str
    comment: str


class Described(NamedTuple):
    """A view as people see it."""

    name: str
    comment: str
    columns: list[ViewColumn]


def warehouse_path(root: Path) -> Path:
    """Where the warehouse of the files under ``root`` lies: beside it.

    >>> warehouse_path(Path("flights/parquet")).as_posix()
    'flights/warehouse.duckdb'
    """
    return root.parent / "warehouse.duckdb"


def build(root: Path) -> bool:
    """Make the warehouse if it is missing or its views have changed. Returns whether it was made.

    Raises
    ------
    Declined
        No sink has ever written under ``root``.
    """
    definitions = _definitions(root)
    script = "\n".join([duckdb.__version__, *(s for view in definitions for s in view.statements())])
    digest = hashlib.sha256(script.encode()).hexdigest()
    path, known = warehouse_path(root), root / _DIGEST
    if path.exists() and known.exists() and known.read_text() == digest:
        return False
    temporary = root.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        with duckdb.connect(temporary) as connection:
            _define(connection, definitions)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)  # it belongs to the file that goes
        rename_into(path, temporary)
    finally:
        temporary.unlink(missing_ok=True)
    known.write_text(digest)
    return True


def query(root: Path, sql: str, *, parameters: Sequence[Any] = (), rows_max: int | None = None) -> pa.Table:
    """Run one SELECT of a person over the warehouse: nothing but the files under ``root`` can be read, none written.

    Parameters
    ----------
    root
        The ``parquet`` folder of a pipeline.
    sql
        One statement: SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE or SHOW. Times are in UTC.
    parameters
        Values for each "?" in it.
    rows_max
        Stop after so many rows; None: all of them.

    Raises
    ------
    Declined
        It is no single SELECT, it failed, or it reaches outside.
    """
    with _open(root) as connection:
        try:
            _check(connection, sql)
            relation = connection.sql(sql, params=list(parameters))
            return (relation if rows_max is None else relation.limit(rows_max)).to_arrow_table()
        except duckdb.Error as error:
            names = ", ".join(view.name for view in _definitions(root))
            what = str(error).split("\n\nLINE")[0].replace("\n", " ")
            raise Declined(what, where=sql, remedy=f"views are {names}; `riverrun sql` lists their columns") from error


def describe(root: Path) -> list[Described]:
    """The views and what their columns mean, sorted by name."""
    described: dict[str, Described] = {}
    with _open(root) as connection:
        for view, comment, *column in connection.execute(_VIEWS_SQL).fetchall():
            described.setdefault(view, Described(view, comment, [])).columns.append(ViewColumn(*column))
    return list(described.values())


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Decline all but a SELECT that only reads.

    The folder that may be read may also be written as far as DuckDB goes, and a SELECT can write: 2.0 runs
    ``WITH x AS (COPY … TO …) SELECT 1``, and the table function ``json_execute_serialized_sql`` runs any statement.
    So the parsed query may hold nodes and table functions that are known to be harmless, and no others.
    """
    remedy = "`riverrun sql` lists the views; for anything else open warehouse.duckdb with DuckDB itself"
    if [statement.type for statement in connection.extract_statements(sql)] != [duckdb.StatementType.SELECT]:
        raise Declined("only one SELECT at a time can be run", where=sql, remedy=remedy)
    ((tree,),) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    parsed = msgspec.json.decode(tree)
    if parsed["error"]:
        raise Declined(f"only a SELECT can be run: {parsed['error_message']}", where=sql, remedy=remedy)
    for strange in _nodes(parsed["statements"]) - _HARMLESS:
        raise Declined(f"{strange} is not for queries", where=sql, remedy=remedy)


def _nodes(tree: Any) -> set[str]:
    """The kinds of query nodes and the names of table functions in a parsed query."""
    found: set[str] = set()
    if isinstance(tree, dict):
        kind = tree.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE"):
            found.add(kind)
        if kind == "TABLE_FUNCTION":
            found.add(tree["function"]["function_name"])
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        found |= _nodes(part)
    return found


def _definitions(root: Path) -> list[View]:
    layout = root / "layout.json"
    if not layout.exists():
        raise Declined("no sink has written here yet", where=str(root), remedy="start one: `riverrun sink PIPELINE`")
    return views(root.resolve(), msgspec.json.decode(layout.read_bytes(), type=Layout).kind)


def _define(connection: duckdb.DuckDBPyConnection, definitions: list[View]) -> None:
    statements = [statement for view in definitions for statement in view.statements()]
    for statement in ("BEGIN", *statements, "COMMIT"):  # twice as fast as a transaction each
        connection.execute(statement)


def _open(root: Path) -> duckdb.DuckDBPyConnection:
    """A connection that reads the sinks' files and nothing else, and whose settings can no longer be changed."""
    build(root)
    try:
        connection = duckdb.connect(warehouse_path(root), read_only=True)
        _lock(connection, root)
    except duckdb.Error:  # held open for writing by a person, or being queried by another thread of ours
        connection = duckdb.connect()
        _define(connection, _definitions(root))
        _lock(connection, root)
    return connection


def _lock(connection: duckdb.DuckDBPyConnection, root: Path) -> None:
    for setting in (
        f"allowed_directories = [{text(f'{root.resolve()}/')}]",
        "enable_external_access = false",
        "TimeZone = 'UTC'",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
