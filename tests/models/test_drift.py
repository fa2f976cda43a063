"""Watches: thinned out, copied, and named in reports."""

from __future__ import annotations

from river.drift import ADWIN, KSWIN
from river.drift.binary import DDM

from models.drift import LiveWatch, on_error, on_feature, on_prediction


class Recorder:
    """A detector that notes what it is shown, and sees drift at 9."""

    def __init__(self) -> None:
        self.shown: list[float] = []
        self.drift_detected = False

    def update(self, value: float) -> None:
        self.shown.append(value)
        self.drift_detected = value == 9


def test_a_watch_shows_each_nth_value_only() -> None:
    # value  1 2 3 4 5 6 7     every=3
    # shown      3     6
    live = LiveWatch(on_error(Recorder(), every=3))
    for value in range(1, 8):
        live.update(value)
    assert live.detector.shown == [3, 6]


def test_drift_is_told_at_the_value_that_shows_it_and_not_again_at_thinned_ones() -> None:
    live = LiveWatch(on_error(Recorder(), every=2))
    assert [live.update(value) for value in (9, 9, 9, 1, 9, 9)] == [False, True, False, False, False, True]


def test_the_declared_detector_is_never_fed() -> None:
    declared = on_feature("wind", Recorder())
    LiveWatch(declared).update(1.0)
    assert declared.detector.shown == []


def test_a_change_of_level_is_seen_by_adwin_and_kswin() -> None:
    for detector in (ADWIN(), KSWIN(seed=1), DDM()):
        live = LiveWatch(on_error(detector))
        calm = [live.update(i % 2 * 0.1) for i in range(500)]
        changed = [live.update(1 - i % 2 * 0.1) for i in range(500)]
        assert not any(calm), detector
        assert any(changed), detector


def test_titles_say_what_is_watched() -> None:
    assert on_prediction(ADWIN()).title == "ADWIN on prediction of champion"
    assert on_error(ADWIN(), "tree").title == "ADWIN on error of tree"
    assert on_feature("wind", KSWIN(seed=1)).title == "KSWIN on feature wind"
