"""A real Prometheus scrapes the demo: a month of flights, with all roles, by the rules as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.broker import embedded_broker
from tests.end_to_end.flying import FLIGHTS
from tests.infra.prometheus.packaged import EXPRESSIONS, RECORDED
from tests.infra.prometheus.running import Up
from tests.infra.prometheus.scraping import Prometheus, needed

pytestmark = [pytest.mark.broker, needed]

NOT_IN_THE_DEMO = (
    "riverrun_checkpoint_failures",  # needs a fault, like the next three
    "riverrun_process_restarts",
    "riverrun_rebuilds",
    "riverrun_recovery_remaining_records",
    "riverrun_alert_lasts",  # needs an alert that the pipeline declares
    "riverrun_model_sliding_score:avg1d",  # needs half an hour
)
ASKED = [each for each in (*RECORDED, *EXPRESSIONS) if not any(name in each for name in NOT_IN_THE_DEMO)]


def test_prometheus_finds_all_processes_of_the_demo_and_sees_what_rules_and_dashboard_ask_for(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = ["--source", str(FLIGHTS / "source.py"), "--speed", "60000"]  # a month in three quarters of a minute
    with (
        embedded_broker(tmp_path_factory.mktemp("broker"), port=0) as servers,
        Up(FLIGHTS / "flights.py", tmp_path, servers, *source, env={"FLIGHTS_MONTHS": "1"}),
        Prometheus(tmp_path, haste=False) as seen,
    ):
        names = ["up", "sink-1", "worker-1", "source-flights", "monitor-1"]
        seen.until(lambda: seen.up() == dict.fromkeys(names, "up"))
        seen.until(lambda: not [each for each in ASKED if not seen.query(each)])
        seen.until(lambda: "source-flights" not in seen.up())  # it has sent all, and left in order
        seen.until(lambda: seen.query("pipeline:riverrun_lag_records:sum < 10"))
        assert seen.fired() <= {"RiverrunDrift"}, "all is well, though flights do drift"
