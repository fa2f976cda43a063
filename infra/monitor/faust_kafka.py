"""Faust as the monitor needs it: told of our Kafka by our settings, and reading only what was committed."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TransportT
from yarl import URL

from infra.settings import Settings

MESSAGE_BYTES_MAX = 8 * 1024 * 1024
"""The largest message between the monitor and its own topics: a note is a record of at most 1 MiB, and its envelope."""

SESSION_TIMEOUT_S = 10.0
"""A monitor that is not heard of for so long has lost its place: another one takes over."""


class _Thread(driver.AIOKafkaConsumerThread):
    """Faust reads uncommitted records unless it writes in transactions, too; workers abort some now and then."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        return consumer


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):
    Consumer = _Consumer


class App(faust.App):
    """A Faust application that reads committed records only."""

    def _new_transport(self) -> TransportT:
        return _Transport(self.conf.broker_consumer, self)


def new_app(name: str, instance: str, settings: Settings, folder: Path) -> App:
    """An application of this name. ``instance`` is its fixed place in the group: who comes back takes it at once."""
    return App(
        name,
        broker=[URL(f"kafka://{server}") for server in settings.servers().split(",")],
        broker_credentials=credentials(settings),
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=3.0,
        broker_commit_every=100,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{name}-{instance}",
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
