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


@topics.command("list")
def list_() -> None:
    """List the topics with their partitions."""
    from connectors.kafka_admin import describe
    from infra.settings import Settings

    for topic, partitions in describe(Settings.load().kafka_python()).items():
        typer.echo(f"{topic}  {partitions} partitions")
