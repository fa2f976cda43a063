"""Says whether a simulated run kept the promise: all is what it would have been without any of the faults.

The undisturbed run is told by stepping a task by hand over the committed inputs, merged the slow and certain way. That
a worker alone commits the same is tested in tests/streams/test_worker.py and in test_simulation.py.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from streams import journal
from streams.batch import Batch
from streams.journal import JournalRecord
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.records import OUTPUTS
from streams.recovery import recover
from streams.task import Task
from tests.sim.memory_log import MemoryLog
from tests.sim.schedule import CLOSING_MS
from tests.sim.simulation import Broken, Simulation
from tests.sim.world import KEY
from tests.streams import kit

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Outcome:
    """What a task came to: the committed records of each output, the digest of its state, and what it says next."""

    outputs: dict[str, Rows]
    digest: str
    next_outputs: list[Output]


def _probe(partition: int) -> Batch:
    """Events and a label that come after everything."""
    at_ms = CLOSING_MS + 1_000
    events = [(2, kit.start(10**6 + i, at_ms + i, f"probe {i}", km=3.0 * i)) for i in range(3)]
    return Batch((), [*events, (1, kit.end(10**6, at_ms + 5, "probe 1", minutes=3.0)), (2, events[0][1])])


def _asked(task: Task) -> list[Output]:
    shift = 3 - len(task.pipeline.inputs)  # the events are the last input, whether or not there are references
    probe = _probe(task.partition)
    return task.step(Batch((), [(index - shift, record) for index, record in probe.records])).outputs


Spans = tuple[tuple[str, tuple[Record, ...], int], ...]
"""Which code was deployed, the decisions it took first, and for how many records; the last for all that follow."""

_undisturbed: dict[tuple[str, int, Spans, tuple[tuple[Record, ...], ...]], Outcome] = {}


def undisturbed(simulation: Simulation, partition: int) -> Outcome:
    """What the inputs come to when nothing goes wrong. Kept, as planted bugs and shrinking run the same ones."""
    inputs, spans = simulation.world.inputs(partition), _spans(simulation, partition)
    key = (simulation.schedule.kind, partition, spans, tuple(map(tuple, inputs)))
    if key not in _undisturbed:
        if len(_undisturbed) > 500:
            _undisturbed.clear()
        outputs: dict[str, Rows] = {name: [] for name in OUTPUTS}
        task, left = Task(simulation.pipelines[spans[0][0]], partition), kit.merged(inputs)
        for place, (fingerprint, decisions, count) in enumerate(spans, 1):
            task = _deployed(simulation.pipelines[fingerprint], task)
            first = [(len(inputs), decision) for decision in decisions]
            batch = [*first, *(left if place == len(spans) else left[:count])]
            for name, record_key, value, timestamp_ms in task.step(Batch((), batch)).outputs:
                outputs[name].append((record_key, value, timestamp_ms))
            left = left[count:]
        _undisturbed[key] = Outcome(outputs, task.digest(), _asked(task))
    return _undisturbed[key]


def _spans(simulation: Simulation, partition: int) -> Spans:
    chain, topic = _chain(simulation, partition), simulation.world.pipeline.topic("control")
    decisions = simulation.world.cluster.committed(topic, partition)
    spans = [(chain[0].fingerprint, tuple[Record, ...](), 0)]
    for record in chain:
        first, end = record.ranges.get(topic, (0, 0))
        taken = tuple(each for each in decisions if first <= each.offset < end)
        code, before, count = spans[-1]
        if not taken and code == record.fingerprint:
            spans[-1] = (code, before, count + record.records)
        elif record.records:
            spans.append((record.fingerprint, taken, record.records - len(taken)))
    return tuple(spans)


def _deployed(code: Pipeline, task: Task) -> Task:
    """The task as it goes on with this code."""
    if code is task.pipeline:
        return task
    successor = Task(code, task.partition)
    successor.restore(pickle.loads(pickle.dumps(task.state())))
    successor.versions.unsaved = task.versions.unsaved
    return successor


def _chain(simulation: Simulation, partition: int) -> list[JournalRecord]:
    where = f"journal[{partition}]"
    return [journal.decode(record.value or b"", where) for record in simulation.world.journal(partition)]


def observed(simulation: Simulation, partition: int) -> Outcome:
    """What lies in the log, and what a worker that starts now, with the code of the last one, would bring back."""
    world, log = simulation.world, MemoryLog(simulation.world.cluster, "oracle")
    fingerprint = _spans(simulation, partition)[-1][0]
    task = recover(simulation.pipelines[fingerprint], partition, log, world.blobs, KEY, fingerprint).task
    return Outcome(world.outputs(partition), task.digest(), _asked(task))


def compare(simulation: Simulation, partition: int, came: Outcome) -> None:
    """Raise Broken unless the task came to what an undisturbed run comes to."""
    name, wanted = f"task {partition}", undisturbed(simulation, partition)
    for output, rows in wanted.outputs.items():
        if rows != came.outputs[output]:
            raise Broken(f"{name}: {output}: {_difference(rows, came.outputs[output])}")
    if came.digest != wanted.digest:
        raise Broken(f"{name}: another state than without faults")
    if came.next_outputs != wanted.next_outputs:
        raise Broken(f"{name}: other predictions next than without faults")
    _check_journal(simulation, partition)


def check_blobs(simulation: Simulation) -> None:
    """Raise Broken if a checkpoint was looked for in vain that no fault had taken away."""
    if simulation.blobs.missed:
        raise Broken(f"the journal names blobs that are not there: {sorted(simulation.blobs.missed)}")


def _difference(wanted: Rows, came: Rows) -> str:
    place = next((i for i, (one, other) in enumerate(zip(wanted, came, strict=False)) if one != other), None)
    if place is None:
        return f"{len(came)} records, not {len(wanted)}"
    return f"record {place} of {len(came)} is {came[place]}, not {wanted[place]} of {len(wanted)}"


def _check_journal(simulation: Simulation, partition: int) -> None:
    """From the first record to the last one chain that tells every input and output record once."""
    world, where = simulation.world, f"journal[{partition}]"
    records = _chain(simulation, partition)
    journal.verify_chain(records, where)
    if (records[0].sequence, records[0].previous) != (0, ""):
        raise Broken(f"{where}: begins with record {records[0].sequence}")
    decisions = len(world.cluster.committed(world.pipeline.topic("control"), partition))
    if sum(record.records for record in records) != sum(map(len, world.inputs(partition))) + decisions:
        raise Broken(f"{where}: does not tell every input record once")
    if sum(record.outputs for record in records) != sum(map(len, world.outputs(partition).values())):
        raise Broken(f"{where}: does not tell every output record once")
    for topic in world.pipeline.topics_read:
        first, end = records[0].ranges[topic][0], records[-1].ranges[topic][1]
        if (first, end) != (0, world.cluster.stable(topic, partition)):
            raise Broken(f"{where}: tells {topic} from {first} to {end}")
        if world.cluster.offsets.get((topic, partition), end) != end:
            raise Broken(f"{where}: the group's offset of {topic} is another")
