"""riverrun: one worker of its own process, as ``riverrun worker`` starts it, with nothing switched off."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil

from connectors.kafka_admin import end_offsets
from infra import process
from infra.settings import Settings
from infra.topics import apply_topics, lag
from streams.pipeline import load_pipeline

FILE = Path(__file__).parents[1] / "declared.py"
CLOSING = 2
"""The last event and the last label: they wait for what may come behind them."""


def main() -> None:
    """Start a worker on what is there, and wait until it has committed all of it."""
    events, pipeline = int(os.environ["BENCH_EVENTS"]), load_pipeline(FILE)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), bootstrap_servers=os.environ["BENCH_SERVERS"])
        apply_topics(pipeline, settings)
        log = Path(folder) / "log"
        env = {"RIVERRUN_HOME": folder, "RIVERRUN_BOOTSTRAP_SERVERS": settings.servers(), "PYTHONHASHSEED": "0"}
        worker = process.spawn(
            [sys.executable, "-m", "infra.cli", "worker", str(FILE)], name="worker", log=log, env=env
        )
        used = psutil.Process(worker.pid)
        while not log.exists() or "is back after" not in log.read_text():
            assert worker.poll() is None, log.read_text()
            time.sleep(0.01)
        began_s, before_s = time.perf_counter(), sum(used.cpu_times()[:2])
        while lag(pipeline, settings, pipeline.group) > CLOSING:
            assert worker.poll() is None, log.read_text()
            time.sleep(0.05)
        seconds, cpu_s = time.perf_counter() - began_s, sum(used.cpu_times()[:2]) - before_s
        process.stop(worker, 30)
    ends = end_offsets(settings.kafka_python(), [pipeline.topic("predictions"), pipeline.topic("outcomes")])
    assert all(end >= events for end in ends.values()), f"not all were predicted on and scored: {ends}"
    print(json.dumps({"events": events, "seconds": seconds, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
