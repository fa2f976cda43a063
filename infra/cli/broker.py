"""``riverrun broker``: the embedded Kafka, as a process that stays when the command ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.broker import EmbeddedBroker

broker = typer.Typer(
    add_completion=False, no_args_is_help=True, help="A real Kafka on this machine, for when you have none."
)


@broker.command()
def start(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Left out: the one it had last, else 9092, else a free one."),
    ] = None,
) -> None:
    """Start it in the background and print its address. Topics of earlier runs are there again."""
    from infra.settings import Settings

    settings = Settings.load()
    if settings.bootstrap_servers:
        typer.echo(f"RIVERRUN_BOOTSTRAP_SERVERS is set: {settings.bootstrap_servers} is used, no broker is needed here")
        return
    typer.echo(_broker(port).start(detached=True).bootstrap_servers)


@broker.command()
def stop() -> None:
    """Stop it. Its data stays."""
    typer.echo("stopped" if _broker().stop() else "no broker runs")


@broker.command()
def status() -> None:
    """Show its address and process; status 1 if it does not run."""
    from datetime import datetime

    running = _broker().running()
    if running is None:
        typer.echo("no broker runs; `riverrun broker start` starts one")
        raise typer.Exit(1)
    since = datetime.fromtimestamp(running.created_s).astimezone()
    typer.echo(f"{running.bootstrap_servers}  process {running.pid} since {since:%Y-%m-%d %H:%M:%S}  {running.folder}")


def _broker(port: int | None = None) -> EmbeddedBroker:
    from infra.broker import EmbeddedBroker
    from infra.settings import Settings

    return EmbeddedBroker(Settings.load().broker_folder, port)
