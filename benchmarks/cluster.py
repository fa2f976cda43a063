"""An embedded broker for measurements: what is put in, who is started on it, and what comes out when."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, STDOUT
from typing import NamedTuple

import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks import peers
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.workload import Row, Workload
from connectors.kafka_reader import quiet
from infra import process
from infra.broker import EmbeddedBroker

ROOT = Path(__file__).parents[1]
OUTPUTS = ("features", "predictions", "outcomes")
STOP_S = 20.0
SEGMENT_BYTES = 64 * 2**20


class Failed(Exception):
    """A contender ended, or did not put out what it should have."""


class Cluster:
    """A running broker, and the folder with its data and all that the contenders keep."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._broker = folder, EmbeddedBroker(folder / "broker", port=0)
        state = self._broker.start()
        self.servers, self.process = state.bootstrap_servers, psutil.Process(state.pid)
        self.admin = AdminClient({"bootstrap.servers": self.servers}, logger=quiet)

    def stop(self) -> None:
        """Stop the broker."""
        self._broker.stop()

    def create(self, topics: Iterable[str], partitions: int = 1) -> None:
        """Make topics. Their segments are small: what is deleted goes soon."""
        config = {"segment.bytes": str(SEGMENT_BYTES)}
        new = [NewTopic(topic, partitions, config=config) for topic in topics]
        for answer in self.admin.create_topics(new).values():
            answer.result(30)

    def delete_before(self, topics: Iterable[str], offset: int) -> None:
        """Delete the records before this offset, of partition 0."""
        for answer in self.admin.delete_records([TopicPartition(topic, 0, offset) for topic in topics]).values():
            answer.result(30)

    def fill(self, rows: Iterable[Row]) -> None:
        """Write these records to topics that exist."""
        producer = Producer(
            {"bootstrap.servers": self.servers, "linger.ms": 50, "compression.type": "lz4"}, logger=quiet
        )
        for row in rows:
            put(producer, row)
        assert producer.flush(60) == 0

    def bytes_of(self, name: str) -> dict[str, int]:
        """Topic -> bytes of its log segments, of the topics that have this in their name."""
        found: dict[str, int] = {}
        for segment in (self.folder / "broker" / "data").glob(f"*{name}*/*.log"):
            topic = segment.parent.name.rpartition("-")[0]
            found[topic] = found.get(topic, 0) + segment.stat().st_size
        return found


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A broker of its own for a ``with`` block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Cluster(Path(folder))
        try:
            yield made
        finally:
            made.stop()


def put(producer: Producer, row: Row) -> None:
    """Produce a record; wait while the producer's queue is full."""
    topic, partition, key, value, timestamp_ms = row
    while True:
        try:
            return producer.produce(topic, value, key, partition, None, None, timestamp_ms)  # type: ignore[no-any-return]
        except BufferError:
            producer.poll(0.1)


