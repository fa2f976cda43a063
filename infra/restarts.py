"""When something that died may be started again: at once, then later and later; after too many times in a row, never.

running ──died──▶ waiting ──due──▶ running          waiting: 0, 1, 2, 4, 8, 8, … s
                     └── more than RESTARTS_MAX times in WINDOW_S ──▶ given up
"""

from __future__ import annotations

from dataclasses import dataclass, field

RESTARTS_MAX = 10
"""Restarts within WINDOW_S before we give up."""

WINDOW_S = 120.0
PEACE_S = 60.0
"""After so long without a death the next one counts as the first."""

WAIT_S_MAX = 8.0
"""With it the longest row of waits, 55 s, fits into WINDOW_S: what dies at every start is given up."""


@dataclass(slots=True)
class Restarts:
    """The deaths of one process, and when it may live again. Times are those of a clock that only goes forward.

    Examples
    --------
    >>> restarts = Restarts()
    >>> [restarts.died(now_s) for now_s in (100.0, 101.0, 103.0)]
    [100.0, 102.0, 105.0]
    >>> restarts.died(103.0 + PEACE_S), restarts.total, restarts.too_many
    (163.0, 4, False)
    """

    total: int = 0
    due_s: float | None = None
    deaths_s: list[float] = field(default_factory=list)

    def died(self, now_s: float) -> float:
        """Note a death; from when on it may be started again."""
        if self.deaths_s and now_s - self.deaths_s[-1] >= PEACE_S:
            self.deaths_s.clear()
        self.deaths_s = [*(at_s for at_s in self.deaths_s if now_s - at_s < WINDOW_S), now_s]
        self.total += 1
        in_a_row = len(self.deaths_s)
        self.due_s = now_s + (min(2.0 ** (in_a_row - 2), WAIT_S_MAX) if in_a_row > 1 else 0.0)
        return self.due_s

    def is_due(self, now_s: float) -> bool:
        """Whether it died and may be started now."""
        return self.due_s is not None and now_s >= self.due_s

    def started(self) -> None:
        """It lives again."""
        self.due_s = None

    @property
    def too_many(self) -> bool:
        """Whether to give up."""
        return len(self.deaths_s) > RESTARTS_MAX
