"""Whatever goes wrong, all is as if nothing had: a thousand schedules of faults, each from its seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from streams.ports import Record
from tests.sim.schedule import FAULTS, Schedule, draw
from tests.sim.shrink import shrink
from tests.sim.simulation import Simulation
from tests.sim.verdict import Verdict, judge

SEEDS = 1_000
CHUNK = 50
OFTEN_ENOUGH = 25
"""How often each thing must have happened over all seeds: a fault that never strikes is a check that cannot fail."""

CONSEQUENCES = {
    "ended: BrokerUnreachable",
    "ended: Fenced",
    "ended: OutcomeUnknown",
    "ended: other code",
    "ended: StoreUnavailable",
    "decisions: obeyed",
    "decisions: refused",
    "forgotten",
    "input: aborted transaction",
    "input: transaction left open",
    "labels: corrected",
    "labels: duplicate",
    "labels: early",
    "labels: expired",
    "labels: orphan",
    "labels: scored",
    "late commit refused",
    "late commit taken",
    "rejects: duplicate_event",
    "rejects: empty",
    "rejects: json",
    "rejects: out_of_range",
    "rejects: schema",
    "session timed out",
    "transaction timed out",
    "waited a second",
}
"""What must come of the faults, and of what is published, besides."""


@cache
def judged(first: int) -> list[Verdict]:
    """The verdicts of a chunk of seeds."""
    return [judge(draw(seed)) for seed in range(first, first + CHUNK)]


def explained(verdict: Verdict, bug: str | None = None) -> str:
    """How to see it again, what broke, and the smallest schedule that breaks too."""
    smallest = shrink(verdict.schedule, lambda schedule: judge(schedule, bug).failure is not None)
    again = judge(smallest, bug).failure
    return f"replay: {verdict.replay}\n{verdict.failure}\nsmallest that fails:\n{smallest}\n{again}"


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_faults_leave_no_trace_in_outputs_states_and_journals(first: int) -> None:
    broken = [verdict for verdict in judged(first) if verdict.failure is not None]
    assert not broken, explained(broken[0])


def test_every_fault_strikes_often() -> None:
    fired: Counter[str] = Counter()
    for first in range(0, SEEDS, CHUNK):
        for verdict in judged(first):
            fired += verdict.fired
    for what, times in sorted(fired.items()):
        print(f"{what:32}{times:7,}")
    seldom = {what: fired[what] for what in FAULTS.keys() | CONSEQUENCES if fired[what] < OFTEN_ENOUGH}
    assert not seldom


def calm(seed: int) -> Schedule:
    """One worker and no faults."""
    return replace(draw(seed), workers=1, faults=())


@pytest.mark.parametrize("seed", range(20))
def test_a_worker_that_nothing_happens_to_commits_what_stepping_by_hand_gives(seed: int) -> None:
    verdict = judge(calm(seed))
    assert verdict.failure is None
    assert not verdict.fired.keys() & FAULTS.keys()


def ran(seed: int) -> tuple[list[str], dict[str, list[list[tuple[Record | None, str]]]], int]:
    """All that was told and written. (But for the journal: pickles, and so the names of blobs, may differ.)"""
    told: list[str] = []
    simulation = Simulation(draw(seed), told.append)
    simulation.run()
    topics = {
        topic: [[(entry.record, entry.transaction.state) for entry in entries] for entries in partitions]
        for topic, partitions in simulation.cluster.topics.items()
        if not topic.endswith(".journal")
    }
    return told, topics, simulation.turn


@pytest.mark.parametrize("seed", [1, 6, 19])
def test_a_seed_is_the_same_run_every_time(seed: int) -> None:
    once = ran(seed)
    assert once[0], "something went wrong in it"
    assert ran(seed) == once


def test_the_command_replays_a_seed_in_whatever_process() -> None:
    told = set[str]()
    for hash_seed in ("0", "7"):
        command = [sys.executable, "-m", "tests.sim", "--seed", "5"]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "COLUMNS": "100"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "as if nothing had happened" in done.stdout
        told.add(done.stdout)
    assert len(told) == 1
