"""How long a worker that was killed (kill -9) is away: from its new start to its first new committed prediction.

By the size of the state (which model) and by what a restart replays at the most (``replay_max`` of the pipeline).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.cluster import Cluster, Run, cluster
from benchmarks.options import Options
from benchmarks.sections.saturation import EVENTS_OF, MORE, START_S
from benchmarks.tables import Raw, Tabled, figure, grouped, median, spread
from benchmarks.workload import Workload, workload_of

WORKLOADS = ("logistic-3", "tree-20", "forest-20")
DEFAULT = "default"
SPANS_S = (DEFAULT, 4.0, 16.0)
"""The default: a second, or four times what saving the state takes."""

BACK = "is back after"


def measure(options: Options) -> Iterator[Raw]:
    """Kill a worker when it has predicted half of the events, and start it again."""
    for name in options.only(*WORKLOADS):
        workload, events = workload_of(name), options.events(EVENTS_OF[name])
        with cluster() as made:
            made.create(workload.topics)
            made.fill(workload.rows(events + MORE))
            for span_s in options.few(SPANS_S, 1):
                for repeat in range(min(options.repeats, 2)):
                    about = {"workload": name, "replay_max_s": span_s, "repeat": repeat}
                    yield about | _one(made, workload, events // 2, span_s)


def _one(made: Cluster, workload: Workload, events: int, span_s: float | str) -> Raw:
    run, replay = Run(made, "riverrun", workload), "" if span_s == DEFAULT else span_s
    with run.watch() as watch:
        worker = run.start(REPLAY_S=replay)
        watch.until(events, run, [worker], START_S + 60)
        worker.kill()
        worker.wait()
        watch.until_quiet()
        before, began_s = watch.count, time.time()
        with run.started(REPLAY_S=replay, AGAIN=1) as worker:
            again = watch.until(before + 1, run, [worker], START_S)
    back = [line for line in run.told().splitlines() if BACK in line][-1]  # "… 0.42 s: 1000 records replayed"
    seconds, _, told = back.partition(BACK)[2].partition(" s: ")
    kept = sum(each.stat().st_size for each in run.home.rglob("*") if each.is_file() and each != run.log)
    return {
        "events": before,
        "seconds": again.at_s - began_s,
        "recovery_s": float(seconds),
        "replayed": int(told.split()[0]),
        "journal_bytes": made.bytes_of(f"{run.name}.journal")[f"{run.name}.journal"],
        "folder_bytes": kept,
    }


def tables(raws: list[Raw]) -> list[Tabled]:
    """By model and span."""
    rows = []
    for (name, span_s), runs in grouped(raws, "workload", "replay_max_s").items():
        seconds = [run["seconds"] for run in runs]
        medians = {field: median(run[field] for run in runs) for field in ("recovery_s", "replayed", "folder_bytes")}
        rows.append(
            [
                *(name, str(span_s), figure(median(run["events"] for run in runs))),
                *(figure(median(seconds), 2), spread(seconds, 2), figure(medians["recovery_s"], 2)),
                *(figure(medians["replayed"]), figure((medians["folder_bytes"] or 0) / 1e6, 2)),
            ]
        )
    columns = ["workload", "replay_max, s", "after events", "s to the next prediction", "least – most"]
    columns += ["of these recovering", "records replayed", "checkpoints, MB"]
    note = "The first second or so is Python, River and Kafka's clients starting. A small state rides in the journal."
    return [Tabled("Recovery after kill −9", columns, rows, [note])]
