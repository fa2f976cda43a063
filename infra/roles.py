"""The long-running roles of a pipeline, wired to Kafka, the disk and Prometheus: worker, sink, source."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from connectors.blobs import FolderBlobStore
from connectors.kafka_log import KafkaLog
from connectors.sinks.runner import run_sink
from connectors.sources.replay import Replay
from infra.settings import Settings
from infra.telemetry import PrometheusTelemetry
from streams.check import refuse_mistakes
from streams.errors import Declined, OutcomeUnknown
from streams.pipeline import Pipeline, import_file, load_pipeline
from streams.records import OUTPUTS
from streams.worker import Worker

REBUILDS_MAX = 5
"""Rebuilds in a row without a minute of peace between them; then the worker gives up and its supervisor starts anew."""

GC_THRESHOLDS = (200_000, 20, 50)
"""Python's cycle collector walks all windows and pending labels: rarely is enough, as the loop makes no cycles."""

_console = Console(stderr=True)


def with_fixed_hashes() -> None:
    """Start this process over with PYTHONHASHSEED=0, unless it has it: a set's order may reach a model's arithmetic."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same program and arguments


def data_folder(settings: Settings, pipeline: str) -> Path:
    """Where a pipeline's local files lie."""
    return settings.home / pipeline


def _serve(telemetry: PrometheusTelemetry, port: int | None, role: str) -> None:
    if port is not None:
        _console.print(f"{role}: metrics at http://127.0.0.1:{telemetry.serve(port)}/metrics", style="dim")


def run_worker(
    file: Path, settings: Settings, worker_id: str, stop: Callable[[], bool], metrics_port: int | None
) -> None:
    """Run a worker until ``stop``. After a transaction of unknown outcome its state is rebuilt from the journal."""
    pipeline = load_pipeline(file)
    refuse_mistakes(pipeline, str(file))
    telemetry = PrometheusTelemetry(pipeline.name)
    _serve(telemetry, metrics_port, f"worker {worker_id}")
    store = FolderBlobStore.at(settings.checkpoints or data_folder(settings, pipeline.name) / "checkpoints")
    key = settings.signing_key_bytes()
    gc.set_threshold(*GC_THRESHOLDS)
    failures: list[float] = []
    while not stop():
        log = KafkaLog(settings.confluent(), group_of(pipeline), f"{group_of(pipeline)}-{worker_id}", worker_id)
        try:
            Worker(pipeline, log, store, key, telemetry, time.monotonic, time.time).run(stop)
        except OutcomeUnknown as error:
            failures = [at for at in failures if time.monotonic() - at < 60] + [time.monotonic()]
            if len(failures) > REBUILDS_MAX:
                raise
            _console.print(f"worker {worker_id}: {error}; rebuilding", style="yellow")


def group_of(pipeline: Pipeline) -> str:
    """The consumer group of a pipeline's workers."""
    return f"riverrun-{pipeline.name}"


def run_pipeline_sink(
    file: Path, settings: Settings, stop: Callable[[], bool], once: bool, metrics_port: int | None
) -> None:
    """Write a pipeline's outputs, and its inputs as they came, to Parquet files under the warehouse."""
    pipeline = load_pipeline(file)
    telemetry = PrometheusTelemetry(pipeline.name)
    _serve(telemetry, metrics_port, "sink")
    topics = {pipeline.topic(name): name for name in OUTPUTS} | {stream.topic: "inputs" for stream in pipeline.inputs}
    root = data_folder(settings, pipeline.name) / "parquet"
    group = f"{group_of(pipeline)}-sink"
    run_sink(settings.confluent(), group, topics, pipeline.kind, root, telemetry=telemetry, stop=stop, once=once)


def load_source(file: Path, speed: float | None) -> Replay:
    """The source that a file's function ``source()`` returns, at a speed. Raises Declined when there is none."""
    module = import_file(file)
    make = getattr(module, "source", None)
    source: object = make() if callable(make) else None
    if not isinstance(source, Replay):
        raise Declined(
            "the file has no function source() that returns a source",
            where=str(file),
            remedy="write `def source() -> Replay:`, as in examples/flights/source.py",
        )
    if speed is not None:
        source.speed = speed
    return source


def run_source(
    source: Replay, settings: Settings, stop: Callable[[], bool], progress: bool, metrics_port: int | None
) -> int:
    """Send what the source has not sent yet; how many records that was."""
    telemetry = PrometheusTelemetry(source.name)
    _serve(telemetry, metrics_port, f"source {source.name}")
    return source.run(settings.confluent(), stop=stop, progress=progress, telemetry=telemetry)
