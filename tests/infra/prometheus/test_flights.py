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

NEEDS_A_FAULT = {
    "pipeline_task:riverrun_checkpoint_failures:increase15m",
    "pipeline_instance:riverrun_rebuilds:increase15m",
    "pipeline_role:riverrun_process_restarts:increase15m",
}
NEEDS_HALF_AN_HOUR = {"pipeline_model_score:riverrun_model_sliding_score:avg1d"}


def test_prometheus_finds_all_processes_of_the_demo_and_sees_what_rules_and_dashboard_ask_for(tmp_path: Path) -> None:
    with embedded_broker(tmp_path / "broker", port=0) as servers:
        home, flights = tmp_path / "home", FLIGHTS / "flights.py"
        source = ["--source", str(FLIGHTS / "source.py"), "--speed", "60000"]  # a month in three quarters of a minute
        with Up(flights, home, servers, *source, env={"FLIGHTS_MONTHS": "1"}), Prometheus(home, haste=False) as seen:
            names = ["up", "sink-1", "worker-1", "source-flights", "monitor-1"]
            seen.until(lambda: seen.up() == dict.fromkeys(names, "up"))
            expected = set(RECORDED) - NEEDS_A_FAULT - NEEDS_HALF_AN_HOUR
            seen.until(lambda: expected <= {name for name in RECORDED if seen.query(name)})
            seen.until(lambda: "source-flights" not in seen.up())  # it has sent all, and left in order
            seen.until(lambda: seen.query("pipeline:riverrun_lag_records:sum < 10"))
            empty = [each for each in EXPRESSIONS if not seen.query(each)]
            assert not [each for each in empty if not any(name in each for name in NEEDS_A_FAULT)]
            assert seen.fired() <= {"RiverrunDrift"}, "all is well, though flights do drift"
