"""What tests of faults share: the orders with all roles, when all is well, and a kill."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.infra.prometheus.running import ORDERS, Up
from tests.infra.prometheus.scraping import Prometheus

ALL_UP = {"up": "up", "sink-1": "up", "worker-1": "up", "monitor-1": "up"}


def orders(home: Path, servers: str, name: str, pause_s: float = 0.0, before: tuple[str, ...] = (), **env: str) -> Up:
    """The pipeline under a name of its own."""
    more = {"ORDERS_NAME": name, "ORDERS_PAUSE_S": str(pause_s), **env}
    return Up(ORDERS, home, servers, env=more, before=before)


def until_well(seen: Prometheus, score: str = "pipeline_model_score:riverrun_champion_score:avg") -> None:
    """Wait until all processes are up and the champion has learned. Nothing has fired until then."""
    seen.until(lambda: seen.up() == ALL_UP and seen.query(f"{score}{{score='accuracy'}} > 0.9"))
    assert not seen.fired(), "all is well"


def kill(seen: Prometheus, up: Up, role: str) -> None:
    """kill -9, and wait until there is another one."""
    killed = up.role(role)
    assert killed is not None
    killed.send_signal(signal.SIGKILL)
    seen.until(lambda: (process := up.role(role)) is not None and process.pid != killed.pid)
