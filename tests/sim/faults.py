"""What goes wrong in a simulation, at the operation a schedule says."""

from __future__ import annotations

import errno
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from streams import journal
from streams.checkpoint import MAGIC
from streams.errors import BrokerUnreachable, OutcomeUnknown
from tests.sim.cluster import Crash
from tests.sim.disk import TornWrite, disk_error
from tests.sim.schedule import Fault

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

FORGETS = ("offsets", "partitions", "both")

WORKERS_MAX = 4
"""Not counting those who stand in for a worker that is stopped."""


class Faults:
    """The faults of a schedule that have not struck yet."""

    def __init__(self, simulation: Simulation, faults: Iterable[Fault]) -> None:
        self._sim = simulation
        self._counts: Counter[str] = Counter()
        self._operations = 0
        self._late: list[tuple[int, str, int]] = []  # commits on their way: at which operation they arrive, whose
        self._faults: defaultdict[str, list[Fault]] = defaultdict(list)
        for fault in faults:
            self._faults[fault.operation].append(fault)

    def at(self, operation: str) -> None:
        """An operation is announced: let one of the faults that are due strike, if it can."""
        sim = self._sim
        self._counts[operation] += 1
        self._operations += 1
        for arrived in [each for each in self._late if each[0] <= self._operations]:
            self._late.remove(arrived)
            sim.cluster.arrive(*arrived[1:])
        for fault in self._faults[operation]:
            if fault.nth <= self._counts[operation] and self._possible(fault):
                self._faults[operation].remove(fault)
                sim.fired[fault.kind] += 1
                whom = f"worker {sim.current.name}" if sim.current else "all"
                sim.tell(f"turn {sim.turn:3}  {sim.world.now_s:6.1f} s  {whom}: {fault}")
                self._befall(fault)
                return

    def _possible(self, fault: Fault) -> bool:
        if fault.kind == "rot":
            return self._spare(self._sim.blobs.at)
        if fault.kind == "torn write":
            return len(self._sim.blobs.blobs) >= self._sim.schedule.partitions
        if fault.kind == "join":
            return self._sim.size < WORKERS_MAX
        if fault.kind == "leave":
            return bool(self._sim.free()) and len(self._sim.processes) > 1
        if fault.kind == "redeploy":
            return bool(self._sim.free())
        if fault.kind == "new code":  # several tasks could come to need both versions at once
            return bool(self._sim.free()) and self._sim.schedule.partitions == 1
        if fault.kind.startswith("late commit"):
            process = self._sim.current
            assert process is not None, "a worker commits"
            return self._sim.cluster.producers[process.name].epoch == process.log.epoch
        return True

    def _spare(self, name: str) -> bool:
        """Whether a checkpoint is good and its task has another: with none left no worker can go on, by design."""
        if name not in self._sim.blobs.blobs or name in self._sim.blobs.broken:
            return False
        for partition in range(self._sim.schedule.partitions):
            records = [journal.decode(record.value or b"", "") for record in self._sim.world.journal(partition)]
            if len({record.fingerprint for record in records}) > 1:
                continue  # batches of two versions cannot be replayed by one: by design
            names = {getattr(record.checkpoint, "name", record.checkpoint) for record in records}
            if name in names:
                return bool((names & self._sim.blobs.blobs.keys()) - self._sim.blobs.broken - {name})
        return False

    def _befall(self, fault: Fault) -> None:
        kind, amount = fault.kind, fault.amount
        process = self._sim.current
        if kind in {"join", "leave", "redeploy"}:
            self._change_fleet(kind, fault.nth)
            return
        if kind == "new code":
            self._sim.deploy(drained=not amount)
            return
        assert process is not None, "all others befall a process"
        if kind.startswith("crash"):
            raise Crash(str(fault))
        if kind.startswith("stop"):
            self._sim.stop(process, amount, replaced=kind.endswith("replaced"))
        elif kind == "slow":
            self._sim.pass_time(amount)
        elif kind == "lost answer":
            raise OutcomeUnknown("the answer was lost", where=process.name)
        elif kind == "forgotten abort":
            self._sim.cluster.producers[process.name].forgets = FORGETS[int(amount)]
            raise Crash(str(fault))
        elif kind == "forgotten commit":
            self._sim.cluster.producers[process.name].forgets = FORGETS[int(amount)]
            self._sim.cluster.finish(process.name, process.log.epoch, commit=True)
            raise OutcomeUnknown("the answer was lost", where=process.name)
        elif kind == "refused commit":
            self._sim.cluster.finish(process.name, process.log.epoch, commit=False)
            raise OutcomeUnknown("the transaction was given up", where=process.name)
        elif kind.startswith("late commit"):
            self._late.append((self._operations + int(amount), process.name, process.log.epoch))
            if kind.endswith("crash"):
                raise Crash(str(fault))
            raise OutcomeUnknown("no answer yet", where=process.name)
        elif kind == "eviction":
            if self._sim.cluster.members.get(process.name) is process.log:
                self._sim.cluster.evict(process.name)
        elif kind == "offsets expire":
            self._sim.cluster.offsets.clear()
        elif kind == "torn write":
            raise TornWrite(amount)
        elif kind == "rot":
            self._rot(self._sim.blobs.at, int(amount))
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
            self._sim.join()
            return
        free = self._sim.free()
        self._sim.leave(free[nth % len(free)], comes_back=kind == "redeploy")

    def _rot(self, name: str, how: int) -> None:
        blob = self._sim.blobs.blobs.pop(name)
        self._sim.blobs.broken.add(name)
        if how == 0:
            place = len(blob) * 2 // 3
            self._sim.blobs.blobs[name] = blob[:place] + bytes([blob[place] ^ 4]) + blob[place + 1 :]
        elif how == 1:
            self._sim.blobs.blobs[name] = blob[: len(blob) // 2]
        elif how == 3:
            signed = len(MAGIC)
            self._sim.blobs.blobs[name] = blob[:signed] + bytes(32) + blob[signed + 32 :]
