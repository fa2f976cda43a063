"""``riverrun status`` and ``riverrun top`` show what the monitor knows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from infra.monitor.client import Client
from infra.settings import Settings
from streams.errors import BrokerUnreachable, Declined
from tests.faults.real import Real
from tests.infra.monitor.notes import reports
from tests.infra.monitor.running import TOKEN, Monitor, publish


def riverrun(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "infra.cli", *arguments]


def said(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(riverrun(*arguments), env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.broker
def test_status_and_top_show_tasks_and_models(real: Callable[..., Real]) -> None:
    made, env = real(partitions=2), {"RIVERRUN_MONITOR_TOKEN": TOKEN, "COLUMNS": "160"}
    publish(made, reports(5))
    with Monitor(made, env=env) as monitor:
        monitor.until(lambda: "logistic" in json.dumps(monitor.ask(f"/api/pipelines/{made.name}")[1]))
        url, ours = f"http://127.0.0.1:{monitor.port}", {**os.environ, **env}
        done = said(ours, "status", "--url", url)
        assert done.returncode == 0, done.stderr
        for word in (made.name, "logistic", "champion", "accuracy"):
            assert word in done.stdout
        whole = said(ours, "status", "--json", "--url", url)
        assert [each["name"] for each in json.loads(whole.stdout)] == [made.name]
        wrong = said(dict(os.environ), "status", "--url", url)
        assert (wrong.returncode, "no token" in wrong.stderr) == (2, True)
        with subprocess.Popen(riverrun("top", "--url", url), env=ours, stdout=subprocess.PIPE, text=True) as top:
            assert top.stdout is not None
            while "logistic" not in (line := top.stdout.readline()):
                assert line, "it has ended"
            top.send_signal(signal.SIGTERM)
            top.stdout.read()
        assert top.returncode == 0


def test_who_is_not_there_and_what_is_no_monitor_is_said() -> None:
    settings = Settings(bootstrap_servers="kafka:9092")
    with pytest.raises(BrokerUnreachable, match="no monitor answers"):
        Client("http://127.0.0.1:1", settings).pipelines()
    with pytest.raises(Declined, match="not the address"):
        Client("file:///etc/passwd", settings)
