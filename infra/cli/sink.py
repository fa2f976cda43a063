"""``riverrun sink``: topics into Parquet files and the DuckDB warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sink(
    file: Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")],
    once: Annotated[bool, typer.Option("--once", help="Stop when everything that is there now is written.")] = False,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", help="Serve Prometheus metrics on loopback; 0 takes any free port.")
    ] = None,
) -> None:
    """Write a pipeline's inputs and outputs to Parquet, each record once, for `riverrun sql` and any DuckDB client."""
    from infra.roles.sink import run_pipeline_sink
    from infra.settings import Settings
    from infra.stopping import StopSignal

    run_pipeline_sink(file, Settings.load(), StopSignal(), once, metrics_port)
