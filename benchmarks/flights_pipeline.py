"""The example's pipeline with its champion alone, one task, and the settings of the bench."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

from river.drift import ADWIN

from benchmarks.flights import example
from models import on_error

pipeline = replace(
    example().pipeline,
    name=os.environ["BENCH_RUN"],
    challengers=[],
    baselines=[],
    drift=[on_error(ADWIN(delta=1e-6))],
    partitions=int(os.environ.get("BENCH_PARTITIONS", "1")),
    replay_max=timedelta(seconds=float(said)) if (said := os.environ.get("BENCH_REPLAY_S")) else None,
    idle_after=timedelta(seconds=2),
)
