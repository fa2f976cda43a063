"""From the moment an event was meant to be sent to the moment its prediction is committed and read.

    meant to be sent      e0      e1      e2      e3            start + n / rate, by an open-loop producer
    read, committed                        p0 p1 p2      p3     by a consumer with read_committed, fetch by fetch
    latency of e1                 ─────────────▶

At 10, 50 and 80 % of riverrun's saturation; Quix at half of its own. The first seconds do not count.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from subprocess import PIPE

import numpy as np

from benchmarks.cluster import ROOT, Cluster, Run, cluster
from benchmarks.options import Options
from benchmarks.sections.saturation import EVENTS_OF, MORE, START_S, skipped, tried
from benchmarks.tables import Raw, Tabled, figure, median, rates
from benchmarks.workload import Synthetic, workload_of

WORKLOADS = ("logistic-3", "tree-20")
SHARES = {"riverrun": (0.1, 0.5, 0.8), "quix-exactly-once": (0.5,)}
WARM_S, SECONDS, BEHIND_S = 3.0, 10.0, 10.0
QUIX_COMMIT_S = 0.1
"""Quix commits after so much of the stream: its default is 5 s, which would be the latency."""


def measure(options: Options) -> Iterator[Raw]:
    """Each contender at each share, on a broker of its own."""
    for name in options.only(*WORKLOADS):
        workload = workload_of(name)
        assert isinstance(workload, Synthetic)
        for contender, shares in SHARES.items():
            if contender not in options.contenders:
                continue
            saturated = _saturation(options, workload, contender)
            for share in options.few(shares) if saturated else ():
                about = {"workload": name, "contender": contender, "share": share, "rate": share * saturated}
                with cluster() as made:
                    yield about | _one(made, workload, contender, share * saturated, options.seconds(SECONDS))


def _saturation(options: Options, workload: Synthetic, contender: str) -> float:
    """Events a second, from the section of that name, else measured now; 0 if the contender cannot."""
    named = (workload.name, contender)
    if found := median(rates(raw for raw in options.saturated if (raw["workload"], raw["contender"]) == named)):
        return found
    events = options.events(EVENTS_OF[workload.name])
    with cluster() as made:
        made.create(workload.topics)
        made.fill(workload.rows(events + MORE))
        return median(rates([tried(made, contender, workload, events)])) or 0.0


def _one(made: Cluster, workload: Synthetic, contender: str, rate: float, seconds: float) -> Raw:
    """Warm it up on a backlog, then send at this rate."""
    made.create(workload.topics)
    run, warm = Run(made, contender, workload), skipped(MORE)
    made.fill(workload.rows(warm, start_ms=time.time() * 1_000 - 5_000 - warm))
    events = int(rate * (WARM_S + seconds))
    with run.watch() as watch, run.started(COMMIT_EVERY=max(int(2 * rate * QUIX_COMMIT_S), 1)) as worker:
        watch.until(1, run, [worker], START_S)
        watch.until_quiet(1.0)
        sending = [sys.executable, "-m", "benchmarks.open_loop", made.servers, workload.name, str(rate), str(events)]
        with subprocess.Popen(sending, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as sender:
            assert sender.stdout
            sender.stdout.readline()  # it is ready
            before, start_s = watch.count, time.time() + 1.0
            with suppress(subprocess.TimeoutExpired):
                sender.communicate(f"{start_s}\n", timeout=0.1)
            last = watch.until(warm + events, run, [worker], 1.0 + WARM_S + seconds + BEHIND_S)
    counted = int(rate * WARM_S)
    found = latencies_ms(watch.arrivals, warm, rate, start_s, counted, last.predicted - warm)
    at = np.percentile(found, [50, 99, 99.9]) if len(found) else [None] * 3
    named = dict(zip(("p50_ms", "p99_ms", "p999_ms"), map(float, at), strict=True))
    return {**named, "events": len(found), "all": last.predicted >= warm + events, "before": before}


def latencies_ms(
    arrivals: Sequence[tuple[int, float]], before: int, rate: float, start_s: float, first: int, last: int
) -> np.ndarray:
    """Of events number ``first`` to ``last``, as float64: when it came, less when it was meant to be sent.

    ``arrivals`` says how many predictions had come at which time, ``before`` how many of them are of earlier events.

    >>> latencies_ms([(1, 9.0), (3, 10.5), (4, 10.75)], before=1, rate=4, start_s=10, first=0, last=3)
    array([500., 250., 250.])
    """
    numbers = np.arange(first, last)
    counts, times = np.array([each[0] for each in arrivals]), np.array([each[1] for each in arrivals])
    came = times[np.searchsorted(counts, numbers + before + 1)]
    return (came - start_s - numbers / rate) * 1_000


def tables(raws: list[Raw]) -> list[Tabled]:
    """Percentiles."""
    rows = [
        [
            *(raw["workload"], raw["contender"], f"{raw['share']:.0%}", figure(raw["rate"])),
            *(figure(raw[name], 1) for name in ("p50_ms", "p99_ms", "p999_ms")),
            figure(raw["events"]) + ("" if raw["all"] else ", then behind"),
        ]
        for raw in raws
    ]
    columns = ["workload", "contender", "load", "events/s", "p50, ms", "p99, ms", "p99.9, ms", "events"]
    note = f"Load: of the contender's own saturation. Quix is told to commit each {QUIX_COMMIT_S} s, not each 5 s."
    return [Tabled("Latency: meant to be sent → prediction committed and read", columns, rows, [note])]
