"""A worker's whole world in memory: cluster, checkpoints, clock. Workers come, crash and come again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from streams.pipeline import Pipeline
from streams.ports import Attempts, Background, Record
from streams.records import OUTPUTS
from streams.worker import Worker
from tests.sim.attempts import MemoryAttempts
from tests.sim.background import AtOnce
from tests.sim.cluster import Cluster, Crash, ignore
from tests.sim.disk import MemoryBlobs
from tests.sim.memory_log import MemoryLog

KEY = b"our key"
TURN_S = 0.3
TURNS_MAX = 2_000


class Quiet:
    """Telemetry that adds up what it is told, and keeps the newest of each gauge by name and topic.

    "labels" are added up under "labels: early" too, where an outcome or a reason is given.
    """

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}
        self.gauges: dict[tuple[str, str], float] = {}
        self.forgotten: list[str] = []

    def observe(self, name: str, value: float, **labels: str) -> None: ...

    def observe_all(self, name: str, values: Sequence[float]) -> None: ...

    def span(self, name: str, /, **fields: str | int) -> AbstractContextManager[object]:
        return nullcontext()

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self.gauges[name, labels.get("topic", "")] = value

    def forget(self, task: str) -> None:
        self.forgotten.append(task)

    def count(self, name: str, amount: float, **labels: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + amount
        for which in labels.keys() & {"outcome", "reason"}:
            kind = f"{name}: {labels[which]}"
            self.counts[kind] = self.counts.get(kind, 0) + amount


@dataclass
class World:
    """One pipeline's topics with their inputs, and everything that outlives a worker."""

    pipeline: Pipeline
    cluster: Cluster = field(default_factory=Cluster)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    telemetry: Quiet = field(default_factory=Quiet)
    background: Background = field(default_factory=AtOnce)
    committing: Background = field(default_factory=AtOnce)
    attempts: Attempts = field(default_factory=MemoryAttempts)

    def __post_init__(self) -> None:
        for topic, partitions in self.pipeline.topics.items():
            self.cluster.create(topic, partitions)

    @property
    def now_s(self) -> float:
        """Seconds: there is one clock, the cluster's."""
        return self.cluster.now_s

    @now_s.setter
    def now_s(self, now_s: float) -> None:
        self.cluster.now_s = now_s

    def put(self, inputs: Sequence[Sequence[Record]], partition: int = 0) -> None:
        """Publish records of each input, some in transactions of several, some between aborted ones."""
        for stream, records in zip(self.pipeline.inputs, inputs, strict=True):
            for first in range(0, len(records), 7):
                self.cluster.put(stream.topic, partition, *records[first : first + 7])
                if first % 3 == 0:
                    self.cluster.put(stream.topic, partition, records[first], commit=False)

    def inputs(self, partition: int = 0) -> list[list[Record]]:
        """What lies in the inputs, committed."""
        return [self.cluster.committed(stream.topic, partition) for stream in self.pipeline.inputs]

    def worker(self, name: str = "a", pipeline: Pipeline | None = None, key: bytes = KEY) -> Worker:
        """A worker that has joined the group."""
        worker = self.new_worker(name, pipeline, key)
        worker._log.subscribe(list(self.pipeline.topics_read), worker)
        return worker

    def new_worker(self, name: str = "a", pipeline: Pipeline | None = None, key: bytes = KEY) -> Worker:
        """A worker that has yet to ``run``."""
        log = MemoryLog(self.cluster, name)
        return self.worker_on(log, self.background, self.committing, self.attempts, pipeline, key)

    def worker_on(
        self,
        log: MemoryLog,
        background: Background,
        committing: Background,
        attempts: Attempts,
        pipeline: Pipeline | None = None,
        key: bytes = KEY,
    ) -> Worker:
        """The one place where tests make a worker."""
        outside = self.telemetry, lambda: self.now_s, lambda: 0.0, background, committing, attempts
        return Worker(pipeline or self.pipeline, log, self.blobs, key, *outside)

    def turn(self, worker: Worker) -> None:
        worker.turn()
        self.now_s += TURN_S

    @property
    def done(self) -> bool:
        """Whether the group's offsets have come to the ends of all inputs."""
        topics = [stream.topic for stream in self.pipeline.inputs]
        ends = {(topic, p): self.cluster.stable(topic, p) for topic in topics for p in range(self.pipeline.partitions)}
        return all(self.cluster.offsets.get(at, 0) == end for at, end in ends.items())

    def until_done(self, *workers: Worker, also: Callable[[], bool] = lambda: True) -> None:
        """Let the workers take turns until all is read and committed."""
        for _ in range(TURNS_MAX):
            if self.done and also():
                return
            for worker in workers:
                self.turn(worker)
        raise AssertionError(f"not done: {self.cluster.offsets}")

    def run(self) -> Worker:
        """One worker, undisturbed to the end."""
        worker = self.worker()
        self.until_done(worker)
        return worker

    def run_through_crashes(self, crash_at: set[int]) -> int:
        """Crash at these operations, counted over all workers; each time a new worker takes over. How many crashes."""
        crashes, operations = 0, 0

        def on(_: str) -> None:
            nonlocal operations
            operations += 1
            if operations in crash_at:
                raise Crash(f"at operation {operations}")

        self.cluster.on = self.blobs.on = on
        while True:
            try:
                self.run()
            except Crash:
                crashes += 1
                continue
            self.cluster.on = self.blobs.on = ignore
            return crashes

    def outputs(self, partition: int = 0) -> dict[str, list[tuple[Any, ...]]]:
        """Committed records of each output: key, value, timestamp."""
        return {
            name: [
                (r.key, r.value, r.timestamp_ms) for r in self.cluster.committed(self.pipeline.topic(name), partition)
            ]
            for name in OUTPUTS
        }

    def journal(self, partition: int = 0) -> list[Record]:
        return self.cluster.committed(self.pipeline.topic("journal"), partition)
