"""Bugs to plant in production's code, to see that the simulator finds them. A check that cannot fail proves nothing.

Each is a context manager that patches classes while one simulation runs. Most sit at the seams between the worker and
its ports (streams/ports.py) rather than inside of the worker, so that they outlive changes of it.
"""

from __future__ import annotations

import hmac
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from models.panel import Panel
from models.pending import PendingLabels
from streams import checkpoint, recovery
from streams import worker as worker_module
from streams.batch import Batch, InputBuffers
from streams.checkpointer import Checkpointer
from streams.errors import OutcomeUnknown
from streams.ports import Output, Record
from streams.recovery import recover
from streams.shelf import Shelf
from streams.task import Step, Task
from streams.versions import Versions
from streams.worker import Worker
from tests.sim.cluster import Cluster, Producer
from tests.sim.disk import MemoryBlobs
from tests.sim.memory_log import MemoryLog
from tests.sim.simulation import Simulation
from tests.streams.kit import T0_MS

Bug = Callable[[Simulation], AbstractContextManager[None]]
BUGS: dict[str, Bug] = {}
"""By name; the docstring says what is wrong."""


def _planted(bug: Callable[[Simulation], Iterator[None]]) -> Bug:
    managed = contextmanager(bug)
    BUGS[bug.__name__.replace("_", "-")] = managed
    return managed


# Transactions


@_planted
def outputs_after_the_commit(_: Simulation) -> Iterator[None]:
    """The journal is committed first, the outputs in a second transaction: a crash in between loses them."""
    produce, commit = MemoryLog._produce, MemoryLog.commit
    waiting: dict[MemoryLog, list[tuple[Any, ...]]] = {}

    def put_off(self: MemoryLog, topic: str, *row: Any) -> None:
        if topic.endswith(".journal"):
            produce(self, topic, *row)
        else:
            waiting.setdefault(self, []).append((topic, *row))

    def commit_twice(self: MemoryLog) -> None:
        commit(self)
        rows = waiting.pop(self, [])
        if rows:
            self.begin()
            for row in rows:
                produce(self, *row)
            commit(self)

    with patch.multiple(MemoryLog, _produce=put_off, commit=commit_twice):
        yield


@_planted
def outputs_beside_the_transaction(_: Simulation) -> Iterator[None]:
    """Outputs are put out at once, whatever becomes of the transaction."""
    produce = MemoryLog._produce

    def at_once(self: MemoryLog, topic: str, partition: int, record: Record) -> None:
        if topic.endswith(".journal"):
            produce(self, topic, partition, record)
        else:
            self.cluster.put(topic, partition, record)

    with patch.object(MemoryLog, "_produce", at_once):
        yield


@_planted
def offsets_beside_the_transaction(_: Simulation) -> Iterator[None]:
    """The group's offsets are committed at once, as a consumer's automatic commits are."""

    def at_once(self: MemoryLog, next_offsets: Mapping[tuple[str, int], int]) -> None:
        self._at("before send_offsets")
        self.cluster.offsets |= dict(next_offsets)

    with patch.object(MemoryLog, "send_offsets", at_once):
        yield


@_planted
def offsets_one_too_many(_: Simulation) -> Iterator[None]:
    """A recovered worker reads on one record too late."""
    seek = MemoryLog.seek
    with patch.object(MemoryLog, "seek", lambda self, topic, p, at: seek(self, topic, p, at + (at > 0))):
        yield


@_planted
def state_kept_after_a_failed_transaction(_: Simulation) -> Iterator[None]:
    """A transaction of unknown outcome is shrugged off: the tasks in memory go on, ahead of the log."""
    turn = Worker.turn

    def shrug(self: Worker) -> None:
        try:
            turn(self)
        except OutcomeUnknown:
            return

    with patch.object(Worker, "turn", shrug):
        yield


@_planted
def fencing_ignored(_: Simulation) -> Iterator[None]:
    """Neither the producer's epoch nor the membership of the group is checked: zombies commit."""

    def no_check(self: MemoryLog) -> None: ...

    def no_epoch(self: Any, transactional_id: str, epoch: int) -> Any:
        return self.producers[transactional_id]

    with (
        patch.object(MemoryLog, "_refuse_stranger", no_check),
        patch.object(Cluster, "owned", no_epoch),
        patch.object(Cluster, "init", lambda self, name: self.producers.setdefault(name, Producer()).epoch),
    ):
        yield


