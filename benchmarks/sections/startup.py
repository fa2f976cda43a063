"""How long every command takes to say its help, and a worker until it is ready."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.cluster import Cluster, Run, cluster, waited
from benchmarks.options import Options
from benchmarks.sections.recovery import BACK
from benchmarks.sections.saturation import START_S
from benchmarks.tables import Raw, Tabled, figure, grouped, median, spread
from benchmarks.workload import Workload, workload_of
from infra.cli import COMMANDS

WORKER, FIRST = "worker, until its task is ready", "worker, until its first prediction is read"
EVENTS = 2_000


def measure(options: Options) -> Iterator[Raw]:
    """Help of all commands, again and again; then a worker on a small backlog."""
    for repeat in range(options.repeats):
        for name in options.few(("", *COMMANDS)):
            began_s = time.perf_counter()
            command = [sys.executable, "-m", "infra.cli", *name.split(), "--help"]
            subprocess.run(command, check=True, capture_output=True)
            shown = f"riverrun {name} --help".replace("  ", " ")
            yield {"what": shown, "repeat": repeat, "seconds": time.perf_counter() - began_s}
    workload = workload_of("logistic-3")
    with cluster() as made:
        made.create(workload.topics)
        made.fill(workload.rows(EVENTS))
        for repeat in range(options.repeats):
            for what, seconds in _worker(made, workload).items():
                yield {"what": what, "repeat": repeat, "seconds": seconds}


def _worker(made: Cluster, workload: Workload) -> dict[str, float]:
    run = Run(made, "riverrun", workload)
    began_s = time.time()
    with run.watch() as watch, run.started() as worker:
        ready_s = waited(lambda: BACK in run.told(), START_S, "a worker's start")
        first = watch.until(1, run, [worker], START_S)
    return {WORKER: ready_s, FIRST: first.at_s - began_s}


def tables(raws: list[Raw]) -> list[Tabled]:
    """Seconds."""
    rows = []
    for (what,), runs in grouped(raws, "what").items():
        seconds = [run["seconds"] for run in runs]
        rows.append([what, figure(median(seconds), 2), spread(seconds, 2)])
    note = "A worker's times hold the making of its topics, which `riverrun worker` leaves to `riverrun topics`."
    return [Tabled("Start-up", ["what", "seconds", "least – most"], rows, [note])]
