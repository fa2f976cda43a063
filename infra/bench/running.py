"""A real worker on a broker of its own, in a folder that goes away; and what can be seen of both from outside."""

from __future__ import annotations

import http.client
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from infra import process
from infra.bench.costs import Look
from infra.broker import EmbeddedBroker
from infra.settings import PREFIX, Settings
from infra.topics import apply_topics
from streams.errors import Declined
from streams.pipeline import Pipeline

START_DEADLINE_S, STOP_GRACE_S = 60.0, 30.0
_SERVED = re.compile(r"metrics at http://127\.0\.0\.1:(\d+)/")
Metrics = dict[tuple[str, str], float]
"""(series, the label that tells its values apart, "" if none) -> value, summed over tasks."""


class AtWork:
    """A worker that runs, its pipeline, and the broker that it runs on."""

    def __init__(self, pipeline: Pipeline, settings: Settings, worker: int, broker: int, log: Path, data: Path) -> None:
        self.pipeline, self.settings = pipeline, settings
        self._worker, self._broker, self._log, self._data = psutil.Process(worker), psutil.Process(broker), log, data
        self._port = int(_SERVED.findall(log.read_text())[0])

    def look(self) -> Look:
        """All counts as they are now."""
        seen = self.metrics()

        def of(name: str, label: str = "") -> float:
            return seen.get((f"riverrun_{name}", label), 0.0)

        try:
            main_s, worker_s = _main_s(self._worker), sum(self._worker.cpu_times()[:4])
            broker_s = sum(self._broker.cpu_times()[:2])
        except psutil.Error:
            raise self.failed("the worker or its broker ended") from None
        machine = psutil.cpu_times()
        busy_s = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0)
        return Look(
            at_s=time.perf_counter(),
            events=of("records_total", self.pipeline.events.topic),
            records=sum(value for (name, _), value in seen.items() if name == "riverrun_records_total"),
            rejects=sum(value for (name, _), value in seen.items() if name == "riverrun_rejects_total"),
            batches=of("batch_seconds_count"),
            batch_s=of("batch_seconds_sum"),
            commits=of("transaction_seconds_count"),
            commit_s=of("transaction_seconds_sum"),
            main_s=main_s,
            queued_s=_queued_s(self._worker.pid),
            worker_s=worker_s,
            broker_s=broker_s,
            others_s=busy_s - worker_s - broker_s - sum(os.times()[:2]),
        )

    def metrics(self) -> Metrics:
        """What the worker serves to Prometheus. Declined if it has ended."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
        except OSError:
            raise self.failed("the worker ended") from None
        found: Counter[tuple[str, str]] = Counter()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                label = sample.labels.get("topic") or sample.labels.get("reason") or ""
                found[sample.name, label] += sample.value  # type: ignore[assignment]  # Counter adds floats as well
        return dict(found)

    def memory_bytes(self) -> float:
        """Of the worker, without what it shares with the copies that pickle checkpoints."""
        return float(self._worker.memory_info().rss)

    def stored_bytes(self) -> tuple[int, int]:
        """What lies on the broker's disk of the inputs, and of all that the worker wrote."""
        read = set(self.pipeline.topics_read)
        sizes: Counter[bool] = Counter()
        for topic in self.pipeline.topics:
            folders = (self._data / f"{topic}-{partition}" for partition in range(self.pipeline.partitions))
            sizes[topic in read] += sum(log.stat().st_size for folder in folders for log in folder.glob("*.log"))
        return sizes[True], sizes[False]

    def failed(self, what: str) -> Declined:
        """An error with the end of the worker's log."""
        return _failed(what, self._log)


@contextmanager
def at_work(file: Path, pipeline: Pipeline) -> Iterator[AtWork]:
    """Start a broker and a worker in a scratch folder. The user's settings, brokers and state are not looked at."""
    with tempfile.TemporaryDirectory(prefix="riverrun-bench-", ignore_cleanup_errors=True) as scratch:
        home = Path(scratch)
        broker = EmbeddedBroker(home / "broker", port=0)
        started = broker.start()
        try:
            settings = Settings.model_construct(home=home, bootstrap_servers=started.bootstrap_servers)
            apply_topics(pipeline, settings)
            log = home / "worker.log"
            worker = process.spawn(_command(file), name="worker", log=log, env=_environment(settings))
            try:
                _wait_until_back(worker.poll, log, pipeline.partitions)
                yield AtWork(pipeline, settings, worker.pid, started.pid, log, home / "broker" / "data")
            finally:
                process.stop(worker, STOP_GRACE_S)
        finally:
            broker.stop()


def _main_s(worker: psutil.Process) -> float:
    """CPU of its main thread; of all, where threads have numbers of another kind (outside of Linux)."""
    main = [each for each in worker.threads() if each.id == worker.pid]
    return float(sum(main[0][1:]) if main else sum(worker.cpu_times()[:2]))


def _queued_s(pid: int) -> float:
    """How long a process's main thread has waited for a core so far; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) * 1e-9
    except (OSError, IndexError):
        return 0.0


def _command(file: Path) -> list[str | Path]:
    return [sys.executable, "-m", "infra.cli", "worker", file.resolve(), "--metrics-port", "0"]


def _environment(settings: Settings) -> dict[str, str]:
    """Of the worker: none of our settings (an empty variable counts as not set), and no traces sent."""
    ours = [name for name in os.environ if name.startswith((PREFIX, "OTEL_"))]
    own = {"HOME": str(settings.home), "BOOTSTRAP_SERVERS": settings.servers()}
    return dict.fromkeys(ours, "") | {f"{PREFIX}{name}": value for name, value in own.items()} | {"PYTHONHASHSEED": "0"}


def _wait_until_back(poll: object, log: Path, tasks: int) -> None:
    assert callable(poll)
    deadline_s = time.monotonic() + START_DEADLINE_S
    while log.read_text(errors="replace").count("is back after") < tasks:
        if poll() is not None:
            raise _failed("the worker ended while starting", log)
        if time.monotonic() > deadline_s:
            raise _failed(f"the worker is not ready after {START_DEADLINE_S:.0f} s", log)
        time.sleep(0.02)


def _failed(what: str, log: Path) -> Declined:
    end = log.read_text(errors="replace")[-2_000:].strip()
    return Declined(f"{what}; its log ends:\n{end}", remedy="mend what the log says; `riverrun check FILE` may help")
