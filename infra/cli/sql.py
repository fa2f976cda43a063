"""``riverrun sql``: query what the sinks wrote, while they write."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_SHOWN = 50


class Format(StrEnum):
    """How rows come out."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SELECT. Left out: the views and what their columns mean.")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", help="Whose data. Left out: the only one.")
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="json is one object a line.")] = Format.table,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write here and not to standard output.")] = None,
) -> None:
    """Query predictions, outcomes, metrics and the rest with DuckDB; nothing can be changed."""
    from connectors.warehouse import query as run
    from infra.settings import Settings

    root = root_of(Settings.load().home, pipeline)
    if query is None:
        _list_views(root)
        return
    shown = format is Format.table and out is None
    table = run(root, query, rows_max=_ROWS_SHOWN + 1 if shown else None)
    if shown:
        _show(table)
    else:
        _write(table, format, out)


def root_of(home: Path, pipeline: str | None) -> Path:
    """The folder of a pipeline's Parquet files; of the only pipeline if none is named."""
    from streams.errors import Declined

    there = sorted(path.parent.parent.name for path in home.glob("*/parquet/layout.json"))
    if pipeline is None and len(there) == 1:
        pipeline = there[0]
    if pipeline not in there:
        named = f"no data of {pipeline!r}" if pipeline else "no data" if not there else "several pipelines"
        remedy = f"--pipeline with one of {', '.join(there)}" if there else "start a sink: `riverrun up PIPELINE`"
        raise Declined(named, where=str(home), remedy=remedy)
    return home / pipeline / "parquet"


def _list_views(root: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from connectors.warehouse import describe

    console = Console()
    for view in describe(root):
        table = Table("column", "type", "meaning", title=f"{view.name}: {view.comment}", title_justify="left")
        for column in view.columns:
            table.add_row(*(cell(part) for part in column))
        console.print(table)


def _show(table: pa.Table) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    shown = Table()
    for name in table.column_names:
        shown.add_column(cell(name))
    columns = [column.to_pylist() for column in table.slice(0, _ROWS_SHOWN).columns]
    for row in zip(*columns, strict=True):
        shown.add_row(*map(cell, row))
    console.print(shown)
    if table.num_rows > _ROWS_SHOWN:
        console.print(f"The first {_ROWS_SHOWN} rows; for all of them: --format csv, json or parquet.")


def cell(value: Any) -> Any:
    """A value for a terminal: no markup, no control characters, times without their zone (all are UTC).

    >>> cell("[red]\\x1b[0m").plain, cell(None).plain, cell(0.1 + 0.2).plain
    ('[red]\\\\x1b[0m', '', '0.3')
    """
    from datetime import datetime

    from rich.text import Text

    from infra.text import one_line

    if isinstance(value, datetime):
        value = value.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
    shown = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return Text(one_line(shown))


def _write(table: pa.Table, format: Format, out: Path | None) -> None:
    import msgspec
    import pyarrow.csv
    import pyarrow.parquet

    with out.open("wb") if out else _stdout() as stream:
        if format is Format.parquet:
            pyarrow.parquet.write_table(table, stream, compression="zstd")
        elif format is Format.json:
            for batch in table.to_batches(max_chunksize=10_000):
                stream.write(msgspec.json.Encoder().encode_lines(batch.to_pylist()))
        else:
            pyarrow.csv.write_csv(_flat(table), stream)


def _stdout() -> Any:
    from contextlib import nullcontext

    return nullcontext(sys.stdout.buffer)


def _flat(table: pa.Table) -> pa.Table:
    """For CSV: lists, structs, maps and bytes as JSON text."""
    import msgspec
    import pyarrow as pa

    for i, field in enumerate(table.schema):
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            values = [v if v is None else msgspec.json.encode(v).decode() for v in table.column(i).to_pylist()]
            table = table.set_column(i, field.name, pa.array(values, pa.string()))
    return table
