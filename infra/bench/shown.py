"""Costs and plans for a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from infra.bench.costs import Costs
from infra.bench.measure import Tell
from infra.bench.plan import Assumed, Plan, load_of
from infra.bench.queueing import simulate

OTHERS_MAX, REJECTED_MAX = 0.2, 0.01


@contextmanager
def progress(title: str) -> Iterator[Tell]:
    """A bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(title, total=1.0)
        yield lambda stage, done: bars.update(bar, completed=done, description=f"{title}: {stage}")


def shown(costs: Costs, plans: Sequence[Plan], assumed: Assumed) -> Any:
    """Tables and sentences, for rich."""
    from rich.console import Group
    from rich.text import Text

    notes = [Text(note) for note in (*warnings(costs), *assumptions(assumed))]
    limits = [Text(f"at {each.rate:,.0f} events/s: {limit}") for each in plans for limit in each.limits]
    return Group(_costs(costs), _plans(plans), *limits, *notes)


def measured(costs: Costs) -> dict[str, str]:
    """What was measured: what it is -> how much."""
    waited = simulate(load_of(costs, costs.steady_rate))
    return {
        "one task, a backlog": f"{costs.seen_per_s:,.0f} events/s",
        "the same with a core of its own": f"{costs.events_per_s:,.0f} events/s",
        "its main thread": f"{costs.event_us:,.1f} µs an event, {costs.batch_us / 1e3:,.1f} ms a batch",
        "CPU of the worker": f"{costs.worker_us:,.0f} µs an event, {costs.worker_batch_us / 1e3:,.1f} ms a batch",
        "CPU of the broker": f"{costs.broker_us:,.0f} µs an event, {costs.broker_batch_us / 1e3:,.1f} ms a transaction",
        "a commit": f"{costs.commit_ms:,.1f} ms",
        "open loop": f"{costs.steady_rate:,.0f} events/s",
        "event to committed prediction": f"p50 {costs.p50_ms:,.0f} ms, p99 {costs.p99_ms:,.0f} ms",
        "the same, simulated": f"p50 {waited.p50_ms:,.0f} ms, p99 {waited.p99_ms:,.0f} ms",
        "on the broker's disk, an event": f"{costs.bytes_in:,.0f} bytes in, {costs.bytes_out:,.0f} out",
        "state of the task": f"{costs.state_bytes / 1e6:,.1f} MB",
        "of it an event that waits": f"{costs.waiting_bytes:,.0f} bytes",
        "and one that is remembered": f"{costs.kept_bytes:,.0f} bytes",
        "memory of the worker": f"{costs.memory_bytes / 1e6:,.0f} MB",
    }


def warnings(costs: Costs) -> Iterator[str]:
    """What makes these figures worth less."""
    if costs.others_cores > OTHERS_MAX:
        yield (
            f"Other processes kept {costs.others_cores:.1f} of {os.cpu_count()} cores busy meanwhile: latencies are "
            "too high. Measure again on a quiet machine."
        )
    if costs.rejected > REJECTED_MAX:
        yield (
            f"{costs.rejected:.0%} of the records were rejected, so this is not what your events cost: give records of "
            "your own with --records."
        )


def assumptions(assumed: Assumed) -> Iterator[str]:
    """What plans take for granted."""
    yield (
        f"Assumed: {assumed.busy:.0%} busy workers, with a core each; {assumed.replication} copies of each record; "
        f"brokers of {assumed.broker_cores} cores, {assumed.broker_bytes_per_s / 1e6:,.0f} MB/s and "
        f"{assumed.broker_partitions:,} partitions (copies counted); labels after {assumed.label_after_s:,.0f} s; "
        "keys that spread evenly, but for the hottest; models as large as they were here. Latency is simulated, by "
        "what was measured here."
    )


def _costs(costs: Costs) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("measured", "", title=f"{escape(costs.pipeline)}: costs", title_justify="left")
    for row in measured(costs).items():
        table.add_row(*row)
    return table


def cells(plan: Plan) -> dict[str, str]:
    """A plan for people: what it is of -> how much."""
    return {
        "events/s": f"{plan.rate:,.0f}",
        "partitions": f"{plan.partitions:,}",
        "workers": f"{plan.workers:,}",
        "their cores": f"{plan.worker_cores:,.1f}",
        "brokers": f"{plan.brokers:,} (by {plan.brokers_by})",
        "transactions/s": f"{plan.transactions_per_s:,.0f}",
        "in, MB/s": f"{plan.bytes_in_per_s / 1e6:,.1f}",
        "out, MB/s": f"{plan.bytes_out_per_s / 1e6:,.1f}",
        "state at most, MB": f"{plan.state_bytes / 1e6:,.0f}",
        "of it a task's": f"{plan.task_state_bytes / 1e6:,.1f}",
        "recovery, s": f"{plan.recovery_s:,.1f}",
        "p50, ms": f"{plan.p50_ms:,.0f}",
        "p99, ms": f"{plan.p99_ms:,.0f}",
    }


def _plans(plans: Sequence[Plan]) -> Any:
    from rich.table import Table

    columns = [cells(each) for each in plans]
    names, *rows = columns[0]
    table = Table(names, *(each[names] for each in columns), title="plan", title_justify="left")
    for row in rows:
        table.add_row(row, *(each[row] for each in columns))
    return table
