"""How long an event waits for its committed prediction: one worker, simulated.

    arrives ─▶ may be taken ─▶ a batch is computed ─▶ the one before is committed ─▶ committed
            alignment        queue        n × event_s + tasks × batch_s      commit_s

The next batch is computed while the last one commits, and cut so late that it need not wait for that. An event may be
taken once its task has seen a younger record of each other input, or that has been silent for ``idle_after_s``:
streams/batch.py says why. Arrivals are open loop and random (Poisson). What it leaves out: pauses of Python and of the
machine, checkpoints, rebalances.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

EVENTS = 20_000
WARM = 0.1
"""So much of the beginning is left out: the queue is empty then."""


@dataclass(frozen=True, slots=True)
class Load:
    """One worker: its tasks, what arrives at all of them together, and what that costs.

    ``events_per_s`` are of the whole worker; times in seconds. ``others_per_event`` has the records that come on each
    other input (labels, references) with an event.
    """

    events_per_s: float
    event_s: float
    batch_s: float = 0.0
    commit_s: float = 0.0
    reach_s: float = 0.0
    tasks: int = 1
    others_per_event: tuple[float, ...] = ()
    idle_after_s: float = 0.0
    batch_max: int = 4_000


@dataclass(frozen=True, slots=True)
class Waited:
    """Latencies in ms, the share of time that the worker computes, and batches a second."""

    mean_ms: float
    p50_ms: float
    p99_ms: float
    busy: float
    batches_per_s: float


def simulate(load: Load, events: int = EVENTS, seed: int = 1) -> Waited:
    """Let so many events through, and see how long they took.

    Examples
    --------
    >>> light = simulate(Load(events_per_s=10, event_s=0.001, commit_s=0.005))
    >>> round(light.p50_ms), round(light.busy, 2)
    (6, 0.01)
    """
    arrivals = sorted(_arrivals(load, events, random.Random(seed)))  # noqa: S311 - no secret
    latencies: list[float] = []
    free_s = committed_s = busy_s = work_s = 0.0
    batches = taken = 0
    while taken < len(arrivals):
        began_s = max(free_s, committed_s - work_s, arrivals[taken][0])  # held, as streams/transactions.py says
        upto = taken
        limit = min(len(arrivals), taken + load.batch_max * load.tasks)
        while upto < limit and arrivals[upto][0] <= began_s:
            upto += 1
        work_s = load.batch_s * min(load.tasks, upto - taken) + load.event_s * (upto - taken)
        free_s = max(began_s + work_s, committed_s)
        committed_s = free_s + load.commit_s
        latencies += [committed_s - at_s + load.reach_s for _, at_s in arrivals[taken:upto]]
        busy_s, batches, taken = busy_s + work_s, batches + 1, upto
    settled = latencies[int(len(latencies) * WARM) :]
    p50_s, p99_s = np.quantile(settled, (0.5, 0.99), method="higher").tolist()
    return Waited(
        1e3 * sum(settled) / len(settled),
        1e3 * p50_s,
        1e3 * p99_s,
        busy_s / max(committed_s, 1e-9),
        batches / max(committed_s, 1e-9),
    )


def _arrivals(load: Load, events: int, draw: random.Random) -> Iterator[tuple[float, float]]:
    """(when it may be taken, when it arrived) of each event, task by task."""
    for _ in range(load.tasks):
        at_s, taken_s, rate = 0.0, 0.0, load.events_per_s / load.tasks
        others = [_Other(_times(rate * share, draw), load.idle_after_s) for share in load.others_per_event]
        for _ in range(events // load.tasks):
            at_s += draw.expovariate(rate)
            taken_s = max(taken_s, at_s, *(other.shows(at_s) for other in others))
            yield taken_s, at_s


class _Other:
    """Another input of the task."""

    def __init__(self, times_s: Iterator[float], idle_after_s: float) -> None:
        self._times_s, self._idle_after_s = times_s, idle_after_s
        self._last_s, self._next_s = float("-inf"), next(times_s)

    def shows(self, at_s: float) -> float:
        """From when an event of this time need not wait for it."""
        while self._next_s <= at_s:
            self._last_s, self._next_s = self._next_s, next(self._times_s)
        return min(self._next_s, self._last_s + self._idle_after_s)


def _times(rate: float, draw: random.Random) -> Iterator[float]:
    at_s = 0.0
    while rate > 0:
        at_s += draw.expovariate(rate)
        yield at_s
    while True:
        yield float("inf")
