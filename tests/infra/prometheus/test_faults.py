"""Each alert is made to fire by its fault, on the real processes of `riverrun up`, by a real Prometheus.

The rules are the real ones with their durations shortened (scraping.py).
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.infra.prometheus.running import ORDERS, Feed, Up
from tests.infra.prometheus.scraping import Prometheus, needed

pytestmark = [pytest.mark.broker, needed]
ALL_UP = {"up": "up", "sink-1": "up", "worker-1": "up", "monitor-1": "up"}


def orders(home: Path, servers: str, name: str, pause_s: float = 0.0, before: tuple[str, ...] = (), **env: str) -> Up:
    """The pipeline under a name of its own."""
    more = {"ORDERS_NAME": name, "ORDERS_PAUSE_S": str(pause_s), **env}
    return Up(ORDERS, home, servers, env=more, before=before)


def test_what_is_wrong_with_records_labels_and_models(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # labels   right ............. by chance ............. none
    # fires    nothing             ScoreFell, Drift        NoLabels; with wrong records Rejects, AlertLasts
    with (
        orders(tmp_path, broker, fresh_name),
        Prometheus(tmp_path) as seen,
    ):
        seen.until(lambda: seen.up() == ALL_UP)
        with Feed(broker, fresh_name) as feed:
            seen.until(lambda: seen.query('pipeline_model_score:riverrun_model_sliding_score:avg1d{score="accuracy"}'))
            assert not seen.fired(), "all is well"
            feed.labels = "chance"
            seen.until_fires("RiverrunScoreFell", "RiverrunDrift")
            assert seen.fired() == {"RiverrunScoreFell", "RiverrunDrift"}
            feed.labels, feed.wrong = "none", 10
            seen.until_fires("RiverrunNoLabels", "RiverrunRejects", "RiverrunAlertLasts")
        only = {"ScoreFell", "Drift", "NoLabels", "Rejects", "AlertLasts"}
        assert seen.fired() == {f"Riverrun{name}" for name in only}


def test_what_is_wrong_with_processes(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # feed     more than it can do ......
    # worker   slow ..................... │ killed, killed, killed │ replays all
    # fires    LagGrows                     ProcessDown, ProcessRestarts   RecoveryLong
    name = fresh_name
    with (
        orders(tmp_path, broker, name, pause_s=0.02, ORDERS_CHECKPOINT_EVERY="1000000000") as up,
        Prometheus(tmp_path) as seen,
        Feed(broker, name, events=50) as feed,
    ):
        seen.until(lambda: seen.up() == ALL_UP)
        seen.until_fires("RiverrunLagGrows")
        feed.events = 1
        for _ in range(3):
            kill(seen, up, "worker")
        seen.until_fires("RiverrunProcessDown", "RiverrunProcessRestarts", "RiverrunRecoveryLong")
        only = {"LagGrows", "ProcessDown", "ProcessRestarts", "RecoveryLong"}
        assert seen.fired() == {f"Riverrun{alert}" for alert in only}


def kill(seen: Prometheus, up: Up, role: str) -> None:
    """kill -9, and wait until there is another one."""
    killed = up.role(role)
    assert killed is not None
    killed.send_signal(signal.SIGKILL)
    seen.until(lambda: (process := up.role(role)) is not None and process.pid != killed.pid)
