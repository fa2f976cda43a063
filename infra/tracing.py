"""Traces by OpenTelemetry, where they are asked for: spans of batches, sent to a collector by OTLP over HTTP.

batch ─┬─ step (a task's)     predict and learn          flush    the sink writes
       └─ commit              the transaction            freeze, store    a checkpoint
recover (a task)

OpenTelemetry's own variables configure it: ``OTEL_EXPORTER_OTLP_ENDPOINT`` turns it on. What cannot be sent is let go.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from streams.errors import Declined

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_NOTHING: AbstractContextManager[object] = nullcontext()


class Spans(Protocol):
    """Makes a span of what happens inside of it. Field ``task`` becomes the attribute ``riverrun.task``, and so on."""

    def __call__(self, name: str, /, **fields: str | int) -> AbstractContextManager[object]: ...


def no_spans(_name: str, /, **_fields: str | int) -> AbstractContextManager[object]:
    """Nobody has asked for traces."""
    return _NOTHING


@contextmanager
def traced(pipeline: str, role: str, id: str) -> Iterator[Spans]:
    """Spans of this process, if the environment names a collector. At the end what is left of them is sent.

    Raises Declined for another protocol than OTLP over HTTP, and where OpenTelemetry is not installed.
    """
    endpoint = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if endpoint is None:
        yield no_spans
        return
    protocol = next((name for name in PROTOCOLS if os.environ.get(name)), None)
    if protocol and os.environ[protocol] != _PROTOCOL:
        raise Declined(
            f"traces cannot be sent by {os.environ[protocol]!r}", where=protocol, remedy=f"{_PROTOCOL}, or unset it"
        )
    provider = _provider(endpoint, {"service.namespace": pipeline, "service.instance.id": f"{role}-{id}"}, role)
    tracer = provider.get_tracer("riverrun")

    def span(name: str, /, **fields: str | int) -> AbstractContextManager[object]:
        named = {f"riverrun.{field}": value for field, value in fields.items()}
        return tracer.start_as_current_span(name, attributes=named)  # type: ignore[no-any-return]

    try:
        yield span
    finally:
        provider.shutdown()


def _provider(endpoint: str, attributes: dict[str, str], role: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise Declined(
            f"traces are asked for, but there is no {error.name}",
            where=endpoint,
            remedy="pip install 'riverrun[otel]', or unset it",
        ) from None
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # it tells of every try
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": f"riverrun-{role}"}
    provider = TracerProvider(resource=Resource.create(attributes | named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
