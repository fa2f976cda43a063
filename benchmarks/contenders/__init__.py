"""Who takes part. Each is a module with a ``main`` that works until it is killed; what it is to do is in BENCH_….

What a contender does with a record is benchmarks/workload.py's ``Loop``: the same code for all of them, but riverrun.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Contender(NamedTuple):
    """A module beside this file; the peer whose Python it runs in, if any; and what it does not guarantee."""

    module: str
    short: str
    text: str
    peer: str = ""
    env: Mapping[str, str] = MappingProxyType({})


CONTENDERS = {
    "bare": Contender(
        "bare", "nothing is kept", "River in memory, no Kafka: the limit for River models. Nothing is kept."
    ),
    "floor": Contender(
        "floor",
        "at least once; no model",
        "confluent-kafka alone, without a model: reads and writes riverrun's very records. At least once.",
    ),
    "loop": Contender(
        "loop",
        "at least once; model lost in a crash",
        "confluent-kafka and River by hand. At least once; the model is not saved: a crash loses all of it.",
    ),
    "riverrun": Contender(
        "riverrun",
        "exactly once, all of it",
        "Exactly once: after any crash model, features, outputs and scores are as if it had not been.",
    ),
    "quix-exactly-once": Contender(
        "quix",
        "exactly once, but not across rebalances",
        "Outputs and state exactly once. The model is pickled into the state when a commit is due by count; at a "
        "rebalance in between, offsets are committed without it. No scores, drift or label joins.",
        "quix",
        {"BENCH_GUARANTEE": "exactly-once"},
    ),
    "quix-at-least-once": Contender(
        "quix",
        "at least once",
        "The same, but a crash doubles outputs, and labels since the last commit may be learned twice.",
        "quix",
        {"BENCH_GUARANTEE": "at-least-once"},
    ),
    "bytewax": Contender(
        "bytewax",
        "outputs at least once; labels may overtake",
        "State exactly once (a snapshot each 10 s), outputs at least once: a crash doubles up to 10 s of them. "
        "Inputs are not aligned in time: labels may overtake events.",
        "bytewax",
    ),
    "faust": Contender(
        "faust",
        "at least once; labels may overtake",
        "At least once: offsets and the table's changelog are not committed together, so a crash may lose or repeat "
        "labels, and doubles outputs. Inputs are not aligned in time.",
        "faust",
    ),
}
