"""The promise, on the example: after any crash everything is exactly what it would have been without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from infra.up import Up
from streams.records import OUTPUTS
from tests.end_to_end.flying import FLIGHTS, BrokerOf, Flown, fly

pytestmark = [pytest.mark.broker, pytest.mark.timeout(280)]


def test_the_undisturbed_run_predicts_learns_and_leaves_nothing_out(undisturbed: Flown) -> None:
    lengths = {name: sum(map(len, partitions)) for name, partitions in undisturbed.outputs.items()}
    assert lengths["features"] == lengths["predictions"] == 26_483  # departures in January
    outcomes = [msgspec.json.decode(value) for part in undisturbed.outputs["outcomes"] for _, _, value in part]
    assert sum(outcome["status"] == "scored" for outcome in outcomes) == 26_398
    assert lengths["rejects"] > 0
    assert lengths["metrics"] > 60
    assert not undisturbed.outputs["predictions"][2], "no airport's name falls on partition 2"


def test_killed_workers_change_nothing(undisturbed: Flown, own_broker: BrokerOf, tmp_path: Path) -> None:
    # records left   55,177 ........ 40,000 ........ 20,000 ........ 0
    # kill -9                        worker 2        worker 1
    due = [(40_000, 1), (20_000, 0)]
    killed: list[int] = []

    def kill(up: Up, lag: int) -> None:
        if due and lag < due[0][0]:
            running = up.workers[due.pop(0)[1]].running
            assert running is not None
            os.kill(running.pid, signal.SIGKILL)
            killed.append(running.wait())

    with own_broker("disturbed") as servers:
        disturbed = fly(servers, tmp_path, workers=2, disturb=kill)
    assert killed == [-signal.SIGKILL] * 2, "both were killed at work"
    for name in OUTPUTS:
        assert disturbed.outputs[name] == undisturbed.outputs[name], name
    assert disturbed.states == undisturbed.states


def rows(root: Path, table: str) -> str:
    """SQL for a table's rows with their place in the output, not their offset: transactions leave markers between."""
    files = f"'{root}/{table}/p=*/*.parquet', union_by_name=true, hive_partitioning=false"
    place = "row_number() OVER (PARTITION BY _partition ORDER BY _offset) AS place"
    return f"(SELECT * EXCLUDE (_offset), {place} FROM read_parquet({files}))"


def test_the_backtest_of_what_was_recorded_gives_the_live_rows_bit_for_bit(undisturbed: Flown, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "infra.cli",
        "backtest",
        str(FLIGHTS / "flights.py"),
        "--out",
        str(tmp_path / "out"),
    ]
    environment = {**os.environ, "RIVERRUN_HOME": str(undisturbed.home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "logistic" in done.stdout
    written = [name for name in OUTPUTS if any(undisturbed.outputs[name])]
    assert set(OUTPUTS) - set(written) == {"decisions"}, "nobody decided anything"
    for name in written:
        live, again = rows(undisturbed.parquet, name), rows(tmp_path / "out", name)
        count = duckdb.sql(f"SELECT count(*) FROM {live}").fetchall()[0][0]
        differing = f"(({live} EXCEPT ALL {again}) UNION ALL ({again} EXCEPT ALL {live}))"
        assert duckdb.sql(f"SELECT count(*) FROM {differing}").fetchall() == [(0,)], name
        assert count == sum(map(len, undisturbed.outputs[name])), f"{name}: each committed record is one row"


# testcontainers copies its start script into the running container, which may read it half-written and end at once.
@retry(stop=stop_after_attempt(4), retry=retry_if_exception_type((RuntimeError, OSError)), reraise=True)
def started_container() -> Any:
    """Kafka in a container, ready."""
    from testcontainers.community.kafka import KafkaContainer

    image = os.environ.get("KAFKA_IMAGE", "confluentinc/cp-kafka:8.1.0")
    kafka = KafkaContainer(image).with_kraft()
    kafka.with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
    kafka.with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
    try:
        return kafka.start()
    except (RuntimeError, OSError):
        kafka.stop()
        raise


@pytest.mark.container
def test_on_a_kafka_in_a_container_everything_is_the_same(undisturbed: Flown, tmp_path: Path) -> None:
    if not os.environ.get("DOCKER_HOST"):
        pytest.skip("no Docker-compatible engine: DOCKER_HOST is not set")
    kafka = started_container()
    try:
        contained = fly(kafka.get_bootstrap_server(), tmp_path, workers=1)
    finally:
        kafka.stop()
    for name in OUTPUTS:
        assert contained.outputs[name] == undisturbed.outputs[name], name
    assert contained.states == undisturbed.states
