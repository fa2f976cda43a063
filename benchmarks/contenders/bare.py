"""The bare River loop, in memory: decode, predict, encode; when the label comes, learn. Prints what it took, as JSON.

Then the model alone: the very same calls, with features and labels made before. First as River has them, then with the
compiled equivalents that riverrun's worker puts in their place.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.workload import of_environment
from models import compiled


def main() -> None:
    """Work through the stream once, count from event ``BENCH_SKIP`` on; then the model alone, twice."""
    workload = of_environment()
    events, skip = int(os.environ["BENCH_EVENTS"]), int(os.environ["BENCH_SKIP"])
    rows = list(workload.rows(events))
    loop = workload.loop()
    found = _timed(rows, lambda row: loop.take(row.topic, row.value, row.timestamp_ms) is not None, skip)
    river = _timed(*_calls(workload, rows), skip)
    with compiled.used():
        ours = _timed(*_calls(workload, rows), skip)
    print(json.dumps({**found, "model_s": river["seconds"], "compiled_model_s": ours["seconds"]}))


def _timed(rows: Iterable[Any], take: Callable[[Any], bool], skip: int) -> dict[str, float]:
    """What it took after the first ``skip`` of those that ``take`` counts."""
    counted, began_s, used_s = 0, time.perf_counter(), _cpu_s()
    for row in rows:
        if take(row):
            counted += 1
            if counted == skip:
                began_s, used_s = time.perf_counter(), _cpu_s()
    seconds, worker_cpu_s = time.perf_counter() - began_s, _cpu_s() - used_s
    return {"events": counted - skip, "seconds": seconds, "worker_cpu_s": worker_cpu_s}


def _calls(workload: Any, rows: list[Any]) -> tuple[list[tuple[Any, Any]], Callable[[Any], bool]]:
    """All calls to the model in their order, as (features, label); the label is None where it is to predict."""
    loop, calls = workload.loop(), list[tuple[Any, Any]]()
    model = loop.waiting.model

    class Noted:
        def predict_proba_one(self, x: Any) -> dict[bool, float]:
            calls.append((x, None))
            return {}

        def learn_one(self, x: Any, label: bool) -> None:
            calls.append((x, label))

    loop.waiting.model = Noted()
    for row in rows:
        loop.take(row.topic, row.value, row.timestamp_ms)

    def call(given: tuple[Any, Any]) -> bool:
        x, label = given
        if label is None:
            model.predict_proba_one(x)
            return True
        model.learn_one(x, label)
        return False

    return calls, call


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
