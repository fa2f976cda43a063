"""A real Prometheus on the files that `riverrun prometheus` writes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from infra import process
from infra.broker_config import free_port
from infra.prometheus.files import write_files
from infra.prometheus.targets import folder

HASTE = 150
"""All durations in the rules are divided by it: an hour is 24 s. A day is as short as two hours."""

WINDOW_S_MIN = 8.0
"""No window is shorter: it has to hold some scrapes, on a busy machine too."""

SCRAPE_MS = 500
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 2 * 3_600}
needed = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="there is no Prometheus: `apt-get install prometheus` brings one",
)


def hastened(rules: str) -> str:
    """The rules with every duration divided by HASTE: windows, offsets, `for`, and seconds written as `5 * 60`.

    What is left of a window, or of the age of a series that stands for one, is WINDOW_S_MIN at the least.

    >>> hastened("sum(increase(x[1h] offset 30m) or x_created > time() - 60 * 60) > 1 * 60")
    'sum(increase(x[24000ms] offset 12000ms) or x_created > time() - 24.0) > 0.4'
    >>> hastened("for: 5m"), hastened("increase(x[5m]) or x_created > time() - 5 * 60")
    ('for: 2000ms', 'increase(x[8000ms]) or x_created > time() - 8.0')
    """
    rules = re.sub(r"\[(\d+)([smhd])\]", lambda m: f"[{_ms(m, WINDOW_S_MIN)}]", rules)
    rules = re.sub(r"(?<=offset )(\d+)([smhd])\b", lambda m: _ms(m, 0.0), rules)
    rules = re.sub(r"(?<=for: )(\d+)([smhd])\b", lambda m: _ms(m, 0.0), rules)
    rules = re.sub(r"(?<=time\(\) - )(\d+) \* 60", lambda m: str(max(int(m[1]) * 60 / HASTE, WINDOW_S_MIN)), rules)
    return re.sub(r"(?<=> )(\d+) \* 60", lambda m: str(int(m[1]) * 60 / HASTE), rules)


def _ms(duration: re.Match[str], seconds_min: float) -> str:
    return f"{max(int(duration[1]) * _UNITS_S[duration[2]] / HASTE, seconds_min) * 1000:.0f}ms"


class Prometheus:
    """Scrapes the processes of a home twice a second, from entering to leaving it; ``haste``: with hastened rules."""

    def __init__(self, home: Path, haste: bool = True) -> None:
        self.folder, self.port = folder(home), free_port()
        write_files(self.folder)
        for rules in self.folder.glob("rules/*.yml") if haste else ():
            rules.write_text(hastened(rules.read_text()))
        config = self.folder / "prometheus.yml"
        config.write_text(
            re.sub(r"(scrape|evaluation)_interval: 15s", rf"\1_interval: {SCRAPE_MS}ms", config.read_text())
        )
        self.log = self.folder / "log"
        options = [f"--config.file={config}", f"--storage.tsdb.path={self.folder / 'data'}"]
        command = ["prometheus", *options, f"--web.listen-address=127.0.0.1:{self.port}"]
        self._process = process.spawn(command, name="prometheus", log=self.log)

    def __enter__(self) -> Prometheus:
        self.until(lambda: self.asked("/-/ready") is not None)
        return self

    def __exit__(self, *_: object) -> None:
        process.stop(self._process, 20)

    def asked(self, path: str, **parameters: str) -> str | None:
        """What it answers; None if it does not."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}?{urlencode(parameters)}", timeout=20) as answer:
                return str(answer.read().decode())
        except HTTPError as error:
            with error:
                said = error.read().decode()
            if error.code != 503:
                raise AssertionError(said) from error
            return None  # it is not ready
        except (URLError, ConnectionError):
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an expression, now."""
        said = self.asked("/api/v1/query", query=expression)
        assert said is not None, self.log.read_text()[-3_000:]
        found: list[dict[str, Any]] = json.loads(said)["data"]["result"]
        return found

    def up(self) -> dict[str, str]:
        """Instance of each target that is known -> how it is: "up", "down" or "unknown"."""
        targets = json.loads(self.asked("/api/v1/targets", state="active") or "{}")["data"]["activeTargets"]
        return {target["labels"]["instance"]: target["health"] for target in targets}

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        return {each["metric"]["alertname"] for each in self.query('ALERTS{alertstate="firing"}')}

    def fired(self) -> set[str]:
        """The alerts that have ever fired."""
        ever = self.query('count_over_time(ALERTS{alertstate="firing"}[1h])')
        return {each["metric"]["alertname"] for each in ever}

    def until_fires(self, *alerts: str, deadline_s: float = 90.0) -> None:
        """Wait until these have fired, each at some time."""
        self.until(lambda: self.fired() >= set(alerts), deadline_s)

    def until(self, condition: Callable[[], Any], deadline_s: float = 90.0) -> None:
        """Wait on a condition."""
        again = Retrying(stop=stop_after_delay(deadline_s), wait=wait_fixed(0.25), retry=retry_if_result(_not))
        try:
            again(condition)
        except RetryError:
            raise AssertionError(f"not within {deadline_s:.0f} s: {self._state()}") from None

    def _state(self) -> str:
        known = self.query("ALERTS or {__name__=~'pipeline.*:.*'} or up")
        lines = [f"{each['metric']} {each['value'][1]}" for each in known]
        return "\n".join([*lines, f"fired: {sorted(self.fired())}", self.log.read_text()[-2_000:]])


def _not(met: Any) -> bool:
    return not met
