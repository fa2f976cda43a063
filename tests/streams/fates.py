"""What must hold of a task whatever it is fed: one fate a record, clean outputs, and no trace of what was rejected."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from models.digest import state_digest
from streams import checkpoint
from streams.batch import Batch
from streams.errors import ModelFailed
from streams.outputs import OUTPUT_BYTES_MAX
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.records import OUTPUTS
from streams.schema import NUMBER_MAX, TIME_MS_MAX
from streams.skipping import step_without
from streams.task import Task
from tests.streams import kit
from tests.streams.fuzz import ARRIVALS, DAY_MS, RIDES, SKY, History

Place = tuple[int, int]
"""A record: (index of the input, offset)."""


class Life(NamedTuple):
    """A task after a history, what it put out, and what it counted of labels."""

    task: Task
    outputs: list[Output]
    labels: Counter[str]


def lived(make: Callable[[], Pipeline], history: History, cuts: Sequence[int] = (), stop: int | None = None) -> Life:
    """A task that took in the history in batches cut at ``cuts``; pickled and restored at ``stop``.

    A record that a model raises on is skipped as the worker and the backtest skip it.
    """
    task, outputs, labels = Task(make(), 0), [], Counter[str]()
    bounds = sorted({0, len(history), *[min(cut, len(history)) for cut in (*cuts, *([] if stop is None else [stop]))]})
    for first, last in pairwise(bounds):
        frozen = checkpoint.freeze(task.state())
        if first == stop:
            task = _restored(make, frozen)
        batch = Batch((), history[first:last])
        try:
            step = task.step(batch)
        except ModelFailed as failed:
            task, _, step = step_without(lambda frozen=frozen: _restored(make, frozen), batch, failed)  # type: ignore[misc]
        outputs += step.outputs
        labels += step.labels
    return Life(task, outputs, labels)


def _restored(make: Callable[[], Pipeline], frozen: Any) -> Task:
    task = Task(make(), 0)
    task.restore(checkpoint.thaw(frozen))
    return task


def check(make: Callable[[], Pipeline], history: History, cuts: Sequence[int] = (), stop: int = 0) -> None:
    """All of it, for one history."""
    life = lived(make, history)
    each_output_is_clean(life)
    each_record_has_one_fate(life, history)
    no_window_holds_what_no_model_should_see(life)
    again = lived(make, history, cuts, stop)
    assert again.outputs == life.outputs, "how records are cut into batches, or a restart, shows in the outputs"
    assert again.task.digest() == life.task.digest(), (
        "how records are cut into batches, or a restart, shows in the state"
    )
    nothing_is_left_of_what_was_rejected(make, life, history)
    every_model_still_predicts(life)


def _number(text: str) -> float:
    raise AssertionError(f"{text} is no JSON")


def each_output_is_clean(life: Life) -> None:
    """Strict JSON of the promised type, small enough for a broker, at a time a broker takes."""
    for output in life.outputs:
        assert len(output.value) <= OUTPUT_BYTES_MAX, output.name
        assert 0 <= output.timestamp_ms <= TIME_MS_MAX + DAY_MS, output.name
        json.loads(output.value, parse_constant=_number)
        record: Any = msgspec.json.decode(output.value, type=OUTPUTS[output.name])
        if output.name in {"predictions", "outcomes"}:
            for verdict in [record, *record.shadows]:
                number = verdict.prediction if verdict.probability is None else verdict.probability
                assert number is not None or verdict.probabilities is not None, f"{verdict.model} predicts no number"
                assert all(0 <= p <= 1 for p in (verdict.probabilities or {}).values())
        if output.name == "features":
            numbers = [value for value in record.features.values() if isinstance(value, int | float)]
            assert all(abs(number) <= NUMBER_MAX for number in numbers), "a model saw what none should"
        if output.name == "rejects":
            assert record.reason
            assert record.detail
            assert (
                record.field or record.reason not in {"schema", "out_of_range"} or "Expected `object`" in record.detail
            )


def each_record_has_one_fate(life: Life, history: History) -> None:
    """Events: predicted on or rejected. Labels: scored, held, rejected, or ignored as declared. Nothing twice."""
    inputs = life.task.pipeline.inputs
    index_of = {stream.topic: index for index, stream in enumerate(inputs)}
    taken: Counter[Place] = Counter((RIDES, row.offset) for row in kit.read(life.outputs, "features"))
    assert taken == Counter((RIDES, row.offset) for row in kit.read(life.outputs, "predictions"))
    outcomes = kit.read(life.outputs, "outcomes")
    ended = Counter((RIDES, row.offset) for row in outcomes)
    waiting = Counter((RIDES, event.offset) for _, event in life.task._pending.pending.values())
    assert ended + waiting == taken, "each event that was predicted on has one outcome, or waits"
    fates = taken + Counter((ARRIVALS, row.label_offset) for row in outcomes if row.status == "scored")
    fates += Counter((ARRIVALS, label.offset) for _, label in life.task._pending.held.values())
    records = {(index, record.offset): record for index, record in history}
    for reject in kit.read(life.outputs, "rejects"):
        place = (index_of[reject.topic], reject.offset)
        fates[place] += 1
        record = records[place]
        assert (reject.partition, reject.timestamp_ms) == (0, record.timestamp_ms)
        assert (reject.key, reject.value) == (record.key, record.value) or not reject.whole
    assert max(fates.values(), default=1) == 1, f"two fates: {fates.most_common(3)}"
    ignored = [place for place in records if place not in fates and place[0] != SKY]
    policies = {what: getattr(life.task.pipeline.labels, what) for what in ("orphan", "duplicate", "corrected")}
    assert len(ignored) == sum(life.labels[what] for what, policy in policies.items() if policy == "ignore"), ignored
    assert all(index == ARRIVALS for index, _ in ignored)


def no_window_holds_what_no_model_should_see(life: Life) -> None:
    """Windows feed the features of every event to come."""
    for name, window in life.task._featurizer.windows.items():
        assert all(abs(value) <= NUMBER_MAX for _, _, value in window.entries), name


def nothing_is_left_of_what_was_rejected(make: Callable[[], Pipeline], life: Life, history: History) -> None:
    """A task that is told only the time of the rejected records has the same models, windows and waiting events.

    Its reports differ: they count rejects. An orphan is fed to it, for windows do count what it says.
    """
    index_of = {stream.topic: index for index, stream in enumerate(life.task.pipeline.inputs)}
    rejects = kit.read(life.outputs, "rejects")
    gone = {(index_of[r.topic], r.offset) for r in rejects if r.reason not in {"orphan_label"}}
    twin = Task(make(), 0)
    for index, record in history:
        if (index, record.offset) in gone:
            _told_the_time(twin, record)
        else:
            kit.step(twin, (index, record))
    for task in (twin, life.task):
        for window in task._featurizer.windows.values():
            window.advance(task.now_ms)  # otherwise done when a window is next looked at
    for part in ("now_ms", "featurizer", "panel", "pending"):
        kept, wanted = life.task.state()[part], twin.state()[part]
        assert state_digest(kept) == state_digest(wanted), f"rejected records left a trace in {part}"


def _told_the_time(task: Task, record: Record) -> None:
    if task.now_ms < record.timestamp_ms <= TIME_MS_MAX:
        task._advance(record.timestamp_ms)


PROBES = [
    (
        RIDES,
        kit.raw(10_000 + i, 0, b'{"ride": "probe %d", "city": "nyc", "at": "1970-01-01T00:17:00Z", "km": %d}' % (i, i)),
    )
    for i in range(3)
]


def every_model_still_predicts(life: Life) -> None:
    """Events as good as any are predicted on after all this."""
    step = kit.step(life.task, *PROBES)
    each_output_is_clean(Life(life.task, step.outputs, step.labels))
    assert len(kit.read(step.outputs, "predictions")) == len(PROBES)
