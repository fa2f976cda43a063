"""A real Apache Kafka as a child process: one KRaft node, in a folder of its own, on the loopback interface.

    {folder}/broker.json         which process, since when, on which port
    {folder}/broker.log          what Kafka warns of
    {folder}/data/               topics, offsets and transactions; kept from run to run
    {folder}/server.properties   written anew at every start

stopped ──start──▶ starting ──metadata answered by *our* cluster──▶ running ──SIGTERM──▶ stopped
                       └── process ended, or 60 s passed ──▶ Declined, with the end of its log
"""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from infra import process
from infra.broker_config import LOOPBACK, PORT_DEFAULT, Proxied, free_port, is_free, server_properties
from infra.kafka_install import install, java_command
from streams.errors import Declined

START_DEADLINE_S = 60.0
STOP_GRACE_S = 30.0
GROUPS_S = 5.0
"""How long to wait for an answer about groups, before it is asked for again."""

PORT_DEADLINE_S = 3.0


@dataclass(frozen=True, slots=True)
class BrokerState:
    """What ``broker.json`` says of the folder's newest broker, whether or not it still runs."""

    pid: int
    created_s: float  # start of the process, seconds since the Unix epoch: with the pid it names the process for good
    port: int
    folder: str

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""
        return f"{LOOPBACK}:{self.port}"


