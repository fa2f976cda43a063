"""Recorded inputs in, tables of results out."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from connectors import recorded, warehouse
from connectors.sinks.parquet import ParquetSink, Part
from streams.backtest import backtest
from streams.check import refuse_mistakes
from streams.errors import Declined
from streams.pipeline import Pipeline
from streams.ports import Output, Record


def run_backtest(pipeline: Pipeline, data: Path, out: Path) -> None:
    """Run every task of the pipeline over the inputs recorded under ``data``; write its outputs under ``out``, anew.

    Raises Declined when nothing was recorded, or ``out`` holds something other than results.
    """
    refuse_mistakes(pipeline, pipeline.name)
    topics = [stream.topic for stream in pipeline.inputs]
    partitions = sorted({partition for topic in topics for partition in recorded.partitions(data, topic)})
    if not partitions:
        raise Declined(
            f"no recorded inputs of {pipeline.name}", where=str(data), remedy="`riverrun sink FILE` records them"
        )
    if out.exists():
        if not (out / "layout.json").exists():
            raise Declined("the folder holds something else", where=str(out), remedy="name a new folder with --out")
        shutil.rmtree(out)
    sink = ParquetSink(out, pipeline.kind)
    total = sum(recorded.count(data, topic) for topic in topics)
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, transient=True) as progress:
        shown = progress.add_task(f"backtest {pipeline.name}", total=total)
        for partition in partitions:
            results = _Results(pipeline, sink, partition)
            inputs = [recorded.records(data, topic, partition) for topic in topics]
            for outputs in backtest(pipeline, partition, inputs, lambda done: progress.advance(shown, done)):
                results.write(outputs)
            results.close()
    warehouse.build(out)


class _Results:
    """One task's outputs on their way to the tables, as if each output were a topic without transactions."""

    def __init__(self, pipeline: Pipeline, sink: ParquetSink, partition: int) -> None:
        self._pipeline, self._sink, self._partition = pipeline, sink, partition
        self._offsets: dict[str, int] = {}

    def write(self, outputs: list[Output]) -> None:
        by_name: dict[str, list[Record]] = {}
        for name, key, value, timestamp_ms in outputs:
            offset = self._offsets.get(name, 0)
            self._offsets[name] = offset + 1
            by_name.setdefault(name, []).append(Record(offset, timestamp_ms, key, value))
        for name, records in by_name.items():
            part = self._part(name)
            if records[0].offset == 0:
                self._sink.open(part, None)
            self._sink.write(part, records)
            if self._sink.full(part):
                self._sink.flush(part)

    def close(self) -> None:
        for name in self._offsets:
            self._sink.flush(self._part(name))
            self._sink.close(self._part(name))

    def _part(self, name: str) -> Part:
        return Part(name, self._pipeline.topic(name), self._partition)
