"""The Faust application behind the monitor: from what tasks put out to one picture of each pipeline.

    {name}.metrics, .drift, …  ──watch──▶  riverrun-monitor-notes  ──take──▶ pictures ──▶ a table, its changelog
         n partitions                           1 partition                   1 partition

A table's changelog has as many partitions as the topic that feeds it: so what n tasks report goes through a topic of
one. With several monitors one of them takes, and another takes over when it dies. Delivery is at least once; a note that
comes again changes nothing (picture.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust
import msgspec

from infra.monitor.picture import OUTPUTS, Note, Picture
from infra.settings import Settings
from streams.pipeline import Pipeline

APP = "riverrun-monitor"
"""Faust's name for it: the consumer group, and the prefix of its topics."""


class ControlPlane:
    """Pictures of these pipelines, kept up to date while ``app`` runs.

    ``pictures`` is empty until the table is read, and when another monitor has it.
    """

    def __init__(self, pipelines: Sequence[Pipeline], settings: Settings, data: Path) -> None:
        self._pipelines = {pipeline.name: pipeline for pipeline in pipelines}
        self.pictures: dict[str, Picture] = {}
        self.news = asyncio.Condition()
        self._topics = {p.topic(output): (p.name, output) for p in pipelines for output in OUTPUTS}
        self.app = app = faust.App(APP, datadir=str(data), **_faust(settings))
        raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
        outputs = app.topic(*self._topics, internal=False, allow_declare=False, **raw)
        self._notes = app.topic(f"{APP}-notes", partitions=1, replicas=1, retention=3_600, internal=True, **raw)
        self._table = app.Table("pictures", partitions=1, key_type=str, value_type=bytes, **_TABLE)
        app.agent(outputs, name="watch")(self._watch)
        app.agent(self._notes, name="take")(self._take)
        app.on_partitions_revoked.connect(self._let_go)

    async def _watch(self, stream: Any) -> None:
        """Pass on what tasks put out, with the time at which it was first seen."""
        async for event in stream.events():
            message = event.message
            pipeline, output = self._topics[message.topic]
            received_ms = time.time_ns() // 1_000_000
            note = Note(pipeline, output, message.partition, message.offset, received_ms, message.value)
            await self._notes.send(key=pipeline.encode(), value=msgspec.json.encode(note))

    async def _take(self, stream: Any) -> None:
        decode = msgspec.json.Decoder(Note).decode
        async for value in stream:
            note = decode(value)
            if note.pipeline not in self._pipelines:  # of another time, or of another monitor
                continue
            if self.open().get(note.pipeline, _NONE).take(note):
                async with self.news:
                    self.news.notify_all()

    def open(self) -> dict[str, Picture]:
        """The pictures, read from the table where they are not yet."""
        if not self.pictures:
            self.pictures = {name: Picture(p, self._table) for name, p in self._pipelines.items()}
        return self.pictures

    async def _let_go(self, *_: Any, **__: Any) -> None:
        self.pictures = {}
