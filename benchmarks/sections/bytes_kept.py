"""Bytes that the broker keeps of each event: the log segments of every topic a contender writes, inputs apart."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cluster import Cluster, Failed, Run, cluster
from benchmarks.options import Options
from benchmarks.sections.saturation import MORE, START_S, commit_every, forgiving
from benchmarks.tables import Raw, Tabled, figure
from benchmarks.workload import Workload, workload_of

WORKLOADS, EVENTS, ALL_S = ("logistic-3",), 20_000, 60.0


def measure(options: Options) -> Iterator[Raw]:
    """Each contender that writes to Kafka, once."""
    for name in options.only(*WORKLOADS):
        workload, events = workload_of(name), options.events(EVENTS)
        with cluster() as made:
            made.create(workload.topics)
            made.fill(workload.rows(events + MORE))
            inputs = {topic: size for part in workload.topics for topic, size in made.bytes_of(part).items()}
            yield {"workload": name, "contender": "inputs", "events": events + MORE, "topics": inputs}
            for contender in options.contenders:
                if contender != "bare":
                    yield {"workload": name, "contender": contender} | _tried(made, contender, workload, events)


def _tried(made: Cluster, contender: str, workload: Workload, events: int) -> Raw:
    return forgiving(contender, lambda: _one(made, contender, workload, events))


def _one(made: Cluster, contender: str, workload: Workload, events: int) -> Raw:
    run = Run(made, contender, workload)
    with run.watch() as watch:
        with run.started(COMMIT_EVERY=commit_every(events)) as worker:
            last = watch.until(events, run, [worker], START_S + ALL_S)
        watch.until_quiet()
    if last.predicted < events:
        raise Failed(f"{contender}: {last.predicted} of {events} predictions: {run.told()}")
    sizes = {topic.replace(run.name, "…"): size for topic, size in made.bytes_of(run.name).items() if size}
    return {"events": watch.count, "topics": sizes}


def tables(raws: list[Raw]) -> list[Tabled]:
    """In all, and by topic."""
    rows = []
    for raw in raws:
        if "failed" in raw:
            rows.append([raw["workload"], raw["contender"], "–", "failed"])
            continue
        each = {topic: size / raw["events"] for topic, size in sorted(raw["topics"].items(), key=lambda at: -at[1])}
        said = ", ".join(f"{topic} {figure(size)}" for topic, size in each.items())
        rows.append([raw["workload"], raw["contender"], figure(sum(each.values())), said])
    columns = ["workload", "contender", "bytes/event", "of these"]
    return [Tabled("What the broker keeps", columns, rows, ["All contenders compress with lz4; inputs too."])]
