"""`riverrun up` as a child process, as anybody would start it, and what feeds it."""

from __future__ import annotations

import json
import math
import random
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Producer

from connectors.kafka_reader import quiet
from infra import process

ORDERS = Path(__file__).parent / "pipelines" / "orders.py"
T0_MS = 1_700_000_000_000


class Up:
    """A pipeline with all its roles, from entering to leaving it. ``before`` is put in front of the command."""

    def __init__(
        self,
        file: Path,
        home: Path,
        servers: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> None:
        self.log = home / "up.log"
        command = [*before, sys.executable, "-m", "infra.cli", "up", str(file), *arguments]
        command += ["--metrics-port", "0", "--monitor-port", "0"]
        ours = {"RIVERRUN_HOME": str(home), "RIVERRUN_BOOTSTRAP_SERVERS": servers, **(env or {})}
        self._process = process.spawn(command, name="riverrun up", log=self.log, env=ours)

    def __enter__(self) -> Up:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """In order."""
        process.stop(self._process, 60)

    def role(self, name: str) -> psutil.Process | None:
        """The process that runs a role now; None while there is none."""
        assert self._process.poll() is None, self.log.read_text()[-3_000:]
        for child in psutil.Process(self._process.pid).children(recursive=True):
            try:
                command = child.cmdline()
            except psutil.NoSuchProcess:
                continue
            if command[1:3] == ["-m", "infra.cli"] and name in command:  # one that is still to become it names it later
                return child
        return None


class Feed:
    """Sends orders and their sums, four times a second, from entering to leaving it.

    ``events`` are sent at a time, with ``labels`` that are "right", "chance" or "none", and ``wrong`` that are no JSON.
    """

    def __init__(self, servers: str, name: str, events: int = 40) -> None:
        self.events, self.labels, self.wrong = events, "right", 0
        self._name, self._draw, self._sent, self._at_ms = name, random.Random(1), 0, T0_MS
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 5}, logger=quiet)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.25):
            for _ in range(self.events):
                self._order()
            for _ in range(self.wrong):
                self._put("orders", b"no JSON")
            self._producer.flush(10)

    def _order(self) -> None:
        self._sent += 1
        self._at_ms += 1_000
        x = self._draw.gauss(0, 1)
        x += math.copysign(1, x)  # large or not, clearly: the model is right from the first few on, which is no drift
        named = {"id": f"order {self._sent}", "shop": "a", "at_ms": self._at_ms}
        self._put("orders", json.dumps(named | {"x": x}).encode())
        large = x > 0 if self.labels == "right" else self._draw.random() < 0.5
        if self.labels != "none":
            self._put("sums", json.dumps(named | {"large": large}).encode(), delay_ms=500)

    def _put(self, what: str, value: bytes, delay_ms: int = 0) -> None:
        self._producer.produce(f"{self._name}-{what}", value, "a", 0, timestamp=self._at_ms + delay_ms)


def hold_open(servers: str, topic: str) -> Any:
    """A producer that has a transaction open on a topic's first partition."""
    config = {"bootstrap.servers": servers, "transactional.id": f"{topic}-open", "transaction.timeout.ms": 600_000}
    producer = Producer(config, logger=quiet)
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"{}", "a", 0, timestamp=T0_MS)
    producer.flush(20)
    return producer
