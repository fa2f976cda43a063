"""Says whether a simulated run kept the promise: all is what it would have been without any of the faults.

The undisturbed run is told by stepping a task by hand over the committed inputs, merged the slow and certain way. That
a worker alone commits the same is tested in tests/streams/test_worker.py and in test_simulation.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams import journal
from streams.batch import Batch
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.records import OUTPUTS
from streams.recovery import recover
from streams.task import Task
from tests.sim.memory_log import MemoryLog
from tests.sim.pipelines import fingerprint_of
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


_undisturbed: dict[tuple[str, int, tuple[tuple[Record, ...], ...]], Outcome] = {}


def undisturbed(kind: str, of: Pipeline, partition: int, inputs: list[list[Record]]) -> Outcome:
    """What these inputs come to when nothing goes wrong. Kept, as planted bugs and shrinking run the same ones."""
    key = (kind, partition, tuple(map(tuple, inputs)))
    if key not in _undisturbed:
        if len(_undisturbed) > 500:
            _undisturbed.clear()
        task = Task(of, partition)
        outputs: dict[str, Rows] = {name: [] for name in OUTPUTS}
        for name, record_key, value, timestamp_ms in task.step(Batch((), kit.merged(inputs))).outputs:
            outputs[name].append((record_key, value, timestamp_ms))
        _undisturbed[key] = Outcome(outputs, task.digest(), _asked(task))
    return _undisturbed[key]


def observed(simulation: Simulation, partition: int) -> Outcome:
    """What lies in the log, and what a worker that starts now would bring back."""
    world = simulation.world
    log, fingerprint = MemoryLog(world.cluster, "oracle"), fingerprint_of(simulation.schedule.kind)
    task = recover(world.pipeline, partition, log, world.blobs, KEY, fingerprint).task
    return Outcome(world.outputs(partition), task.digest(), _asked(task))


def compare(simulation: Simulation, partition: int, came: Outcome) -> None:
    """Raise Broken unless the task came to what an undisturbed run comes to."""
    world, name = simulation.world, f"task {partition}"
    wanted = undisturbed(simulation.schedule.kind, world.pipeline, partition, world.inputs(partition))
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
    records = [journal.decode(record.value or b"", where) for record in world.journal(partition)]
    journal.verify_chain(records, where)
    if (records[0].sequence, records[0].previous) != (0, ""):
        raise Broken(f"{where}: begins with record {records[0].sequence}")
    if sum(record.records for record in records) != sum(map(len, world.inputs(partition))):
        raise Broken(f"{where}: does not tell every input record once")
    if sum(record.outputs for record in records) != sum(map(len, world.outputs(partition).values())):
        raise Broken(f"{where}: does not tell every output record once")
    for stream in world.pipeline.inputs:
        first, end = records[0].ranges[stream.topic][0], records[-1].ranges[stream.topic][1]
        if (first, end) != (0, world.cluster.stable(stream.topic, partition)):
            raise Broken(f"{where}: tells {stream.topic} from {first} to {end}")
        if world.cluster.offsets.get((stream.topic, partition), end) != end:
            raise Broken(f"{where}: the group's offset of {stream.topic} is another")
