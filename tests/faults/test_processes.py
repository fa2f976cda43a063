"""Rows 10, 11, 13, 14 and 34: brokers and workers that die, freeze, come and go, or are there twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.broker import EmbeddedBroker
from infra.broker_config import is_free
from tests.faults.real import Real, killed

pytestmark = pytest.mark.broker


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP holds it."""
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def test_a_broker_that_is_killed_is_waited_for_and_nothing_acknowledged_is_lost(
    real: Callable[..., Real], tmp_path: Path
) -> None:
    broker = EmbeddedBroker(tmp_path / "broker", port=0)
    state = broker.start()
    again = EmbeddedBroker(tmp_path / "broker", port=state.port)
    try:
        made = real(servers=state.bootstrap_servers)
        made.publish(400)
        # Not in a call in which its client hangs: it would end by that (librdkafka#5456), and not for the broker.
        made.tended["1"] = worker = made.worker(die="before begin 6 stop")
        made.until(lambda: is_stopped(worker.pid))
        os.kill(state.pid, signal.SIGKILL)
        os.kill(worker.pid, signal.SIGCONT)
        made.until(lambda: again.running() is None and is_free(state.port))
        again.start()
        made.publish(400)
        made.close()
        made.until_done()
        made.check()
        made.stop()
    finally:
        again.stop()


@pytest.mark.parametrize("place", ["before commit 6", "before begin 6"], ids=lambda place: place.split()[1])
def test_a_worker_that_was_stopped_is_fenced_when_it_wakes(real: Callable[..., Real], place: str) -> None:
    # worker 1   … produce │ SIGSTOP ........................... SIGCONT │ commit: fenced, ends
    # worker 2             │ after the session timeout: all to the end   │
    # Within a transaction the broker has ended it meanwhile; before one, the group's generation is all that fences.
    made = real()
    made.publish(800)
    made.close()
    zombie = made.worker("1", die=f"{place} stop")
    made.until(lambda: is_stopped(zombie.pid))
    before = made.outputs()
    made.worker("2")
    made.until_done()
    done = made.outputs()
    assert done != before
    os.kill(zombie.pid, signal.SIGCONT)
    made.until(lambda: zombie.poll() is not None or made.outputs() != done)
    assert made.outputs() == done, "it has committed nothing"
    assert zombie.poll() == 2
    assert "remedy: none is needed: another process has the work" in made.log("1").read_text()
    made.check()


def test_learning_slower_than_the_transaction_timeout_fails_no_transaction(real: Callable[..., Real]) -> None:
    made = real(effect="time.sleep(0.1)", imports="import time")
    made.publish(40)
    made.close()
    worker = made.worker(more={"RIVERRUN_TEST_TRANSACTION_TIMEOUT_MS": "1000"})  # a batch takes 2.5 s
    made.until_done()
    assert worker.poll() is None
    assert "rebuilds its tasks" not in made.log().read_text()
    made.check()


def test_workers_from_1_to_4_to_1_under_load_with_a_quick_restart_that_moves_nothing(real: Callable[..., Real]) -> None:
    made = real(partitions=4, effect='time.sleep(float(os.environ.get("PAUSE_S", 0)))', imports="import os, time")
    made.environment = {**made.environment, "PAUSE_S": "0.005"}  # so that there is always something to do
    made.publish(800)
    workers = {"1": made.worker("1")}
    made.until(lambda: made.outputs()["outcomes"])
    for worker_id in "234":
        workers[worker_id] = made.worker(worker_id)
    made.until(lambda: all("is back" in made.log(worker_id).read_text() for worker_id in "234"))
    made.publish(800, seed=2)
    made.until(lambda: made.lag() < 500)
    backs = {worker_id: made.log(worker_id).read_text().count("is back") for worker_id in "1234"}
    killed(workers["3"])
    workers["3"] = made.worker("3")
    made.until(lambda: made.log("3").read_text().count("is back") > backs["3"])
    for worker_id in "124":
        assert made.log(worker_id).read_text().count("is back") == backs[worker_id], "a quick restart moves nothing"
    made.publish(800, seed=3)
    killed(workers["2"])
    for worker_id in "34":
        workers[worker_id].terminate()
        assert workers[worker_id].wait(30) == 0
    made.close()
    made.until_done()
    made.check()


def test_the_same_worker_started_twice_here_is_refused(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(200)
    made.close()
    first = made.worker("1")
    made.until(lambda: made.outputs()["outcomes"])
    made.refused(f"worker 1 runs here already, as process {first.pid}")
    made.until_done()
    made.check()


def test_the_same_worker_started_on_two_machines_takes_over_and_nothing_is_doubled(real: Callable[..., Real]) -> None:
    made = real(options="checkpoint_every=400")  # small states: in the journal, for both machines
    made.publish(400)
    first = made.worker("1")
    made.until(lambda: made.outputs()["outcomes"])
    other = made.home / "other machine"
    other.mkdir()
    (other / "signing.key").write_bytes((made.home / "signing.key").read_bytes())
    (other / "signing.key").chmod(0o600)
    made.worker("1", home=other)
    assert first.wait(60) == 2 or "Timeout (0:00:10)!" in made.log().read_text(), "fenced, or hung in its client"
    made.publish(400)
    made.close()
    made.until_done()
    made.check()
