"""Events a second when there is always more to read, and the CPU it takes: every contender, on every workload.

A contender starts on topics that are full. When labels flow as fast as events, it is given WARM_S or a tenth of the
events to get warm. What counts are the committed predictions from then to the last event, or for BOX_S.

    committed   ░░░░░░░░░░░░░░░░░░▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
                0     LABEL_AFTER skipped              events, or BOX_S later
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from subprocess import CalledProcessError, TimeoutExpired

import psutil

from benchmarks.cluster import ROOT, Cluster, Failed, Run, Watch, cluster, command_of
from benchmarks.contenders import CONTENDERS
from benchmarks.options import Options
from benchmarks.tables import Raw, Tabled, figure, grouped, median, rates, spread
from benchmarks.workload import SYNTHETIC, Workload, workload_of

EVENTS_OF = {
    "logistic-3": 240_000,
    "logistic-20": 160_000,
    "tree-3": 60_000,
    "tree-20": 40_000,
    "forest-3": 4_500,
    "forest-20": 4_500,
    "flights": 40_000,
}
"""So many that the quick ones take some seconds; the slow ones do not come to the end of it."""

MORE = 2_000
"""Events behind the last one that counts: it must not wait for what may come behind it."""

FLOORS = {name: f"logistic-{each.features}" for name, each in SYNTHETIC.items()}
"""Workload -> the one whose floor is its floor, too. None for flights: what is written of them needs the windows."""

LABEL_AFTER = 1_000
"""Events before the first label comes."""

PEER_REPEATS = 2
START_S, WARM_S, BOX_S, PAUSE_S = 40.0, 2.0, 3.0, 20.0
GROWING_BOX_S = 8.0
"""How long may pass until then, then until what is measured begins, and how long that is at the most. Longer where a
model grows and an event costs more later than sooner: there all should come to the end, or they are not comparable."""


def measure(options: Options) -> Iterator[Raw]:
    """Every contender on every workload, one after the other, and all of them again."""
    for name in options.workloads:
        workload, events = workload_of(name), options.events(EVENTS_OF[name])
        with cluster() as made:
            made.create(workload.topics)
            made.fill(workload.rows(events + MORE))
            for repeat in range(options.repeats):
                for contender in options.contenders:
                    if _takes_part(contender, name, repeat):
                        run = {"workload": name, "contender": contender, "repeat": repeat}
                        yield {**run, **tried(made, contender, workload, events)}


def _takes_part(contender: str, workload: str, repeat: int) -> bool:
    """Peers start slowly and are repeated less. The floor has no model: once for each number of features will do."""
    if CONTENDERS[contender].peer:
        return repeat < PEER_REPEATS
    return contender != "floor" or workload in FLOORS.values()


def tried(made: Cluster, contender: str, workload: Workload, events: int) -> Raw:
    """One run."""
    return forgiving(
        contender, lambda: bare(workload, events) if contender == "bare" else once(made, contender, workload, events)
    )


def forgiving(contender: str, measured: Callable[[], Raw]) -> Raw:
    """What is measured; of a peer that fails, why. riverrun and the loops must not fail."""
    try:
        return measured()
    except (Failed, CalledProcessError, TimeoutExpired) as error:
        if not CONTENDERS[contender].peer:
            raise
        return {"failed": f"{error}\n{getattr(error, 'stderr', '')}"[-2_000:]}


def skipped(events: int) -> int:
    """How many events are not counted: the first tenth, and those before the first label."""
    return events // 10 + LABEL_AFTER


def commit_every(events: int) -> int:
    """Records after which a peer saves its model, and Quix commits: four times at least while it is measured."""
    return min(10_000, events // 4)


def once(made: Cluster, contender: str, workload: Workload, events: int) -> Raw:
    """Start a contender on the topics as they are, and watch its predictions."""
    run = Run(made, contender, workload)
    with run.watch() as watch, run.started(COMMIT_EVERY=commit_every(events)) as worker:
        found = steady(watch, run, [worker], events)
    if not found["events"]:
        raise Failed(f"{contender}: {watch.count} predictions: {run.told()}")
    return found


def steady(watch: Watch, run: Run, workers: Sequence[psutil.Popen], events: int) -> Raw:
    """What is between the first event that counts and the last; ``all`` says whether time was enough for all."""
    begun = watch.until(0, run, workers, 0)
    watch.until(LABEL_AFTER, run, workers, START_S)
    first = watch.until(skipped(events), run, workers, WARM_S)
    constant = run.workload.name.startswith("logistic")
    last = watch.until(events, run, workers, BOX_S if constant else GROWING_BOX_S)
    if last.predicted == first.predicted < events:  # in a long pause
        last = watch.until(last.predicted + 1, run, workers, PAUSE_S)
    rough = last.predicted == first.predicted  # so few that all came at once: then with the start
    return {**last.since(begun if rough else first), "all": last.predicted >= events, "rough": rough}


def bare(workload: Workload, events: int) -> Raw:
    """The loop without Kafka measures itself."""
    said = {"WORKLOAD": workload.name, "EVENTS": events, "SKIP": skipped(events)}
    env = {**os.environ, "PYTHONHASHSEED": "0", **{f"BENCH_{name}": str(value) for name, value in said.items()}}
    command = command_of(CONTENDERS["bare"])
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600)
    found: Raw = json.loads(done.stdout.splitlines()[-1])
    return {**found, "broker_cpu_s": 0.0, "all": True}


def tables(raws: list[Raw]) -> list[Tabled]:
    """Rates and CPU; and what riverrun adds to its models, against the floor."""
    rows = []
    for (name, contender), runs in grouped(raws, "workload", "contender").items():
        found, of_bare = rates(runs), ratio(raws, name, contender, "bare")
        costs = [figure(_cpu(runs, of)) for of in ("worker", "broker")]
        said = CONTENDERS[contender].short if found else f"failed: {runs[-1]['failed'].splitlines()[0][:60]}"
        rough = "≈ " if any(run.get("rough") for run in runs) else ""
        speed = [rough + figure(median(found)), spread(found), figure(of_bare, 2)]
        rows.append([name, contender, *speed, *costs, said])
    columns = ["workload", "contender", "events/s", "least – most", "of bare"]
    columns += ["worker, CPU s/M events", "broker, CPU s/M", "guarantees"]
    asked = {raw["contender"] for raw in raws}
    notes = ["≈: so few events that all came at once; then it is measured from the start of the process."]
    notes += [f"{name}: {each.text}" for name, each in CONTENDERS.items() if name in asked]
    return [Tabled("Saturation", columns, rows, notes), _overheads(raws)]


def _cpu(runs: list[Raw], of: str) -> float | None:
    return median(run[f"{of}_cpu_s"] / run["events"] * 1e6 for run in runs if "failed" not in run)


def _rate(raws: list[Raw], workload: str, contender: str) -> float | None:
    return median(rates(raw for raw in raws if (raw["workload"], raw["contender"]) == (workload, contender)))


def ratio(raws: list[Raw], workload: str, contender: str, other: str) -> float | None:
    """How many times as fast as another one."""
    ours, theirs = _rate(raws, workload, contender), _rate(raws, workload, other)
    return ours / theirs if ours and theirs else None


def overhead(raws: list[Raw], workload: str) -> tuple[float, float, float] | None:
    """µs an event: riverrun's, those of its models alone, the floor's; None where one was not measured."""
    ours, floor = _rate(raws, workload, "riverrun"), _rate(raws, FLOORS.get(workload, ""), "floor")
    bare = [raw for raw in raws if (raw["workload"], raw["contender"]) == (workload, "bare")]
    model = median(raw["compiled_model_s"] / raw["events"] for raw in bare)
    return (1e6 / ours, model * 1e6, 1e6 / floor) if ours and floor and model else None


def _overheads(raws: list[Raw]) -> Tabled:
    rows = []
    for name in dict.fromkeys(raw["workload"] for raw in raws):
        if found := overhead(raws, name):
            ours, model, floor = found
            each = [ours, model, ours - model, floor]
            rows.append([name, *(figure(value, 1) for value in each), figure((ours - model) / floor, 2)])
    columns = ["workload", "riverrun, µs/event", "its model alone", "overhead", "floor, µs/event", "overhead / floor"]
    note = "The model alone: the bare loop's calls of the model, with riverrun's compiled equivalents, nothing else."
    return Tabled("What riverrun adds to its model", columns, rows, [note])
