"""Who takes part, each a module with a ``main``: it works through what is there, and prints a line of JSON."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

CONTENDERS = {
    "bare": "River in memory: no Kafka, nothing kept. The limit.",
    "floor": "confluent-kafka without a model: reads and writes the very same records, as JSON; at least once.",
    "loop": "confluent-kafka and River by hand: at least once; a crash loses the model, and doubles outputs.",
    "riverrun": "Exactly once: model, features, outputs and scores survive any crash.",
}
"""Name -> what it guarantees."""


@contextmanager
def timed(events: int) -> Iterator[None]:
    """Print how long the block took, in seconds and in CPU seconds of this process."""
    began_s, used_s = time.perf_counter(), _cpu_s()
    yield
    print(json.dumps({"events": events, "seconds": time.perf_counter() - began_s, "cpu_s": _cpu_s() - used_s}))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
