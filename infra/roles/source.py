"""A source process: the connector that a file declares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from connectors.sources.replay import Replay
from infra.logs import log_to_stderr
from infra.settings import Settings
from infra.telemetry import PrometheusTelemetry
from streams.errors import Declined
from streams.pipeline import import_file


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
    log_to_stderr(settings.log_format, role="source", id=source.name)
    telemetry = PrometheusTelemetry(source.name)
    with telemetry.announced(settings.home, "source", source.name, metrics_port):
        return source.run(settings.confluent(), stop=stop, progress=progress, telemetry=telemetry)
