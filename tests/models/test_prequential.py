"""Prequential scores by periods: the open one, all of them, the last few."""

from __future__ import annotations

from models.learner import Prediction
from models.prequential import Prequential
from models.scores import new_score


def outcome(scores: Prequential, label: bool, p: float) -> None:
    scores.open.update(label, Prediction(p >= 0.5, p))


def test_the_window_slides_over_the_last_closed_periods() -> None:
    # period       1     2     3     4(open)
    # right of all 1/1   0/1   1/1   -
    # sliding=2          ─────────
    scores = Prequential("binary", sliding=2)
    for p in (0.9, 0.1, 0.8):
        outcome(scores, True, p)
        scores.close()
    outcome(scores, True, 0.1)
    assert scores.window().values().accuracy == 1 / 2
    assert scores.total.values().accuracy == 2 / 3
    assert scores.open.n == 1


def test_an_empty_period_slides_too() -> None:
    scores = Prequential("binary", sliding=1)
    outcome(scores, True, 0.9)
    assert scores.close().n == 1
    assert scores.close().n == 0
    assert scores.window().n == 0
    assert scores.total.n == 1


def test_all_closed_periods_add_up_to_the_total() -> None:
    scores, whole = Prequential("regression", sliding=3), new_score("regression")
    for i in range(20):
        scores.open.update(float(i), Prediction(float(i * i % 7)))
        if i % 3 == 0:
            whole.merge(scores.close())
    whole.merge(scores.close())
    assert whole.values() == scores.total.values()


def test_reading_the_window_changes_nothing() -> None:
    scores = Prequential("binary", sliding=3)
    outcome(scores, True, 0.9)
    scores.close()
    assert [scores.window().n for _ in range(3)] == [1, 1, 1]
    assert len(scores.closed) == 1


def test_a_closed_period_is_not_changed_by_what_comes_later() -> None:
    scores = Prequential("binary", sliding=3)
    outcome(scores, True, 0.9)
    closed = scores.close()
    outcome(scores, True, 0.1)
    assert closed.n == 1
