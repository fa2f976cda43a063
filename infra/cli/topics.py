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

    ended = end_hanging(Settings.load().kafka_python(), load_pipeline(file).topics)
    for each in ended:
        typer.echo(f"ended  {each.topic}[{each.partition}]@{each.start_offset}  of producer {each.producer_id}")
    typer.echo(f"{len(ended)} transactions hung", err=True)


@topics.command("list")
def list_() -> None:
    """List the topics with their partitions."""
    from connectors.kafka_admin import describe
    from infra.settings import Settings

    for topic, partitions in describe(Settings.load().kafka_python()).items():
        typer.echo(f"{topic}  {partitions} partitions")
