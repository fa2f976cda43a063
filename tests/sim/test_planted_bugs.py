"""Each planted bug is found within the seeds that CI runs: the simulator's own test."""

from __future__ import annotations

import pytest

from tests.sim.__main__ import sweep, tell
from tests.sim.bugs import BUGS
from tests.sim.schedule import draw
from tests.sim.shrink import shrink
from tests.sim.test_simulation import SEEDS
from tests.sim.verdict import Verdict, judge


def found(bug: str) -> Verdict | None:
    """The first verdict against it, if CI's seeds see it at all."""
    return next((verdict for seed in range(SEEDS) if (verdict := judge(draw(seed), bug)).failure is not None), None)


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_its_seed_is_named(bug: str) -> None:
    verdict = found(bug)
    assert verdict is not None, f"{bug} is not found by {SEEDS} seeds"
    print(f"{bug}: {verdict.replay}: {verdict.failure}")
    assert verdict.replay == f"make sim SEED={verdict.schedule.seed}"
    assert judge(verdict.schedule).failure is None, "without the bug the same schedule is in peace"


def test_there_are_enough_of_them_and_each_says_what_is_wrong() -> None:
    assert len(BUGS) >= 10
    assert all(bug.__doc__ for bug in BUGS.values())


def test_a_bug_that_needs_no_fault_is_shown_by_a_schedule_without_any() -> None:
    verdict = found("label-learned-twice")
    assert verdict is not None
    smallest = shrink(verdict.schedule, lambda schedule: judge(schedule, "label-learned-twice").failure is not None)
    assert smallest.faults == ()
    assert smallest.workers == 1
    assert len(smallest.history) <= 2


def test_a_bug_that_needs_a_crash_is_shown_by_few_faults() -> None:
    verdict = found("outputs-after-the-commit")
    assert verdict is not None
    smallest = shrink(
        verdict.schedule, lambda schedule: judge(schedule, "outputs-after-the-commit").failure is not None
    )
    assert len(smallest.faults) <= 1
    assert judge(smallest, "outputs-after-the-commit").failure is not None


def test_the_command_tells_the_seed_and_the_smallest_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(3, "inputs-not-aligned") == 1
    assert "make sim SEED=0 BUG=inputs-not-aligned" in capsys.readouterr().out
    assert tell(0, "inputs-not-aligned") == 1
    assert "smallest that fails, of make sim SEED=0" in capsys.readouterr().out
    assert tell(0, None) == 0
