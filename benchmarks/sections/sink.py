"""Rows a second from the topics to Parquet: the real ``riverrun sink --once`` on what a worker put out.

The sink runs a second time, with nothing left to write: what that takes is its start, and is taken off.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import psutil
import pyarrow.dataset as arrow_dataset

from benchmarks.cluster import ROOT, Failed, Run, cluster, cpu_s
from benchmarks.options import Options
from benchmarks.sections.saturation import START_S
from benchmarks.tables import Raw, Tabled, figure, grouped, median, rates, spread
from benchmarks.workload import workload_of

WORKLOADS, EVENTS = ("logistic-3", "logistic-20"), 150_000
LOOK_S = 0.002


def measure(options: Options) -> Iterator[Raw]:
    """Have a worker fill the topics; then write them, each time into an empty folder."""
    for name in options.only(*WORKLOADS):
        workload, events = workload_of(name), options.events(EVENTS)
        with cluster() as made:
            made.create(workload.topics)
            made.fill(workload.rows(events))
            run = Run(made, "riverrun", workload)
            with run.watch() as watch, run.started() as worker:
                watch.until(events, run, [worker], START_S + 120)
                watch.until_quiet(1.0)  # the last labels
            for repeat in range(options.repeats):
                yield {"workload": name, "repeat": repeat} | _written(run, repeat)


def _written(run: Run, repeat: int) -> Raw:
    home = run.home / f"sink-{repeat}"
    home.mkdir()
    made = run.cluster.admin.delete_consumer_groups([f"riverrun-{run.name}-sink"]) if repeat else {}
    for answer in made.values():
        answer.result(30)
    all_s, all_cpu_s = _sunk(run, home)
    start_s, start_cpu_s = _sunk(run, home)
    rows = sum(
        arrow_dataset.dataset(folder, format="parquet", partitioning=None).count_rows()
        for folder in (home / run.name / "parquet").iterdir()
        if folder.is_dir() and any(folder.rglob("*.parquet"))
    )
    return {"events": rows, "seconds": all_s - start_s, "cpu_s": all_cpu_s - start_cpu_s, "start_s": start_s}


def _sunk(run: Run, home: object) -> tuple[float, float]:
    """Seconds, and CPU seconds, of one run of the sink."""
    file = ROOT / "benchmarks" / run.workload.pipeline
    began_s, used_s = time.perf_counter(), 0.0
    command = [sys.executable, "-m", "infra.cli", "sink", str(file), "--once"]
    with run.spawn(command, run.env() | {"RIVERRUN_HOME": str(home)}) as sink:
        while sink.status() != psutil.STATUS_ZOMBIE:  # its CPU seconds can be asked for until it is waited for
            used_s = cpu_s(sink)
            time.sleep(LOOK_S)
        seconds = time.perf_counter() - began_s
        used_s = max(used_s, cpu_s(sink))
    if sink.returncode:
        raise Failed(f"sink: {run.told()}")
    return seconds, used_s


def tables(raws: list[Raw]) -> list[Tabled]:
    """Rows a second, of time and of CPU."""
    rows = []
    for (name,), runs in grouped(raws, "workload").items():
        a_core, a_second = rates(runs, "cpu_s"), rates(runs)
        written = figure(median(run["events"] for run in runs))
        rows.append([name, written, figure(median(a_core)), spread(a_core), figure(median(a_second))])
    columns = ["workload", "rows", "rows a CPU second", "least – most", "rows/s"]
    note = "Rows: features, predictions, outcomes and the rest, and both inputs as they came. Without the start."
    return [Tabled("Sink to Parquet", columns, rows, [note])]
