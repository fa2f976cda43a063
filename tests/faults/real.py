"""A small pipeline on a real broker, run by real workers that can be made to die where a test wants them to."""

from __future__ import annotations

import json
import math
import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from connectors.kafka_reader import quiet
from infra.settings import Settings
from infra.state import SavedState
from infra.topics import apply_topics, lag
from streams import journal
from streams.batch import Batch
from streams.pipeline import Pipeline, load_pipeline
from streams.ports import Output, Record
from streams.records import OUTPUTS, RejectRecord
from streams.task import Task
from tests.faults.committed import Committed
from tests.faults.forked import Worker
from tests.streams import kit

T0_MS = 1_700_000_000_000
CLOSING_MS = 10_000_000
"""Closing records come so long after the last: a batch takes a record only while every input shows its next."""

SOURCE = '''
"""Will it be large? Tests write this file, each under a name of its own."""

from datetime import datetime, timedelta

from river.drift import ADWIN
from river.linear_model import LogisticRegression
from river.preprocessing import StandardScaler
from river.tree import HoeffdingTreeClassifier

from models import Learner, on_error
from streams import Context, Event, Events, Features, Labels, Pipeline
{imports}

class Asked(Event):
    id: str
    shop: str
    at: datetime
    x: float
    note: str = ""


class Answered(Event):
    id: str
    shop: str
    at: datetime
    large: bool


asked = Events("{name}-asked", Asked, key="shop", time="at", id="id")
answered = Labels("{name}-answered", Answered, key="shop", time="at", joins="id", expire_after=timedelta(hours=1))
usual = asked.window(by="shop", over=timedelta(minutes=5)).mean("x")


def features(event: Asked, now: Context) -> Features:
    {effect}
    return {{"x": event.x, "usual": now[usual], "note": len(event.note)}}


def large(label: Answered) -> bool:
    return label.large


pipeline = Pipeline(
    name="{name}",
    events=asked,
    labels=answered,
    features=features,
    target=large,
    champion=Learner("logistic", StandardScaler() | LogisticRegression()),
    challengers=[Learner("tree", HoeffdingTreeClassifier(grace_period=50))],
    drift=[on_error(ADWIN())],
    report_every=timedelta(minutes=1),
    idle_after=timedelta(hours=1),
    batch_max=50,
    {options}
)
'''


