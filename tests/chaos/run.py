"""One run under chaos and one in peace, on the same broker and the same inputs, compared.

producer ──▶ broker ◀── proxy 1 ◀── worker 1     first: ``disturbed``, by ``riverrun up``'s own supervisor
               ▲ ◀────── proxy 2 ◀── worker 2     then: ``undisturbed``, the same pipeline under another name
               └──────── proxy 3 ◀── sink         then: both read by others than wrote them
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra import process
from infra.broker import EmbeddedBroker
from infra.broker_config import Proxied
from infra.prometheus.targets import Target, folder
from infra.restarts import Restarts
from infra.settings import PREFIX, Settings
from infra.up import Up
from tests.chaos.evidence import gather
from tests.chaos.faults import Faults, plan
from tests.chaos.history import History
from tests.chaos.ports import quiet_port
from tests.chaos.probe import Availability, Probe, View
from tests.chaos.proxy import LOOPBACK, Proxies, Proxy, proxies
from tests.chaos.recoveries import Recoveries
from tests.chaos.report import Report

DISTURBED = Path("tests/chaos/pipelines/disturbed.py").resolve()
UNDISTURBED = Path("tests/chaos/pipelines/undisturbed.py").resolve()
START_DEADLINE_S = 60.0
CALM_DEADLINE_S = 240.0
"""After the last fault, for all that is left to be processed."""

_RECORDS_PER_S_LEAST = 500
"""What the undisturbed run must reach on the slowest machine."""

_TICK_S = 0.1
_LOOK_EVERY_S = 1.0
_BAR = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
_console = Console(stderr=True)


@dataclass(frozen=True)
class Chaos:
    """What is to be done: ``seconds`` of faults, one every ``every_s`` or so, while ``events`` are published."""

    seed: int
    seconds: float
    events: int
    home: Path
    workers: int = 3
    every_s: float = 2.5

    def note(self, what: str) -> None:
        """A line of ``chaos.log``, by the clock of the workers' logs."""
        with (self.home / "chaos.log").open("a") as log:
            print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z", what, file=log)


def run(chaos: Chaos) -> Report:
    """Both runs and the comparison. Whatever happens, every process that was started is stopped."""
    began_s = time.monotonic()
    settings = Settings(home=chaos.home)
    with proxies() as network, _disturbed_up(chaos, settings, network) as (up, ways), up:
        storm = _Storm(chaos, up, ways)
        with storm:
            storm.blow()
        up.finish()
        chaos.note("everything is sunk")
        direct = settings.model_copy(update={"bootstrap_servers": settings.servers()})
        _run_in_peace(direct, sum(storm.last.ready))
        chaos.note("the undisturbed run is done")
        with _console.status("reading what both runs left behind"):
            evidence = gather(direct, History(chaos.seed, chaos.events), UNDISTURBED, DISTURBED)
        chaos.note("everything is compared")
    assert not evidence.published.unequal, f"the producer published otherwise than the history has it: {evidence}"
    return Report(
        events=chaos.events,
        faults=dict(storm.faults.fired),
        recoveries=storm.recovered,
        lost=evidence.topics.lost + evidence.warehouse.lost,
        doubled=evidence.topics.doubled + evidence.warehouse.doubled,
        unequal=evidence.topics.unequal + evidence.warehouse.unequal,
        longest_unavailable_s=round(storm.availability.longest_s, 1),
        states_unequal=evidence.states_unequal,
        records_compared=evidence.topics.rows,
        records_published=evidence.published.rows,
        faults_left_out=dict(storm.faults.left_out),
        restarts=dict(storm.restarts),
        seed=chaos.seed,
        chaos_s=round(storm.lasted_s, 1),
        total_s=round(time.monotonic() - began_s, 1),
    )


@contextmanager
def _disturbed_up(chaos: Chaos, settings: Settings, network: Proxies) -> Iterator[tuple[Up, list[Proxy]]]:
    """The supervisor, its workers and its sink each behind a proxy of its own; the proxies, the sink's last."""
    ways = [network.add(quiet_port(), quiet_port()) for _ in range(chaos.workers + 1)]
    listeners = {f"CLIENT_{number}": Proxied(way.upstream_port, way.port) for number, way in enumerate(ways, 1)}
    broker = EmbeddedBroker(settings.broker_folder, quiet_port(), proxies=listeners)
    up = Up(DISTURBED, settings, workers=chaos.workers, metrics_port=0, broker=broker)
    for child, way in zip((*up.workers, up.sink), ways, strict=True):
        child.env[f"{PREFIX}BOOTSTRAP_SERVERS"] = f"{LOOPBACK}:{way.port}"
    yield up, ways


