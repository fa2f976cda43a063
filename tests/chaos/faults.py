"""What is done to whom and when, by seed; and the doing and undoing of it.

planned ──its time has come, its target runs──▶ going on ──its seconds are over──▶ over
   └── the target is down for too long: left out
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import psutil

from infra.up import Child, Up
from tests.chaos.proxy import END_TXN, NONE, Proxy, Trouble

WORKER, SINK, BROKER = "worker", "sink", "broker"
LEFT_OUT_AFTER_S = 20.0
"""How long a fault waits for its target to run."""


class Kind(NamedTuple):
    """A kind of fault: whom it strikes, and how long it lasts, seconds."""

    target: str
    least_s: float
    most_s: float
    weight: int = 1


KINDS = {
    "kill_worker": Kind(WORKER, 0, 0, weight=3),
    "kill_sink": Kind(SINK, 0, 0),
    "kill_broker": Kind(BROKER, 0, 0, weight=2),
    "stop_worker": Kind(WORKER, 11.5, 13),  # past its session timeout of 10 s: it comes back as a zombie
    "stop_worker_past_transaction": Kind(WORKER, 17, 20),  # and past the 15 s of an open transaction
    "pause_worker": Kind(WORKER, 1, 5),
    "stop_sink": Kind(SINK, 46, 50),  # past its session timeout of 45 s
    "pause_broker": Kind(BROKER, 1, 6),
    "cut": Kind(WORKER, 3, 20, weight=2),
    "black_hole": Kind(WORKER, 3, 20, weight=2),
    "delay": Kind(WORKER, 4, 10),
    "hold_commits": Kind(WORKER, 3, 6),  # each by more than the 10 s that a worker waits for an answer
    "kill_in_commit": Kind(
        WORKER, 8, 8, weight=2
    ),  # once its commit is on the way: it arrives after a successor's start
}
HELD_S = {"hold_commits": 12.0, "kill_in_commit": 6.0}
STOPPING = {"stop_worker", "stop_worker_past_transaction", "pause_worker", "stop_sink", "pause_broker"}


@dataclass(slots=True)
class Fault:
    """One fault: ``at_s`` counts from the beginning of the chaos, ``number`` says which worker."""

    at_s: float
    kind: str
    number: int
    seconds: float
    strength: float  # from 0 to 1: how long a delay is
    until_s: float | None = None  # when it is over, while it goes on
    struck: psutil.Process | None = None
    held: int = 0  # requests that its proxy had held when it began

    @property
    def place(self) -> str:
        """What it strikes; one fault at a time goes on there."""
        return _place(KINDS[self.kind].target, self.number)


def _place(target: str, number: int) -> str:
    return f"{target} {number}" if target == WORKER else target


def plan(seed: int, seconds: float, workers: int, every_s: float) -> list[Fault]:
    """Faults for so many seconds: each kind once, the longest first, then by weight. All are over in time.

    Examples
    --------
    >>> faults = plan(7, 90, workers=3, every_s=4)
    >>> faults == plan(7, 90, workers=3, every_s=4), {fault.kind for fault in faults} == set(KINDS)
    (True, True)
    >>> all(0 <= fault.at_s and fault.at_s + fault.seconds <= 90 for fault in faults)
    True
    """
    draw, faults, busy_s = random.Random(f"faults {seed}"), list[Fault](), dict[str, float]()
    once = list(KINDS)
    draw.shuffle(once)
    once.sort(key=lambda kind: KINDS[kind].most_s > seconds / 4, reverse=True)  # what lasts must begin early
    at_s = draw.uniform(1, every_s)
    while at_s < seconds:
        free = [
            (kind, number)
            for kind, (target, _, most_s, _) in KINDS.items()
            for number in range(workers if target == WORKER else 1)
            if at_s + most_s <= seconds and at_s > busy_s.get(_place(target, number), -1)
        ]
        first = next((kind for kind in once if any(kind == each for each, _ in free)), None)
        if first:
            once.remove(first)
            free = [each for each in free if each[0] == first]
        if free:
            kind, number = draw.choices(free, [KINDS[kind].weight for kind, _ in free])[0]
            lasts_s = draw.uniform(KINDS[kind].least_s, KINDS[kind].most_s)
            faults.append(Fault(at_s, kind, number, lasts_s, draw.random()))
            busy_s[faults[-1].place] = at_s + lasts_s
        at_s += draw.uniform(0.5, 1.5) * every_s
    return faults


@dataclass
class Faults:
    """The plan, at work on running processes and their proxies. ``heal`` undoes whatever goes on."""

    planned: list[Fault]
    up: Up
    proxies: list[Proxy]
    going_on: list[Fault] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def tick(self, now_s: float) -> None:
        """Begin and end what is due; ``now_s`` counts from the beginning of the chaos."""
        for fault in [each for each in self.going_on if each.until_s is not None and each.until_s <= now_s]:
            self._end(fault)
        for fault in [each for each in self.going_on if each.kind == "kill_in_commit"]:
            if self.proxies[fault.number].held > fault.held and fault.struck is not None:
                fault.struck.kill()
                self._end(fault)
        for fault in [each for each in self.planned if each.at_s <= now_s]:
            if self._begin(fault, now_s):
                self.fired[fault.kind] += 1
                self.planned.remove(fault)
            elif now_s > fault.at_s + LEFT_OUT_AFTER_S:
                self.left_out[fault.kind] += 1
                self.planned.remove(fault)

    @property
    def over(self) -> bool:
        """Whether nothing is planned and nothing goes on."""
        return not self.planned and not self.going_on

    def heal(self) -> None:
        """End all that goes on, and forget the plan."""
        self.planned.clear()
        for fault in list(self.going_on):
            self._end(fault)

    def _begin(self, fault: Fault, now_s: float) -> bool:
        """Whether it could be done: its target runs, and nothing else goes on with it."""
        if any(other.place == fault.place for other in self.going_on):
            return False
        running = self._process(fault)
        if running is None:
            return False
        fault.until_s, fault.struck = now_s + fault.seconds, running
        if fault.kind.startswith("kill"):
            running.kill()
            return True
        if fault.kind in STOPPING:
            os.kill(running.pid, signal.SIGSTOP)
        else:
            fault.held = self.proxies[fault.number].held
            self.proxies[fault.number].trouble(_trouble(fault))
        self.going_on.append(fault)
        return True

    def _end(self, fault: Fault) -> None:
        self.going_on.remove(fault)
        if fault.kind not in STOPPING:
            self.proxies[fault.number].trouble(NONE)
            return
        assert fault.struck is not None
        with suppress(psutil.NoSuchProcess):  # psutil never signals a recycled id
            fault.struck.resume()

    def _process(self, fault: Fault) -> psutil.Process | None:
        target = KINDS[fault.kind].target
        if target == BROKER:
            state = self.up.broker.running()
            return psutil.Process(state.pid) if state else None
        return _running(self.up.sink if target == SINK else self.up.workers[fault.number])


def _running(child: Child) -> psutil.Process | None:
    if child.running is None or child.running.poll() is not None:
        return None
    return psutil.Process(child.running.pid)


def _trouble(fault: Fault) -> Trouble:
    if fault.kind == "delay":
        delay_s = 0.2 + 0.3 * fault.strength
        up, down = [(delay_s, 0.0), (0.0, delay_s), (delay_s, delay_s)][int(fault.strength * 1000) % 3]
        return Trouble(delay_up_s=up, delay_down_s=down)
    if fault.kind in HELD_S:
        return Trouble(held_api=END_TXN, held_s=HELD_S[fault.kind])
    return Trouble(cut=fault.kind == "cut", black_hole=fault.kind == "black_hole")
