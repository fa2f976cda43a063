"""Each planted bug is found within the seeds that CI runs: the simulator's own test."""

from __future__ import annotations

import pytest

from tests.sim.__main__ import sweep, tell
from tests.sim.bugs import BUGS
from tests.sim.schedule import Schedule, draw
from tests.sim.shrink import shrink
from tests.sim.test_simulation import SEEDS, explained
from tests.sim.verdict import Verdict, judge

BADLY_PLANTED = ("NameError", "AttributeError", "TypeError")


def found(bug: str) -> Verdict | None:
    """The first verdict against it, if CI's seeds see it at all."""
    return next((verdict for seed in range(SEEDS) if (verdict := judge(draw(seed), bug)).failure is not None), None)


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_its_seed_is_named(bug: str) -> None:
    verdict = found(bug)
    assert verdict is not None, f"{bug} is not found by {SEEDS} seeds"
    assert verdict.failure is not None
    print(f"{bug}: {verdict.replay}: {verdict.failure}")
    if bug != "blobs-not-verified":  # it unpickles what is broken: any error may come of that
        assert not any(error in verdict.failure for error in BADLY_PLANTED), "it is the plant that is broken"
    assert verdict.replay == f"make sim SEED={verdict.schedule.seed}"
    assert judge(verdict.schedule).failure is None, "without the bug the same schedule is in peace"


def test_there_are_enough_of_them_and_each_says_what_is_wrong() -> None:
    assert len(BUGS) >= 10
    assert all(bug.__doc__ for bug in BUGS.values())


def smallest(bug: str) -> Schedule:
    """The schedule that shows a bug, made small."""
    verdict = found(bug)
    assert verdict is not None
    return shrink(verdict.schedule, lambda schedule: judge(schedule, bug).failure is not None)


def test_a_bug_that_needs_no_fault_is_shown_by_a_schedule_without_any() -> None:
    small = smallest("label-learned-twice")
    assert (small.faults, small.workers) == ((), 1)
    assert len(small.history) <= 2


def test_a_bug_that_needs_a_fault_is_shown_by_one_or_two() -> None:
    small = smallest("outputs-after-the-commit")
    assert len(small.faults) in {1, 2}
    assert judge(small, "outputs-after-the-commit").failure is not None


def test_a_failure_is_explained_by_its_seed_and_the_smallest_schedule() -> None:
    verdict = found("replay-skips-a-batch")
    assert verdict is not None
    text = explained(verdict, "replay-skips-a-batch")
    assert f"replay: make sim SEED={verdict.schedule.seed}\n" in text
    assert len(text.splitlines()) < len(str(verdict.schedule).splitlines())


def test_the_command_tells_the_seed_and_the_smallest_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(3, "inputs-not-aligned") == 1
    assert "make sim SEED=0 BUG=inputs-not-aligned" in capsys.readouterr().out
    assert tell(0, "inputs-not-aligned") == 1
    assert "smallest that fails, of make sim SEED=0" in capsys.readouterr().out
    assert tell(0, None) == 0