class Run:
    """One run of one contender: its name, its output, its folder and its processes."""

    def __init__(self, cluster: Cluster, contender: str, workload: Workload, partitions: int = 1) -> None:
        self.cluster, self.contender, self.workload = cluster, CONTENDERS[contender], workload
        self.partitions, self.name = partitions, f"bench-{uuid.uuid4().hex[:8]}"
        self.home = cluster.folder / self.name
        self.home.mkdir()
        self.log = self.home / "log"
        cluster.create([f"{self.name}.{output}" for output in OUTPUTS], partitions)

    def env(self, **more: str | float) -> dict[str, str]:
        """The environment of its processes."""
        said = {
            "WORKLOAD": self.workload.name,
            "PIPELINE": self.workload.pipeline,
            "RUN": self.name,
            "SERVERS": self.cluster.servers,
            "PARTITIONS": self.partitions,
            "HOME": self.home,
            "COMMIT_EVERY": 10_000,
            **more,
        }
        riverrun = {"RIVERRUN_HOME": str(self.home), "RIVERRUN_BOOTSTRAP_SERVERS": self.cluster.servers}
        fixed = {"PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT), **riverrun, **self.contender.env}
        return {**fixed, **{f"BENCH_{name}": str(value) for name, value in said.items()}}

    def start(self, **more: str | float) -> psutil.Popen:
        """Start a process of the contender."""
        return self.spawn(command_of(self.contender), self.env(**more))

    def spawn(self, command: list[str], env: dict[str, str]) -> psutil.Popen:
        """Start a process that writes to the run's log."""
        with self.log.open("ab") as log:
            everything = {**os.environ, **env}
            return psutil.Popen(command, env=everything, cwd=self.home, stdin=DEVNULL, stdout=log, stderr=STDOUT)

    @contextmanager
    def started(self, **more: str | float) -> Iterator[psutil.Popen]:
        """A process of the contender for a ``with`` block."""
        worker = self.start(**more)
        try:
            yield worker
        finally:
            process.stop(worker, STOP_S)

    def watch(self) -> Watch:
        """Look at its predictions."""
        return Watch(self.cluster.servers, f"{self.name}.predictions", self.partitions)

    def told(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3_000:]


class Mark(NamedTuple):
    """How many predictions were committed when, and what that had cost until then."""

    predicted: int
    at_s: float  # time.time
    worker_cpu_s: float
    broker_cpu_s: float

    def since(self, other: Mark) -> dict[str, float]:
        """What lies between two marks."""
        return {
            "events": self.predicted - other.predicted,
            "seconds": self.at_s - other.at_s,
            "worker_cpu_s": self.worker_cpu_s - other.worker_cpu_s,
            "broker_cpu_s": self.broker_cpu_s - other.broker_cpu_s,
        }


class Watch:
    """Counts committed predictions from the first one on, as they come. Use it as a context."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        config = {"bootstrap.servers": servers, "group.id": "watch", "isolation.level": "read_committed"}
        self._consumer = Consumer({**config, "enable.auto.commit": False, "fetch.queue.backoff.ms": 5}, logger=quiet)
        self._consumer.assign([TopicPartition(topic, place, OFFSET_BEGINNING) for place in range(partitions)])
        self.count = 0
        self.arrivals: list[tuple[int, float]] = []
        """(How many were there, when): one entry a fetch."""

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def look(self, timeout_s: float) -> None:
        """Take what has come; wait for it so long at the most."""
        first = self._consumer.consume(1, timeout_s)
        if first:
            at_s = time.time()
            messages = [*first, *self._consumer.consume(100_000, 0)]
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
            self.count += len(messages)
            self.arrivals.append((self.count, at_s))

    def until_quiet(self, seconds: float = 0.5) -> None:
        """Until nothing more has come for so long."""
        before = -1
        while before != self.count:
            before = self.count
            self.look(seconds)

    def until(self, count: int, run: Run, workers: Sequence[psutil.Popen], timeout_s: float) -> Mark:
        """Wait until so many are there, or until the time is up, and say what it took."""
        until_s = time.time() + timeout_s
        while self.count < count and time.time() < until_s:
            self.look(0.5)
            if any(worker.poll() is not None for worker in workers):
                raise Failed(f"{run.contender.module} has ended: {run.told()}")
        at_s = self.arrivals[-1][1] if self.arrivals else time.time()
        return Mark(self.count, at_s, sum(map(cpu_s, workers)), cpu_s(run.cluster.process))


def command_of(contender: Contender) -> list[str]:
    """What to start."""
    python = str(peers.python_of(contender.peer)) if contender.peer else sys.executable
    return [python, "-W", "ignore", "-m", f"benchmarks.contenders.{contender.module}"]


def cpu_s(of: psutil.Process) -> float:
    """CPU seconds of a process and of those of its children that have ended."""
    used = of.cpu_times()
    return float(used.user + used.system + used.children_user + used.children_system)


def waited(ready: Callable[[], bool], timeout_s: float, what: str) -> float:
    """Wait until it is so; how long it took."""
    began_s = time.perf_counter()
    while not ready():
        if time.perf_counter() - began_s > timeout_s:
            raise Failed(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(0.005)
    return time.perf_counter() - began_s
