"""A monitor as a process, asked as anybody would ask it."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import msgspec
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from connectors.kafka_scan import scan
from infra import process
from infra.monitor.control_plane import app_name
from infra.monitor.picture import Picture
from streams.pipeline import Pipeline
from streams.records import MetricsRecord
from tests.faults.real import Real

TOKEN = "a token that is long enough"


class Monitor:
    """Started at once; ``log`` is its output."""

    def __init__(
        self, real: Real, instance: str = "1", arguments: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> None:
        self.log = real.home / f"monitor-{instance}-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "infra.cli", "monitor", str(real.file), "--id", instance, "--port", "0"]
        ours = {"RIVERRUN_HOME": str(real.home), "RIVERRUN_BOOTSTRAP_SERVERS": real.servers, **(env or {})}
        self.started_s = time.monotonic()
        self.process = process.spawn([*command, *arguments], name="monitor", log=self.log, env=ours)
        self.token: str | None = (env or {}).get("RIVERRUN_MONITOR_TOKEN")

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        process.stop(self.process, 20)

    @property
    def port(self) -> int | None:
        found = re.findall(r"http://\S+:(\d+)/", self.log.read_text())
        return int(found[-1]) if found else None  # where it began anew it has another one

    def ask(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
        """Status, what it says, and the headers. Status 0: nobody is there."""
        if self.port is None:
            return 0, None, {}
        said = {"X-Riverrun": "1"} if body is not None else {}
        said |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.port}{path}", data, {**said, **(headers or {})})
        try:
            with urlopen(request, timeout=40) as answer:
                return answer.status, _read(answer), answer.headers
        except HTTPError as error:
            with error:
                return error.code, _read(error), error.headers
        except (URLError, ConnectionError):
            return 0, None, {}

    def until(self, condition: Callable[[], Any], deadline_s: float = 60.0) -> Any:
        """Wait on a condition, while it lives."""

        def met() -> Any:
            assert self.process.poll() is None, self.log.read_text()[-3_000:]
            return condition()

        again = Retrying(stop=stop_after_delay(deadline_s), wait=wait_fixed(0.05), retry=retry_if_result(_not))
        try:
            return again(met)
        except RetryError:
            raise AssertionError(f"not within {deadline_s:.0f} s:\n{self.log.read_text()[-5_000:]}") from None

    def until_ready(self) -> float:
        """Seconds from its start until it was ready."""
        self.until(lambda: self.ask("/healthz")[0] == 200)
        return time.monotonic() - self.started_s

    def until_active(self) -> None:
        self.until(lambda: (self.ask("/healthz")[1] or {}).get("active"))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)


def _read(answer: Any) -> Any:
    text = answer.read().decode()
    return json.loads(text) if "json" in (answer.headers["Content-Type"] or "") else text


def _not(met: Any) -> bool:
    return not met


def saved(pipeline: Pipeline, config: dict[str, Any]) -> Picture:
    """The picture as the table's changelog has it: what the next monitor finds."""
    table: dict[str, bytes] = {}
    for record in scan(config, f"{app_name([pipeline])}-pictures-changelog"):
        if record.value is None:
            table.pop(json.loads(record.key), None)
        else:
            table[json.loads(record.key)] = record.value
    return Picture(pipeline, table)


def publish(real: Real, reports: Sequence[MetricsRecord], output: str = "metrics") -> None:
    """Put them out as a worker does: in transactions, each of which was aborted once before."""
    producer = real.producer(**{"compression.type": "lz4"})
    for first in range(0, len(reports), 5):
        for commit in (False, True):
            producer.begin_transaction()
            for report in reports[first : first + 5]:
                wrong = {} if commit else {"pending_labels": 10**9}
                value = msgspec.json.encode(msgspec.structs.replace(report, **wrong))
                producer.produce(real.pipeline.topic(output), value, partition=report.task, timestamp=1_000)
            producer.flush(20)
            (producer.commit_transaction if commit else producer.abort_transaction)(20)


def until_served(log: Path, pipeline: Pipeline, windows: int) -> str:
    """The address of a monitor that `riverrun up` has started, once it has so many windows."""

    def served() -> str | None:
        found = re.search(r"http://\S+:\d+/", log.read_text() if log.exists() else "")
        if not found:
            return None
        try:
            with urlopen(f"{found[0]}api/pipelines/{pipeline.name}/windows?last=1000", timeout=20) as answer:
                return found[0] if len(_read(answer)["windows"]) >= windows else None
        except (URLError, ConnectionError):
            return None

    address: str = Retrying(stop=stop_after_delay(300), wait=wait_fixed(0.2), retry=retry_if_result(_not))(served) or ""
    return address
