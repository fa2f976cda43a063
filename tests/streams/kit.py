"""What the tests of streams share: records of the trips pipelines, histories by seed, outputs read back."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from streams.batch import Batch, InputBuffers
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.records import OUTPUTS
from streams.task import Step, Task

T0_MS = 1_000_000
"""When the histories begin, ms since the Unix epoch."""


def iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def raw(offset: int, at_ms: int, value: bytes | None, key: bytes | None = b"nyc") -> Record:
    """A record of these bytes; ``at_ms`` counts from T0."""
    return Record(offset, T0_MS + at_ms, key, value)


def start(offset: int, at_ms: int, trip: str | None, km: float = 5.0, **more: Any) -> Record:
    """An event; its record's timestamp is its event time."""
    row = {"trip": trip, "city": "nyc", "at": iso(T0_MS + at_ms), "km": km} | more
    return raw(offset, at_ms, msgspec.json.encode(row))


def end(offset: int, at_ms: int, trip: str | None, minutes: float | None = 30.0, **more: Any) -> Record:
    """A label, long (True) unless said otherwise."""
    row = {"trip": trip, "city": "nyc", "at": iso(T0_MS + at_ms), "minutes": minutes} | more
    return raw(offset, at_ms, msgspec.json.encode(row))


def sky(offset: int, at_ms: int, rain: float) -> Record:
    return raw(offset, at_ms, msgspec.json.encode({"city": "nyc", "at": iso(T0_MS + at_ms), "rain": rain}))


def history(seed: int, trips: int = 60, references: bool = True, gaps: bool = True) -> list[list[Record]]:
    """Records of each input by offset: long and short trips, late, early, doubled, corrected and bad ones."""
    draw = random.Random(seed)
    rows: list[list[tuple[int, Any, Any]]] = [[], [], []]  # input -> (time, what, arguments)
    at_ms = 0
    for i in range(trips):
        at_ms += draw.randrange(4_000)
        trip, km = f"trip {i}", draw.uniform(0, 20)
        minutes = km * 2 + draw.gauss(0, 3)
        zone = "centre" if km < 7 else "ring" if km < 14 else "country"
        rows[2].append((at_ms, start, (trip, km, {"driver": draw.choice(["ann", "bob", "NA", None])})))
        if draw.random() < 0.2:
            rows[0].append((at_ms, sky, (draw.random(),)))
        fate = draw.random()
        delay_ms = draw.randrange(-2_000, 30_000)
        label = (trip, minutes, {"zone": zone})
        if fate < 0.85:
            rows[1].append((max(at_ms + delay_ms, 0), end, label))
        if fate < 0.1:
            rows[1].append((at_ms + max(delay_ms, 0) + 500, end, (trip, minutes + (fate < 0.05) * 50, {"zone": zone})))
        if 0.85 <= fate < 0.88:
            rows[1].append((at_ms, end, (f"unknown {i}", minutes, {})))
        if 0.88 <= fate < 0.91:
            rows[2].append((at_ms, raw, (draw.choice([b"{", b"", None, b'{"trip": 3}', b"\xff"]),)))
        if 0.91 <= fate < 0.93:
            rows[2].append((at_ms + 10, start, (trip, km, {})))
    inputs = []
    for of_input in rows if references else rows[1:]:
        of_input.sort(key=lambda row: row[0])
        records, offset = [], 0
        for time_ms, make, arguments in of_input:
            *values, more = arguments if arguments and isinstance(arguments[-1], dict) else (*arguments, {})
            records.append(make(offset, time_ms, *values, **more))
            offset += 1 + (gaps and draw.random() < 0.2)
        inputs.append(records)
    return inputs


def merged(inputs: Sequence[Sequence[Record]]) -> list[tuple[int, Record]]:
    """All records in canonical order, the slow and certain way."""
    left = [list(records) for records in inputs]
    order = []
    while any(left):
        index = min((i for i in range(len(left)) if left[i]), key=lambda i: (left[i][0].timestamp_ms, i))
        order.append((index, left[index].pop(0)))
    return order


def batches(inputs: Sequence[Sequence[Record]], records_max: int) -> Iterable[Batch]:
    """The inputs, all there from the start, cut into batches."""
    buffers = InputBuffers([0] * len(inputs))
    for index, records in enumerate(inputs):
        buffers.add(index, records, end_offset=records[-1].offset + 1 if records else 0)
    while (batch := buffers.cut(records_max, idle=range(len(inputs)))).records:
        yield batch


def step(task: Task, *records: tuple[int, Record]) -> Step:
    """One step over these records, in this order."""
    return task.step(Batch((), list(records)))


def run(pipeline: Pipeline, inputs: Sequence[Sequence[Record]], records_max: int = 10**9) -> tuple[Task, list[Output]]:
    """A new task over whole inputs, and what it put out."""
    task, outputs = Task(pipeline, 0), []
    for batch in batches(inputs, records_max):
        outputs += task.step(batch).outputs
    return task, outputs


def read(outputs: Iterable[Output], name: str) -> list[Any]:
    """The records of one output, decoded."""
    return [msgspec.json.decode(output.value, type=OUTPUTS[name]) for output in outputs if output.name == name]


def events(*records: Record) -> list[tuple[int, Record]]:
    """As events of the lean pipeline, which has no reference."""
    return [(1, record) for record in records]


def labels(*records: Record) -> list[tuple[int, Record]]:
    """As labels of the lean pipeline."""
    return [(0, record) for record in records]


def rejects(outputs: Iterable[Output]) -> list[tuple[str, str]]:
    """What was rejected: reason and field."""
    return [(reject.reason, reject.field) for reject in read(outputs, "rejects")]


def flushed(inputs: list[list[Record]]) -> list[list[Record]]:
    """With one more event, so late that every period is closed and every label has come or is late."""
    *others, last = inputs
    return [*others, [*last, start(10_000, 10**7, "the last"), start(10_001, 10**8, "the very last")]]
