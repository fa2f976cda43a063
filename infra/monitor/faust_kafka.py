"""Faust as the monitor needs it: told of our Kafka by our settings, and reading only what was committed."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TransportT
from yarl import URL

from connectors.kafka_lead import SESSION_S
from infra.settings import Settings

MESSAGE_BYTES_MAX = 8 * 1024 * 1024
"""The largest message between the monitor and its own topics: a note is a record of at most 1 MiB, and its envelope."""


class _Thread(driver.AIOKafkaConsumerThread):
    """Faust reads uncommitted records unless it writes in transactions, too; workers abort some now and then.

    And it seeks back to what was committed only where something was: not after a monitor that was killed soon after its
    first start.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        return consumer

    async def seek_to_committed(self) -> Any:
        """As Faust does, and to the beginning where nothing was committed yet."""
        committed = await super().seek_to_committed()
        restored = self.app.tables.changelog_topics
        new = [tp for tp, offset in committed.items() if not offset and tp.topic not in restored]
        if new:  # if retention has passed it, the oldest there is (consumer_auto_offset_reset)
            await self.seek_wait(dict.fromkeys(new, 0))
        return committed


class _Consumer(driver.Consumer):
    """Faust seeks, when its tables are restored, while its reader may hold records of before: it would let fall some of
    them, and take others for what it has read to, so that what it seeks back for is skipped. Here the reader rests
    while Faust seeks.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rests = asyncio.Event()
        self._rests.set()

    async def _wait_next_records(self, timeout: float) -> Any:
        self._rests.set()
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        self._rests.clear()
        return await super()._wait_next_records(timeout)

    async def perform_seek(self) -> None:
        """Seek to what was committed."""
        flows = self.flow_active  # if not, nobody reads, or it is the reader itself that asks
        if flows:
            self.stop_flow()
            await self.wait(self._rests.wait())
        await super().perform_seek()
        if flows:
            self.resume_flow()

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):
    Consumer = _Consumer


class App(faust.App):
    """A Faust application that reads committed records only."""

    def _new_transport(self) -> TransportT:
        return _Transport(self.conf.broker_consumer, self)


def new_app(name: str, settings: Settings, folder: Path) -> App:
    """An application of this name, of which one process runs at a time: the group has one place, and who comes takes it
    at once, from whoever had it."""
    return App(
        name,
        broker=[URL(f"kafka://{server}") for server in settings.servers().split(",")],
        broker_credentials=credentials(settings),
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=3.0,
        broker_commit_every=100,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=name,
        consumer_max_fetch_size=MESSAGE_BYTES_MAX,
        producer_max_request_size=MESSAGE_BYTES_MAX,
        datadir=str(folder),
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
    )


def credentials(settings: Settings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """How Faust proves who we are; None on a plain connection.

    Examples
    --------
    >>> made = credentials(Settings(bootstrap_servers="kafka:9092", security_protocol="SASL_PLAINTEXT",
    ...                             sasl_mechanism="PLAIN", sasl_username="riverrun", sasl_password="hush"))
    >>> made.protocol.value, made.mechanism.value, made.username, "hush" in repr(made)
    ('SASL_PLAINTEXT', 'PLAIN', 'riverrun', False)
    """
    context = _context(settings) if settings.security_protocol.endswith("SSL") else None
    if settings.sasl_password is not None:
        return faust.SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            mechanism=settings.sasl_mechanism,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ssl_cafile)
    if settings.ssl_certfile:
        password = settings.ssl_keyfile_password
        context.load_cert_chain(
            settings.ssl_certfile, settings.ssl_keyfile, password.get_secret_value() if password else None
        )
    return context
