"""Runs one schedule and says what broke, if anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from tests.sim import oracle
from tests.sim.bugs import BUGS
from tests.sim.cluster import ignore
from tests.sim.schedule import Schedule
from tests.sim.simulation import Broken, Simulation


@dataclass(frozen=True)
class Verdict:
    """``failure`` says what broke (None: nothing did), ``fired`` which faults happened and how often."""

    schedule: Schedule
    failure: str | None
    fired: Counter[str]
    turns: int

    @property
    def replay(self) -> str:
        """The command that runs this seed again."""
        return f"make sim SEED={self.schedule.seed}"


def judge(schedule: Schedule, bug: str | None = None, tell: Callable[[str], None] = ignore) -> Verdict:
    """Run a schedule, with a planted bug or without, and compare what it came to with an undisturbed run."""
    simulation, failure = Simulation(schedule, tell), None
    partitions = range(schedule.partitions)
    try:
        with BUGS[bug](simulation) if bug else nullcontext():
            simulation.run()
            came = [oracle.observed(simulation, partition) for partition in partitions]
        oracle.check_blobs(simulation)
        for partition in partitions:  # without the bug: the undisturbed run has none
            oracle.compare(simulation, partition, came[partition])
    except (Broken, Exception) as error:  # whatever comes out of a run that should be in peace now
        failure = str(error) if isinstance(error, Broken) else f"{type(error).__name__}: {error}"
    counts = {kind: round(count) for kind, count in simulation.world.telemetry.counts.items() if ": " in kind}
    fired = simulation.fired + simulation.cluster.seen + Counter(counts)
    return Verdict(schedule, failure, fired, simulation.turn)
