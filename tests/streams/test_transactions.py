"""One batch is stepped over while the one before it is committed; nothing is lost or done twice by that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.errors import OutcomeUnknown
from streams.task import Step, Task
from tests.sim.background import Background
from tests.sim.cluster import Crash
from tests.sim.memory_log import MemoryLog
from tests.sim.world import World
from tests.streams import kit
from tests.streams.pipelines import trips

PIPELINE = replace(trips.pipeline, batch_max=8, checkpoint_every=10)


def world() -> World:
    """Transactions are committed when somebody waits for them, and not before."""
    made = World(PIPELINE, committing=Background())
    made.put(kit.history(1, 60, references=bool(PIPELINE.references), gaps=False))
    return made


def test_the_next_batch_is_stepped_over_before_the_last_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    made, did = world(), list[str]()
    step, commit = Task.step, MemoryLog.commit

    def note_step(self: Task, batch: kit.Batch) -> Step:
        did.append(f"step {self.partition}")
        return step(self, batch)

    def note_commit(self: MemoryLog) -> None:
        did.append("commit")
        commit(self)

    monkeypatch.setattr(Task, "step", note_step)
    monkeypatch.setattr(MemoryLog, "commit", note_commit)
    made.run()
    assert "step 0 step 0 commit" in " ".join(did)


def test_what_is_committed_late_is_what_is_committed_at_once() -> None:
    late, at_once = world(), world()
    at_once.committing = World(PIPELINE).committing
    late.run()
    at_once.run()
    assert late.outputs() == at_once.outputs()


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_commit_that_fails_is_told_of_and_the_next_worker_does_it_again(
    monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    undisturbed, made = world(), world()
    undisturbed.run()
    commit, failed = MemoryLog.commit, 0

    def unreachable(self: MemoryLog) -> None:
        nonlocal failed
        if made.outputs()["predictions"] and failed < times:
            failed += 1
            raise OutcomeUnknown("the answer did not come")
        commit(self)

    monkeypatch.setattr(MemoryLog, "commit", unreachable)
    for _ in range(times):
        with pytest.raises(OutcomeUnknown, match="did not come"):
            made.run()
        made.committing = Background()
        made.cluster.evict("a")
    made.run()
    assert made.outputs() == undisturbed.outputs()


def test_what_is_under_way_when_a_worker_stops_is_committed() -> None:
    made = world()
    worker = made.new_worker()
    committed = 0

    def stop() -> bool:
        nonlocal committed
        made.now_s, committed = made.now_s + 1, len(made.outputs()["predictions"])
        return bool(committed)

    worker.run(stop)
    predicted = len(made.outputs()["predictions"])
    assert predicted > committed
    again = made.worker()
    made.turn(again)
    assert made.telemetry.counts["replayed_records"] == 0
    assert len(made.outputs()["predictions"]) == predicted


def test_what_a_dead_process_had_under_way_is_done_by_the_next() -> None:
    undisturbed, made = world(), world()
    undisturbed.run()
    deaths = 0

    def dies(operation: str) -> None:
        nonlocal deaths
        if operation == "before commit" and made.outputs()["features"] and deaths < 3:
            deaths += 1
            raise Crash(operation)

    made.cluster.on = dies
    while not made.done:
        try:
            made.run()
        except Crash:
            made.committing = Background()
    assert deaths == 3
    assert made.outputs() == undisturbed.outputs()
