"""What is done to whom and when, by seed; and the doing and undoing of it.

planned ──its time has come, its target runs──▶ going on ──its seconds are over──▶ over
   └── the target is down for too long: left out
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import psutil

from infra.up import Child, Up
from tests.chaos.proxy import END_TXN, NONE, Proxy, Trouble

WORKER, SINK, BROKER = "worker", "sink", "broker"
EVERYTHING = "everything"
"""The place of the broker's network: what goes on there goes on alone."""

LEFT_OUT_AFTER_S = 20.0
"""How long a fault waits for its target to run."""

KILL, STOP = signal.SIGKILL, signal.SIGSTOP


class Kind(NamedTuple):
    """A kind of fault: whom it strikes, by what signal or trouble of the network, and for how long, seconds.

    Sessions and open transactions end after 10 s. Who is stopped or cut off for longer comes back as a zombie.
    """

    target: str
    does: signal.Signals | Trouble
    least_s: float = 0.0
    most_s: float = 0.0
    weight: int = 1


KINDS = {
    "kill_worker": Kind(WORKER, KILL, weight=3),
    "kill_sink": Kind(SINK, KILL),
    "kill_broker": Kind(BROKER, KILL, weight=2),
    "stop_worker": Kind(WORKER, STOP, 11.5, 18),
    "stop_sink": Kind(SINK, STOP, 11.5, 14),
    "stop_broker": Kind(BROKER, STOP, 11.5, 14),  # past the sessions of all others
    "pause_worker": Kind(WORKER, STOP, 1, 5),
    "pause_broker": Kind(BROKER, STOP, 1, 6),
    "cut_worker": Kind(WORKER, Trouble(cut=True), 3, 20, weight=2),
    "cut_sink": Kind(SINK, Trouble(cut=True), 3, 8),
    "cut_broker": Kind(BROKER, Trouble(cut=True), 3, 12),  # from workers and sink; the producer goes on
    "black_hole_worker": Kind(WORKER, Trouble(black_hole=True), 3, 20, weight=2),
    "black_hole_sink": Kind(SINK, Trouble(black_hole=True), 3, 13),
    "delay_requests": Kind(WORKER, Trouble(delay_up_s=0.4), 4, 10),
    "delay_answers": Kind(WORKER, Trouble(delay_down_s=0.4), 4, 10),
    "hold_commits": Kind(WORKER, Trouble(held_api=END_TXN, held_s=12), 3, 6),  # past the transaction's timeout
    # Once its commit is on the way, which arrives after a successor's start.
    "kill_in_commit": Kind(WORKER, Trouble(held_api=END_TXN, held_s=6), 8, 8, weight=2),
}


@dataclass(slots=True)
class Fault:
    """One fault: ``at_s`` counts from the beginning of the chaos, ``number`` says which worker."""

    at_s: float
    kind: str
    number: int
    seconds: float
    until_s: float | None = None  # when it is over, while it goes on
    struck: psutil.Process | None = None
    held: int = 0  # requests that its proxy had held when it began

    @property
    def place(self) -> str:
        """Where it strikes."""
        return _place(self.kind, self.number)

    @property
    def does(self) -> signal.Signals | Trouble:
        """By what it strikes."""
        return KINDS[self.kind].does


def _place(kind: str, number: int) -> str:
    target, does, *_ = KINDS[kind]
    if target == WORKER:
        return f"{WORKER} {number}"
    return EVERYTHING if target == BROKER and isinstance(does, Trouble) else target


def is_clear(place: str, busy: Collection[str]) -> bool:
    """Whether a fault may begin at a place: one at a time at each, and at everything only while all is quiet.

    >>> is_clear("sink", ["worker 0"]), is_clear("sink", ["sink"])
    (True, False)
    >>> is_clear("everything", []), is_clear("everything", ["sink"]), is_clear("sink", ["everything"])
    (True, False, False)
    """
    return place not in busy and EVERYTHING not in busy and not (place == EVERYTHING and busy)


