"""Faults at work on processes that only sleep, and on proxies that note what they are to do."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from infra.up import Child
from tests.chaos.faults import KINDS, Fault, Faults, is_clear, plan
from tests.chaos.proxy import NONE, Trouble

CUT, BLACK_HOLE = Trouble(cut=True), Trouble(black_hole=True)
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


class Way:
    """A proxy's place: what it was told to do, and how many requests it held."""

    def __init__(self) -> None:
        self.told, self.held = list[Trouble](), 0

    def trouble(self, trouble: Trouble) -> None:
        self.told.append(trouble)


class World:
    """Two workers, a sink and a broker, that sleep; their ways to the broker."""

    def __init__(self) -> None:
        self.processes = [subprocess.Popen(SLEEP) for _ in range(4)]
        *of_children, of_broker = self.processes
        *workers, sink = [Child("a child", [], running=process) for process in of_children]
        self.broker = psutil.Process(of_broker.pid)
        running = SimpleNamespace(running=lambda: SimpleNamespace(pid=of_broker.pid))
        self.up: Any = SimpleNamespace(workers=workers, sink=sink, broker=running)
        self.ways: Any = [Way(), Way(), Way()]
        self.told = list[str]()

    def faults(self, *planned: Fault) -> Faults:
        return Faults(list(planned), self.up, self.ways, self.told.append)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def wait_for(processes: list[psutil.Process], status: str) -> None:
    deadline_s = time.monotonic() + 10
    while {each.status() for each in processes} != {status}:
        assert time.monotonic() < deadline_s, [each.status() for each in processes]
        time.sleep(0.01)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(50))
def test_no_two_planned_faults_are_in_each_others_way(seed: int):
    faults = plan(seed, 300, workers=3, every_s=2)
    for place, later in enumerate(faults):
        at_once = [each.place for each in faults[:place] if each.at_s + each.seconds >= later.at_s]
        assert is_clear(later.place, at_once)
    assert {fault.kind for fault in faults} == KINDS.keys()


def test_a_cut_of_the_broker_waits_for_quiet_and_keeps_all_others_waiting(world: World):
    # s      0         1           3         4
    # sink   black hole ───────────╴         ╶─ cut
    # broker           (cut) waits ╶─ cut ───╴
    faults = world.faults(Fault(0, "black_hole_sink", 0, 3), Fault(1, "cut_broker", 0, 1), Fault(3, "cut_sink", 0, 5))
    for now_s in (0, 1, 3, 4):
        faults.tick(now_s)
    worker, _, sink = world.ways
    assert worker.told == [CUT, NONE]
    assert sink.told == [BLACK_HOLE, NONE, CUT, NONE, CUT]
    faults.heal()
    assert sink.told[-1] == NONE
    assert faults.over


def test_a_worker_can_be_stopped_while_the_broker_is_and_both_go_on(world: World):
    faults = world.faults(Fault(0, "stop_broker", 0, 1), Fault(0, "stop_worker", 1, 1))
    faults.tick(0)
    stopped = [world.broker, psutil.Process(world.up.workers[1].running.pid)]
    wait_for(stopped, psutil.STATUS_STOPPED)
    faults.tick(1)
    wait_for(stopped, psutil.STATUS_SLEEPING)


def test_a_kill_in_commit_waits_until_a_commit_is_held(world: World):
    faults, victim = world.faults(Fault(0, "kill_in_commit", 0, 8)), world.up.workers[0].running
    faults.tick(0)
    assert victim.poll() is None
    world.ways[0].held = 1
    faults.tick(1)
    assert victim.wait(10) == -9
    assert world.ways[0].told[-1] == NONE


def test_who_is_dead_is_not_killed_again_and_what_never_fires_is_reported(world: World):
    faults = world.faults(Fault(0, "kill_sink", 0, 0), Fault(0, "kill_sink", 0, 0))
    for now_s in (0, 0.1, 30):
        faults.tick(now_s)
    assert faults.fired == {"kill_sink": 1}
    assert faults.left_out == dict.fromkeys(KINDS, 1)
