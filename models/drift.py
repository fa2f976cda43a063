"""Watches over errors, features and predictions with River's drift detectors (ADWIN, Page-Hinkley, KSWIN, …)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from models.digest import state_digest


@dataclass(frozen=True)
class Watch:
    """One declared detector on one stream of numbers.

    Parameters
    ----------
    stream
        "error" (0 or 1 for a class, the absolute error for a number), "feature", or "prediction" (P(True), or a value).
    name
        The learner's name for errors and predictions, the feature's name for features. None: the champion.
    detector
        A River drift detector. It is copied; KSWIN needs a seed.
    every
        Only each n-th value is shown to the detector. KSWIN costs about 0.3 ms a value, so thin out what it sees.
    """

    stream: Literal["error", "feature", "prediction"]
    name: str | None
    detector: Any
    every: int = 1

    @property
    def title(self) -> str:
        """How reports call it: "ADWIN on error of champion"."""
        return f"{type(self.detector).__name__} on {self.watched}"

    @property
    def watched(self) -> str:
        """The stream in words.

        >>> from river.drift import ADWIN
        >>> on_error(ADWIN()).watched, on_feature("visibility", ADWIN()).watched
        ('error of champion', 'feature visibility')
        """
        if self.stream == "feature":
            return f"feature {self.name}"
        return f"{self.stream} of {self.name or 'champion'}"

    def version(self) -> str:
        """Says what is declared: the title, and eight hex digits that change with the detector's parameters."""
        return self._version

    @cached_property
    def _version(self) -> str:
        return f"{self.title} {state_digest((self.detector, self.every))[:8]}"


def on_error(detector: Any, learner: str | None = None, every: int = 1) -> Watch:
    """Watch a learner's errors, by default the champion's, as their labels arrive."""
    return Watch("error", learner, detector, every)


def on_feature(feature: str, detector: Any, every: int = 1) -> Watch:
    """Watch a numeric feature, as events arrive. Missing values are not shown to the detector."""
    return Watch("feature", feature, detector, every)


def on_prediction(detector: Any, learner: str | None = None, every: int = 1) -> Watch:
    """Watch what a learner predicts, by default the champion: P(True) of a binary target, the value of a regression."""
    return Watch("prediction", learner, detector, every)


class LiveWatch:
    """A declared watch at work."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all that was seen."""
        self.detector, self.seen = copy.deepcopy(self.watch.detector), 0

    def update(self, value: float) -> bool:
        """Show one value to the detector, or thin it out. True when the detector sees drift at this very value."""
        self.seen += 1
        if self.seen % self.watch.every:
            return False
        self.detector.update(value)
        return bool(self.detector.drift_detected)
