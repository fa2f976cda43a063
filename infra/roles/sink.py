"""A sink process: connectors/sinks/, wired to a pipeline's topics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from connectors.sinks.runner import run_sink
from infra.logs import log_to_stderr
from infra.only_one import numbered
from infra.settings import Settings
from infra.telemetry import PrometheusTelemetry
from infra.tracing import traced
from streams.pipeline import load_pipeline
from streams.records import PUBLISHED


def run_pipeline_sink(
    file: Path, settings: Settings, stop: Callable[[], bool], once: bool, metrics_port: int | None
) -> None:
    """Write a pipeline's outputs, and its inputs as they came, to Parquet files under the warehouse."""
    pipeline = load_pipeline(file)
    topics = {pipeline.topic(name): name for name in PUBLISHED} | {stream.topic: "inputs" for stream in pipeline.inputs}
    root, group = settings.data_folder(pipeline.name) / "parquet", f"{pipeline.group}-sink"
    with numbered(settings.data_folder(pipeline.name), "sink") as number, traced(pipeline.name, "sink", number) as span:
        log_to_stderr(settings.log_format, pipeline=pipeline.name, role="sink", id=number)
        telemetry = PrometheusTelemetry(pipeline.name, span)
        with telemetry.announced(settings.home, "sink", number, metrics_port):
            config = settings.confluent()
            run_sink(config, group, topics, pipeline.kind, root, telemetry=telemetry, stop=stop, once=once)
