"""Events a second by tasks (partitions) and workers: as many events in all, spread over more tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.cluster import Cluster, Run, cluster
from benchmarks.options import Options
from benchmarks.sections.saturation import EVENTS_OF, MORE, steady
from benchmarks.tables import Raw, Tabled, figure, grouped, median, rates, spread
from benchmarks.workload import Workload, workload_of

WORKLOADS = ("logistic-3", "tree-20")
TASKS, WORKERS = (1, 2, 4, 8), (1, 2)


def measure(options: Options) -> Iterator[Raw]:
    """One worker with all tasks, then two that share them."""
    for name in options.only(*WORKLOADS):
        workload, events = workload_of(name), options.events(EVENTS_OF[name])
        for tasks in options.few(TASKS):
            with cluster() as made:
                made.create(workload.topics, tasks)
                made.fill(workload.rows(events + MORE * tasks, tasks))
                for repeat in range(min(options.repeats, 2)):
                    for workers in WORKERS:
                        if workers <= tasks:
                            about = {"workload": name, "tasks": tasks, "workers": workers, "repeat": repeat}
                            yield about | _one(made, workload, events, tasks, workers)


def _one(made: Cluster, workload: Workload, events: int, tasks: int, workers: int) -> Raw:
    run = Run(made, "riverrun", workload, tasks)
    with run.watch() as watch, ExitStack() as stack:
        started = [stack.enter_context(run.started(WORKER=number, PARTITIONS=tasks)) for number in range(workers)]
        return steady(watch, run, started, events)


def tables(raws: list[Raw]) -> list[Tabled]:
    """Against one task in one worker."""
    rows = []
    one = {name: median(rates(runs)) for (name, *number), runs in _grouped(raws).items() if number == [1, 1]}
    for (name, tasks, workers), runs in _grouped(raws).items():
        found = rates(runs)
        of_one = (median(found) or 0) / (one[name] or 1)
        rows.append([name, str(tasks), str(workers), figure(median(found)), spread(found), figure(of_one, 2)])
    columns = ["workload", "tasks", "workers", "events/s", "least – most", "of one task"]
    note = "Workers, broker and the consumer that counts share the machine's cores."
    return [Tabled("Scaling", columns, rows, [note])]


def _grouped(raws: list[Raw]) -> dict[tuple[str, int, int], list[Raw]]:
    found: dict[tuple[str, int, int], list[Raw]] = grouped(raws, "workload", "tasks", "workers")
    return found
