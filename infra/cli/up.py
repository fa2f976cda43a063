"""``riverrun up``: a whole pipeline on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def up(
    file: Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")],
    source: Annotated[Path | None, typer.Option(help="A source connector's file to run with it.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes, up to one a partition.")] = 1,
    speed: Annotated[float | None, typer.Option(help="The source's seconds of event time in a second.")] = None,
    metrics_port: Annotated[
        int,
        typer.Option(
            "--metrics-port", help="Prometheus metrics of `up`; the roles have the ports after it. 0: free ones."
        ),
    ] = 9464,
    no_monitor: Annotated[bool, typer.Option("--no-monitor", help="Leave out the monitor, its page and API.")] = False,
    monitor_port: Annotated[int, typer.Option("--monitor-port", help="Port of the monitor; 0: a free one.")] = 8642,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="Stop when the source has ended and all is processed and written.")
    ] = False,
) -> None:
    """Run all roles of a pipeline here: broker (unless one is configured), topics, workers, sink, source, monitor.

    What dies is started again and goes on as if nothing had happened. Ctrl-C stops everything in order.
    """
    from contextlib import ExitStack

    from infra.prometheus.targets import Target, discoverable
    from infra.settings import Settings
    from infra.stopping import StopSignal
    from infra.up import Up

    stop, settings = StopSignal(), Settings.load()
    served = None if no_monitor else monitor_port
    made = Up(
        file,
        settings,
        source=source,
        workers=workers,
        speed=speed,
        metrics_port=metrics_port,
        monitor_port=served,
    )
    with made as running, ExitStack() as found:
        port, others = running.telemetry.serve(metrics_port), "the ports after it" if metrics_port else "free ports"
        found.enter_context(discoverable(settings.home, Target(running.pipeline.name, "up"), port))
        typer.echo(f"metrics on http://127.0.0.1:{port} and {others}; logs in {running.logs}")
        if served:
            typer.echo(f"monitor on http://127.0.0.1:{served}/")
        if not until_done:
            running.run(stop)
            return
        running.run_until_done(stop)
        if not stop():
            running.finish()
