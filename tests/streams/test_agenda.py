"""What is asked of the models is worked off in stages, and nothing but the time it takes tells that it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from river import base

from models.drift import Watch, on_error, on_prediction
from models.learner import Learner
from models.panel import Panel
from models.pending import PendingEvent
from streams.agenda import Agenda, Learn, Predict
from streams.errors import ModelFailed
from streams.outputs import LabelFound
from streams.ports import Output

EVENTS, LABELS = 1, 0
"""The indices of the inputs."""


class Touchy(base.Classifier):  # type: ignore[misc]
    """Raises when it is to learn from 13."""

    def learn_one(self, x: dict[str, Any], y: Any) -> None:
        if x["x"] == 13:
            raise ZeroDivisionError("thirteen")

    def predict_proba_one(self, x: dict[str, Any]) -> dict[bool, float]:
        return {True: 0.25}


class Jumpy:
    """A detector that sees drift at once, and raises at the ``last`` value."""

    def __init__(self, last: int) -> None:
        self.last, self.seen, self.drift_detected = last, 0, False

    def update(self, value: float) -> None:
        self.seen += 1
        if self.seen == self.last:
            raise ArithmeticError("too much")
        self.drift_detected = True


def agenda(*watches: Watch) -> Agenda:
    """A label for each of two events; the model raises at the second one."""
    made = Agenda(Panel([(Learner("touchy", Touchy()), "champion")], "binary", watches, 1), "flights", "departures", 0)
    waiting = [PendingEvent(f"event {x}", b"k", 0, offset, {"x": x}, ()) for offset, x in enumerate([1.0, 13.0])]
    made.entries += [
        Predict(event, Output("features", b"k", b"{}", 5), 5, (EVENTS, offset)) for offset, event in enumerate(waiting)
    ]
    made.entries += [
        Learn(event, LabelFound(True, 0, "arrivals", offset), 6, (LABELS, offset))
        for offset, event in enumerate(waiting)
    ]
    return made


def names(said: Sequence[Output]) -> list[str]:
    return [output.name for output in said]


def test_the_record_that_a_model_fails_on_is_named() -> None:
    with pytest.raises(ModelFailed, match="touchy: ZeroDivisionError: thirteen") as failed:
        agenda().work_off(Counter())
    assert failed.value.record == (LABELS, 1)
    assert failed.value.where == "flights[0], record time 6 ms"


def test_a_detector_that_fails_on_a_record_before_comes_first_though_it_is_asked_later() -> None:
    with pytest.raises(ModelFailed, match="ArithmeticError: too much") as failed:
        agenda(on_error(Jumpy(last=1))).work_off(Counter())
    assert failed.value.record == (LABELS, 0)


def test_a_detector_that_fails_on_a_record_behind_does_not() -> None:
    with pytest.raises(ModelFailed, match="thirteen") as failed:
        agenda(on_error(Jumpy(last=2))).work_off(Counter())
    assert failed.value.record == (LABELS, 1)


def test_a_prediction_too_large_to_put_out_is_a_failure_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.agenda.PREDICTION_BYTES_MAX", 10)
    with pytest.raises(ModelFailed, match="the prediction has more than 10 bytes") as failed:
        agenda().work_off(Counter())
    assert failed.value.record == (EVENTS, 0)


def test_drift_is_told_behind_the_record_that_tipped_it() -> None:
    made, drifts = agenda(on_prediction(Jumpy(last=9)), on_error(Jumpy(last=9))), Counter[str]()
    del made.entries[1], made.entries[-1]  # the event that the model raises at
    made.entries.insert(1, Output("rejects", None, b"{}", 5))
    said = made.work_off(drifts)
    assert names(said) == ["features", "predictions", "drift", "rejects", "outcomes", "drift"]
    assert drifts == {"prediction of champion": 1, "error of champion": 1}
    assert made.work_off(drifts) == [], "it is done"
