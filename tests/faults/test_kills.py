"""Rows 1 to 9: kill -9 of a real worker at every step of its loop, against a real broker."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.faults.real import Real

pytestmark = pytest.mark.broker

PLACES = [
    "after poll 8",
    "after step 3",
    "after begin 4",
    "after produce 7",
    "before send_offsets 5",
    "after send_offsets 5",
    "before commit 5",
    "after commit 5",
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.replace(" ", "-"))
def test_a_worker_killed_there_leaves_no_trace(real: Callable[..., Real], place: str) -> None:
    made = real()
    made.publish(400, abort_every=2)
    made.close()
    assert made.worker(die=place).wait(60) == -signal.SIGKILL
    assert not made.processed(), "it was killed at work"
    made.worker()
    made.until_done()
    made.check()


@pytest.mark.parametrize("place", ["before fsync 4", "before replace 3", "after put 3"], ids=lambda p: p.split()[1])
def test_a_checkpoint_that_was_being_written_is_an_orphan_and_is_collected(
    real: Callable[..., Real], place: str
) -> None:
    made = real()
    made.publish(800)
    made.close()
    assert made.worker(die=place).wait(60) == -signal.SIGKILL
    folder = made.home / made.name / "checkpoints"
    before = {path.name for path in folder.iterdir()}
    named = {record.checkpoint.name for record in made.journal() if record.checkpoint}
    orphans = before - named
    assert orphans, "half-written, or whole and named by no journal record"
    made.worker()
    made.until_done()
    assert "falls back" not in made.log().read_text(), "what the journal names is whole"
    assert not orphans & {path.name for path in folder.iterdir()}, "orphans are collected"
    made.check()


def test_killed_while_it_recovers_twice(real: Callable[..., Real]) -> None:
    made = real(options="checkpoint_every=100_000, inline_bytes_max=0")
    made.publish(400)
    made.close()
    assert made.worker(die="after commit 6").wait(60) == -signal.SIGKILL
    before = made.outputs()
    for place in ("after read 2", "after read 5"):  # the journal, and then the inputs
        assert made.worker(die=place).wait(60) == -signal.SIGKILL
    assert made.outputs() == before, "nothing is put out while replaying"
    made.worker()
    made.until_done()
    assert "records replayed" in made.log().read_text()
    made.check()
