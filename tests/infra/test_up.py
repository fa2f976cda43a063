"""``riverrun up`` as a supervisor: of its children, and of the broker that it started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from infra.broker import EmbeddedBroker
from infra.restarts import RESTARTS_MAX
from infra.settings import Settings
from infra.up import Child, Up
from streams.errors import PipelineError

pytestmark = pytest.mark.broker
TRIPS = Path("tests/streams/pipelines/trips.py")


@retry(stop=stop_after_delay(60), wait=wait_fixed(0.05), retry=retry_if_result(lambda met: not met))
def watched_until(up: Up, met: Callable[[], bool]) -> bool:
    up.watch()
    return met()


def kill(child: Child) -> int:
    assert child.running is not None
    child.running.kill()
    child.running.wait()
    return child.running.pid


def lives(child: Child) -> bool:
    return child.running is not None and child.running.poll() is None


def ending_child() -> Child:
    """One that ends as soon as it starts."""
    return Child("worker-9", ["no-such-command"])


def test_a_killed_broker_of_ours_comes_back_where_its_clients_wait(tmp_path: Path):
    settings = Settings(home=tmp_path)
    with Up(TRIPS, settings, broker=EmbeddedBroker(settings.broker_folder, port=0)) as up:
        before = up.broker.running()
        assert before is not None
        os.kill(before.pid, signal.SIGKILL)
        assert watched_until(up, lambda: up.broker_restarts is not None and up.broker_restarts.total == 1)
        after = up.broker.running()
        assert after is not None
        assert after.pid != before.pid
        assert after.port == before.port
        topics = AdminClient({"bootstrap.servers": after.bootstrap_servers}).list_topics(timeout=10).topics
        assert up.pipeline.topics.keys() <= topics.keys()
    assert up.broker.running() is None, "it ends with us"


def test_a_broker_that_ran_before_us_is_left_alone(tmp_path: Path):
    settings = Settings(home=tmp_path)
    others = EmbeddedBroker(settings.broker_folder, port=0)
    others.start()
    try:
        with Up(TRIPS, settings) as up:
            assert up.broker_restarts is None
        assert others.running() is not None
    finally:
        others.stop()


def test_a_child_that_waits_for_its_restart_does_not_hold_up_the_others(tmp_path: Path, broker: str):
    with Up(TRIPS, Settings(home=tmp_path, bootstrap_servers=broker)) as up:
        up.workers.append(ending := ending_child())
        up._start(ending)
        watched_until(up, lambda: ending.restarts.total == 4)  # the next start is 4 s away
        killed = kill(up.sink)
        began_s = time.monotonic()
        assert watched_until(up, lambda: up.sink.restarts.total == 1 and lives(up.sink))
        assert time.monotonic() - began_s < 2
        assert up.sink.running is not None
        assert up.sink.running.pid != killed
        assert not lives(ending)


def test_what_died_too_often_is_given_up(tmp_path: Path, broker: str):
    with Up(TRIPS, Settings(home=tmp_path, bootstrap_servers=broker)) as up:
        up.workers.append(ending := ending_child())
        ending.restarts.deaths_s = [time.monotonic()] * RESTARTS_MAX
        up._start(ending)
        with pytest.raises(PipelineError, match=r"worker-9 ended 11 times in a row, last with code 2") as raised:
            watched_until(up, lambda: False)
        assert "No such command" in str(raised.value), "its last words"


def test_a_child_has_our_settings_and_variables_of_its_own(tmp_path: Path, broker: str):
    up = Up(TRIPS, Settings(home=tmp_path, bootstrap_servers=broker))
    up.workers[0].env["RIVERRUN_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    with up:
        seen = {name: environment(pid) for name, pid in pids(up).items()}
    assert {name: each["RIVERRUN_BOOTSTRAP_SERVERS"] for name, each in seen.items()} == {
        "sink": broker,
        "worker-1": "127.0.0.1:1",
    }
    assert {each["RIVERRUN_HOME"] for each in seen.values()} == {str(tmp_path)}


@retry(stop=stop_after_delay(10), wait=wait_fixed(0.01), retry=retry_if_result(lambda seen: not seen))
def environment(pid: int) -> dict[str, str]:
    """Of a child. It has none for a moment while it becomes its program."""
    return psutil.Process(pid).environ()


def pids(up: Up) -> dict[str, int]:
    return {child.name: child.running.pid for child in up.children if child.running}


def test_the_monitor_is_a_child_that_nothing_depends_on(tmp_path: Path, broker: str):
    with Up(TRIPS, Settings(home=tmp_path, bootstrap_servers=broker), monitor_port=0) as up:
        monitor = up.monitor
        assert monitor is not None
        watched_until(up, lambda: "http://127.0.0.1:" in (up.logs / "monitor.log").read_text())
        killed = kill(monitor)
        assert watched_until(up, lambda: monitor.restarts.total == 1 and lives(monitor))
        assert monitor.running is not None
        assert monitor.running.pid != killed
        monitor.restarts.deaths_s = [time.monotonic()] * RESTARTS_MAX
        kill(monitor)
        assert watched_until(up, lambda: monitor.done), "it is given up"
        assert all(lives(child) for child in up.children if child is not monitor)
