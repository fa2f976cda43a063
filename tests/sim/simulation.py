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

import errno
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from unittest.mock import patch

from streams import journal
from streams import worker as worker_module
from streams.checkpoint import MAGIC
from streams.errors import BrokerUnreachable, Fenced, OutcomeUnknown
from streams.ports import Record
from streams.worker import Worker
from tests.sim.background import Background
from tests.sim.cluster import Crash, Transaction, ignore
from tests.sim.disk import TornWrite, disk_error
from tests.sim.memory_log import MemoryLog
from tests.sim.pipelines import IDLE_AFTER, fingerprint_of, pipeline
from tests.sim.schedule import CLOSING_MS, Fault, Publication, Schedule
from tests.sim.world import World
from tests.streams.kit import T0_MS

TURN_S = 0.3
HANGING_TIMEOUT_S = 6.0
"""After which the coordinator aborts a source's transaction that is not ended."""

SHOWING_TURNS = 8
"""Enough for every worker to see the closing records of all its inputs before their silence is taken for idleness."""

TURNS_MAX = 3_000
NAMES = "abcdef"
EXPECTED = (Fenced, OutcomeUnknown, BrokerUnreachable, OSError)
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
    gone: bool = False

    def turn(self, also_background: bool) -> None:
        """A turn of the loop, and now and then a piece of what it left to the background."""
        self.worker.turn()
        if also_background:
            self.background.turn()


