"""Traces of real roles, as a collector receives them by OTLP over HTTP."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from infra.broker_config import free_port
from infra.tracing import no_spans, traced
from streams.errors import Declined
from tests.faults.real import Real

STOP_S = 15.0


class Collector(ThreadingHTTPServer):
    """Takes what is exported to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[ExportTraceServiceRequest] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def spans(self) -> list[Any]:
        groups = [scope for each in self.received for of in each.resource_spans for scope in of.scope_spans]
        return [span for group in groups for span in group.spans]

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def fields(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def ended(worker: Any) -> float:
    """Seconds that a worker takes to end in order."""
    began_s = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    return time.monotonic() - began_s


@pytest.mark.broker
def test_a_collector_receives_the_spans_of_each_batch(real: Callable[..., Real], collector: Collector) -> None:
    made = real(options="checkpoint_every=50, inline_bytes_max=0")
    made.publish(100)
    made.close()
    worker = made.worker(more={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint})
    made.until_done()
    ended(worker)
    batches = {span.span_id for span in collector.named("batch")}
    saves = {span.span_id for span in collector.named("save")}
    steps, commits = collector.named("step"), collector.named("commit")
    assert batches
    assert {span.parent_span_id for span in steps} == batches
    assert {span.parent_span_id for span in commits} == batches | saves
    assert sum(fields(span)["riverrun.records"] for span in steps) == sum(each.records for each in made.journal(0))
    assert {fields(span)["riverrun.task"] for span in [*steps, *collector.named("recover")]} == {0}
    assert collector.named("freeze")
    assert fields(collector.named("store")[0])["riverrun.bytes"] > 100
    resource = fields(collector.received[0].resource_spans[0].resource)
    who = {"service.name": "riverrun-worker", "service.namespace": made.name, "service.instance.id": "worker-1"}
    assert resource.items() >= who.items()


@pytest.mark.broker
def test_a_collector_that_is_gone_disturbs_nothing(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(100)
    made.close()
    worker = made.worker(more={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"})
    made.until_done()
    assert ended(worker) < STOP_S
    log = made.log().read_text()
    assert "Failed to export" in log
    assert "Transient error" not in log


def test_without_a_collector_there_is_nothing_to_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    with traced("flights", "worker", "1") as span:
        assert span is no_spans


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "cannot be sent by 'grpc'"),
        ({}, "no opentelemetry"),
    ],
)
def test_traces_that_cannot_be_sent_are_declined(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], said: str
) -> None:
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", **env}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(Declined, match=said), traced("flights", "worker", "1"):
        pass
