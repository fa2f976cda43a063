"""``riverrun rejects``: what could not be used, and a second chance for it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.rejects import Reject

rejects = typer.Typer(add_completion=False, no_args_is_help=True, help="Records that could not be used.")

File = Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")]
Reason = Annotated[str | None, typer.Option(help="Only of this reason: json, schema, out_of_range, …")]
Topic = Annotated[str | None, typer.Option(help="Only from this input topic.")]
Partition = Annotated[int | None, typer.Option(help="Only from this partition.")]
Offset = Annotated[int | None, typer.Option(help="Only the record at this offset.")]
Field = Annotated[str | None, typer.Option(help="Only those at fault in this field.")]


@rejects.command("list")
def list_(
    file: File,
    reason: Reason = None,
    topic: Topic = None,
    partition: Partition = None,
    offset: Offset = None,
    field: Field = None,
) -> None:
    """Count rejects by topic, reason and field, with an example of each."""
    from rich.console import Console
    from rich.table import Table

    from infra.cli.sql import cell

    counts: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], Reject] = {}
    for each in _chosen(file, reason, topic, partition, offset, field):
        kind = (each.record.topic, each.record.reason, each.record.field)
        counts[kind] += 1
        examples.setdefault(kind, each)
    table = Table("topic", "reason", "field", "count", "for example", "what was wrong")
    for kind, count in sorted(counts.items()):
        example = examples[kind]
        where = f"[{example.record.partition}]@{example.record.offset}"
        table.add_row(*(cell(part) for part in (*kind, count, where, example.record.detail[:80])))
    Console().print(table)


@rejects.command()
def show(
    file: File,
    reason: Reason = None,
    topic: Topic = None,
    partition: Partition = None,
    offset: Offset = None,
    field: Field = None,
    count: Annotated[int, typer.Option("-n", min=1, help="So many at the most.")] = 20,
) -> None:
    """Print rejects as JSON lines: where, why, and the record as text."""
    from itertools import islice

    import msgspec

    for each in islice(_chosen(file, reason, topic, partition, offset, field), count):
        row = {"reject": each.where, "source": each.source} | msgspec.structs.asdict(each.record)
        for name in ("key", "value"):
            raw = row[name]
            row[name] = None if raw is None else raw.decode(errors="backslashreplace")
        typer.echo(msgspec.json.encode(row))


@rejects.command()
def redrive(
    file: File,
    reason: Reason = None,
    topic: Topic = None,
    partition: Partition = None,
    offset: Offset = None,
    field: Field = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Send also what was sent again before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send the records to their topics again, once what was wrong is mended.

    Each goes with its key, partition and timestamp, and the header riverrun-redriven says which reject it was. Records
    that were sent again before are left out.
    """
    from infra.rejects import redrive as send
    from infra.rejects import redriven
    from infra.settings import Settings

    config = Settings.load().kafka_python()
    chosen = list(_chosen(file, reason, topic, partition, offset, field))
    done = set() if again else redriven(config, chosen)
    left = [each for each in chosen if each.where not in done]
    typer.echo(f"{len(chosen)} rejects, {len(done)} sent again before, {len(left)} to send", err=True)
    for each in left if dry_run else ():
        typer.echo(each.source)
    if dry_run or not left or not (yes or typer.confirm("send them?", err=True)):
        return
    typer.echo(f"{send(config, left)} records sent again", err=True)


def _chosen(file: Path, *wanted: Any) -> Any:
    from infra.rejects import Filter
    from infra.rejects import rejects as read
    from infra.settings import Settings
    from streams.pipeline import load_pipeline

    reason, topic, partition, offset, field = wanted
    chosen = Filter(reason, topic, partition, offset, field)
    return read(Settings.load().kafka_python(), load_pipeline(file).topic("rejects"), chosen)