def plan(seed: int, seconds: float, workers: int, every_s: float) -> list[Fault]:
    """Faults for so many seconds: each kind once, the longest first, then by weight. All are over in time.

    After each of its faults the broker rests for that of four: while it is down nothing else can be put to the test.

    Examples
    --------
    >>> faults = plan(7, 90, workers=3, every_s=2)
    >>> faults == plan(7, 90, workers=3, every_s=2), {fault.kind for fault in faults} == set(KINDS)
    (True, True)
    >>> all(0 <= fault.at_s and fault.at_s + fault.seconds <= 90 for fault in faults)
    True
    """
    draw, faults, until_s = random.Random(f"faults {seed}"), list[Fault](), dict[str, float]()
    once = list(KINDS)
    draw.shuffle(once)
    once.sort(key=lambda kind: (_place(kind, 0) != EVERYTHING, KINDS[kind].most_s <= seconds / 4))  # hardest to place
    at_s = draw.uniform(1, every_s)
    while at_s < seconds:
        busy = [place for place, over_s in until_s.items() if over_s >= at_s]
        free = [
            (kind, number)
            for kind, (target, _, _, most_s, _) in KINDS.items()
            for number in range(workers if target == WORKER else 1)
            if at_s + most_s <= seconds and is_clear(_place(kind, number), busy)
        ]
        first = next((kind for kind in once if any(kind == each for each, _ in free)), None)
        if first:
            once.remove(first)
            free = [each for each in free if each[0] == first]
        if free:
            kind, number = draw.choices(free, [KINDS[kind].weight for kind, _ in free])[0]
            lasts_s = draw.uniform(KINDS[kind].least_s, KINDS[kind].most_s)
            faults.append(Fault(at_s, kind, number, lasts_s))
            until_s[faults[-1].place] = at_s + lasts_s
            if KINDS[kind].target == BROKER:
                until_s[BROKER] = at_s + lasts_s + 4 * every_s
        at_s += draw.uniform(0.5, 1.5) * every_s
    return faults


@dataclass
class Faults:
    """The plan, at work on running processes and their proxies: the workers', then the sink's. ``heal`` undoes it.

    ``tell`` is given a line for whatever begins or ends.
    """

    planned: list[Fault]
    up: Up
    proxies: list[Proxy]
    tell: Callable[[str], None]
    going_on: list[Fault] = field(default_factory=list)
    killed: set[psutil.Process] = field(default_factory=set)
    fired: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.left_out.update(KINDS.keys() - {fault.kind for fault in self.planned})

    def tick(self, now_s: float) -> None:
        """Begin and end what is due; ``now_s`` counts from the beginning of the chaos."""
        for fault in [each for each in self.going_on if each.until_s is not None and each.until_s <= now_s]:
            self._end(fault)
        for fault in [each for each in self.going_on if each.kind == "kill_in_commit"]:
            if self._held(fault) > fault.held and fault.struck is not None:
                self._kill(fault.struck)
                self._end(fault)
        for fault in [each for each in self.planned if each.at_s <= now_s]:
            if self._begin(fault, now_s):
                self.fired[fault.kind] += 1
                self.planned.remove(fault)
            elif now_s > fault.at_s + LEFT_OUT_AFTER_S:
                self.left_out[fault.kind] += 1
                self.tell(f"left out: {fault}")
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
        """Whether it could be done: its target runs, and nothing else goes on there."""
        if not is_clear(fault.place, [other.place for other in self.going_on]):
            return False
        running = self._process(fault)
        if running is None or running in self.killed:
            return False
        fault.until_s, fault.struck, fault.held = now_s + fault.seconds, running, self._held(fault)
        if isinstance(fault.does, Trouble):
            self._trouble(fault, fault.does)
        elif fault.does == KILL:
            self._kill(running)
        else:
            running.send_signal(fault.does)
        if fault.does != KILL:
            self.going_on.append(fault)
        self.tell(f"{fault.place}: {fault.kind} for {fault.seconds:.1f} s")
        return True

    def _end(self, fault: Fault) -> None:
        self.going_on.remove(fault)
        self.tell(f"{fault.place}: {fault.kind} is over")
        if isinstance(fault.does, Trouble):
            self._trouble(fault, NONE)
            return
        assert fault.struck is not None
        with suppress(psutil.NoSuchProcess):  # psutil never signals a recycled id
            fault.struck.resume()

    def _kill(self, process: psutil.Process) -> None:
        process.kill()
        self.killed.add(process)  # it may be there for a moment more

    def _trouble(self, fault: Fault, trouble: Trouble) -> None:
        for proxy in self._ways(fault):
            proxy.trouble(trouble)

    def _ways(self, fault: Fault) -> list[Proxy]:
        """Its target's way to the broker; all ways, if the broker is its target."""
        target = KINDS[fault.kind].target
        *of_workers, of_sink = self.proxies
        return {WORKER: [of_workers[fault.number]], SINK: [of_sink], BROKER: self.proxies}[target]

    def _held(self, fault: Fault) -> int:
        return sum(proxy.held for proxy in self._ways(fault))

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
