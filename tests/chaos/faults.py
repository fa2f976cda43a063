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
}
HELD_S = 12.0
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
    draw = random.Random(f"faults {seed}")
    once = list(KINDS)
    draw.shuffle(once)
    once.sort(key=lambda kind: KINDS[kind].most_s > seconds / 4, reverse=True)  # what lasts must begin early
    faults: list[Fault] = []
    at_s = draw.uniform(1, every_s)
    while at_s < seconds:
        fitting = [kind for kind in KINDS if at_s + KINDS[kind].most_s <= seconds]
        if not fitting:
            break
        left = [kind for kind in once if kind in fitting]
        kind = left[0] if left else draw.choices(fitting, [KINDS[each].weight for each in fitting])[0]
        once = [each for each in once if each != kind]
        lasts_s = draw.uniform(KINDS[kind].least_s, KINDS[kind].most_s)
        faults.append(Fault(at_s, kind, draw.randrange(workers), lasts_s, draw.random()))
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
        place = self._place(fault)
        if any(self._place(other) == place for other in self.going_on):
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

    def _place(self, fault: Fault) -> str:
        target = KINDS[fault.kind].target
        return f"{target} {fault.number}" if target == WORKER else target

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
    if fault.kind == "hold_commits":
        return Trouble(held_api=END_TXN, held_s=HELD_S)
    return Trouble(cut=fault.kind == "cut", black_hole=fault.kind == "black_hole")