@_planted
def open_transactions_not_waited_for(_: Simulation) -> Iterator[None]:
    """A successor reads journal and offsets while a transaction that will change them is still open."""
    with patch.object(MemoryLog, "_wait", lambda self, where, unsettled: None):
        yield


@_planted
def forgotten_outputs_are_committed(_: Simulation) -> Iterator[None]:
    """A worker puts out where a transaction is open that Kafka forgot to abort: its own commit commits that as well."""
    with patch.object(MemoryLog, "_is_open_before", lambda self, topic, partition, end: False):
        yield


@_planted
def what_was_forgotten_is_aborted(_: Simulation) -> Iterator[None]:
    """Whoever ends what Kafka forgot to end aborts it, though its other half is committed."""
    forget = Cluster._forget
    with patch.object(Cluster, "_forget", lambda self, producer, one, commit: forget(self, producer, one, False)):
        yield


@_planted
def a_late_commit_hits_a_later_transaction(simulation: Simulation) -> Iterator[None]:
    """Kafka's own, without KIP-890: a commit that was on its way ends the transaction that is open when it arrives."""
    simulation.cluster.late_commits_are_checked = False
    yield


# Reading


@_planted
def uncommitted_records_read(_: Simulation) -> Iterator[None]:
    """isolation.level=read_uncommitted: aborted and open records are read."""

    def all_of_them(self: MemoryLog, topic: str, partition: int, start: int, end: int | None = None) -> list[Record]:
        return [entry.record for entry in self.cluster.topics[topic][partition][start:end] if entry.record]

    with patch.object(MemoryLog, "_records", all_of_them):
        yield


@_planted
def seek_forgotten_after_recovery(_: Simulation) -> Iterator[None]:
    """The consumer starts at the beginning, not behind what was replayed."""
    with patch.object(MemoryLog, "seek", lambda self, topic, partition, offset: None):
        yield


@_planted
def position_from_the_group(_: Simulation) -> Iterator[None]:
    """The group's offsets say where to go on, not the journal; when they have expired, from the beginning."""
    seek = MemoryLog.seek

    def by_group(self: MemoryLog, topic: str, partition: int, offset: int) -> None:
        seek(self, topic, partition, self.cluster.offsets.get((topic, partition), 0))

    with patch.object(MemoryLog, "seek", by_group):
        yield


@_planted
def inputs_not_aligned(_: Simulation) -> Iterator[None]:
    """A batch takes what has come and waits for no input, so its order depends on who was fetched first."""
    cut = InputBuffers.cut

    def at_once(self: InputBuffers, records_max: int, idle: Any, *rest: Any, **more: Any) -> Batch:
        return cut(self, records_max, range(len(self._next)), *rest, **more)

    with patch.object(InputBuffers, "cut", at_once):
        yield


@_planted
def revoked_tasks_kept(_: Simulation) -> Iterator[None]:
    """A worker goes on with tasks that the group took away."""
    with patch.object(Worker, "revoked", lambda self, partitions, *, lost: None):
        yield


# State


