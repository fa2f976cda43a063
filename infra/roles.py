"""The long-running roles of a pipeline, wired to Kafka, the disk and Prometheus: worker, sink, source."""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from connectors.attempts import FolderAttempts
from connectors.blobs import FolderBlobStore
from connectors.hanging import end_hanging
from connectors.kafka_log import KafkaLog
from connectors.sinks.runner import run_sink
from connectors.sources.replay import Replay
from infra.logs import log_to_stderr
from infra.only_one import only_one
from infra.recovering import Recovering
from infra.settings import Settings
from infra.stopping import wait_for
from infra.telemetry import PrometheusTelemetry
from streams.check import refuse_mistakes
from streams.errors import BrokerUnreachable, Declined, OutcomeUnknown, PipelineError, StoreUnavailable
from streams.pipeline import Pipeline, import_file, load_pipeline
from streams.records import OUTPUTS
from streams.worker import Worker

PEACE_S = 60.0
PAUSE_S_MAX = 10.0
"""A worker that fails again and again waits longer each time, up to this; after a minute of peace it starts afresh."""

GC_THRESHOLDS = (200_000, 20, 50)
"""Python's cycle collector walks all windows and pending labels: rarely is enough, as the loop makes no cycles."""

_console = Console(stderr=True)
_log = logging.getLogger("riverrun.worker")


def with_fixed_hashes() -> None:
    """Start this process over with PYTHONHASHSEED=0, unless it has it: a set's order may reach a model's arithmetic."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same program and arguments


def data_folder(settings: Settings, pipeline: str) -> Path:
    """Where a pipeline's local files lie."""
    return settings.home / pipeline


def checkpoint_store(settings: Settings, pipeline: Pipeline) -> FolderBlobStore:
    """Where a pipeline's checkpoints lie."""
    return FolderBlobStore.at(settings.checkpoints or data_folder(settings, pipeline.name) / "checkpoints")


def _serve(telemetry: PrometheusTelemetry, port: int | None, role: str) -> None:
    if port is not None:
        _console.print(f"{role}: metrics at http://127.0.0.1:{telemetry.serve(port)}/metrics", style="dim")


def run_worker(
    file: Path, settings: Settings, worker_id: str, stop: Callable[[], bool], metrics_port: int | None
) -> None:
    """Run a worker until ``stop``. It waits for a broker or a store that is away, and rebuilds its tasks after that.

    Raises Fenced when another worker has its place; Declined when it runs already, or must not go on.
    """
    pipeline = load_pipeline(file)
    refuse_mistakes(pipeline, str(file))
    telemetry = PrometheusTelemetry(pipeline.name)
    _serve(telemetry, metrics_port, f"worker {worker_id}")
    log_to_stderr()
    folder, group = data_folder(settings, pipeline.name), group_of(pipeline)
    key = settings.signing_key_bytes()
    gc.set_threshold(*GC_THRESHOLDS)
    with only_one(folder, f"worker {worker_id}"), ThreadPoolExecutor(1) as background, Recovering() as bars:
        store = checkpoint_store(settings, pipeline)
        attempts = FolderAttempts(folder / "attempts" / worker_id)
        failures = 0
        while not stop():
            started_s = time.monotonic()
            try:
                log = KafkaLog(settings.confluent(), group, f"{group}-{worker_id}", worker_id)
                clocks = time.monotonic, time.time
                Worker(pipeline, log, store, key, telemetry, *clocks, background, attempts, bars.show).run(stop)
            except (OutcomeUnknown, BrokerUnreachable, StoreUnavailable) as error:
                failures = 1 if time.monotonic() - started_s > PEACE_S else failures + 1
                pause_s = min(0.1 * 2.0**failures, PAUSE_S_MAX)
                _log.warning("worker %s rebuilds its tasks in %.1f s: %s", worker_id, pause_s, error)
                telemetry.count("rebuilds", 1)
                wait_for(stop, pause_s)
                _end_hanging(settings, pipeline)


def _end_hanging(settings: Settings, pipeline: Pipeline) -> None:
    """What Kafka forgot to end keeps every recovery waiting: see connectors/hanging.py."""
    try:
        for each in end_hanging(settings.kafka_python(), pipeline.topics):
            _log.warning("ended a transaction that its coordinator had ended: %s[%d]@%d", *each[:2], each.start_offset)
    except PipelineError as error:
        _log.warning("no transaction could be looked at: %s", error)


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
