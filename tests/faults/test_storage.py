"""Rows 18, 19 and 31: the checkpoint store, and code that changed."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.faults.real import Real

pytestmark = pytest.mark.broker


def test_a_full_disk_at_the_checkpoint_store_is_told_and_waited_for(real: Callable[..., Real]) -> None:
    # files of 5,000 bytes at the most: the first checkpoint fits, those of a grown state do not
    made = real(options="checkpoint_every=300, inline_bytes_max=0")
    made.publish(1_500)
    made.close()
    worker = made.worker(more={"RIVERRUN_TEST_FILE_BYTES_MAX": "5000"})
    made.until(lambda: made.log().read_text().count("goes on without a checkpoint") >= 2)
    chain = made.journal()
    safe = max(record.checkpoint.sequence for record in chain if record.checkpoint)
    assert sum(record.records for record in chain if record.sequence > safe) < 300 + 50, "the span is full, no more"
    assert worker.poll() is None
    worker.send_signal(signal.SIGKILL)
    worker.wait(20)
    made.worker()
    made.until_done()
    made.check()


def test_a_store_that_is_away_when_a_worker_starts_is_waited_for(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(100)
    made.close()
    store = made.home / made.name / "checkpoints"
    store.parent.mkdir(parents=True)
    store.write_text("a folder cannot be made here")
    made.worker()
    made.until(lambda: "rebuilds its tasks in" in made.log().read_text())
    store.unlink()
    made.until_done()
    made.check()


@pytest.mark.parametrize("harm", ["cut", "flipped", "missing"])
def test_a_harmed_checkpoint_is_refused_and_the_one_before_is_used(real: Callable[..., Real], harm: str) -> None:
    made = real()
    made.publish(1_000)
    made.close()
    assert made.worker(die="after commit 30").wait(60) == -signal.SIGKILL
    newest = made.home / made.name / "checkpoints" / [r.checkpoint.name for r in made.journal() if r.checkpoint][-1]
    blob = newest.read_bytes()
    if harm == "missing":
        newest.unlink()
    else:
        newest.write_bytes(blob[:-20] if harm == "cut" else blob[:-20] + bytes([blob[-20] ^ 1]) + blob[-19:])
    made.worker()
    made.until_done()
    assert "falls back to the checkpoint before" in made.log().read_text()
    made.check()


def test_code_that_changed_with_a_tail_to_replay_is_declined_and_the_earlier_one_goes_on(
    real: Callable[..., Real],
) -> None:
    made = real(options="checkpoint_every=100_000, inline_bytes_max=0")
    made.publish(400)
    made.close()
    assert made.worker(die="after commit 5").wait(60) == -signal.SIGKILL
    made.effect = "event.x += 0"
    made.write()
    made.refused(
        "batches are still to be replayed that other code", "start the earlier version once and stop it with SIGTERM"
    )
    made.effect = ""
    made.write()
    worker = made.worker()
    made.until_done()
    worker.terminate()
    assert worker.wait(30) == 0
    made.check()
    made.effect = "event.x += 0"
    made.write()
    made.publish(100)
    made.close()
    deployed = made.worker()
    made.until_done()
    assert deployed.poll() is None, "drained, saved, deployed"
