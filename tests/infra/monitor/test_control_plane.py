"""The monitor as a process on a real broker: what it knows survives it, and nothing depends on it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from infra.monitor.picture import RECEIPT_MS, WINDOWS_KEPT
from streams.merging import Reports
from streams.records import MetricsRecord
from tests.faults.real import Real
from tests.infra.monitor.notes import reported, reports
from tests.infra.monitor.running import Monitor, publish, saved

pytestmark = pytest.mark.broker


def fed_directly(came: list[MetricsRecord]) -> Reports:
    fed = Reports(tasks=2, kept=WINDOWS_KEPT, receipt_ms=RECEIPT_MS)
    for report in came:
        fed.add(report, 0)
    return fed


def knows(made: Real, came: list[MetricsRecord]) -> bool:
    """Whether the table has, by now, all that these reports say and nothing else; none of them came in twice."""
    found = saved(made.pipeline, made.config).reports
    received = sum(each.count for report in found.receipts.values() for each in report.records)
    wanted = sum(each.count for report in came for each in report.records)
    assert received <= wanted
    return received == wanted and reported(found, receipts=False) == reported(fed_directly(came), receipts=False)


def windows(monitor: Monitor, made: Real) -> int:
    status, said, _ = monitor.ask(f"/api/pipelines/{made.name}/windows?last=1000")
    return len(said["windows"]) if status == 200 else 0


def test_it_is_ready_soon_also_the_first_time(real: Callable[..., Real]) -> None:
    made = real(partitions=2)
    for which in ("the first time", "again", "after kill -9"):
        with Monitor(made) as monitor:
            print(f"ready {which}: {monitor.until_ready():.1f} s after the process was started")
            if which == "again":
                monitor.kill()


def test_killed_amid_reports_it_loses_and_doubles_nothing(real: Callable[..., Real]) -> None:
    made, came = real(partitions=2), reports(60)
    publish(made, came[:40])
    with Monitor(made) as monitor:
        monitor.until(lambda: windows(monitor, made) >= 5)
        publish(made, came[40:80])
        monitor.until(lambda: windows(monitor, made) >= 25)
        monitor.kill()
    publish(made, came[80:])  # while nobody is there
    with Monitor(made) as monitor:
        monitor.until(lambda: windows(monitor, made) == 60)
        monitor.until(lambda: knows(made, came))
        monitor.kill()
    with Monitor(made) as monitor:
        monitor.until(lambda: windows(monitor, made) == 60)
    assert monitor.process.returncode == 0
    assert knows(made, came)


def test_another_monitor_takes_over(real: Callable[..., Real]) -> None:
    made, came = real(partitions=2), reports(30)
    publish(made, came[:20])
    with Monitor(made, "1") as first, Monitor(made, "2") as second:
        first.until_ready()
        second.until_ready()
        first.until(lambda: any(windows(each, made) == 10 for each in (first, second)))
        active, other = (first, second) if windows(first, made) else (second, first)
        assert other.ask("/api/pipelines")[0] == 503
        active.kill()
        publish(made, came[20:])
        other.until(lambda: windows(other, made) == 30)
        other.until(lambda: knows(made, came))


def test_one_that_was_stopped_gives_way_and_begins_anew(real: Callable[..., Real]) -> None:
    made, came = real(partitions=2), reports(30)
    publish(made, came[:20])
    with Monitor(made, "1") as first:
        first.until_active()
        with Monitor(made, "2") as second:
            second.until_ready()
            first.process.send_signal(signal.SIGSTOP)
            publish(made, came[20:])
            second.until(lambda: windows(second, made) == 30)
            first.process.send_signal(signal.SIGCONT)
            first.until(lambda: "begins anew: another monitor may have the lead" in first.log.read_text())
            first.until_ready()
            assert not first.ask("/healthz")[1]["active"]
            second.until(lambda: knows(made, came))


def test_a_worker_goes_on_without_it(real: Callable[..., Real]) -> None:
    made = real(partitions=2)
    with Monitor(made) as monitor:
        made.publish(400)
        made.worker("1")
        monitor.until(lambda: windows(monitor, made) > 2)
        monitor.kill()
    made.publish(400, seed=2)
    made.close()
    made.until_done()
    made.check()
    with Monitor(made) as monitor:
        ends = {partition: len(made.outputs(partition)["metrics"]) for partition in (0, 1)}
        monitor.until(lambda: len(saved(made.pipeline, made.config).reports.held) == sum(ends.values()))
