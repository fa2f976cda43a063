"""Prometheus metrics of every process: what there is, and the ``Telemetry`` port on prometheus-client."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.process_collector import ProcessCollector

from infra.batch_histogram import BatchHistogram
from infra.prometheus.targets import Target, discoverable
from infra.tracing import Spans, no_spans
from streams.errors import Declined

_log = logging.getLogger("riverrun.process")
_SHORT_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_DELAY_S = (1, 10, 60, 600, 3_600, 21_600, 86_400, 604_800)


class _Metric(NamedTuple):
    kind: type[Counter] | type[Gauge] | type[Histogram]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _SHORT_S
    batched: bool = False  # values come a batch at a time


METRICS = {
    # worker
    "records": _Metric(Counter, "Input records taken in.", ("topic", "task")),
    "rejects": _Metric(Counter, "Input records that could not be used.", ("reason", "task")),
    "labels": _Metric(Counter, "Labels by what became of them: scored, expired, orphan, …", ("outcome", "task")),
    "predictions": _Metric(Counter, "Events predicted on.", ("task",)),
    "drifts": _Metric(Counter, "Alarms of drift detectors.", ("watched", "task")),
    "decisions": _Metric(Counter, "Decisions on models, obeyed or refused.", ("outcome", "task")),
    "batch_seconds": _Metric(Histogram, "Time to predict and learn a batch, in seconds."),
    "transaction_seconds": _Metric(Histogram, "Time from begin to committed, in seconds."),
    "label_delay_seconds": _Metric(
        Histogram, "From event to label, in seconds of event time.", (), _DELAY_S, batched=True
    ),
    "pending_labels": _Metric(Gauge, "Events that wait for their label.", ("task",)),
    "model_score": _Metric(Gauge, "Prequential scores since the model began.", ("model", "score", "task")),
    "model_sliding_score": _Metric(Gauge, "Prequential scores over the sliding periods.", ("model", "score", "task")),
    "model_is_champion": _Metric(Gauge, "1 for the champion, 0 for the other models.", ("model", "task")),
    "lag_records": _Metric(Gauge, "Offsets from the committed position to the log's end.", ("topic", "task")),
    "lag_seconds": _Metric(Gauge, "Age of the newest processed record while behind; 0 when not.", ("task",)),
    "checkpoint_seconds": _Metric(Histogram, "Time from pickling a state to its blob in the journal.", ("task",)),
    "checkpoint_pickle_seconds": _Metric(Histogram, "Time a task waits for its state to be pickled.", ("task",)),
    "checkpoint_bytes": _Metric(Gauge, "Size of a task's pickled state.", ("task",)),
    "checkpoint_failures": _Metric(Counter, "Checkpoints that the store did not take.", ("task",)),
    "checkpoint_age_seconds": _Metric(
        Gauge, "Age of the state that a restart loads; 0 when nothing would be replayed.", ("task",)
    ),
    "replay_span_ratio": _Metric(Gauge, "What a restart would replay, as a share of what is declared.", ("task",)),
    "recovering": _Metric(Gauge, "1 while a task is brought back, else 0.", ("task",)),
    "recovery_seconds": _Metric(Histogram, "Time to bring a task back, in seconds.", ("task",)),
    "replayed_records": _Metric(Counter, "Records stepped over again by recoveries.", ("task",)),
    "rebuilds": _Metric(Counter, "Times the worker dropped its tasks and rebuilt them from the journal."),
    "recovery_remaining_records": _Metric(Gauge, "Records a running recovery has still to replay.", ("task",)),
    "replay_margin_records": _Metric(
        Gauge, "Offsets from the log's beginning to the replay's start.", ("topic", "task")
    ),
    "input_blocked_seconds": _Metric(Gauge, "How long an open transaction has held an input back.", ("topic", "task")),
    # sink
    "sink_rows": _Metric(Counter, "Rows newly written to Parquet files.", ("table",)),
    "sink_unreadable": _Metric(Counter, "Records of ours that could not be read.", ("table",)),
    "sink_broken_files": _Metric(Counter, "Files put into quarantine and written again.", ("table",)),
    "sink_flush_seconds": _Metric(Histogram, "Time to write all due files, in seconds."),
    "sink_lag_records": _Metric(Gauge, "Offsets from what is written to the log's end.", ("table",)),
    "sink_write_failures": _Metric(Counter, "Flushes that the disk refused."),
    "sink_commit_failures": _Metric(Counter, "Offset commits that failed; the work is repeated."),
    "sink_blocked": _Metric(Gauge, "1 while the sink waits for room on the disk."),
    "sink_disk_bytes": _Metric(Gauge, "Size of the disk that the sink writes to."),
    "sink_disk_free_bytes": _Metric(Gauge, "Room that is left on it."),
    # source connector
    "source_records": _Metric(Counter, "Records sent by the source.", ("source",)),
    "source_remaining_records": _Metric(Gauge, "Records the source has still to send.", ("source",)),
    # monitor
    "monitor_notes": _Metric(
        Counter, "Records of tasks taken into the picture; news: not seen before.", ("output", "news")
    ),
    "monitor_unreadable": _Metric(Counter, "Records that the monitor could not read.", ("output",)),
    "alert_lasts": _Metric(Gauge, "1 while a declared alert of the pipeline lasts, else 0.", ("alert",)),
    # up
    "process_restarts": _Metric(Counter, "Child processes started again after they ended.", ("role",)),
}
"""Name, without the prefix ``riverrun_`` and without ``_total``, -> what it is. Units are in the names."""


class PrometheusTelemetry:
    """Counts into a registry of its own, served on loopback by ``serve``. ``span`` makes spans for a trace.

    Examples
    --------
    >>> telemetry = PrometheusTelemetry("flights")
    >>> telemetry.count("rejects", 2, reason="schema", task="0")
    >>> telemetry.registry.get_sample_value(
    ...     "riverrun_rejects_total", {"pipeline": "flights", "reason": "schema", "task": "0"})
    2.0
    """

    def __init__(self, pipeline: str, span: Spans = no_spans) -> None:
        self.span = span
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._pipeline = pipeline
        self._series: dict[str, Counter | Gauge | Histogram] = {}
        self._batched: dict[str, BatchHistogram] = {}

    def _of(self, name: str, labels: dict[str, str]) -> Counter | Gauge | Histogram:
        series = self._series.get(name)
        if series is None:
            metric = METRICS[name]
            more: dict[str, Any] = {"buckets": metric.buckets} if metric.kind is Histogram else {}
            title, labelled = f"riverrun_{name}", ("pipeline", *metric.labels)
            series = metric.kind(title, metric.help, labelled, registry=self.registry, **more)
            self._series[name] = series
        return series.labels(**{"pipeline": self._pipeline, **labels})

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        self._of(name, labels).observe(value)  # type: ignore[union-attr]  # METRICS says which kind it is

    def observe_all(self, name: str, values: Sequence[float]) -> None:
        """Add values to a histogram that takes many at once."""
        batched = self._batched.get(name)
        if batched is None:
            metric, labels = METRICS[name], {"pipeline": self._pipeline}
            batched = BatchHistogram(f"riverrun_{name}", metric.help, labels, metric.buckets, self.registry)
            self._batched[name] = batched
        batched.observe_all(values)

    def count(self, name: str, amount: float, **labels: str) -> None:
        """Add to a counter."""
        self._of(name, labels).inc(amount)  # type: ignore[union-attr]

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._of(name, labels).set(value)  # type: ignore[union-attr]

    def forget(self, task: str) -> None:
        """The gauges of a task are no longer ours to tell.

        >>> telemetry = PrometheusTelemetry("flights")
        >>> telemetry.gauge("pending_labels", 7, task="0")
        >>> telemetry.forget("0")
        >>> telemetry.registry.get_sample_value("riverrun_pending_labels", {"pipeline": "flights", "task": "0"})
        """
        for name, series in self._series.items():
            if METRICS[name].kind is Gauge and "task" in METRICS[name].labels:
                series.remove_by_labels({"task": task})

    @contextmanager
    def announced(self, home: Path, role: str, id: str, port: int | None) -> Iterator[None]:
        """Serve ``/metrics`` if a port is given, and say where; until the end of the block Prometheus finds it.

        Port 0 leaves the choice to the system. ``id`` tells this process from others of its role and pipeline.
        """
        if port is None:
            yield
            return
        port = self.serve(port)
        _log.info("%s %s: metrics at http://127.0.0.1:%d/metrics", role, id, port, extra={"port": port})
        with discoverable(home, Target(self._pipeline, role, id), port):
            yield

    def serve(self, port: int, address: str = "127.0.0.1") -> int:
        """Serve ``/metrics``; the port is returned, chosen by the system when 0 was asked for."""
        try:
            server, _ = start_http_server(port, addr=address, registry=self.registry)
        except OSError as error:
            raise Declined(
                f"metrics cannot be served: {error.strerror}", where=f"{address}:{port}", remedy="--metrics-port 0"
            ) from error
        return int(server.server_port)
