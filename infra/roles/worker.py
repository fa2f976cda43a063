"""A worker process: streams/worker.py, wired to Kafka, the disk and Prometheus."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from connectors.attempts import FolderAttempts
from connectors.forked import ForkedFreeze
from connectors.kafka_log import KafkaLog
from connectors.kafka_recoveries import RecoveryReports
from infra.logs import log_to_stderr
from infra.only_one import only_one
from infra.recovering import Recovering
from infra.settings import Settings
from infra.state import checkpoint_store
from infra.stopping import wait_for
from infra.telemetry import PrometheusTelemetry
from infra.tracing import traced
from models import compiled
from streams.check import refuse_mistakes
from streams.errors import BrokerUnreachable, OutcomeUnknown, PipelineError, StoreUnavailable
from streams.pipeline import Pipeline, load_pipeline
from streams.worker import Worker

PEACE_S = 60.0
PAUSE_S_MAX = 10.0
"""A worker that fails again and again waits longer each time, up to this; after a minute of peace it starts afresh."""

GC_THRESHOLDS = (200_000, 20, 50)
"""Python's cycle collector walks all windows and pending labels: rarely is enough, as the loop makes no cycles."""

SWITCH_S = 0.0005
"""After how long the data path lets another thread have the interpreter. A commit asks for it some five times, and by
default each time it would wait up to 5 ms."""

_log = logging.getLogger("riverrun.worker")


def run_worker(
    file: Path, settings: Settings, worker_id: str, stop: Callable[[], bool], metrics_port: int | None
) -> None:
    """Run a worker until ``stop``. It waits for a broker or a store that is away, and rebuilds its tasks after that.

    Raises Fenced when another worker has its place; Declined when it runs already, or must not go on.
    """
    pipeline = load_pipeline(file)
    refuse_mistakes(pipeline, str(file))
    log_to_stderr(settings.log_format, pipeline=pipeline.name, role="worker", id=worker_id)
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)
    only = only_one(settings.data_folder(pipeline.name), f"worker {worker_id}")
    with only, traced(pipeline.name, "worker", worker_id) as span, compiled.used():
        telemetry = PrometheusTelemetry(pipeline.name, span)
        with telemetry.announced(settings.home, "worker", worker_id, metrics_port):
            _work(pipeline, settings, worker_id, telemetry, stop)


def _work(
    pipeline: Pipeline, settings: Settings, worker_id: str, telemetry: PrometheusTelemetry, stop: Callable[[], bool]
) -> None:
    group, key = pipeline.group, settings.signing_key_bytes()
    with ThreadPoolExecutor(1) as background, ThreadPoolExecutor(1) as committing, Recovering() as bars:
        attempts = FolderAttempts(settings.data_folder(pipeline.name) / "attempts" / worker_id)
        reports = RecoveryReports(settings.confluent(), pipeline.topic("recovery"), worker_id)

        def progress(task: int, replayed: int, total: int) -> None:
            bars.show(task, replayed, total)
            reports.tell(task, replayed, total)

        failures, freeze = 0, ForkedFreeze()
        while not stop():
            started_s = time.monotonic()
            try:
                store = checkpoint_store(settings, pipeline)
                log = KafkaLog(settings.confluent(), group, f"{group}-{worker_id}", worker_id)
                outside = telemetry, time.monotonic, time.time, background, committing, attempts, progress, freeze
                Worker(pipeline, log, store, key, *outside).run(stop)
            except (OutcomeUnknown, BrokerUnreachable, StoreUnavailable) as error:
                failures = 1 if time.monotonic() - started_s > PEACE_S else failures + 1
                pause_s = min(0.1 * 2.0**failures, PAUSE_S_MAX)
                _log.warning("worker %s rebuilds its tasks in %.1f s: %s", worker_id, pause_s, error)
                telemetry.count("rebuilds", 1)
                wait_for(stop, pause_s)
                _end_hanging(settings, pipeline)


def _end_hanging(settings: Settings, pipeline: Pipeline) -> None:
    """What Kafka forgot to end keeps every recovery waiting: see connectors/hanging.py."""
    from connectors.hanging import end_hanging  # here, as kafka-python costs 0.2 s of every start

    try:
        for each, committed in end_hanging(settings.kafka_python(), pipeline.topics, pipeline.group):
            what = {True: "committed", False: "aborted", None: "could not tell how to end"}[committed]
            place = {"topic": each.topic, "partition": each.partition, "offset": each.start_offset}
            said = "%s a transaction that its coordinator had ended: %s[%d]@%d"
            _log.warning(said, what, *place.values(), extra=place)
    except PipelineError as error:
        _log.warning("no transaction could be looked at: %s", error)
