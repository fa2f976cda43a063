"""Prequential scores of one model: predict, score, then learn; in total, over a sliding window, and this period's."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from models.learner import Kind
from models.scores import Score, new_score


@dataclass(slots=True)
class Prequential:
    """Scores of one model, by reporting periods.

    Each outcome goes into ``open``, the score of the open period. ``close`` ends the period and returns it: adding up
    all the periods that were ever closed, of all tasks, gives the scores of the whole pipeline. The sliding window is
    the last ``sliding`` closed periods.

    References: Gama, Sebastião, Rodrigues, "On evaluating stream learning algorithms", Machine Learning 90, 2013.

    Examples
    --------
    >>> from models.learner import Prediction
    >>> scores = Prequential("binary", sliding=2)
    >>> for p in (0.9, 0.1, 0.8):
    ...     scores.open.update(True, Prediction(p >= 0.5, p))
    ...     closed = scores.close()
    >>> scores.total.values().n, scores.window().values().n, closed.values().n
    (3, 2, 1)
    """

    kind: Kind
    sliding: int
    total: Any = None
    open: Any = None
    closed: deque[Any] = field(default_factory=deque)
    periods: int = 0
    """How many periods were ever closed."""

    def __post_init__(self) -> None:
        self.total = self.total or new_score(self.kind)
        self.open = self.open or new_score(self.kind)

    def close(self) -> Score:
        """End the open period and return it."""
        period: Score = self.open
        self.total.merge(period)
        self.closed.append(period)
        if len(self.closed) > self.sliding:
            self.closed.popleft()
        self.open = new_score(self.kind)
        self.periods += 1
        return period

    def window(self) -> Score:
        """The last ``sliding`` closed periods as one score."""
        merged = new_score(self.kind)
        for period in self.closed:
            merged.merge(period)
        return merged
