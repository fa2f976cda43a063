"""The pipelines that the simulator runs: the tiny ones of the tests, as a schedule wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache, wraps
from typing import Any

from models.learner import Features
from streams.fingerprint import fingerprint
from streams.pipeline import Pipeline
from tests.streams.pipelines import trips

IDLE_AFTER = timedelta(days=10)
"""Which input is idle is the one thing that real time decides, so two runs may differ in it and both be right. Here no
input is idle before the simulation wants it (see simulation.py): all must come to the same."""

VERSION_EVERY = timedelta(seconds=30)

_KINDS = {
    "binary": trips.pipeline,
    "lean": trips.lean(),
    "regression": trips.regression(),
    "multiclass": trips.multiclass(),
}
KINDS = tuple(_KINDS)


@cache
def pipeline(
    kind: str, partitions: int, batch_max: int, checkpoint_every: int, inline_bytes_max: int, changed: bool = False
) -> Pipeline:
    """One of the tiny pipelines, or one with changed code. The same arguments give the same object."""
    features = _KINDS[kind].features
    return replace(
        _KINDS[kind],
        features=_changed(features) if changed else features,
        partitions=partitions,
        batch_max=batch_max,
        checkpoint_every=checkpoint_every,
        inline_bytes_max=inline_bytes_max,
        idle_after=IDLE_AFTER,
        version_every=VERSION_EVERY,
        versions_max=2,
    )


def _changed(features: Callable[..., Features]) -> Callable[..., Features]:
    """The same features with other values: what the code made before cannot be made by it again."""

    @wraps(features)
    def changed(*args: Any) -> Features:
        return {name: value / 2 if isinstance(value, float) else value for name, value in features(*args).items()}

    return changed


@cache
def fingerprint_of(kind: str) -> str:
    """The fingerprint of a kind, taken once: it reads files, every worker asks for it, and sizes do not count."""
    return fingerprint(_KINDS[kind])
