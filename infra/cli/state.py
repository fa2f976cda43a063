"""``riverrun state``: what is saved of a pipeline's tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

state = typer.Typer(add_completion=False, no_args_is_help=True, help="What is saved of a pipeline's tasks.")

File = Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")]


@state.command("list")
def list_(file: File) -> None:
    """Show each task's journal, checkpoints and what a restart would replay."""
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "journal record", "saved as", "of record", "to replay", "blobs", "orphans")
    with _opened(file) as saved:
        for each in saved.tasks():
            last = each.records[-1] if each.records else None
            inline = any(record.state for record in each.records if record.sequence == each.safe_sequence)
            where = "-" if each.safe_sequence is None else "journal" if inline else each.kept[-1].name[:24] + "…"
            row = (each.task, last and last.sequence, where, each.safe_sequence, each.to_replay, len(each.blobs))
            table.add_row(*("-" if cell is None else str(cell) for cell in row), str(len(each.orphans)))
    Console().print(table)


@state.command()
def verify(
    file: File,
    replay: Annotated[
        bool, typer.Option("--replay", help="Also replay each task as a restart would, comparing digests.")
    ] = False,
) -> None:
    """Check the signature of every state a restart may load; status 1 if one does not hold."""
    wrong = 0
    with _opened(file) as saved:
        for each in saved.tasks():
            for name, error in saved.verify(each):
                wrong += error is not None
                typer.echo(f"task {each.task}  {name}  {'ok' if error is None else error}")
            if replay and each.records:
                task, replayed = saved.recovered(each.task)
                typer.echo(f"task {each.task}  {replayed} records replayed, digests agree; state {task.digest()}")
    if wrong:
        raise typer.Exit(1)


@state.command()
def show(file: File, task: Annotated[int, typer.Argument(min=0, help="Which task.")]) -> None:
    """Show what a task's state holds, as a restart would bring it back."""
    from rich.console import Console
    from rich.table import Table

    from infra.state import parts

    with _opened(file) as saved:
        back, replayed = saved.recovered(task)
    table = Table("part", "bytes, pickled")
    for name, size in parts(back):
        table.add_row(name, f"{size:,}")
    console = Console()
    console.print(table)
    console.print(
        f"waiting for labels: {back.pending_labels:,}; records replayed: {replayed:,}; time: {back.now_ms} ms"
    )
    console.print(f"digest: {back.digest()}", soft_wrap=True)


@state.command()
def prune(
    file: File, dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; delete nothing.")] = False
) -> None:
    """Delete checkpoints that no restart will look for."""
    count = 0
    with _opened(file) as saved:
        for each in saved.tasks():
            for name in each.orphans if dry_run else saved.prune(each):
                typer.echo(name)
                count += 1
    typer.echo(f"{count} blobs {'would be' if dry_run else 'were'} deleted", err=True)


def _opened(file: Path) -> Any:
    from infra.fixed_hashes import with_fixed_hashes
    from infra.settings import Settings
    from infra.state import SavedState
    from streams.pipeline import load_pipeline

    with_fixed_hashes()
    return SavedState.of(load_pipeline(file), Settings.load())
