"""``riverrun up``: every role of a pipeline on this machine, each a child process, started again when it dies.

broker ─▶ topics ─▶ sink, workers, source, monitor    stop: monitor, source, workers (checkpoints), sink, broker

The broker is one of them if it was started here: nobody else looks after it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from os import SEEK_END
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra import process
from infra.broker import EmbeddedBroker
from infra.restarts import Restarts
from infra.settings import PREFIX, Settings
from infra.telemetry import PrometheusTelemetry
from infra.topics import apply_topics, lag
from streams.check import refuse_mistakes
from streams.errors import BrokerUnreachable, Declined, PipelineError
from streams.pipeline import Pipeline, load_pipeline

STOP_GRACE_S = 30.0
LAST_WORDS_LINES, LAST_WORDS_BYTES = 5, 4_000
_BAR = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
_console = Console(stderr=True)


@dataclass(slots=True)
class Child:
    """A role that runs as a child process, with ``env`` added to our environment."""

    name: str
    arguments: list[str]
    env: dict[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = None
    restarts: Restarts = field(default_factory=Restarts)
    done: bool = False


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
    monitor_port
        Where the monitor serves page and API; 0: a free port; None: there is no monitor.
    broker
        The embedded broker to use when no bootstrap servers are configured; None: that of the settings' home.
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
        monitor_port: int | None = None,
        broker: EmbeddedBroker | None = None,
    ) -> None:
        self.pipeline: Pipeline = load_pipeline(file)
        refuse_mistakes(self.pipeline, str(file))
        self._file, self._settings, self._metrics_port = str(file), settings, metrics_port
        self.telemetry = PrometheusTelemetry(self.pipeline.name)
        self.logs = settings.data_folder(self.pipeline.name) / "logs"
        self.sink = Child("sink", ["sink", self._file])
        self.workers = [
            Child(f"worker-{number}", ["worker", self._file, "--id", str(number)]) for number in range(1, workers + 1)
        ]
        pace = [] if speed is None else ["--speed", str(speed)]
        self.source = Child("source", ["connect", str(source), *pace]) if source else None
        self.monitor: Child | None = None
        if monitor_port is not None:
            self.monitor = Child("monitor", ["monitor", self._file, "--port", str(monitor_port)])
        self.broker = broker or EmbeddedBroker(settings.broker_folder)
        self.broker_restarts: Restarts | None = None  # None: the broker is not ours to look after
        self._stack = ExitStack()

    @property
    def children(self) -> list[Child]:
        """All roles, in the order they are started in."""
        return [self.sink, *self.workers, *(child for child in (self.source, self.monitor) if child)]

    def __enter__(self) -> Up:
        """Start everything. Raises Declined when the broker or the topics cannot be had."""
        try:
            if self._settings.bootstrap_servers is None:
                address = self._start_broker()
                self._settings = self._settings.model_copy(update={"bootstrap_servers": address})
                _console.print(f"broker: Apache Kafka at {address}", style="dim")
            apply_topics(self.pipeline, self._settings)
            for child in self.children:
                self._start(child)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_broker(self) -> str:
        """The embedded broker: the one that runs on the folder already, or one of our own, that ends with us."""
        running = self.broker.running()
        if running is not None:
            return running.bootstrap_servers
        with _console.status("starting Kafka (the first time it is fetched and prepared: half a minute)"):
            started = self.broker.start()
        self._stack.callback(self.broker.stop)
        self.broker_restarts = Restarts()
        return started.bootstrap_servers

    def _start(self, child: Child) -> None:
        arguments = list(child.arguments)
        if self._metrics_port is not None:
            place = self.children.index(child)
            arguments += ["--metrics-port", str(self._metrics_port + 1 + place if self._metrics_port else 0)]
        self.logs.mkdir(parents=True, exist_ok=True)
        log = None if child is self.source else self.logs / f"{child.name}.log"  # the source shows its progress bar
        command = [sys.executable, "-m", "infra.cli", *arguments]
        child.running = process.spawn(command, name=child.name, log=log, env=self._environment(child))
        child.restarts.started()

    def _environment(self, child: Child) -> dict[str, str]:
        """The broker's address is among it: a child that starts while the broker is down waits for it there."""
        ours = {"HOME": str(self._settings.home), "BOOTSTRAP_SERVERS": self._settings.servers()}
        return {"PYTHONHASHSEED": "0"} | {f"{PREFIX}{name}": value for name, value in ours.items()} | child.env

    def watch(self) -> None:
        """Look after broker and children once: start again what died and may, note a source that is done.

        What has to wait before it is started again holds up nothing else. The start of a broker does, for the seconds
        that it takes: without it the others have nothing to do.

        Raises PipelineError for what dies again and again, but for the monitor, which is left out then.
        """
        now_s = time.monotonic()
        self._watch_broker(now_s)
        for child in self.children:
            if not child.done:
                self._watch(child, now_s)

    def _watch(self, child: Child, now_s: float) -> None:
        code = child.running.poll() if child.running else None
        if code is None:
            return
        if child is self.source and code == 0:
            child.done = True
        elif child.restarts.due_s is None:
            try:
                self._died(child.name, child.restarts, now_s, f"code {code}", self.logs / f"{child.name}.log")
            except PipelineError as error:
                if child is not self.monitor:
                    raise
                child.done = True  # nothing depends on it
                _console.print(f"going on without the monitor: {error}", style="yellow", markup=False)
                return
        if child.restarts.is_due(now_s):
            self._start(child)

    def _watch_broker(self, now_s: float) -> None:
        restarts = self.broker_restarts
        if restarts is None or self.broker.running():
            return
        if restarts.due_s is None:
            self._died("broker", restarts, now_s, "its process gone", self.broker.log)
        if not restarts.is_due(now_s):
            return
        try:
            self.broker.start()
        except Declined as error:  # it may be the port, or a slow machine: the next start may do better
            self._died("broker", restarts, time.monotonic(), str(error), self.broker.log)
        else:
            restarts.started()

    def _died(self, name: str, restarts: Restarts, now_s: float, how: str, log: Path) -> None:
        due_s = restarts.died(now_s)
        if restarts.too_many:
            times = len(restarts.deaths_s)
            raise PipelineError(
                f"{name} ended {times} times in a row, last with {how}",
                where=str(log),
                remedy=f"its last words may say it:\n{_last_words(log)}",
            )
        self.telemetry.count("process_restarts", 1, role=name.partition("-")[0])
        when = f"in {due_s - now_s:.0f} s" if due_s > now_s else "now"
        _console.print(f"{name} ended with {how}: starting it again {when}", style="yellow")

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
                with suppress(BrokerUnreachable):  # it is being started again
                    left = self.lag()
                progress.update(task, completed=most - left)

    def lag(self) -> int:
        """Records of the inputs that the workers have not committed yet."""
        return lag(self.pipeline, self._settings, self.pipeline.group)

    def finish(self) -> None:
        """Stop source and workers, then let the sink write all that is there."""
        self._stop(self.children[::-1])
        log = self.logs / "sink.log"
        command = [sys.executable, "-m", "infra.cli", "sink", self._file, "--once"]
        code = process.spawn(command, name="sink", log=log, env=self._environment(self.sink)).wait()
        if code:
            raise PipelineError(f"the sink ended with code {code}", where=str(log), remedy="read the end of its log")

    def stop(self) -> None:
        """Stop everything that still runs, the broker last."""
        self._stop(self.children[::-1])
        self._stack.close()

    def _stop(self, children: list[Child]) -> None:
        running = [child.running for child in children if child.running and child.running.poll() is None]
        for each in running:
            each.terminate()
        for each in running:
            process.stop(each, STOP_GRACE_S)
        for child in children:
            child.done = True


def _last_words(log: Path) -> str:
    """The end of a log."""
    if not log.exists():
        return "(there is no log)"
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, SEEK_END) - LAST_WORDS_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-LAST_WORDS_LINES:])
