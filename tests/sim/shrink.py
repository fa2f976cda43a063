"""Makes a failing schedule smaller: fewer faults, then a shorter history, as long as it goes on failing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.sim.schedule import Schedule

T = TypeVar("T")

RUNS_MAX = 300


def shrink(schedule: Schedule, fails: Callable[[Schedule], bool], runs_max: int = RUNS_MAX) -> Schedule:
    """A schedule that fails too, from which nothing single can be left out; or as small as ``runs_max`` runs get it.

    Two workers are tried as one, and the rest by leaving out halves, quarters, … of the faults and the publications.
    """
    runs = 0

    def still_fails(smaller: Schedule) -> bool:
        nonlocal runs
        runs += 1
        return runs <= runs_max and fails(smaller)

    one = replace(schedule, workers=1)
    smallest = one if schedule.workers > 1 and still_fails(one) else schedule
    before: Schedule | None = None
    while before != smallest:
        before = smallest
        smallest = _shorter(_calmer(smallest, still_fails), still_fails)
    return smallest


def _calmer(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    faults = _fewest(schedule.faults, lambda some: fails(replace(schedule, faults=some)))
    return replace(schedule, faults=faults)


def _shorter(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    history = _fewest(schedule.history, lambda some: fails(replace(schedule, history=some)))
    return replace(schedule, history=history)


def _fewest(things: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Delta debugging: leave out parts, halves first, as long as the rest fails.

    Examples
    --------
    >>> _fewest(range(20), lambda some: {3, 11} <= set(some))
    (3, 11)
    """
    kept = tuple(things)
    size = len(kept)
    while size > 0:
        start = 0
        while start < len(kept):
            rest = kept[:start] + kept[start + size :]
            if fails(rest):
                kept = rest
            else:
                start += size
        size //= 2
    return kept
