"""The embedded broker's settings and ports. Everything listens on 127.0.0.1 alone."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

LOOPBACK = "127.0.0.1"
PORT_DEFAULT = 9092
_LONG_MAX = 2**63 - 1
_INT_MAX = 2**31 - 1


class Proxied(NamedTuple):
    """The two ends of a proxy before the broker: where the broker listens for it, and where its clients find it."""

    listen_port: int
    advertised_port: int


def server_properties(data: Path, port: int, controller_port: int, proxies: Mapping[str, Proxied] | None = None) -> str:
    """Kafka's ``server.properties`` for one node that is broker and controller.

    ``proxies`` names further listeners (upper-case letters, digits, "_"). A client that came in by one of them is sent
    back to its proxy for everything: Kafka's clients follow what is advertised, not where they began.

    Examples
    --------
    >>> "log.retention.ms=-1" in server_properties(Path("data"), 9092, 9093).splitlines()
    True
    >>> by_proxy = server_properties(Path("data"), 9092, 9093, {"WORKER_1": Proxied(7001, 7002)}).splitlines()
    >>> [line for line in by_proxy if line.startswith("advertised")]
    ['advertised.listeners=PLAINTEXT://127.0.0.1:9092,WORKER_1://127.0.0.1:7002']
    """
    proxies = proxies or {}
    listens = {"PLAINTEXT": port} | {name: proxied.listen_port for name, proxied in proxies.items()}
    advertised = {"PLAINTEXT": port} | {name: proxied.advertised_port for name, proxied in proxies.items()}
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": _addresses({**listens, "CONTROLLER": controller_port}),
        "advertised.listeners": _addresses(advertised),
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in (*listens, "CONTROLLER")),
        "log.dirs": data.as_posix(),
        "auto.create.topics.enable": "false",  # a misspelt topic is an error, not a new topic
        # One node, so one replica; few partitions, so that the first group or transaction need not wait for fifty.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 8,
        # Records carry event time: data of 2013 is neither expired nor cut into a segment a week, and a clock that is
        # ahead is the pipeline's business. A group that is away for months finds its offsets again.
        "log.retention.ms": -1,
        "log.roll.ms": _LONG_MAX,
        "log.message.timestamp.after.max.ms": _LONG_MAX,
        "offsets.retention.minutes": _INT_MAX,
        "message.max.bytes": 16 * 2**20,
        "replica.fetch.max.bytes": 16 * 2**20,
        # Quick to form a group, to notice a dead worker and to end a transaction that timed out.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
        # A broker that was killed registers again once the session it had is over: of 13 s that it took, 9 were these.
        "broker.session.timeout.ms": 3_000,
        "broker.heartbeat.interval.ms": 500,
        "log.cleaner.dedupe.buffer.size": 16 * 2**20,  # the default takes a third of the heap
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in ports.items())


def is_free(port: int) -> bool:
    """Whether nobody listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Kafka does: TIME_WAIT does not count as taken
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