@dataclass
class Simulation:
    """One run of a schedule. ``fired`` counts the faults that did happen, ``tell`` is told of each as it does."""

    schedule: Schedule
    tell: Callable[[str], None] = ignore
    fired: Counter[str] = field(default_factory=Counter)
    turn: int = 0

    def __post_init__(self) -> None:
        plan = self.schedule
        self.world = World(pipeline(plan.kind, plan.partitions, plan.batch_max, plan.checkpoint_every))
        self.cluster, self.blobs = self.world.cluster, self.world.blobs
        self.processes: dict[str, Process] = {}
        self._stack: list[Process] = []
        self._starts: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._operations = 0
        self._late: list[tuple[int, str, int]] = []  # commits on their way: at which operation they arrive, whose
        self._faults: defaultdict[str, list[Fault]] = defaultdict(list)
        for fault in plan.faults:
            self._faults[fault.operation].append(fault)
        self._unpublished = sorted(plan.history, key=lambda each: each.turn, reverse=True)
        self._unended: list[tuple[int, Transaction, bool]] = []
        self._last: dict[tuple[str, int], int] = {}  # the last record before the closing one
        self._read: dict[int, tuple[int, dict[str, tuple[int, int]]]] = {}

    def run(self) -> None:
        """To the end: all is read, committed and settled. Raises Broken if something happens that never should."""
        fingerprint = fingerprint_of(self.schedule.kind)
        self.cluster.on = self.blobs.on = self._on
        self.cluster.while_waiting = self._second
        with patch.object(worker_module, "fingerprint", lambda _: fingerprint):
            for name in NAMES[: self.schedule.workers]:
                self._start(name)
            self._rounds_until(self._all_published, TURN_S)
            self._close_inputs()
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
        self._on("turn")
        self._publish()
        for name in [name for name, turn in self._starts.items() if turn <= self.turn]:
            del self._starts[name]
            self._start(name)
        for process in list(self.processes.values()):
            if process not in self._stack and not process.gone:
                self._supervise(process, lambda p=process: p.turn(self.turn % self.schedule.background_turns == 0))
        self._pass(seconds)

    def _second(self) -> None:
        self._round(1.0)

    def _pass(self, seconds: float) -> None:
        for member in self.cluster.members.values():
            if not member.heartbeats_stopped:
                member.heard_s = self.world.now_s + seconds
        self.cluster.pass_time(seconds)

    # Sources

    def _publish(self) -> None:
        for each in [each for each in self._unended if each[0] <= self.turn]:
            self._unended.remove(each)
            self.cluster.end(each[1], each[2])
        while self._unpublished and self._unpublished[-1].turn <= self.turn:
            self._begin(self._unpublished.pop())

    def _begin(self, publication: Publication) -> None:
        transaction = self.cluster.start(HANGING_TIMEOUT_S if publication.fate == "hang" else float("inf"))
        for record in publication.records:
            self.cluster.append(publication.topic, publication.partition, record, transaction)
        if publication.fate == "hang":
            self.fired["input: transaction left open"] += 1
            return
        self.fired["input: aborted transaction"] += publication.fate == "abort"
        commit = publication.fate == "commit"
        if publication.open_turns:
            self._unended.append((self.turn + publication.open_turns, transaction, commit))
        else:
            self.cluster.end(transaction, commit)

    def _all_published(self) -> bool:
        return not self._unpublished and not self._unended and not self.cluster.open_elsewhere()

    def _close_inputs(self) -> None:
        """A record later than all others in every partition, so that no input makes another wait for ever."""
        for topic, partition in self._inputs():
            records = self.cluster.committed(topic, partition)
            self._last[topic, partition] = records[-1].offset if records else -1
            self.cluster.put(topic, partition, Record(-1, T0_MS + CLOSING_MS, b"nyc", b"closing"))

    def _inputs(self) -> list[tuple[str, int]]:
        return [(s.topic, p) for s in self.world.pipeline.inputs for p in range(self.schedule.partitions)]

    # How far it is

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
        return all(self._next(*at) == self.cluster.stable(*at) for at in self._inputs())

    # Workers and their supervisor

    def _start(self, name: str) -> Process:
        log, background = MemoryLog(self.cluster, name), Background()
        process = self.processes[name] = Process(name, log, self.world.worker_on(log, background), background)
        self._supervise(process, lambda: log.subscribe(process.worker._topics, process.worker))
        return process

    def _supervise(self, process: Process, work: Callable[[], None]) -> None:
        """Let a process do something; when it ends by that, see to its successor. As run_worker in infra/roles.py."""
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
        except EXPECTED:
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

    # Faults

    def _on(self, operation: str) -> None:
        self._counts[operation] += 1
        self._operations += 1
        while self._late and self._late[0][0] <= self._operations:
            _, name, epoch = self._late.pop(0)
            self.cluster.arrive(name, epoch)
        for fault in self._faults[operation]:
            if fault.nth <= self._counts[operation] and self._possible(fault):
                self._faults[operation].remove(fault)
                self.fired[fault.kind] += 1
                whom = f"worker {self._stack[-1].name}" if self._stack else "all"
                self.tell(f"turn {self.turn:3}  {self.world.now_s:6.1f} s  {whom}: {fault}")
                self._befall(fault)
                return

    def _free(self) -> list[Process]:
        return [process for process in self.processes.values() if process not in self._stack]

    def _possible(self, fault: Fault) -> bool:
        if fault.kind == "rot":
            return self._spare(self.blobs.at)
        if fault.kind == "torn write":
            return len(self.blobs.blobs) >= self.schedule.partitions
        if fault.kind == "join":
            return len(self.processes) + len(self._starts) < 4
        if fault.kind == "leave":
            return bool(self._free()) and len(self.processes) > 1
        if fault.kind == "redeploy":
            return bool(self._free())
        if fault.kind.startswith("late commit"):
            return self.cluster.producers[self._stack[-1].name].epoch == self._stack[-1].log.epoch
        return True

    def _spare(self, name: str) -> bool:
        """Whether a checkpoint is good and its task has another: with none left no worker can go on, by design."""
        if name not in self.blobs.blobs or name in self.blobs.broken:
            return False
        for partition in range(self.schedule.partitions):
            records = [journal.decode(record.value or b"", "") for record in self.world.journal(partition)]
            names = {getattr(record.checkpoint, "name", record.checkpoint) for record in records}
            if name in names:
                return bool((names & self.blobs.blobs.keys()) - self.blobs.broken - {name})
        return False

    def _befall(self, fault: Fault) -> None:
        kind, amount = fault.kind, fault.amount
        process = self._stack[-1] if self._stack else None
        if kind in {"join", "leave", "redeploy"}:
            self._change_fleet(kind, fault.nth)
            return
        assert process is not None, "all others befall a process"
        if kind.startswith("crash"):
            raise Crash(str(fault))
        if kind.startswith("stop"):
            self._stop(process, amount, replaced=kind.endswith("replaced"))
        elif kind == "slow":
            self._pass(amount)
        elif kind == "lost answer":
            raise OutcomeUnknown("the answer was lost", where=process.name)
        elif kind == "refused commit":
            self.cluster.finish(process.name, process.log.epoch, commit=False)
            raise OutcomeUnknown("the transaction was given up", where=process.name)
        elif kind.startswith("late commit"):
            self._late.append((self._operations + int(amount), process.name, process.log.epoch))
            if kind.endswith("crash"):
                raise Crash(str(fault))
            raise OutcomeUnknown("no answer yet", where=process.name)
        elif kind == "eviction":
            if self.cluster.members.get(process.name) is process.log:
                self.cluster.evict(process.name)
        elif kind == "offsets expire":
            self.cluster.offsets.clear()
        elif kind == "torn write":
            raise TornWrite(amount)
        elif kind == "rot":
            self._rot(self.blobs.at, int(amount))
        else:
            self._again(fault)
            if kind == "unreachable":
                raise BrokerUnreachable("no answer", where=process.name)
            raise disk_error(errno.ENOSPC if kind == "disk full" else errno.EIO)

    def _again(self, fault: Fault) -> None:
        if fault.amount > 1:
            more = Fault(fault.kind, fault.operation, self._counts[fault.operation] + 1, fault.amount - 1)
            self._faults[fault.operation].append(more)

    def _change_fleet(self, kind: str, nth: int) -> None:
        if kind == "join":
            self._start(next(n for n in NAMES if n not in self.processes and n not in self._starts))
            return
        free = self._free()
        process = free[nth % len(free)]
        self._stop_in_peace(process)
        if kind == "redeploy":
            self._starts.setdefault(process.name, self.turn + self.schedule.restart_turns)

    def _stop(self, process: Process, seconds: float, replaced: bool) -> None:
        """SIGSTOP, and SIGCONT after some rounds in which someone else is there to take over."""
        process.log.heartbeats_stopped = True
        if replaced:
            self._start(process.name)
        elif not self._free() and len(self.processes) + len(self._starts) < len(NAMES):
            self._change_fleet("join", 0)
        rounds = 12
        for _ in range(rounds):
            self._round(seconds / rounds)
        process.log.heartbeats_stopped = process.log.dead

    def _rot(self, name: str, how: int) -> None:
        blob = self.blobs.blobs.pop(name)
        self.blobs.broken.add(name)
        if how == 0:
            place = len(blob) * 2 // 3
            self.blobs.blobs[name] = blob[:place] + bytes([blob[place] ^ 4]) + blob[place + 1 :]
        elif how == 1:
            self.blobs.blobs[name] = blob[: len(blob) // 2]
        elif how == 3:
            signed = len(MAGIC)
            self.blobs.blobs[name] = blob[:signed] + bytes(32) + blob[signed + 32 :]
