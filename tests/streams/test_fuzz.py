"""Bad input of every kind, the whole way from bytes to models. What it is says fuzz.py; what must hold, fates.py."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from connectors.sinks.arrow import decode
from connectors.sinks.schema import table
from models.learner import Kind, Prediction
from streams.agenda import Agenda
from streams.errors import ModelFailed
from streams.ports import Output, Record
from streams.records import OUTPUTS
from streams.task import Task
from tests.streams import fates, fuzz, kit
from tests.streams.fuzz import History
from tests.streams.pipelines import rides

BY_HAND = "FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
"""Histories of each kind. ``FUZZ_EXAMPLES=5000 pytest tests/streams/test_fuzz.py`` draws so many, and new ones, and
shrinks one that fails to the records that matter."""

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not BY_HAND,
    database=None,
    phases=list(Phase) if BY_HAND else [Phase.explicit, Phase.generate],  # to shrink a history takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
)
cuts = st.lists(st.integers(1, 30), max_size=5)
stops = st.integers(0, 30)


@pytest.mark.timeout(0 if BY_HAND else 240)
@pytest.mark.parametrize("kind", rides.PIPELINES)
@fuzzed
@given(history=fuzz.histories, cuts=cuts, stop=stops)
def test_every_record_has_one_fate_and_no_bad_one_leaves_a_trace(
    kind: str, history: History, cuts: list[int], stop: int
) -> None:
    fates.check(rides.PIPELINES[kind], history, cuts, stop)


@pytest.mark.parametrize("kind", rides.PIPELINES)
@settings(fuzzed, max_examples=10)
@given(history=fuzz.histories)
def test_the_sink_can_read_all_that_is_put_out(kind: str, history: History) -> None:
    _check_sunk(fates.lived(rides.PIPELINES[kind], history).outputs, rides.PIPELINES[kind]().kind)


def _check_sunk(outputs: list[Output], target: Kind) -> None:
    for name in OUTPUTS:
        rows = [Record(i, o.timestamp_ms, o.key, o.value) for i, o in enumerate(outputs) if o.name == name]
        chunk, unreadable = decode(table(name, target), f"rides.{name}", 0, rows)
        assert unreadable == []
        assert chunk.num_rows == len(rows)


@fuzzed
@given(values=fuzz.decisions)
def test_whatever_comes_as_a_decision_is_obeyed_refused_or_rejected(values: list[bytes | None]) -> None:
    task = Task(rides.binary(), 0)
    control = len(task.pipeline.inputs)
    outputs = []
    for offset, value in enumerate(values):
        outputs += kit.step(task, (control, Record(offset, kit.T0_MS, b"k", value))).outputs
    seen = [row.offset for name in ("decisions", "rejects") for row in kit.read(outputs, name)]
    assert sorted(seen) == list(range(len(values)))
    life = fates.Life(task, outputs, Counter())
    fates.each_output_is_clean(life)
    _check_sunk(outputs, task.pipeline.kind)
    fates.every_model_still_predicts(life)


def found(kind: str) -> bool:
    """Whether the fuzzer finds that something is wrong: soon, mostly. What it draws changes with any of our code."""

    @settings(fuzzed, phases=[Phase.generate], max_examples=25 * EXAMPLES)
    @given(history=fuzz.histories, cuts=cuts, stop=stops)
    def again(history: History, cuts: list[int], stop: int) -> None:
        fates.check(rides.PIPELINES[kind], history, cuts, stop)

    try:
        again()
    except Exception:
        return True
    return False


def _shrug(self: Agenda, drifts: Counter[str], work_off: Any = Agenda.work_off) -> list[Output]:
    """As if a model could go on half-updated."""
    try:
        said: list[Output] = work_off(self, drifts)
    except ModelFailed:
        return self._said
    return said


def _unchecked(model: Any) -> Callable[[Any], Prediction]:
    return lambda x: Prediction(float(model.predict_one(x)))


BROKEN: dict[str, tuple[str, str, Any]] = {
    "numbers beyond NUMBER_MAX": ("binary", "streams.schema.NUMBER_MAX", math.inf),
    "features beyond NUMBER_MAX": ("binary", "streams.featurizer.NUMBER_MAX", math.inf),
    "deep nesting": ("binary", "streams.schema.RecursionError", ModelFailed),  # instead of the builtin
    "invalid UTF-8": ("binary", "streams.schema.UnicodeDecodeError", ModelFailed),
    "predictions of NaN": ("regression", "models.learner._regression", _unchecked),
    "duplicate events": ("binary", "models.pending.PendingLabels.knows", lambda self, event_id, now_ms: False),
    "models half-updated": ("regression", "streams.agenda.Agenda.work_off", _shrug),
    "timestamps": ("binary", "streams.task.TIME_MS_MAX", 2**63),
    "time zones": ("binary", "streams.intake.epoch_ms", lambda at, field: int(at.timestamp() * 1000)),
}
"""Protection -> a pipeline, and what stands in its place when it is taken out."""


@pytest.mark.parametrize("protection", BROKEN)
def test_the_fuzzer_finds_a_protection_that_is_missing(protection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, place, nothing = BROKEN[protection]
    monkeypatch.setattr(place, nothing, raising=False)
    assert found(kind)
