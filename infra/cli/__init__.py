"""The command line. ``riverrun COMMAND`` is the function, or the group of commands, COMMAND in infra/cli/COMMAND.py.

A command's module is imported when the command runs, so that help and completion come at once: what help says of a
command is written here, one line each.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    # name: (panel of the help, what it does)
    "up": ("Pipelines", "Run a whole pipeline on this machine: broker, workers, sink and source."),
    "check": ("Pipelines", "Find mistakes in a pipeline before anything runs."),
    "backtest": ("Pipelines", "Run a pipeline over recorded inputs, without Kafka."),
    "bench": ("Pipelines", "Measure what a pipeline costs here, and plan for a rate of events."),
    "worker": ("Roles, a process each", "Run a worker: clean, featurize, predict, learn."),
    "sink": ("Roles, a process each", "Write inputs and outputs to Parquet and the DuckDB warehouse."),
    "monitor": ("Roles, a process each", "Merge what all tasks report into one live picture: page and API."),
    "connect": ("Roles, a process each", "Run a source connector."),
    "state": ("Pipelines", "List, verify, show and prune what is saved of a pipeline's tasks."),
    "status": ("Results", "Show what the monitor knows: tasks, models, scores."),
    "top": ("Results", "The same, live in the terminal."),
    "models": ("Results", "Promote, reset and pause models; see what was decided."),
    "rejects": ("Results", "List and show records that could not be used, and send them again."),
    "prometheus": ("Results", "Write what Prometheus and Grafana need: what to scrape, rules, a dashboard."),
    "topics": ("Kafka", "Make and list a pipeline's topics."),
    "broker": ("Kafka", "Start, stop or show a real Kafka on this machine, for when you have none."),
    "publish": ("Kafka", "Write lines of JSON onto a topic."),
    "tail": ("Kafka", "Show a topic's records as they come."),
    "trace": ("Results", "Follow one event from its input to its prediction to its label."),
    "sql": ("Results", "Query predictions, outcomes, metrics and the rest with DuckDB."),
}

_HELP = """
River online models on Kafka in production: exactly once, models included.

\b
riverrun check pipeline.py               what is wrong with it, before anything runs
riverrun up pipeline.py                  all of it, on this machine
riverrun broker start                    a Kafka, unless you have one
riverrun publish departures events.json  events in
riverrun tail flights.predictions        predictions out
riverrun sql                             what can be asked of the results

Settings come from the environment: RIVERRUN_HOME (local data), RIVERRUN_BOOTSTRAP_SERVERS (your Kafka; without it the
broker above is used), RIVERRUN_SECURITY_PROTOCOL, RIVERRUN_SASL_…, RIVERRUN_SSL_…, RIVERRUN_SECRETS_DIR (files).
"""


class _Commands(TyperGroup):
    """Lists the commands from the table above; imports the one that is to run."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for name, (panel, text) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=text, rich_help_panel=panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else command, rest


def load(name: str) -> Any:
    """The command itself: imports its module."""
    command = getattr(importlib.import_module(f"infra.cli.{name}"), name)
    if not isinstance(command, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name)(command)
        command = alone
    return typer.main.get_command(command)


app = typer.Typer(
    name="riverrun",
    cls=_Commands,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"riverrun {version('riverrun')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001  # its callback prints
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="RIVERRUN_DEBUG", help="Show where in the code an error was raised.")
    ] = False,
) -> None:
    if debug:
        os.environ["RIVERRUN_DEBUG"] = "1"  # for the processes we start, too


def main() -> None:
    """Run the command line. Our errors end with status 2, what went wrong and the remedy; Ctrl-C with 130."""
    try:
        app()
    except Exception as error:
        from streams.errors import PipelineError  # here, because all of streams/ comes with it

        if not isinstance(error, PipelineError) or os.environ.get("RIVERRUN_DEBUG") == "1":
            raise
        from infra.logs import log_end

        if log_end(error):
            sys.exit(2)
        typer.secho(f"error: {error.what}" + (f" ({error.where})" if error.where else ""), fg="red", err=True)
        if error.remedy:
            typer.echo(f"remedy: {error.remedy}", err=True)
        sys.exit(2)