@dataclass
class Real:
    """One test's pipeline. ``options`` are lines of its declaration, ``effect`` a line of its feature function.

    ``environment`` is that of all its workers: what dying_worker.py looks at. ``patience_s`` bounds every wait, for
    tests that are meant to fail.
    """

    servers: str
    home: Path
    name: str
    options: str = "checkpoint_every=400, inline_bytes_max=0"
    partitions: int = 1
    effect: str = ""
    imports: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = math.inf
    running: list[Worker] = field(default_factory=list)
    tended: dict[str, Worker] = field(default_factory=dict)
    sent: int = 0
    at_ms: int = T0_MS

    def __post_init__(self) -> None:
        self.admin = AdminClient({"bootstrap.servers": self.servers}, logger=quiet)
        self.write()
        self.pipeline: Pipeline = load_pipeline(self.file)
        self.settings = Settings(home=self.home, bootstrap_servers=self.servers)
        apply_topics(self.pipeline, self.settings)
        self.committed = Committed(self.config)

    @property
    def file(self) -> Path:
        return self.home / f"{self.name.replace('-', '_')}.py"

    @property
    def config(self) -> dict[str, Any]:
        return self.settings.kafka_python()

    def write(self) -> None:
        """The pipeline's file, as declared now."""
        self.home.mkdir(parents=True, exist_ok=True)
        options = f"partitions={self.partitions}, {self.options}"
        text = SOURCE.format(name=self.name, options=options, effect=self.effect or "pass", imports=self.imports)
        self.file.write_text(text)

    def publish(self, count: int = 200, seed: int = 1, abort_every: int = 0) -> None:
        """So many events with their labels, in one transaction each batch of 50; some aborted ones between."""
        draw = random.Random(seed)
        producer = self.producer()
        for first in range(0, count, 50):
            rows = [row for i in range(first, min(first + 50, count)) for row in self._event(draw, i)]
            self._send(producer, rows)
            if abort_every and first // 50 % abort_every == 0:
                self._send(producer, rows[:20], commit=False)

    def _event(self, draw: random.Random, i: int) -> Iterable[tuple[str, int, int, dict[str, Any]]]:
        partition = i % self.partitions
        name, shop, x = f"event {self.sent}", f"shop {partition}", draw.gauss(0, 1)
        self.sent += 1
        self.at_ms += 1_000
        yield "asked", partition, self.at_ms, {"id": name, "shop": shop, "at": iso(self.at_ms), "x": x}
        if draw.random() < 0.95:
            late = {"id": name, "shop": shop, "at": iso(self.at_ms), "large": x + draw.gauss(0, 0.3) > 0}
            yield "answered", partition, self.at_ms + draw.randrange(100, 900), late
            if draw.random() < 0.05:
                yield "answered", partition, self.at_ms + 950, late

    def publish_wrong(self, count: int) -> None:
        """So many records that are no events, in each partition."""
        wrong = [("asked", partition, self.at_ms, b"no event") for partition in range(self.partitions)]
        self._send(self.producer(), wrong * count)

    def close(self) -> None:
        """After this everything published before it can be processed."""
        self.at_ms += CLOSING_MS
        rows = [
            (what, partition, self.at_ms, {"id": f"closing {self.at_ms}", "shop": "", "at": iso(self.at_ms)} | more)
            for partition in range(self.partitions)
            for what, more in (("asked", {"x": 0.0}), ("answered", {"large": False}))
        ]
        self._send(self.producer(), rows)

    def producer(self, **config: Any) -> Producer:
        """A transactional producer, ready."""
        options = {"transactional.id": f"{self.name}-producer", "bootstrap.servers": self.servers, "linger.ms": 20}
        producer = Producer(options | config, logger=quiet)
        producer.init_transactions(20)
        return producer

    def _send(self, producer: Producer, rows: Iterable[tuple[str, int, int, Any]], commit: bool = True) -> None:
        producer.begin_transaction()
        for what, partition, at_ms, row in rows:
            value = row if isinstance(row, bytes) else json.dumps(row).encode()
            topic, key = f"{self.name}-{what}", f"shop {partition}"
            producer.produce(topic, value, key, partition, timestamp=at_ms)
        producer.flush(20)  # what is aborted was there; and an abort that comes before is refused (librdkafka#4849)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)

    def send_raw(self, what: str, value: bytes, **config: Any) -> None:
        """One record of any bytes."""
        self.at_ms += 1_000
        self._send(self.producer(**config), [(what, 0, self.at_ms, value)])

    def worker(
        self,
        worker_id: str = "1",
        *,
        die: str = "",
        home: Path | None = None,
        more: Mapping[str, str] = MappingProxyType({}),
        arguments: Sequence[str] = (),
    ) -> Worker:
        """Start a worker. ``die`` names an operation and which one, ``more`` limits: see dying_worker.py."""
        environment = {
            "RIVERRUN_HOME": str(home or self.home),
            "RIVERRUN_BOOTSTRAP_SERVERS": self.servers,
            "RIVERRUN_TEST_DIE": die,
            **self.environment,
            **more,
        }
        command = ["worker", str(self.file), "--id", worker_id, *arguments]
        started = Worker(command, environment, self.log(worker_id), self.patience_s)
        self.running.append(started)
        return started

    def refused(self, *texts: str, task: int = 0) -> None:
        """Start worker 1: it ends by itself instead of bringing this task back, and says these."""
        worker, back = self.worker(), f"task {task} is back"
        before = self.log().read_text().count(back)
        self.until(lambda: worker.poll() is not None or self.log().read_text().count(back) > before)
        log = self.log().read_text()
        assert log.count(back) == before, "it has gone on"
        assert worker.poll() == 2
        for text in texts:
            assert text in log, log[-2_000:]

    def log(self, worker_id: str = "1") -> Path:
        return self.home / f"worker-{worker_id}.log"

    def lag(self) -> int:
        """Offsets of the inputs that no worker has committed."""
        return lag(self.pipeline, self.settings, self.pipeline.group)

    def until_done(self, deadline_s: float = 90.0) -> None:
        """Wait until all but the closing records is processed, or nobody is left to do so."""
        self.until(lambda: self.processed() or self.deserted(), deadline_s)
        assert self.processed(), f"every worker has ended; {self._logs()}"

    def deserted(self) -> bool:
        """Whether every worker has ended, with nobody to start it again."""
        return not self.tended and all(worker.poll() is not None for worker in self.running)

    def processed(self) -> bool:
        """Whether the journals cover all committed inputs but the closing records and what lies behind them."""
        left = 0
        for partition in range(self.partitions):
            chain = self.journal(partition)
            for stream in self.pipeline.inputs:
                done = chain[-1].ranges[stream.topic][1] if chain else 0
                rest = [r for r in self.records(stream.topic, partition) if r.offset >= done]
                left += sum(b'"closing ' not in (r.value or b"") for r in rest)
        return left == 0

    def until(self, condition: Callable[[], Any], deadline_s: float = 60.0) -> None:
        """Wait on a condition."""
        deadline_s = min(deadline_s, self.patience_s)
        again = retry_if_result(lambda result: not result)

        def tended() -> Any:
            self._tend()
            return condition()

        try:
            Retrying(stop=stop_after_delay(deadline_s), wait=wait_fixed(0.1), retry=again)(tended)
        except RetryError:
            raise AssertionError(f"not within {deadline_s:.0f} s: {self._logs()}") from None

    def _logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3_000:]}" for path in self.home.glob("worker-*.log"))

    def _tend(self) -> None:
        """Start the workers anew that ended themselves as their client hung (librdkafka#5456). No error may end one."""
        for worker_id, worker in list(self.tended.items()):
            if worker.poll() is not None:
                assert worker.poll() == 1, f"worker {worker_id} did not wait; {self._logs()}"
                self.tended[worker_id] = self.worker(worker_id)

    def records(self, topic: str, partition: int = 0) -> list[Record]:
        """All committed records, read by another client than the one that wrote them."""
        return self.committed.records(topic, partition)

    def outputs(self, partition: int = 0) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: [(r.timestamp_ms, r.key, r.value) for r in self.records(self.pipeline.topic(name), partition)]
            for name in OUTPUTS
        }

    def journal(self, partition: int = 0) -> list[journal.JournalRecord]:
        chain = [journal.decode(r.value or b"", "") for r in self.records(self.pipeline.topic("journal"), partition)]
        journal.verify_chain(chain, self.name)
        return chain

    def rejects(self, partition: int = 0) -> list[RejectRecord]:
        decode = msgspec.json.Decoder(RejectRecord).decode
        return [decode(value) for _, _, value in self.outputs(partition)["rejects"]]

    def wanted(self, partition: int = 0) -> tuple[dict[str, list[tuple[Any, ...]]], str]:
        """What an undisturbed run puts out, and the digest of its state: stepped by hand over what was processed."""
        task, outputs = Task(self.pipeline, partition), list[Output]()
        for inputs, decisions in self._between_decisions(partition):
            for batch in kit.batches(inputs, 10**9):
                outputs += task.step(batch).outputs
            outputs += task.step(Batch((), [(len(inputs), decision) for decision in decisions])).outputs
        rows = {name: [(o.timestamp_ms, o.key, o.value) for o in outputs if o.name == name] for name in OUTPUTS}
        return rows, task.digest()

    def _between_decisions(self, partition: int) -> Iterator[tuple[list[list[Record]], list[Record]]]:
        """The inputs' records up to each batch that began with decisions, and these; then those up to the end."""
        chain, control = self.journal(partition), self.pipeline.topic("control")
        topics = [stream.topic for stream in self.pipeline.inputs]
        done = dict.fromkeys(topics, 0)
        for entry in [each for each in chain if each.ranges[control][1] > each.ranges[control][0]]:
            until = {topic: entry.ranges[topic][0] for topic in topics}
            yield (
                [self._range(topic, partition, done[topic], until[topic]) for topic in topics],
                self._range(control, partition, *entry.ranges[control]),
            )
            done = until
        yield [self._range(topic, partition, done[topic], chain[-1].ranges[topic][1]) for topic in topics], []

    def _range(self, topic: str, partition: int, first: int, end: int) -> list[Record]:
        return [record for record in self.records(topic, partition) if first <= record.offset < end]

    def digest(self, partition: int = 0) -> str:
        """Digest of the task's state as the next worker finds it."""
        with SavedState.of(self.pipeline, self.settings) as saved:
            return saved.recovered(partition)[0].digest()

    def check(self) -> None:
        """Everything is what it would have been without any fault."""
        for partition in range(self.partitions):
            rows, digest = self.wanted(partition)
            outputs = self.outputs(partition)
            assert sum(map(len, rows.values())) > 50, "there was something to lose"
            for name in OUTPUTS:
                assert outputs[name] == rows[name], f"{name}[{partition}] are not those of an undisturbed run"
            assert self.digest(partition) == digest, f"the state of task {partition} is not that of an undisturbed run"

    def stop(self) -> None:
        """Every worker that a test started ends, those that were stopped by a signal too."""
        for each in self.running:
            if each.poll() is None:
                each.send_signal(signal.SIGCONT)
        for each in self.running:
            each.stop(min(20, self.patience_s))
        self.committed.close()


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def killed(worker: Worker) -> None:
    """kill -9, and wait until it is gone."""
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait(20) == -signal.SIGKILL
