"""``riverrun up``: every role of a pipeline on this machine, each a child process, started again when it dies.

broker ─▶ topics ─▶ sink, workers, source          stop: source, workers (checkpoints), sink, broker
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra import process
from infra.broker import EmbeddedBroker, embedded_broker
from infra.roles import data_folder, group_of
from infra.settings import Settings
from infra.telemetry import PrometheusTelemetry
from infra.topics import apply_topics, lag
from streams.check import refuse_mistakes
from streams.errors import PipelineError
from streams.pipeline import Pipeline, load_pipeline

STOP_GRACE_S = 30.0
RESTARTS_MAX = 10
"""Restarts of one child before we give up on it."""

_BAR = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
_console = Console(stderr=True)


@dataclass(slots=True)
class Child:
    """A role that runs as a child process."""

    name: str
    arguments: list[str]
    running: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    done: bool = field(default=False)


class Up:
    """All roles of one pipeline.

    Parameters
    ----------
    file, source
        The pipeline's Python file, and that of a source connector to run with it.
    workers
        How many worker processes.
    speed
        For the source: seconds of event time in a second; None: as fast as possible.
    metrics_port
        First of the ports that the roles serve Prometheus metrics on, one after the other; 0: free ones; None: none.
    """

    def __init__(
        self,
        file: Path,
        settings: Settings,
        *,
        source: Path | None = None,
        workers: int = 1,
        speed: float | None = None,
        metrics_port: int | None = None,
    ) -> None:
        self.pipeline: Pipeline = load_pipeline(file)
        refuse_mistakes(self.pipeline, str(file))
        self._file, self._settings, self._metrics_port = str(file), settings, metrics_port
        self.telemetry = PrometheusTelemetry(self.pipeline.name)
        self.logs = data_folder(settings, self.pipeline.name) / "logs"
        self.sink = Child("sink", ["sink", self._file])
        self.workers = [
            Child(f"worker-{number}", ["worker", self._file, "--id", str(number)]) for number in range(1, workers + 1)
        ]
        pace = [] if speed is None else ["--speed", str(speed)]
        self.source = Child("source", ["connect", str(source), *pace]) if source else None
        self._stack = ExitStack()

    def __enter__(self) -> Up:
        """Start everything. Raises Declined when the broker or the topics cannot be had."""
        try:
            if self._settings.bootstrap_servers is None:
                _console.print(f"broker: Apache Kafka at {self._broker()}", style="dim")
            apply_topics(self.pipeline, self._settings)
            for child in (self.sink, *self.workers, *([self.source] if self.source else [])):
                self._start(child)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _broker(self) -> str:
        """The embedded broker: the one that runs on our folder already, or one of our own, that ends with us."""
        running = EmbeddedBroker(self._settings.broker_folder).running()
        if running is not None:
            return running.bootstrap_servers
        with _console.status("starting Kafka (the first time it is fetched and prepared: half a minute)"):
            return self._stack.enter_context(embedded_broker(self._settings.broker_folder))

    def _start(self, child: Child) -> None:
        arguments = list(child.arguments)
        if self._metrics_port is not None:
            place = [self.sink, *self.workers, *([self.source] if self.source else [])].index(child)
            arguments += ["--metrics-port", str(self._metrics_port + 1 + place if self._metrics_port else 0)]
        self.logs.mkdir(parents=True, exist_ok=True)
        log = None if child is self.source else self.logs / f"{child.name}.log"  # the source shows its progress bar
        command = [sys.executable, "-m", "infra.cli", *arguments]
        child.running = process.spawn(command, name=child.name, log=log, env={"PYTHONHASHSEED": "0"})

    def watch(self) -> None:
        """Look after the children once: start again what died, note a source that is done."""
        for child in (self.sink, *self.workers, *([self.source] if self.source else [])):
            code = child.running.poll() if child.running else None
            if code is None or child.done:
                continue
            if child is self.source and code == 0:
                child.done = True
                continue
            child.restarts += 1
            if child.restarts > RESTARTS_MAX:
                raise PipelineError(
                    f"{child.name} ended {child.restarts} times, last with code {code}",
                    where=str(self.logs / f"{child.name}.log"),
                    remedy="read the end of its log",
                )
            self.telemetry.count("process_restarts", 1, role=child.name.partition("-")[0])
            _console.print(f"{child.name} ended with code {code}: starting it again", style="yellow")
            time.sleep(min(2.0 ** (child.restarts - 2), 30.0) if child.restarts > 1 else 0.0)
            self._start(child)

    def run(self, stop: Callable[[], bool], *, tick_s: float = 0.5) -> None:
        """Watch over the children until ``stop``."""
        while not stop():
            self.watch()
            time.sleep(tick_s)

    def run_until_done(self, stop: Callable[[], bool], *, tick_s: float = 0.5) -> None:
        """Watch over the children until the source has ended and no input lags, or ``stop``."""
        self.run(lambda: stop() or self.source is None or self.source.done, tick_s=tick_s)
        with Progress(*_BAR, console=_console, transient=True) as progress:
            left = most = self.lag()
            task = progress.add_task("predict and learn", total=most)
            while left and not stop():
                self.watch()
                time.sleep(tick_s)
                left = self.lag()
                progress.update(task, completed=most - left)

    def lag(self) -> int:
        """Records of the inputs that the workers have not committed yet."""
        return lag(self.pipeline, self._settings, group_of(self.pipeline))

    def finish(self) -> None:
        """Stop source and workers, then let the sink write all that is there."""
        self._stop([*([self.source] if self.source else []), *self.workers, self.sink])
        log = self.logs / "sink.log"
        command = [sys.executable, "-m", "infra.cli", "sink", self._file, "--once"]
        code = process.spawn(command, name="sink", log=log).wait()
        if code:
            raise PipelineError(f"the sink ended with code {code}", where=str(log), remedy="read the end of its log")

    def stop(self) -> None:
        """Stop everything that still runs, the broker last."""
        self._stop([*([self.source] if self.source else []), *self.workers, self.sink])
        self._stack.close()

    def _stop(self, children: list[Child]) -> None:
        running = [child.running for child in children if child.running and child.running.poll() is None]
        for each in running:
            each.terminate()
        for each in running:
            process.stop(each, STOP_GRACE_S)
        for child in children:
            child.done = True
