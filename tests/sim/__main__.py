"""``make sim``: run schedules and say which break the promise; with a seed, tell what happens in that one.

python -m tests.sim --seeds 5000            from 0 on
python -m tests.sim --seed 123              one, with all that goes wrong in it
python -m tests.sim --seed 7 --bug label-learned-twice
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.sim.bugs import BUGS
from tests.sim.schedule import draw
from tests.sim.shrink import shrink
from tests.sim.verdict import Verdict, judge

FAILURES_SHOWN = 10
console = Console(highlight=False)


def main() -> int:
    """How many failed, at most 1: the exit code."""
    parser = argparse.ArgumentParser(prog="make sim", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, help="tell of this one")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many, from 0 on")
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant it")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # what workers warn of is what was done to them
    if arguments.seed is not None:
        return tell(arguments.seed, arguments.bug)
    return sweep(arguments.seeds, arguments.bug)


def tell(seed: int, bug: str | None) -> int:
    """Run one schedule aloud; make it smaller if it fails."""
    schedule = draw(seed)
    console.print(str(schedule), markup=False)
    if bug:
        console.print(f"planted: {bug}: {BUGS[bug].__doc__}", markup=False)
    verdict = judge(schedule, bug, tell=lambda what: console.print(what, markup=False, style="yellow"))
    if verdict.failure is None:
        console.print(f"as if nothing had happened, after {verdict.turns} turns", style="green")
        return 0
    console.print(verdict.failure, style="red", markup=False)
    explain(verdict, bug)
    return 1


def explain(verdict: Verdict, bug: str | None) -> None:
    """The smallest schedule that still fails, and how it does."""
    smallest = shrink(verdict.schedule, lambda schedule: judge(schedule, bug).failure is not None)
    console.print(f"\nsmallest that fails, of {verdict.replay}:", style="bold")
    console.print(str(smallest), markup=False)
    again = judge(smallest, bug, tell=lambda what: console.print(what, markup=False, style="yellow"))
    console.print(again.failure, style="red", markup=False)


def sweep(seeds: int, bug: str | None) -> int:
    """Run many; show which fail, the first of them made small, and how often each fault happened."""
    failed: list[Verdict] = []
    fired: Counter[str] = Counter()
    for seed in track(range(seeds), description="schedules", console=console):
        verdict = judge(draw(seed), bug)
        fired += verdict.fired
        if verdict.failure is not None:
            failed.append(verdict)
            console.print(
                f"{verdict.replay}{f' BUG={bug}' if bug else ''}  {verdict.failure}", style="red", markup=False
            )
            if len(failed) == FAILURES_SHOWN:
                break
    table = Table("what happened", "times", box=None)
    for kind, times in sorted(fired.items()):
        table.add_row(kind, f"{times:,}")
    console.print(table)
    if failed:
        explain(failed[0], bug)
        return 1
    console.print(f"{seeds:,} schedules, all as if nothing had happened", style="green")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