class _Storm:
    """The run that is disturbed: publishing, faults, and watching, until everything published has been processed."""

    def __init__(self, chaos: Chaos, up: Up, ways: list[Proxy]) -> None:
        self._chaos, self._up = chaos, up
        state = up.broker.running()
        assert state is not None, "up has started it"
        self._servers = state.bootstrap_servers
        self._probe = Probe(self._servers, up.pipeline)
        self._producer: subprocess.Popen[bytes] | None = None
        self._published = False
        self._recoveries, self._first_assignments, self._look_due_s = Recoveries(), 0, 0.0
        planned = plan(chaos.seed, chaos.seconds, chaos.workers, chaos.every_s)
        self.faults = Faults(planned, up, ways, chaos.note)
        self.availability = Availability(tell=chaos.note)
        self._producer_restarts, self._began_publishing_s = Restarts(), 0.0
        self.last = View([], [], [], False)
        self.lasted_s = 0.0

    def __enter__(self) -> _Storm:
        return self

    def __exit__(self, *_: object) -> None:
        self.faults.heal()
        if self._producer is not None:
            process.stop(self._producer, grace_s=5)

    @property
    def recovered(self) -> int:
        """Tasks brought back, without their first assignment."""
        return self._recoveries.total - self._first_assignments

    @property
    def restarts(self) -> Counter[str]:
        """How often the supervisor started whom again."""
        counts = Counter({child.name: child.restarts.total for child in self._up.children})
        counts["producer"] = self._producer_restarts.total
        if self._up.broker_restarts is not None:
            counts["broker"] = self._up.broker_restarts.total
        return +counts

    def blow(self) -> None:
        """From the first record to the last one processed."""
        self._began_publishing_s = time.time()
        self._producer = self._start_producer()
        with Progress(*_BAR, console=_console, transient=True) as bars:
            bar = bars.add_task("in peace yet", total=None)
            self._wait(START_DEADLINE_S, lambda view: min(view.put_out) > 0, bars, bar)
            self._first_assignments, began_s = self._recoveries.total, time.monotonic()
            self._chaos.note("chaos begins")
            while not self.faults.over:
                self.faults.tick(time.monotonic() - began_s)
                self._watch(bars, bar)
            self.lasted_s = time.monotonic() - began_s
            self._chaos.note("calm")
            self._wait(CALM_DEADLINE_S, lambda view: self._published and view.closed, bars, bar)
            self._chaos.note("everything is processed")

    def _start_producer(self) -> subprocess.Popen[bytes]:
        chaos = self._chaos
        given = (chaos.seed, chaos.events, chaos.seconds, self._began_publishing_s)
        arguments = [self._servers, *map(str, given)]
        command = [sys.executable, "-m", "tests.chaos.producer", *arguments]
        return process.spawn(command, name="the producer", log=chaos.home / "producer.log")

    def _watch_producer(self) -> bool:
        """Whether everything is out. A producer that gave up goes on where it was."""
        code = self._producer.poll() if self._producer else None
        if code:
            restarts = self._producer_restarts
            restarts.died(time.monotonic())
            assert not restarts.too_many, f"the producer ends with code {code}: see {self._chaos.home}/producer.log"
            self._producer = self._start_producer()
        return code == 0

    def _wait(self, deadline_s: float, met: Callable[[View], bool], bars: Progress, bar: object) -> None:
        until_s = time.monotonic() + deadline_s
        while (view := self._watch(bars, bar)) is None or not met(view):
            assert time.monotonic() < until_s, f"not done {deadline_s:.0f} s after the last fault: {self.last}"

    def _watch(self, bars: Progress, bar: object) -> View | None:
        self._up.watch()
        self._published = self._published or self._watch_producer()
        view, now_s = self._probe.look(), time.monotonic()
        self.availability.observe(now_s, view)
        if now_s >= self._look_due_s:
            self._look_due_s = now_s + _LOOK_EVERY_S
            for number, worker in enumerate(self._up.workers, 1):
                target = Target(self._up.pipeline.name, "worker", str(number))
                self._recoveries.look(worker, folder(self._chaos.home) / "targets" / target.file)
        if view is not None:
            self.last = view
        struck = f"{self.faults.fired.total()} faults, {len(self.faults.going_on)} going on"
        bars.update(bar, description=struck, total=sum(self.last.ready), completed=sum(self.last.read))  # type: ignore[arg-type]
        time.sleep(_TICK_S)
        return view


def _run_in_peace(settings: Settings, records: int) -> None:
    """The undisturbed run, to its end."""
    until_s = time.monotonic() + START_DEADLINE_S + records / _RECORDS_PER_S_LEAST
    with Up(UNDISTURBED, settings, workers=2) as up, Progress(*_BAR, console=_console, transient=True) as bars:
        bar, probe = bars.add_task("in peace", total=records), Probe(settings.servers(), up.pipeline)
        while (view := probe.look()) is None or not view.closed:
            assert time.monotonic() < until_s, f"the undisturbed run is not done: {view}"
            up.watch()
            bars.update(bar, completed=sum(view.read) if view else 0)
            time.sleep(_TICK_S)
        up.finish()
