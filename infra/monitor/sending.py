"""What alerts and pausing have to say is sent to Kafka, again and again until it is seen in its topic."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from connectors.kafka_errors import translated
from infra import decisions
from infra.monitor.judging import Outgoing
from infra.monitor.picture import Picture
from infra.settings import Settings
from streams.errors import PipelineError
from streams.pipeline import Pipeline
from streams.records import AlertRecord

LOOK_S = 0.2
"""How often it is looked whether there is something to be sent."""

AGAIN_S = 20.0
"""What was sent and is not seen for so long is sent again."""

_log = logging.getLogger("riverrun.monitor")


class Sender:
    """Sends what there is to be sent by these pictures. ``deciding`` is held by who puts decisions before tasks."""

    def __init__(
        self, pictures: Callable[[], Mapping[str, Picture]], settings: Settings, deciding: asyncio.Lock
    ) -> None:
        self._pictures, self._settings, self._deciding = pictures, settings, deciding
        self._sent_s: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.send_all()

    async def send_all(self) -> None:
        """Send what is due. What cannot be sent now is due again later."""
        due = [(name, key) for name, picture in self._pictures().items() for key in picture.judging.outgoing]
        self._sent_s = {place: at_s for place, at_s in self._sent_s.items() if place in due}
        for name, key in due:
            picture = self._pictures().get(name)
            outgoing = picture.judging.outgoing.get(key) if picture else None
            last_s = self._sent_s.get((name, key))
            if picture is None or outgoing is None or (last_s and time.monotonic() - last_s < AGAIN_S):
                continue
            self._sent_s[name, key] = time.monotonic()
            try:
                await self._send(picture.pipeline, outgoing)
            except PipelineError as error:
                _log.warning("%s: not sent, but later: %s", key, error)

    async def _send(self, pipeline: Pipeline, outgoing: Outgoing) -> None:
        config = self._settings.kafka_python()
        if outgoing.alert is not None:
            await asyncio.to_thread(put_alert, config, pipeline, outgoing.alert)
        if outgoing.decision is not None:
            async with self._deciding:
                await asyncio.to_thread(decisions.send, config, pipeline, outgoing.decision)


def put_alert(config: dict[str, Any], pipeline: Pipeline, alert: AlertRecord) -> None:
    """Put it into its topic. Raises PipelineError when Kafka does not take it."""
    from kafka import KafkaProducer

    topic = pipeline.topic("alerts")
    with translated(f"topic {topic}"), KafkaProducer(**config) as producer:
        value, time_ms = msgspec.json.encode(alert), alert.window_end_time_ms
        producer.send(topic, value, alert.alert.encode(), partition=0, timestamp_ms=time_ms).get(timeout=20)
