"""``riverrun topics``: a pipeline's topics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

topics = typer.Typer(no_args_is_help=True, help="Make and list topics.")


@topics.command()
def apply(file: Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")]) -> None:
    """Create the pipeline's topics that are missing. Those that exist must have the declared partitions."""
    from infra.settings import Settings
    from infra.topics import apply_topics
    from streams.pipeline import load_pipeline

    pipeline = load_pipeline(file)
    made = apply_topics(pipeline, Settings.load())
    for topic, partitions in pipeline.topics.items():
        typer.echo(f"{'created' if topic in made else 'exists '}  {topic}  {partitions} partitions")


@topics.command()
def unblock(file: Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")]) -> None:
    """End transactions that hang in the pipeline's topics: open, although their coordinator has ended them.

    Nobody can read past one. Running transactions are left alone: they end by their timeout.
    """
    from connectors.hanging import end_hanging
    from infra.settings import Settings
    from streams.pipeline import load_pipeline

    pipeline = load_pipeline(file)
    fates = end_hanging(Settings.load().kafka_python(), pipeline.topics, pipeline.group)
    for each, committed in fates:
        what = {True: "committed", False: "aborted", None: "unknown"}[committed]
        typer.echo(f"{what}  {each.topic}[{each.partition}]@{each.start_offset}  of producer {each.producer_id}")
    typer.echo(f"{len(fates)} transactions hung", err=True)
    if any(committed is None for _, committed in fates):
        remedy = "kafka-transactions.sh abort ends one; look in its other partitions first: it may be committed there"
        typer.echo(f"how the unknown were to end their coordinator's log does not say. Remedy: {remedy}", err=True)
        raise typer.Exit(1)


@topics.command("list")
def list_() -> None:
    """List the topics with their partitions."""
    from connectors.kafka_admin import describe
    from infra.settings import Settings

    for topic, partitions in describe(Settings.load().kafka_python()).items():
        typer.echo(f"{topic}  {partitions} partitions")
