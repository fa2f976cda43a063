"""``riverrun models``: decisions on a pipeline's models, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.status import SCORES, number

if TYPE_CHECKING:
    from rich.table import Table

    from streams.control import Action
    from streams.records import DecisionRecord, ModelScores

models = typer.Typer(no_args_is_help=True, help="Promote, roll back, reset and pause models; see what was decided.")

File = Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")]
Model = Annotated[str, typer.Argument(help="The name of the model.")]
Version = Annotated[str, typer.Argument(help="What the version is called.")]
Why = Annotated[str, typer.Option(help="Why, for those who look at it later.")]
By = Annotated[str | None, typer.Option(help="Who decides; the user's name if not said.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the tasks' answers.")]


@models.command()
def promote(file: File, model: Model, why: Why, by: By = None, wait: Wait = 30.0) -> None:
    """Make a challenger the champion, and the champion a challenger."""
    _decide(file, "promote", model, why, by, wait)


@models.command()
def save(file: File, version: Version, why: Why, by: By = None, wait: Wait = 30.0) -> None:
    """Keep all models as they are now, to go back to."""
    _decide(file, "save", None, why, by, wait, version)


@models.command()
def rollback(file: File, model: Model, version: Version, why: Why, by: By = None, wait: Wait = 30.0) -> None:
    """Let a model go back to a version: `list` tells which there are. Its scores begin anew."""
    _decide(file, "rollback", model, why, by, wait, version)


@models.command("list")
def list_(file: File) -> None:
    """The versions of each model that can be gone back to, and how good they were."""
    from infra.decisions import versions
    from infra.settings import Settings
    from streams.pipeline import load_pipeline

    pipeline = load_pipeline(file)
    for each in versions(Settings.load().kafka_python(), pipeline):
        tasks = ", ".join(str(task) for task in sorted(each.tasks))
        lacking = "" if len(each.tasks) == pipeline.partitions else f"  of task {tasks} only"
        typer.echo(f"{each.model}  {each.label}  {each.scores or 'not scored yet'}{lacking}")


@models.command()
def show(file: File, model: Model) -> None:
    """All of one model: what it is, its scores in each task, its versions, and what was decided on it."""
    from rich.console import Console

    from infra.about_model import about_model
    from infra.settings import Settings
    from streams.pipeline import load_pipeline

    found = about_model(Settings.load().kafka_python(), load_pipeline(file), model)
    typer.echo(f"{model}  {found.learner.version()}\n{found.learner.model}")
    Console().print(_by_task(found.scores))
    for each in found.versions:
        typer.echo(f"version {each.label}  {each.scores or 'not scored yet'}")
    for answer in found.decisions:
        typer.echo(_line(answer))


def _by_task(found: dict[int, ModelScores]) -> Table:
    """Scores so far, and over the sliding window."""
    from rich.table import Table

    shown = [name for name in SCORES if any(getattr(each.cumulative, name) is not None for each in found.values())]
    table = Table("task", "role", "version", "scored", *(f"{name} (lately)" for name in shown))
    for task, each in found.items():
        scores = [f"{number(each.cumulative, name)} ({number(each.sliding, name)})" for name in shown]
        table.add_row(str(task), each.role, each.version, f"{each.cumulative.n:,}", *scores)
    if not found:
        table.caption = "nothing reported yet"
    return table


@models.command()
def reset(file: File, model: Model, why: Why, by: By = None, wait: Wait = 30.0) -> None:
    """Let a model begin anew: it forgets what it learned, and its scores."""
    _decide(file, "reset", model, why, by, wait)


@models.command()
def pause(file: File, why: Why, by: By = None, wait: Wait = 30.0) -> None:
    """Let no model learn until `resume`. They go on to predict, and are scored."""
    _decide(file, "pause", None, why, by, wait)


@models.command()
def resume(file: File, why: Why, by: By = None, wait: Wait = 30.0) -> None:
    """Let the models learn again."""
    _decide(file, "resume", None, why, by, wait)


@models.command()
def decisions(file: File) -> None:
    """What was decided, by whom and why, and what each task made of it."""
    from infra.decisions import answers
    from infra.settings import Settings
    from streams.pipeline import load_pipeline

    for each in answers(Settings.load().kafka_python(), load_pipeline(file)):
        typer.echo(_line(each))


def _line(each: DecisionRecord) -> str:
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(each.decided_time_ms / 1000, UTC).isoformat(timespec="seconds")
    outcome = "obeyed" if each.obeyed else f"refused: {each.reason}"
    what = " ".join(filter(None, (each.action, each.model, each.version)))
    return f"{at}  {what}  by {each.by}: {each.why}  task {each.task}: {outcome}"


def _decide(
    file: Path, action: Action, model: str | None, why: str, by: str | None, wait_s: float, version: str | None = None
) -> None:
    """Send it, and print each task's answer. Ends with 1 unless all obeyed."""
    import getpass

    from infra.decisions import new_decision, send, wait_for_answers
    from infra.settings import Settings
    from streams.pipeline import load_pipeline

    pipeline, config = load_pipeline(file), Settings.load().kafka_python()
    decision = new_decision(action, model, by or getpass.getuser(), why, version)
    since = send(config, pipeline, decision)
    found = wait_for_answers(config, pipeline, decision, since, wait_s)
    for each in found:
        typer.echo(_line(each))
    if len(found) < pipeline.partitions:
        missing = sorted(set(range(pipeline.partitions)) - {each.task for each in found})
        typer.echo(f"no answer yet of task {', '.join(map(str, missing))}: it obeys when a worker runs it", err=True)
    if not all(each.obeyed for each in found) or len(found) < pipeline.partitions:
        raise typer.Exit(1)
