"""Alerts of a real monitor on a real broker, with real workers: told, acted on, over, and each once."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec
import pytest

from connectors.kafka_scan import scan
from connectors.warehouse import query
from infra import process
from infra.decisions import answers
from streams.records import AlertRecord
from tests.faults.real import Real
from tests.infra.monitor.running import Monitor

pytestmark = pytest.mark.broker

IMPORTS = "from streams import Alert, measures\n"
OPTIONS = """checkpoint_every=400,
    sliding_periods=10_000,
    alerts=[Alert("bad input", measures.rejects(), above=0.2, pauses=True)]"""


def declared(real: Callable[..., Real]) -> Real:
    return real(partitions=2, imports=IMPORTS, options=OPTIONS)


def send(made: Real, minutes: int, bad: bool) -> None:
    """So many minutes of events in both partitions, each minute followed by records that are none."""
    for _ in range(minutes):
        made.publish(60)  # a second each
        if bad:
            made.publish_wrong(60)


def told(made: Real) -> list[AlertRecord]:
    decode = msgspec.json.Decoder(AlertRecord).decode
    return [decode(record.value) for record in scan(made.config, made.pipeline.topic("alerts"))]


def decided(made: Real) -> list[tuple[str, int, bool]]:
    """Action, task, whether obeyed: by task."""
    found = [(each.action, each.task, each.obeyed) for each in answers(made.config, made.pipeline)]
    return sorted(found, key=lambda each: each[1])


def test_learning_is_paused_while_the_input_is_bad(real: Callable[..., Real]) -> None:
    made = declared(real)
    with Monitor(made) as monitor:
        monitor.until_active()
        made.worker("1")
        send(made, 2, bad=False)
        send(made, 3, bad=True)
        monitor.until(lambda: decided(made) == [("pause", 0, True), ("pause", 1, True)])
        path = f"/api/pipelines/{made.name}"
        monitor.until(lambda: monitor.ask(path)[1]["paused_tasks"] == [0, 1])
        assert monitor.ask(path)[1]["alerts"] == ["bad input"]
        monitor.kill()
    send(made, 3, bad=False)  # while nobody judges
    made.close()
    made.until_done()
    with Monitor(made) as monitor:
        both = [("pause", 0, True), ("resume", 0, True), ("pause", 1, True), ("resume", 1, True)]
        monitor.until(lambda: decided(made) == both)
        monitor.until(lambda: monitor.ask(path)[1]["paused_tasks"] == [])
        assert monitor.ask(path)[1]["alerts"] == []
        monitor.until(lambda: len(monitor.ask(f"{path}/alerts")[1]["alerts"]) == 2)
        said = monitor.ask(f"{path}/decisions")[1]["decisions"]
    assert [(each["action"], each["by"], each["waiting"]) for each in said] == [
        ("resume", "alert bad input", []),
        ("pause", "alert bad input", []),
    ]
    assert said[1]["why"].startswith("share of rejects is above 0.2, by the window to 2023-")
    assert [each.lasts for each in told(made)] == [True, False]
    made.check()


def test_evidence_that_is_stale_pauses_nothing(real: Callable[..., Real]) -> None:
    made = real(partitions=2, imports=IMPORTS, options=OPTIONS.replace("10_000", "2"))
    made.worker("1")
    send(made, 3, bad=True)
    send(made, 10, bad=False)
    made.close()
    made.until_done()
    with Monitor(made) as monitor:
        monitor.until(lambda: len(decided(made)) >= 2)
    assert not any(obeyed for _, _, obeyed in decided(made))
    assert all("stale" in each.reason for each in answers(made.config, made.pipeline))


def test_the_warehouse_lists_alerts_and_decisions(real: Callable[..., Real]) -> None:
    made = declared(real)
    with Monitor(made) as monitor:
        monitor.until_active()
        made.worker("1")
        send(made, 3, bad=True)
        monitor.until(lambda: len(decided(made)) == 2)
        monitor.until(lambda: len(told(made)) == 1)
    command = [sys.executable, "-m", "infra.cli", "sink", str(made.file), "--once"]
    env = {"RIVERRUN_HOME": str(made.home), "RIVERRUN_BOOTSTRAP_SERVERS": made.servers}
    assert process.spawn(command, name="sink", log=made.home / "sink.log", env=env).wait(60) == 0
    warehouse = made.home / made.name / "parquet"
    rows = query(warehouse, "SELECT name, lasts, bound FROM alerts").to_pylist()
    assert rows == [{"name": "bad input", "lasts": True, "bound": "above 0.2"}]
    rows = query(warehouse, 'SELECT action, "by", obeyed FROM decisions').to_pylist()
    assert rows == [{"action": "pause", "by": "alert bad input", "obeyed": True}] * 2
