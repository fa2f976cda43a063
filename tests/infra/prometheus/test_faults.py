"""Alerts are made to fire by their faults, on the real processes of `riverrun up`, by a real Prometheus.

The rules are the real ones with their durations shortened (scraping.py): here those on records, models, processes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.prometheus.faults import ALL_UP, kill, orders, until_well
from tests.infra.prometheus.running import Feed
from tests.infra.prometheus.scraping import Prometheus, needed

pytestmark = [pytest.mark.broker, needed]


def test_what_is_wrong_with_records_labels_and_models(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # labels   right ............. by chance ............. none
    # fires    nothing             ScoreFell, Drift        NoLabels; with wrong records Rejects, AlertLasts
    with orders(tmp_path, broker, fresh_name), Prometheus(tmp_path) as seen, Feed(broker, fresh_name) as feed:
        until_well(seen, "pipeline_model_score:riverrun_model_sliding_score:avg1d")
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
        seen.until(lambda: seen.query("sum(riverrun_predictions_total) > 1000"))  # 20 s to replay
        feed.events = 1
        for _ in range(3):
            kill(seen, up, "worker")
        seen.until_fires("RiverrunProcessDown", "RiverrunProcessRestarts", "RiverrunRecoveryLong")
        only = {"LagGrows", "ProcessDown", "ProcessRestarts", "RecoveryLong"}
        assert seen.fired() == {f"Riverrun{alert}" for alert in only}
