"""What happens in one simulated run: plain data, drawn from a seed, so that it can be printed and made smaller."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Literal

from streams.ports import Record
from streams.versions import as_of
from tests.sim.pipelines import KINDS
from tests.streams import kit

DAY_MS = 86_400_000
CLOSING_MS = 30 * DAY_MS
"""When the last record of every partition is, ms after T0: later than all others, so that none is left waiting."""

DISK_FULL = True
"""Whether writing a checkpoint may fail with OSError. The worker that sees it may die or go on: both must be right."""

Fate = Literal["commit", "abort", "hang"]


@dataclass(frozen=True)
class Publication:
    """A transaction of some source: these records to one partition, begun in one turn and ended some turns later."""

    turn: int
    topic: str
    partition: int
    records: tuple[Record, ...]
    fate: Fate = "commit"
    open_turns: int = 0

    def __str__(self) -> str:
        what = ", ".join(f"{(r.value or b'').decode(errors='replace')!r} @{r.timestamp_ms}" for r in self.records)
        return f"turn {self.turn:3}  {self.topic}[{self.partition}] {self.fate} after {self.open_turns} turns: {what}"


@dataclass(frozen=True)
class Fault:
    """What goes wrong: at the ``nth`` time that an operation is announced, counted over all workers.

    ``amount`` is what FAULTS says of this kind: seconds, a share, how often.
    """

    kind: str
    operation: str
    nth: int
    amount: float = 0.0

    def __str__(self) -> str:
        amount = f", {self.amount:g}" if self.amount else ""
        return f"{self.kind} {self.operation} {self.nth}{amount}"


@dataclass(frozen=True)
class Schedule:
    """One run: the pipeline, what is published when, and what goes wrong."""

    seed: int
    kind: str
    partitions: int
    batch_max: int
    checkpoint_every: int
    inline_bytes_max: int
    workers: int
    restart_turns: int
    background_turns: int
    history: tuple[Publication, ...]
    faults: tuple[Fault, ...]

    @property
    def pipeline(self) -> tuple[str, int, int, int, int]:
        """What tests/sim/pipelines.py makes the pipeline of."""
        return (self.kind, self.partitions, self.batch_max, self.checkpoint_every, self.inline_bytes_max)

    def __str__(self) -> str:
        head = (
            f"seed {self.seed}: {self.kind}, {self.partitions} partitions, {self.workers} workers, batches of"
            f" {self.batch_max}, a checkpoint every {self.checkpoint_every},"
            f" states of up to {self.inline_bytes_max} bytes inline, restarts after {self.restart_turns} turns,"
            f" background work every {self.background_turns} turns"
        )
        return "\n".join([head, *(f"  {each}" for each in (*self.history, *self.faults))])


LOOP: tuple[str, ...] = ("before poll", "after poll", "before begin", "after begin", "before produce")
LOOP += ("before send_offsets", "after send_offsets", "before commit", "after commit", "before put", "after put")
RECOVERY = ("before committed", "before end_offset", "before read", "before get")
IN_TRANSACTION = ("after begin", "before produce", "before send_offsets", "after send_offsets", "before commit")

FAULTS: dict[str, tuple[tuple[str, ...], tuple[float, ...], int]] = {
    # kind: (operations it may befall, amounts to choose from, weight)
    "crash": (LOOP, (0,), 8),
    "crash in recovery": (RECOVERY, (0,), 4),  # twice
    "stop": ((*LOOP, "before read"), (3, 12, 13, 40), 5),  # SIGSTOP for so many seconds; then it goes on
    "stop, replaced": ((*IN_TRANSACTION, "before poll", "before begin"), (3, 40), 3),  # another has its name meanwhile
    "slow": ((*LOOP, "before read"), (20,), 3),  # so many seconds pass, and it is heard of all the time
    "lost answer": (("after commit",), (0,), 3),
    "refused commit": (("before commit",), (0,), 3),
    "forgotten abort": (("before send_offsets", "before commit"), (0, 1, 2), 4),  # of what: FORGETS in faults.py
    "forgotten commit": (("before commit",), (0, 1, 2), 3),
    "late commit": (("before commit",), (4, 15, 25, 35), 4),  # sent; it arrives after so many operations
    "late commit, crash": (("before commit",), (4, 15, 25, 35), 4),
    "eviction": (("before send_offsets", "before poll", "before commit"), (0,), 3),
    "unreachable": (("before poll", "before committed", "before end_offset", "before read"), (1, 3), 3),  # so often
    "torn write": (("before put",), (0.0, 0.3, 0.9), 2),  # this share of it is written
    "unreadable": (("before get",), (1, 2), 1),  # so often
    "rot": (("before get",), (0, 1, 2, 3), 5),  # a bit turned, cut off, gone, signed by another
    "offsets expire": (("before committed",), (0,), 2),
    "join": (("turn",), (0,), 3),
    "leave": (("turn",), (0,), 3),
    "redeploy": (("turn",), (0,), 3),
    "new code": (("turn",), (0, 1), 4),  # for all workers, after they were drained or (1) killed
    "disk full": (("before put",), (1, 2), 2),  # so often
}

OFTEN = {"turn": 40, "before poll": 60, "after poll": 60, "before produce": 90, "before read": 12}
OFTEN |= dict.fromkeys(("before put", "after put"), 7) | dict.fromkeys(("before committed", "before end_offset"), 4)
OFTEN |= {"before get": 2}
"""How often an operation happens in a run, about; 18 where nothing is said."""


def draw(seed: int) -> Schedule:
    """The schedule of a seed."""
    chance = random.Random(seed)
    kind = chance.choices(KINDS, weights=(2, 5, 2, 2))[0]
    partitions = chance.choices((1, 2, 3), weights=(6, 3, 1))[0]
    history = tuple(each for p in range(partitions) for each in _history(chance, kind, p, partitions))
    history += tuple(_decisions(chance, kind, partitions))
    return Schedule(
        seed=seed,
        kind=kind,
        partitions=partitions,
        batch_max=chance.choice((2, 3, 5, 8)),
        checkpoint_every=chance.choice((4, 8, 16, 30)),
        inline_bytes_max=chance.choice((0, 0, 0, 0, 10**6)),
        workers=chance.randint(1, min(partitions + 1, 3)),
        restart_turns=chance.choice((0, 1, 5, 50)),
        background_turns=chance.choice((1, 1, 3, 10)),
        history=history,
        faults=_faults(chance),
    )


def _faults(chance: random.Random) -> tuple[Fault, ...]:
    kinds = [kind for kind in FAULTS if DISK_FULL or kind != "disk full"]
    weights = [FAULTS[kind][2] for kind in kinds]
    faults = []
    for kind in chance.choices(kinds, weights, k=chance.randint(1, 6)):
        operations, amounts, _ = FAULTS[kind]
        operation = chance.choice(operations)
        nth = chance.randint(1, OFTEN.get(operation, 18))
        faults.append(Fault(kind, operation, nth, chance.choice(amounts)))
        if kind in {"crash in recovery", "rot", "unreadable", "offsets expire"}:  # these need a restart to happen to
            faults.append(Fault("crash", chance.choice(LOOP[2:]), chance.randint(2, 12)))
        if kind == "late commit":  # to see what it leaves behind if it hits a transaction that is not its own
            faults.append(
                Fault("crash", *chance.choice((("before produce", 5 * nth), ("before send_offsets", nth + 1))))
            )
        if kind == "crash in recovery":
            faults.append(Fault(kind, operation, nth + 1))
    return tuple(faults)


def _history(chance: random.Random, kind: str, partition: int, partitions: int) -> list[Publication]:
    """What is published to one partition of each input, in transactions of a few records."""
    trips = chance.randint(8, 22) // partitions + 3
    inputs = kit.history(chance.randrange(2**32), trips, references=kind == "binary", gaps=False)
    topics = ["sky", "ends", "starts"][-len(inputs) :]
    published = []
    for topic, records in zip(topics, inputs, strict=True):
        turn, left = 1, _disordered(chance, records)
        while left:
            turn += chance.choice((0, 0, 1, 2, 4))
            size = chance.randint(1, 6)
            some, left = tuple(left[:size]), left[size:]
            open_turns = chance.choice((0, 0, 0, 1, 4))
            if chance.random() < 0.12:  # of another source, that gives it up, or that is never heard of again
                fate: Fate = "hang" if chance.random() < 0.4 else "abort"
                published.append(Publication(turn, topic, partition, some[:2], fate, open_turns))
            published.append(Publication(turn, topic, partition, some, "commit", open_turns))
    return published


MODELS = {"binary": ("logistic", "tree", "rule"), "regression": ("linear",), "multiclass": ("bayes", "tree")}


ACTIONS = ("promote", "promote", "save", "rollback", "rollback", "reset", "pause", "resume", "resign")
SAVED_BY_TIME = (as_of(1_020_000), as_of(1_050_000))


def _decisions(chance: random.Random, kind: str, partitions: int) -> list[Publication]:
    """What somebody decides meanwhile, in each partition alike; some of it makes no sense."""
    published, turn = [], 1
    for number in range(chance.choice((0, 0, 3, 8))):
        turn += chance.randint(0, 12)
        decision = {
            "id": f"decision {number - (chance.random() < 0.1)}",
            "action": chance.choice(("save", "save", *ACTIONS) if number == 0 else ACTIONS),
            "model": chance.choice((*2 * MODELS.get(kind, ("logistic",)), "tree", "nobody")),
            "version": chance.choice((*["mine"] * 6, f"before decision {number - 1}", *SAVED_BY_TIME, None)),
            "after": chance.choice((None, None, None, 0)),
            "by": "chance",
            "why": "",
            "decided_time_ms": 1_800_000_000_000 + number,
        }
        record = Record(-1, 1_800_000_000_000 + number, b"trips", json.dumps(decision).encode())
        published += [Publication(turn, "trips.control", partition, (record,)) for partition in range(partitions)]
    return published


def _disordered(chance: random.Random, records: list[Record]) -> list[Record]:
    """The records as they come: some out of order, some with a clock that is a day off, some broken or absurd."""
    came = list(records)
    for at in range(len(came) - 1):
        if chance.random() < 0.05:
            came[at], came[at + 1] = came[at + 1], came[at]
    for at, record in enumerate(came):
        fate = chance.random()
        if fate < 0.01:
            day_ms = chance.choice((-DAY_MS, DAY_MS))
            came[at] = record._replace(timestamp_ms=max(record.timestamp_ms + day_ms, 1))
        elif fate < 0.04:
            came[at] = record._replace(value=chance.choice(BROKEN))
        elif fate < 0.05:
            came[at] = record._replace(key=None)
    return came


BROKEN: tuple[bytes | None, ...] = (None, b"", b"{", b"\xff", b"null", b"[" * 5_000, b'{"trip": "a", "km": 1e400}')
BROKEN += (b'{"trip": "b", "city": "nyc", "at": "1970-01-01T00:20:00Z", "km": NaN}',)
BROKEN += (b'{"trip": "d", "trip": "e", "city": "nyc", "at": "1970-01-01T00:20:00Z", "km": 3.0, "km": 4.0}',)
BROKEN += (b'{"trip": "c", "city": "nyc", "at": "1970-01-01T00:20:00Z", "km": 123456789012345678901234567890}',)
