"""A commit that arrives late, at a Kafka that does not check whose it is: torn batches are detected, never silent.

With epochs checked a late commit is refused, and the other tests show that. But within one epoch Kafka before KIP-890
cannot tell a late commit from one of the transaction that is open when it comes. It makes a part of a batch visible:

    journal  outputs  outputs  │ late commit │  outputs  offsets  †     the journal knows a batch whose offsets are not
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import cache

from tests.sim.schedule import Fault, Schedule, draw
from tests.sim.verdict import judge

BUG = "a-late-commit-hits-a-later-transaction"
SEEDS = 150


def hit(seed: int) -> Schedule:
    """A schedule with a commit that is late, and a crash in a later transaction."""
    chance = random.Random(seed)
    nth = chance.randint(2, 10)
    late = Fault("late commit", "before commit", nth, chance.randint(4, 45))
    operation = chance.choice(("before produce", "before send_offsets", "before commit"))
    return replace(draw(seed), faults=(late, Fault("crash", operation, chance.choice((nth + 1, nth * 5)))))


@cache
def verdicts() -> Counter[str]:
    """What came of it: "as if nothing had happened", "detected" or "silent", and how often."""
    counts: Counter[str] = Counter()
    for seed in range(SEEDS):
        failure = judge(hit(seed), BUG).failure
        if failure is None:
            counts["as if nothing had happened"] += 1
        else:
            counts["detected" if "JournalMismatch" in failure else f"silent: seed {seed}: {failure}"] += 1
    return counts


def test_a_torn_batch_is_detected_and_never_silent() -> None:
    assert not [what for what in verdicts() if what.startswith("silent")]


def test_batches_are_torn_often_enough_for_that_to_mean_something() -> None:
    assert verdicts()["detected"] > 4
