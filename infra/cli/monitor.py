"""``riverrun monitor``: one live picture of pipelines, its page and API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def monitor(
    files: Annotated[list[Path], typer.Argument(help="The Python files that declare the pipelines.")],
    id: Annotated[
        str, typer.Option("--id", help="Name of this monitor, unique among those of the same pipelines.")
    ] = "1",
    bind: Annotated[str, typer.Option(help="Address to listen on. Any but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of page and API; 0 takes any free one.")] = 8642,
    name: Annotated[
        list[str] | None, typer.Option(help="A name that others reach it by, besides the address. May be repeated.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", help="Serve Prometheus metrics on loopback; 0 takes any free port.")
    ] = None,
) -> None:
    """Merge what all tasks report into one live picture, and serve it as a page and as JSON.

    Nothing depends on it: without a monitor the pipelines go on.
    """
    from infra.monitor.address import Address
    from infra.roles.monitor import Place, run_monitor
    from infra.settings import Settings

    run_monitor(files, Settings.load(), Place(id, Address(bind, port, tuple(name or ())), metrics_port))
