"""The Faust application behind the monitor: from what tasks put out to one picture of each pipeline.

    {name}.metrics, .drift, …  ──watch──▶  riverrun-monitor-{names}-notes  ──take──▶ pictures ──▶ a table, its changelog
         n partitions                           1 partition                          1 partition

A table's changelog has as many partitions as the topic that feeds it: so what n tasks report goes through a topic of
one. Delivery is at least once, from the first record on; a note that comes again changes nothing (picture.py), and what
one changes it changes as a whole (ledger.py).

With several monitors one has the lead, and another when it dies. Only the one that has it runs Faust, so that Faust's
group has a single member and never rebalances: amid that it loses its place now and then, or waits for ever. Should it
rebalance all the same, or the lead be lost, the process begins anew (``disturbed``): as after a crash, which loses
nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
from faust.tables.manager import TableManager
from faust.types import TP

from connectors.kafka_admin import create_topics, describe
from connectors.kafka_lead import KafkaLead
from infra.monitor.faust_kafka import MESSAGE_BYTES_MAX, new_app
from infra.monitor.news import News
from infra.monitor.picture import OUTPUTS, Note, Picture
from infra.monitor.sending import Sender
from infra.settings import Settings
from infra.topics import apply_topics
from streams.errors import PipelineError, RecordRejected
from streams.pipeline import Pipeline
from streams.ports import Telemetry

NOTES_KEPT_MS = 7 * 86_400_000
"""Notes are needed until they are taken: no longer than all monitors may be down between reading and taking."""

EVERYTHING = "everything"
"""What listeners are told has changed when the pictures are other ones."""

STALLED_S = 30.0
"""Who has the lead and has not come nearer to the end of its changelog for so long begins anew."""

_log = logging.getLogger("riverrun.monitor")


def app_name(pipelines: Sequence[Pipeline]) -> str:
    """Faust's name for a monitor of these pipelines: its consumer group, and the prefix of its topics.

    >>> from tests.streams.pipelines import trips
    >>> app_name([trips.pipeline])
    'riverrun-monitor-trips'
    """
    names = "-".join(sorted(pipeline.name for pipeline in pipelines))
    short = names if len(names) <= 100 else hashlib.sha256(names.encode()).hexdigest()[:32]
    return f"riverrun-monitor-{short}"


class ControlPlane:
    """Pictures of these pipelines, kept up to date while ``app`` runs.

    Parameters
    ----------
    pipelines
        Which; their names differ.
    instance
        Names this monitor among several of the same pipelines.
    folder
        Where Faust may keep files. What counts is in Kafka.
    """

    def __init__(
        self, pipelines: Sequence[Pipeline], settings: Settings, instance: str, folder: Path, telemetry: Telemetry
    ) -> None:
        self.pipelines = {pipeline.name: pipeline for pipeline in pipelines}
        self._settings, self._telemetry = settings, telemetry
        self._pictures: dict[str, Picture] = {}
        self._listeners: set[News] = set()
        self._topics = {p.topic(output): (p.name, output) for p in pipelines for output in OUTPUTS}
        self._name = name = app_name(pipelines)
        self._lead = KafkaLead(settings.confluent(), f"{name}-notes", f"{name}-lead", instance)
        self._assignments = 0
        self._restored, self._restored_s = -1, 0.0
        self.app = app = new_app(name, settings, folder)
        raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes}
        raw |= {"key_serializer": "raw", "value_serializer": "raw"}
        outputs = app.topic(*self._topics, **raw)
        self._notes = app.topic(f"{name}-notes", partitions=1, **raw)
        self._table = app.Table("pictures", partitions=1, key_type=str, value_type=bytes)
        app.agent(outputs, name="watch")(self._watch)
        app.agent(self._notes, name="take")(self._take)
        self.deciding = asyncio.Lock()
        """Held by who puts a decision before the tasks: two at a time would fence each other."""
        app.task(Sender(self.pictures, settings, self.deciding).run)
        app.on_partitions_assigned.connect(self._assigned, weak=False)

    async def start(self) -> None:
        """Make the topics that are missing, and begin as soon as no other monitor has the lead."""
        await asyncio.to_thread(self._make_topics)
        self._lead.claim()
        self.app.finalize()
        while not self._lead.held:
            await asyncio.sleep(0.05)
        await self.app.start()

    async def stop(self) -> None:
        """End what was begun."""
        await self.app.stop()
        await asyncio.to_thread(self._lead.close)

    def _make_topics(self) -> None:
        config, size = self._settings.kafka_python(), {"max.message.bytes": str(MESSAGE_BYTES_MAX)}
        notes, changelog = f"{self._name}-notes", self._table.changelog_topic.get_topic_name()
        wanted = {notes: 1, changelog: 1}
        for pipeline in self.pipelines.values():
            wanted |= pipeline.topics
        if describe(config, wanted) == wanted:  # the usual case, in one request
            return
        for pipeline in self.pipelines.values():
            apply_topics(pipeline, self._settings)
        create_topics(config, {notes: 1}, NOTES_KEPT_MS, size)
        create_topics(config, {changelog: 1}, -1, {"cleanup.policy": "compact", **size})

    @property
    def failed(self) -> bool:
        """Whether it ended by itself. It does not go on: another process has to be started."""
        return bool(self.app.crashed or self.app.should_stop or self._lead.failure)

    @property
    def failure(self) -> PipelineError | None:
        """Why it ended, where that is known."""
        return self._lead.failure

    @property
    def disturbed(self) -> str:
        """Why this process has to begin anew; empty if it has not to."""
        if self._lead.lost:
            return "another monitor may have the lead"
        if self._assignments > 1:
            return "its group has rebalanced"
        if self._lead.held and not self.active and self._stalled():
            return f"it has restored nothing for {STALLED_S:.0f} s"
        return ""

    def _stalled(self) -> bool:
        recovery = cast(TableManager, self.app.tables).recovery
        restored = sum(offset or 0 for offset in recovery.active_offsets.values())
        if restored != self._restored:
            self._restored, self._restored_s = restored, time.monotonic()
        return time.monotonic() - self._restored_s > STALLED_S

    @property
    def active(self) -> bool:
        """Whether this monitor has the pictures, read to their end. Of several, one has."""
        app = self.app
        if not (self._lead.held and app.started and app.tables.actives_ready) or app.rebalancing or self.failed:
            return False
        return TP(f"{self._name}-notes", 0) in app.consumer.assignment()

    @property
    def stands_by(self) -> bool:
        """Whether another monitor has the pictures, and this one gets them when that one dies."""
        return self._lead.joined and not self._lead.held and not self._lead.lost

    def pictures(self) -> dict[str, Picture]:
        """Name -> picture, of each pipeline; none at all while this monitor is not active."""
        return self._opened() if self.active else {}

    def _opened(self) -> dict[str, Picture]:
        if not self._pictures:
            self._pictures = {name: Picture(p, self._table) for name, p in self.pipelines.items()}
        return self._pictures

    def listen(self, listener: News) -> None:
        """Tell it whenever the picture of a pipeline has changed."""
        self._listeners.add(listener)

    def leave(self, listener: News) -> None:
        """Tell it no longer."""
        self._listeners.discard(listener)

    @property
    def listeners(self) -> int:
        """How many are told."""
        return len(self._listeners)

    async def _watch(self, stream: Any) -> None:
        """Pass on what tasks put out, with the time at which it was first seen."""
        async for event in stream.events():
            message = event.message
            pipeline, output = self._topics[message.topic]
            received_ms = time.time_ns() // 1_000_000
            note = Note(pipeline, output, message.partition, message.offset, received_ms, message.value or b"")
            await self._notes.send(key=pipeline.encode(), value=msgspec.json.encode(note))

    async def _take(self, stream: Any) -> None:
        """Put notes into the pictures. Their table may be changed here only: Faust asks which record it is for."""
        decode = msgspec.json.Decoder(Note).decode
        async for value in stream:
            note = decode(value)
            while not self._lead.held:  # this process ends soon: what another monitor writes by now must not be undone
                await asyncio.sleep(0.1)
            try:
                news = self._opened()[note.pipeline].take(note)
            except RecordRejected as error:
                _log.warning("left out: %s", error)
                self._telemetry.count("monitor_unreadable", 1, output=note.output)
                continue
            self._telemetry.count("monitor_notes", 1, output=note.output, news=str(news).lower())
            if news:
                self.tell(note.pipeline, note.output)
            if news and note.output == "metrics":
                self._gauge(note.pipeline)

    def _gauge(self, pipeline: str) -> None:
        lasting = self._opened()[pipeline].judging.lasting
        for alert in self.pipelines[pipeline].alerts:
            self._telemetry.gauge("alert_lasts", float(alert.name in lasting), pipeline=pipeline, alert=alert.name)

    def tell(self, pipeline: str, what: str) -> None:
        """Tell all listeners that this changed there."""
        for listener in self._listeners:
            listener.add(pipeline, what)

    async def _assigned(self, *_: Any, **__: Any) -> None:
        self._assignments += 1