class EqualToAll(str):
    """A digest that is whatever it is compared with."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


@_planted
def label_learned_twice(_: Simulation) -> Iterator[None]:
    """An event goes on waiting after its label has come: a second label is learned as well."""
    with patch.object(PendingLabels, "resolve", lambda self, event_id, label, now_ms: None):
        yield


@_planted
def expiry_by_the_wall_clock(simulation: Simulation) -> Iterator[None]:
    """Events expire by the worker's clock and not by the records' time."""
    expire = PendingLabels.expire

    def by_clock(self: PendingLabels, now_ms: int) -> Any:
        return expire(self, T0_MS + round(simulation.world.now_s * 3_000))

    with patch.object(PendingLabels, "expire", by_clock):
        yield


@_planted
def checkpoint_of_another_boundary(_: Simulation) -> Iterator[None]:
    """What is saved is the state one batch away from what the journal record says."""
    step, state = Task.step, Task.state
    before: dict[Task, bytes] = {}

    def remember(self: Task, batch: Batch) -> Step:
        before[self] = pickle.dumps(state(self))
        return step(self, batch)

    with patch.multiple(
        Task, step=remember, state=lambda self: pickle.loads(before[self]) if self in before else state(self)
    ):
        yield


@_planted
def pointer_before_the_blob(_: Simulation) -> Iterator[None]:
    """The journal names a checkpoint before its blob is put."""
    put, commit = MemoryBlobs.put, MemoryLog.commit
    waiting: list[tuple[MemoryBlobs, str, bytes]] = []

    def put_all(self: MemoryLog) -> None:
        commit(self)
        while waiting:
            put(*waiting.pop())

    with (
        patch.object(MemoryBlobs, "put", lambda *blob: waiting.append(blob)),
        patch.object(MemoryLog, "commit", put_all),
    ):
        yield


@_planted
def blobs_not_verified(_: Simulation) -> Iterator[None]:
    """A torn or foreign blob is unpickled: neither its name nor its signature is checked."""
    load = checkpoint.load

    def trusting(*args: Any, **more: Any) -> Any:
        digest = SimpleNamespace(hexdigest=EqualToAll)
        any_name = SimpleNamespace(sha256=lambda data: digest)
        any_signature = SimpleNamespace(digest=hmac.digest, compare_digest=lambda one, other: True)
        with patch.object(checkpoint, "hashlib", any_name), patch.object(checkpoint, "hmac", any_signature):
            return load(*args, **more)

    with patch.object(checkpoint, "load", trusting):
        yield


# Recovery


def _recovering(after: Callable[[Any, MemoryLog, list[Output], list[Any]], None]) -> AbstractContextManager[None]:
    """Call ``after`` with what recovery gave, its log, the outputs it discarded and the state before its last batch."""
    step = Task.step

    def recover_and(*args: Any, **more: Any) -> Any:
        discarded: list[Output] = []
        states: list[Any] = []

        def watched(self: Task, batch: Batch) -> Step:
            states[:] = [pickle.dumps(self.state())]
            made = step(self, batch)
            discarded.extend(made.outputs)
            return made

        with patch.object(Task, "step", watched):
            recovered = recover(*args, **more)
        log = next(arg for arg in (*args, *more.values()) if isinstance(arg, MemoryLog))
        after(recovered, log, discarded, states)
        return recovered

    stack = ExitStack()
    stack.enter_context(patch.object(worker_module, "recover", recover_and))
    return stack  # type: ignore[return-value]


@_planted
def recovery_puts_out_again(_: Simulation) -> Iterator[None]:
    """What is replayed is put out a second time."""

    def put_out(recovered: Any, log: MemoryLog, discarded: list[Output], states: list[Any]) -> None:
        if discarded:
            log.begin()
            topics = {output.name: recovered.task.pipeline.topic(output.name) for output in discarded}
            log.produce(topics, recovered.task.partition, discarded)
            log.commit()

    with _recovering(put_out):
        yield


@_planted
def changed_code_not_refused(_: Simulation) -> Iterator[None]:
    """Batches that other code made are replayed with this code."""
    with patch.object(recovery, "_refuse_changed_code", lambda *_: None):
        yield


@_planted
def decisions_not_replayed(_: Simulation) -> Iterator[None]:
    """A replay takes the inputs' records only."""
    task_step = Task.step

    def deaf(self: Task, batch: Batch) -> Step:
        heard = [each for each in batch.records if each[0] < len(self.pipeline.inputs)]
        return task_step(self, Batch(batch.ranges, heard, batch.skipped))

    def replay(*args: Any) -> None:
        with patch.object(Task, "step", deaf):
            original(*args)

    original = recovery._replay
    with patch.object(recovery, "_replay", replay):
        yield


@_planted
def versions_not_waited_for(_: Simulation) -> Iterator[None]:
    """A state counts as safe before the versions of models are that it names."""

    def done(self: Checkpointer, task: Task) -> bool:
        return self.pending is not None and self.pending.blob.done()

    def store(self: Shelf, versions: Versions) -> None: ...

    with patch.object(Checkpointer, "done", done), patch.object(Shelf, "store_now", store):
        yield


@_planted
def champion_not_restored(_: Simulation) -> Iterator[None]:
    """A restored task has the declared champion again, whatever was decided."""
    with patch.object(Panel, "_take_order", lambda self, names, champion: None):
        yield


@_planted
def replay_skips_a_batch(_: Simulation) -> Iterator[None]:
    """The last batch of a replay is checked, but leaves no trace in the state."""

    def roll_back(recovered: Any, log: MemoryLog, discarded: list[Output], states: list[Any]) -> None:
        if states:
            recovered.task.restore(pickle.loads(states[0]))

    with _recovering(roll_back):
        yield
