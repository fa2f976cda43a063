"""How fast, beside the bare River loop and others: ``python -m benchmarks.bench`` prints a table.

What it is made of goes to build/bench.json.

Every contender runs in a process of its own, on the same broker and stream, one after the other, and all of them again.
Figures are ratios within one run: machines differ, and the same one differs from hour to hour.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.contenders import CONTENDERS
from benchmarks.workload import EVENTS, LABELS, OUTPUT, Workload
from connectors.kafka_reader import quiet
from infra.broker import embedded_broker

EVENTS_OF = {"logistic": 200_000, "tree": 60_000, "forest": 2_000}
"""So many that each takes some seconds."""

WORKLOADS = [Workload(model, features) for model in ("logistic", "tree", "forest") for features in (3, 20)]
TIMEOUT_S = 600


class Figure(NamedTuple):
    """What one run of one contender took."""

    workload: str
    contender: str
    events: int
    seconds: float
    cpu_s: float


def main() -> None:
    """Run what was asked for."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of events")
    parser.add_argument("--workloads", default="", help="only those whose name has this in it")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    given = parser.parse_args()
    chosen = [each for each in WORKLOADS if given.workloads in each.name]
    figures: list[Figure] = []
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("bench", total=len(chosen) * given.repeats * len(CONTENDERS))
        for workload in chosen:
            for figure in _measured(workload, max(int(EVENTS_OF[workload.model] * given.scale), 200), given.repeats):
                figures.append(figure)
                progress.update(bar, advance=1, description=f"{figure.workload}: {figure.contender}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps([each._asdict() for each in figures], indent=1))
    Console().print(table(figures))


def _measured(workload: Workload, events: int, repeats: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, embedded_broker(Path(folder), port=0) as servers:
        _fill(servers, workload, events)
        for _ in range(repeats):
            for contender in CONTENDERS:
                yield _run(contender, workload, events, servers)


def _fill(servers: str, workload: Workload, events: int) -> None:
    admin = AdminClient({"bootstrap.servers": servers}, logger=quiet)
    for answer in admin.create_topics([NewTopic(topic, 1) for topic in (EVENTS, LABELS, OUTPUT)]).values():
        answer.result(30)
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50, "compression.type": "lz4"}, logger=quiet)
    for topic, value, timestamp_ms in workload.rows(events):
        while True:
            try:
                producer.produce(topic, value, b"one", 0, timestamp=timestamp_ms)
            except BufferError:
                producer.poll(0.1)
            else:
                break
    assert producer.flush(60) == 0


def _run(contender: str, workload: Workload, events: int, servers: str) -> Figure:
    said = {"MODEL": workload.model, "FEATURES": str(workload.features), "EVENTS": str(events), "SERVERS": servers}
    env = {f"BENCH_{name}": value for name, value in {**said, "RUN": uuid.uuid4().hex[:8]}.items()}
    command = [sys.executable, "-m", f"benchmarks.contenders.{contender}"]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{contender}: {done.stdout}{done.stderr}"
    found = json.loads(done.stdout.splitlines()[-1])
    return Figure(workload.name, contender, found["events"], found["seconds"], found["cpu_s"])


def table(figures: list[Figure]) -> Table:
    """Medians, with the least and the most, and against the bare loop."""
    made = Table("workload", "contender", "events/s", "least – most", "of bare", "CPU s per million events")
    for workload in dict.fromkeys(each.workload for each in figures):
        runs = {
            name: [each for each in figures if (each.workload, each.contender) == (workload, name)]
            for name in CONTENDERS
        }
        rates = {name: [each.events / each.seconds for each in own] for name, own in runs.items()}
        for name, found in rates.items():
            cpu = statistics.median(each.cpu_s / each.events * 1e6 for each in runs[name])
            ratio = statistics.median(found) / statistics.median(rates["bare"])
            made.add_row(
                *(workload, name, f"{statistics.median(found):,.0f}", f"{min(found):,.0f} – {max(found):,.0f}"),
                *(f"{ratio:.2f}", f"{cpu:,.0f}"),
            )
        made.add_section()
    return made


if __name__ == "__main__":
    main()
