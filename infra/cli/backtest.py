"""``riverrun backtest``: the same pipeline over recorded inputs, without Kafka."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

EPOCH = datetime.fromtimestamp(0, UTC)


def backtest(
    file: Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of recorded Parquet. Left out: what the pipeline's sink wrote.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where results go, anew. Left out: the local data of `<pipeline>-backtest`.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="First event time (UTC) that the scores count. Left out: all.")
    ] = None,
) -> None:
    """Run a pipeline over recorded inputs. Predictions are those of the live run, bit for bit.

    The results are tables like the live ones: `riverrun sql --pipeline <pipeline>-backtest "FROM predictions"`.
    """
    from rich.console import Console

    from connectors.scoreboard import scoreboard
    from infra.backtest import run_backtest
    from infra.fixed_hashes import with_fixed_hashes
    from infra.scores_table import scores_table
    from infra.settings import Settings
    from streams.pipeline import load_pipeline

    with_fixed_hashes()
    pipeline, settings = load_pipeline(file), Settings.load()
    recorded = data or settings.data_folder(pipeline.name) / "parquet"
    results = out or settings.data_folder(f"{pipeline.name}-backtest") / "parquet"
    run_backtest(pipeline, recorded, results)
    scores = scoreboard(results, pipeline.kind, since.replace(tzinfo=UTC) if since else EPOCH)
    Console().print(scores_table(scores, f"{pipeline.name}: prequential scores"))
