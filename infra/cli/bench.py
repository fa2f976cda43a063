"""``riverrun bench``: what a pipeline costs on this machine, and what a rate of events would need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RATES = (1_000.0, 10_000.0, 100_000.0, 1_000_000.0)
KEYS, LABEL_AFTER_MS = 1_000, 1_000


def bench(
    file: Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")],
    rate: Annotated[
        list[float] | None, typer.Option(min=0.001, help="Events a second to plan for; may be given several times.")
    ] = None,
    latency_ms: Annotated[
        float | None, typer.Option(help="From an event to its committed prediction, 99 of 100, in ms: plan for it.")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(help="Folder with JSON lines, <topic>.jsonl an input. Left out: made up from the types."),
    ] = None,
    label_after: Annotated[
        float, typer.Option(min=0.0, help="How long an event waits for its label in life, seconds.")
    ] = 60.0,
    keys: Annotated[int, typer.Option(min=1, help="How many keys made-up events are spread over.")] = KEYS,
    seconds: Annotated[
        float, typer.Option(min=1.0, help="How long to measure: the backlog and the open loop, each.")
    ] = 8.0,
    as_json: Annotated[bool, typer.Option("--json", help="Costs, plans and what was assumed as one object.")] = False,
) -> None:
    """Measure a pipeline on this machine, and plan for a rate: partitions, workers, brokers, network, state, latency.

    It starts a broker and a worker of its own in a scratch folder. Your brokers, topics and state are not touched.
    """
    import time

    import msgspec
    from rich.console import Console

    from infra.bench.measure import Duration, measure
    from infra.bench.plan import Assumed, plan
    from infra.bench.recorded import Recorded
    from infra.bench.shown import progress, shown
    from infra.bench.stream import MadeUp
    from infra.fixed_hashes import with_fixed_hashes
    from streams.check import refuse_mistakes
    from streams.pipeline import load_pipeline

    with_fixed_hashes()
    pipeline = load_pipeline(file)
    refuse_mistakes(pipeline, str(file))
    hour_ago_ms = round(time.time() - 3_600) * 1_000
    stream = Recorded(pipeline, records) if records else MadeUp(pipeline, keys, LABEL_AFTER_MS, hour_ago_ms)
    with progress(f"bench {pipeline.name}") as tell:
        costs = measure(file, pipeline, stream, Duration(seconds, seconds), tell)
    assumed = Assumed(label_after_s=label_after)
    plans = [plan(costs, each, assumed, latency_ms) for each in rate or RATES]
    if as_json:
        typer.echo(msgspec.json.encode({"costs": costs, "assumed": assumed, "plans": plans}))
        return
    Console().print(shown(costs, plans, assumed))
