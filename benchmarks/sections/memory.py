"""A worker's memory, and what an event costs, from the first event to the ten-millionth.

Events are sent in steps, so that the backlog is never longer than two of them, and what was read is deleted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import psutil

from benchmarks.cluster import Cluster, Mark, Run, cluster
from benchmarks.options import Options
from benchmarks.sections.saturation import START_S
from benchmarks.tables import Raw, Tabled, figure
from benchmarks.workload import Workload, workload_of

WORKLOADS, EVENTS, STEPS = ("logistic-3",), 10_000_000, 50
BOX_S = 600.0
"""The section ends when this is over, however far it is: on a slow machine with fewer events."""

STEP_S = 120.0
MARGIN = 5_000
"""Labels come so much later than events, and some more."""


def measure(options: Options) -> Iterator[Raw]:
    """A row each step: how many events there were in all, what they took, and the memory at the end."""
    for name in options.only(*WORKLOADS):
        workload = workload_of(name)
        with cluster() as made:
            yield from ({"workload": name} | raw for raw in _steps(made, workload, options.events(EVENTS, 20_000)))


def _steps(made: Cluster, workload: Workload, events: int) -> Iterator[Raw]:
    run, step, until_s = Run(made, "riverrun", workload), events // STEPS, time.time() + BOX_S
    made.create(workload.topics)
    rows = workload.rows(events)
    in_step = step * len(workload.topics)  # events and labels
    made.fill(islice(rows, in_step))
    with run.watch() as watch, run.started() as worker:
        last = watch.until(1, run, [worker], START_S)
        for number in range(1, STEPS):
            made.fill(islice(rows, in_step))
            mark = watch.until(number * step, run, [worker], STEP_S)
            yield _row(last, mark, worker)
            last = mark
            watch.arrivals.clear()
            if (read := mark.predicted - 2 * step - MARGIN) > 0:
                made.delete_before([*workload.topics, *_outputs(run)], read)
            if time.time() > until_s:
                return


def _outputs(run: Run) -> list[str]:
    return [f"{run.name}.{output}" for output in ("features", "predictions", "outcomes")]


def _row(last: Mark, mark: Mark, worker: psutil.Process) -> Raw:
    return {"count": mark.predicted, **mark.since(last), "rss_bytes": worker.memory_info().rss}


def tables(raws: list[Raw]) -> list[Tabled]:
    """A line each tenth; and how much memory grows by."""
    rows, every = [], max(len(raws) // 10, 1)
    for end in range(every, len(raws) + 1, every):
        part = raws[end - every : end]
        events, seconds = sum(raw["events"] for raw in part), sum(raw["seconds"] for raw in part)
        cpu_s = sum(raw["worker_cpu_s"] for raw in part)
        rss = figure(part[-1]["rss_bytes"] / 2**20, 1)
        rows.append([figure(part[-1]["count"]), figure(events / seconds), figure(cpu_s / events * 1e6, 1), rss])
    columns = ["events so far", "events/s", "worker, CPU µs/event", "RSS, MiB"]
    first, last = raws[len(raws) // 10], raws[-1]
    grown = (last["rss_bytes"] - first["rss_bytes"]) / max(last["count"] - first["count"], 1) * 1e6 / 2**20
    note = f"From the end of the first tenth on memory grows by {grown:.2f} MiB a million events."
    return [Tabled("Memory and cost over a long run", columns, rows, [note])]


def flatness(raws: list[Raw]) -> float | None:
    """CPU an event in the last fifth over that in the second fifth: 1 is flat."""
    fifth = len(raws) // 5
    if not fifth:
        return None
    parts = raws[fifth : 2 * fifth], raws[-fifth:]
    early, late = (sum(raw["worker_cpu_s"] for raw in part) / sum(raw["events"] for raw in part) for part in parts)
    return late / early