class EmbeddedBroker:
    """One Kafka node on a folder. Starting the same folder again finds its topics; the same object, on the same port.

    Parameters
    ----------
    folder
        Where the broker's data lies; made at the first start.
    port
        None: the folder's port of last time, else 9092, else any free port. 0: any free port. A number: that one.
    proxies
        Further listeners by name, each for a proxy before the broker (see ``server_properties``).

    Raises
    ------
    Declined
        From ``start``: the folder's broker runs already, the port asked for is taken, Kafka cannot be installed, or
        the broker ended while starting.
    """

    def __init__(self, folder: Path, port: int | None = None, *, proxies: Mapping[str, Proxied] | None = None) -> None:
        self.folder, self.port, self._proxies = folder.resolve(), port, proxies

    @property
    def log(self) -> Path:
        """The file Kafka's warnings and errors go to."""
        return self.folder / "broker.log"

    def start(self, *, detached: bool = False) -> BrokerState:
        """Start, and return once the broker answers. It dies with this process unless ``detached``."""
        running = self.running()
        if running:
            raise Declined(
                f"a broker runs on this folder already, at {running.bootstrap_servers}",
                where=str(self.folder),
                remedy="use it, or `riverrun broker stop` first",
            )
        kafka = install(_train)
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data"
        new = not data.exists()
        if new:
            _format(java_command(kafka), data)
        state = self._launch(java_command(kafka), detached=detached, new=new)
        self.port = state.port  # if it dies and is started again: its clients wait for it there
        return state

    def stop(self) -> bool:
        """Stop the folder's broker, whoever started it; False if none runs."""
        state = self._state()
        found = state and process.find(state.pid, state.created_s)
        if not found:
            return False
        process.stop(found, STOP_GRACE_S)
        return True

    def running(self) -> BrokerState | None:
        """The folder's running broker."""
        state = self._state()
        return state if state and process.find(state.pid, state.created_s) else None

    def _launch(self, java: list[str], *, detached: bool, new: bool) -> BrokerState:
        port = self._choose_port()
        properties = self.folder / "server.properties"
        properties.write_text(server_properties(self.folder / "data", port, free_port(), self._proxies))
        self.log.unlink(missing_ok=True)  # each run has its own log
        child = process.spawn(
            [*java, "kafka.Kafka", properties], name="the Kafka broker", log=self.log, tether=not detached
        )
        state = BrokerState(child.pid, process.create_time_s(child.pid), port, str(self.folder))
        _write_whole(self.folder / "broker.json", json.dumps(asdict(state)) + "\n")
        try:
            _wait_until_ready(child, state.bootstrap_servers, _cluster_id(self.folder / "data"), self.log, new)
        except BaseException:
            process.stop(child, STOP_GRACE_S)
            raise
        child.returncode = 0  # from here the folder's state file stands for it; Popen need not warn that it still runs
        return state

    def _choose_port(self) -> int:
        state = self._state()
        ours = state.port if state else None
        if self.port:
            if not (_becomes_free(self.port) if self.port == ours else is_free(self.port)):
                raise Declined(
                    f"port {self.port} is taken", where=LOOPBACK, remedy="name another, or none to have one chosen"
                )
            return self.port
        if self.port is None and ours and _becomes_free(ours):
            return ours
        return PORT_DEFAULT if self.port is None and is_free(PORT_DEFAULT) else free_port()

    def _state(self) -> BrokerState | None:
        try:
            return BrokerState(**json.loads((self.folder / "broker.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):  # none yet, or one that a power cut left empty
            return None


@contextmanager
def embedded_broker(folder: Path, port: int | None = None) -> Iterator[str]:
    """A broker for the length of a ``with`` block; gives its bootstrap servers."""
    broker = EmbeddedBroker(folder, port)
    state = broker.start()
    try:
        yield state.bootstrap_servers
    finally:
        broker.stop()


def new_cluster_id(draw: Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """A random id as Kafka writes them. None begins with "-", which Kafka's tools would take for an option.

    >>> ids = iter([uuid.UUID(int=0xF8 << 120), uuid.UUID(int=1)])
    >>> new_cluster_id(lambda: next(ids))
    'AAAAAAAAAAAAAAAAAAAAAQ'
    """
    while (text := base64.urlsafe_b64encode(draw().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _format(java: list[str], data: Path) -> None:
    """Write a new cluster's identity: into a folder that gets its name when it is whole."""
    cluster_id = new_cluster_id()
    with tempfile.TemporaryDirectory(dir=data.parent) as scratch:
        properties, fresh = Path(scratch) / "server.properties", Path(scratch) / "data"
        properties.write_text(server_properties(fresh, PORT_DEFAULT, PORT_DEFAULT + 1))
        command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Declined(
                f"Kafka cannot format its data folder: {(done.stdout + done.stderr)[-1_000:]}",
                where=str(data),
                remedy="check that the disk has room and is writable",
            )
        fresh.rename(data)


def _train(kafka: Path, startup_cache: Path) -> None:
    """Run a broker once, so that the JVM writes down the classes it loads. Without, starts are slower and work."""
    with tempfile.TemporaryDirectory(dir=startup_cache.parent) as scratch:
        broker = EmbeddedBroker(Path(scratch), port=0)
        java = java_command(kafka, train=startup_cache)
        _format(java_command(kafka), broker.folder / "data")
        broker._launch(java, detached=False, new=False)
        broker.stop()
    startup_cache.touch()


def _cluster_id(data: Path) -> str:
    lines = (data / "meta.properties").read_text().splitlines()
    return next(line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id="))


def _wait_until_ready(
    child: subprocess.Popen[bytes], bootstrap_servers: str, cluster_id: str, log: Path, new: bool
) -> None:
    """Wait until it answers; one that is new also for groups, whose topic it makes when first asked for a group. Who
    joined one meanwhile would be sent away, and librdkafka takes 3 s to come again.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    quiet = logging.Logger("riverrun.broker.start", level=logging.CRITICAL + 1)
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "reconnect.backoff.max.ms": 100}, logger=quiet)

    def answers() -> bool:
        if child.poll() is not None:
            raise _failed(f"the Kafka broker ended with status {child.returncode} while starting", log)
        try:
            if admin.list_topics(timeout=0.5).cluster_id != cluster_id:
                return False
            return not new or _serves_groups(admin)
        except (KafkaException, TimeoutError):  # the latter where no answer about groups comes
            return False

    try:
        _waiting(START_DEADLINE_S)(answers)
    except RetryError:
        raise _failed(f"the Kafka broker does not answer after {START_DEADLINE_S:.0f} s", log) from None


def _serves_groups(admin: Any) -> bool:
    admin.describe_consumer_groups(["any"], request_timeout=GROUPS_S)["any"].result(timeout=2 * GROUPS_S)
    return not admin.list_consumer_groups(request_timeout=GROUPS_S).result(timeout=2 * GROUPS_S).errors


def _becomes_free(port: int) -> bool:
    """Clients wait for the broker at its port, and one that was killed holds it for a moment more."""
    try:
        return _waiting(PORT_DEADLINE_S)(is_free, port)
    except RetryError:
        return False


def _waiting(deadline_s: float) -> Retrying:
    return Retrying(
        stop=stop_after_delay(deadline_s), wait=wait_fixed(0.05), retry=retry_if_result(lambda answer: not answer)
    )


def _failed(what: str, log: Path) -> Declined:
    end = log.read_text(errors="replace")[-2_000:].strip()
    return Declined(f"{what}; its log ends:\n{end}", where=str(log), remedy="mend what the log says, then start again")


def _write_whole(path: Path, text: str) -> None:
    scratch = path.with_suffix(f".{time.monotonic_ns()}.tmp")
    scratch.write_text(text)
    scratch.replace(path)
