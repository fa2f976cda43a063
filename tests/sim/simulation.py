"""Runs a schedule: production's worker and recovery on the cluster and disk in memory, in one thread.

All happens in rounds. In each, what is due is published, every worker takes a turn of its loop, and the clock moves:

    round     1          2          3
    source    publishes             publishes
    worker a  turn       turn †                  crashes within its turn; its supervisor starts it again, later
    worker b  turn       turn       turn

A worker that is stopped (SIGSTOP) or waits for an open transaction lies on the stack, and rounds without it happen in
the midst of its turn. So its next operation finds a world that went on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from unittest.mock import patch

from streams import journal
from streams import worker as worker_module
from streams.checkpointer import KEPT
from streams.errors import BrokerUnreachable, Declined, Fenced, OutcomeUnknown, StoreUnavailable
from streams.worker import Worker
from tests.sim.attempts import MemoryAttempts
from tests.sim.background import Background
from tests.sim.cluster import Crash, ignore
from tests.sim.faults import Faults
from tests.sim.memory_log import MemoryLog
from tests.sim.pipelines import IDLE_AFTER, fingerprint_of, pipeline
from tests.sim.schedule import Schedule
from tests.sim.sources import Sources
from tests.sim.world import World

TURN_S = 0.3
SHOWING_TURNS = 8
"""Enough for every worker to see the closing records of all its inputs before their silence is taken for idleness."""

COMMIT_TURNS = 2
"""In every second turn a transaction is committed at once, in the others only when its worker waits for it. In long
turns too: a thread that commits is not kept from it for longer than a transaction may last."""

TURNS_MAX = 3_000
NAMES = "abcdef"
EXPECTED = (Fenced, OutcomeUnknown, BrokerUnreachable, StoreUnavailable)
"""What a worker may end with; its supervisor starts it again. Anything else is a bug."""


class Broken(BaseException):
    """The promise is broken. No ``except Exception`` of the code under test hides it."""


@dataclass(eq=False)
class Process:
    """A worker as its supervisor sees it."""

    name: str
    log: MemoryLog
    worker: Worker
    background: Background
    committing: Background
    code: str
    gone: bool = False

    def turn(self, also_background: bool, also_commit: bool) -> None:
        """A turn of the loop, and now and then a piece of what it left to be done beside."""
        self.worker.turn()
        if also_background:
            self.background.turn()
        if also_commit:
            self.committing.turn()


@dataclass
class Simulation:
    """One run of a schedule. ``fired`` counts the faults that did happen, ``tell`` is told of each as it does."""

    schedule: Schedule
    tell: Callable[[str], None] = ignore
    fired: Counter[str] = field(default_factory=Counter)
    turn: int = 0

    def __post_init__(self) -> None:
        plan = self.schedule
        self.pipelines = {
            fingerprint_of(plan.kind): pipeline(*plan.pipeline),
            f"{fingerprint_of(plan.kind)}, changed": pipeline(*plan.pipeline, changed=True),
        }
        self._deployed = next(iter(self.pipelines))  # the fingerprint of what workers start with
        self.world = World(self.pipelines[self._deployed])
        self.cluster, self.blobs = self.world.cluster, self.world.blobs
        self.blobs.kept = self._is_kept
        self.processes: dict[str, Process] = {}
        self._stack: list[Process] = []
        self._starts: dict[str, int] = {}
        self._attempts: defaultdict[str, MemoryAttempts] = defaultdict(MemoryAttempts)  # a folder a worker
        self._faults = Faults(self, plan.faults)
        self._sources = Sources(self.cluster, plan.history, self.fired)
        self._last: dict[tuple[str, int], int] = {}  # the last record before the closing one
        self._read: dict[int, tuple[int, dict[str, tuple[int, int]]]] = {}

    def run(self) -> None:
        """To the end: all is read, committed and settled. Raises Broken if something happens that never should."""
        self.cluster.on = self.blobs.on = self._faults.at
        self.cluster.while_waiting = self._second
        with patch.object(worker_module, "fingerprint", lambda _: self._deployed):
            for name in NAMES[: self.schedule.workers]:
                self._start(name)
            self._rounds_until(self._sources.done, TURN_S)
            self._last = self._sources.close(self._inputs())
            self._rounds_until(self._all_read, TURN_S)
            for _ in range(SHOWING_TURNS):
                self._round(TURN_S)
            self._rounds_until(self._settled, IDLE_AFTER.total_seconds())  # every input is idle: what is left is taken
        self.cluster.on = self.blobs.on = ignore
        self.cluster.while_waiting = None

    # Rounds

    def _rounds_until(self, condition: Callable[[], bool], seconds: float) -> None:
        while not condition():
            self._round(seconds)

    def _round(self, seconds: float) -> None:
        self.turn += 1
        if self.turn > TURNS_MAX:
            raise Broken(f"not done after {self.turn} turns: {self.cluster.offsets}")
        self._faults.at("turn")
        self._sources.publish(self.turn)
        for name in [name for name, turn in self._starts.items() if turn <= self.turn]:
            del self._starts[name]
            self._start(name)
        for process in list(self.processes.values()):
            if process not in self._stack and not process.gone:
                committed_soon = seconds > TURN_S or self.turn % COMMIT_TURNS == 0
                also = self.turn % self.schedule.background_turns == 0, committed_soon
                self._supervise(process, partial(process.turn, *also))
        self.pass_time(seconds)

    def _second(self) -> None:
        self._round(1.0)

    @property
    def current(self) -> Process | None:
        """Whose turn it is in."""
        return self._stack[-1] if self._stack else None

    def _inputs(self) -> list[tuple[str, int]]:
        return [(s.topic, p) for s in self.world.pipeline.inputs for p in range(self.schedule.partitions)]

    # How far it is

    def _is_kept(self, blob: str) -> bool:
        """Whether it is among the newest checkpoints that the journal names."""
        for partition in range(self.schedule.partitions):
            records = [journal.decode(record.value or b"", "") for record in self.world.journal(partition)]
            names = dict.fromkeys(getattr(record.checkpoint, "name", None) for record in records)
            if blob in [name for name in names if name][-KEPT:]:
                return True
        return False

    def _next(self, topic: str, partition: int) -> int:
        """The next offset to read, as the journal says."""
        entries = len(self.cluster.topics[self.world.pipeline.topic("journal")][partition])
        if self._read.get(partition, (-1,))[0] != entries:
            records = self.world.journal(partition)
            ranges = journal.decode(records[-1].value or b"", "").ranges if records else {}
            self._read[partition] = (entries, ranges)
        return self._read[partition][1].get(topic, (0, 0))[1]

    def _all_read(self) -> bool:
        return all(self._next(*at) > last for at, last in self._last.items())

    def _settled(self) -> bool:
        topics, partitions = self.world.pipeline.topics_read, range(self.schedule.partitions)
        return all(self._next(topic, p) == self.cluster.stable(topic, p) for topic in topics for p in partitions)

    # Workers and their supervisor

    def _start(self, name: str) -> Process:
        log, beside = MemoryLog(self.cluster, name), (Background(), Background())
        worker = self.world.worker_on(log, *beside, self._attempts[name], self.pipelines[self._deployed])
        process = self.processes[name] = Process(name, log, worker, *beside, self._deployed)
        topics = list(self.world.pipeline.topics_read)
        self._supervise(process, lambda: log.subscribe(topics, process.worker))
        return process

    def _supervise(self, process: Process, work: Callable[[], None]) -> None:
        """Let a process do something; when it ends by that, see to its successor. As infra/roles/worker.py."""
        self._stack.append(process)
        try:
            work()
        except Crash:
            process.log.die()
            self._ended(process, self.schedule.restart_turns)
        except EXPECTED as error:
            self.fired[f"ended: {type(error).__name__}"] += 1
            self._leave_with(process, error)
            self._ended(process, 0 if isinstance(error, OutcomeUnknown) else self.schedule.restart_turns)
        except Declined as error:
            if "other code" not in error.what:
                raise Broken(f"worker {process.name}: {error}") from error
            self.fired["ended: other code"] += 1
            self._leave_with(process, error)
            self._deployed = self._other_than(process.code)  # as the remedy says
            self._ended(process, self.schedule.restart_turns)
        except Exception as error:
            raise Broken(f"worker {process.name}: {type(error).__name__}: {error}") from error
        finally:
            self._stack.pop()

    def _leave_with(self, process: Process, error: Exception) -> None:
        """What ``run`` does when its loop raises."""

        def raises() -> bool:
            raise error

        try:
            process.worker.run(raises)
        except Crash:
            process.log.die()
        except (*EXPECTED, Declined):
            pass
        process.log.die()

    def _ended(self, process: Process, restart_turns: int) -> None:
        process.gone = True
        if self.processes.get(process.name) is process:
            del self.processes[process.name]
            self._starts[process.name] = self.turn + restart_turns

    def _stop_in_peace(self, process: Process) -> None:
        self._supervise(process, lambda: process.worker.run(lambda: True))
        process.gone = True
        if self.processes.get(process.name) is process:
            del self.processes[process.name]

    # What faults ask for

    def free(self) -> list[Process]:
        """Those that are not in the midst of a turn."""
        return [process for process in self.processes.values() if process not in self._stack]

    def join(self) -> None:
        """One worker more."""
        self._start(next(name for name in NAMES if name not in self.processes and name not in self._starts))

    @property
    def size(self) -> int:
        """Workers that run, or that their supervisor will start."""
        return len(self.processes) + len(self._starts)

    def leave(self, process: Process, comes_back: bool) -> None:
        """A worker is told to stop, for good or to be started anew."""
        self._stop_in_peace(process)
        if comes_back:
            self._starts.setdefault(process.name, self.turn + self.schedule.restart_turns)

    def deploy(self, drained: bool) -> None:
        """All workers end, saving their states or not, and come back with other code."""
        self._deployed = self._other_than(self._deployed)
        for process in self.free():
            if drained:
                self.leave(process, comes_back=True)
            else:
                process.log.die()
                self._ended(process, self.schedule.restart_turns)

    def _other_than(self, code: str) -> str:
        return next(each for each in self.pipelines if each != code)

    def stop(self, process: Process, seconds: float, replaced: bool) -> None:
        """SIGSTOP, and SIGCONT after some rounds in which someone else is there to take over."""
        process.log.heartbeats_stopped = True
        if replaced:
            self._start(process.name)
        elif not self.free() and self.size < len(NAMES):
            self.join()
        rounds = 12
        for _ in range(rounds):
            self._round(seconds / rounds)
        process.log.heartbeats_stopped = process.log.dead

    def pass_time(self, seconds: float) -> None:
        """Move the clock. Whoever runs, or only waits, is heard of meanwhile."""
        for member in self.cluster.members.values():
            if not member.heartbeats_stopped:
                member.heard_s = self.world.now_s + seconds
        self.cluster.pass_time(seconds)
