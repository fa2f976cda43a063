"""The embedded broker's settings and ports. Everything listens on 127.0.0.1 alone."""

from __future__ import annotations

import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
PORT_DEFAULT = 9092
_LONG_MAX = 2**63 - 1
_INT_MAX = 2**31 - 1


def server_properties(data: Path, port: int, controller_port: int) -> str:
    """Kafka's ``server.properties`` for one node that is broker and controller.

    Examples
    --------
    >>> "log.retention.ms=-1" in server_properties(Path("data"), 9092, 9093).splitlines()
    True
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
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
        "log.cleaner.dedupe.buffer.size": 16 * 2**20,  # the default takes a third of the heap
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


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
