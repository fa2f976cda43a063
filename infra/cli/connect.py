"""``riverrun connect``: a source connector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def connect(
    file: Annotated[Path, typer.Argument(help="A Python file with a function `source()` that returns the source.")],
    speed: Annotated[
        float | None, typer.Option(help="Seconds of event time in a second. Left out: as fast as possible.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", help="Serve Prometheus metrics on loopback; 0 takes any free port.")
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Run a source connector: its records go to their topics, each once, also across crashes."""
    from infra.roles.source import load_source, run_source
    from infra.settings import Settings
    from infra.stopping import StopSignal

    run_source(load_source(file, speed), Settings.load(), StopSignal(), progress, metrics_port)
