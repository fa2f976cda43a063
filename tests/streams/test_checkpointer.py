"""When a task is saved, and what the data path waits for meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from streams import journal
from streams.checkpoint import BlobName, freeze_here
from streams.checkpointer import Span
from streams.errors import StoreUnavailable
from streams.journal import JournalRecord
from streams.pipeline import Pipeline
from streams.worker import Worker
from tests.sim.background import AtOnce
from tests.sim.cluster import Crash
from tests.sim.disk import MemoryBlobs
from tests.sim.world import TURN_S, World
from tests.streams import kit
from tests.streams.pipelines import trips

T = TypeVar("T")


def world(pipeline: Pipeline = trips.pipeline, count: int = 60, **changes: Any) -> World:
    made = World(replace(pipeline, **changes))
    made.put(kit.history(1, count, references=bool(pipeline.references), gaps=False))
    return made


def undisturbed(made: World) -> dict[str, list[tuple[Any, ...]]]:
    other = World(replace(made.pipeline, checkpoint_every=10**9))
    for stream in made.pipeline.inputs:
        other.cluster.topics[stream.topic] = made.cluster.topics[stream.topic]
    other.run()
    return other.outputs()


def records(made: World) -> list[JournalRecord]:
    return [journal.decode(record.value or b"", "") for record in made.journal()]


def turns(made: World, worker: Worker, count: int) -> None:
    for _ in range(count):
        made.turn(worker)


class Later:
    """Work in the background that is done when the test says so."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[], Any], Future[Any]]] = []

    def submit(self, work: Callable[[], T], /) -> Future[T]:
        future = Future[T]()
        self.work.append((work, future))
        return future

    def finish(self) -> None:
        while self.work:
            work, future = self.work.pop(0)
            future.set_result(work())


def begin_to_save(made: World, worker: Worker, later: Later) -> None:
    """Until a checkpoint after the first one is on its way."""
    while len(records(made)) < 3 or not later.work:
        if len(records(made)) < 3:
            later.finish()
        made.turn(worker)


class FullDisk(MemoryBlobs):
    """Takes so many blobs, and then no more until there is room."""

    room = 1

    def put(self, name: str, blob: bytes) -> None:
        if self.room <= 0:
            raise StoreUnavailable("no space left on device", where=name)
        self.room -= 1
        super().put(name, blob)


class TestSmallStates:
    """They ride in the journal."""

    def test_every_record_holds_the_state_and_a_restart_replays_nothing(self) -> None:
        made = world(inline_bytes_max=100_000)
        worker = made.worker()
        turns(made, worker, 12)
        assert len(records(made)) > 4
        assert all(record.state for record in records(made))
        assert made.blobs.names() == []
        made.cluster.evict("a")  # killed
        made.run()
        assert made.telemetry.counts["replayed_records"] == 0
        assert made.outputs() == undisturbed(made)

    def test_a_state_that_grew_goes_to_blobs_and_one_that_shrank_comes_back(self) -> None:
        # starts    40 at once, nobody's label comes: they wait for 60 s        then one every 20 s
        made = World(trips.lean(inline_bytes_max=2_000, batch_max=4, checkpoint_every=16))
        at_ms = [*range(0, 4_000, 100), *range(80_000, 2_000_000, 20_000)]
        made.put([[], [kit.start(i, at, f"trip {i}") for i, at in enumerate(at_ms)]])
        made.run()
        shapes = "".join("s" if r.state else "c" if r.checkpoint else "." for r in records(made))
        assert re.fullmatch(r"s+[.c]+s+", shapes), shapes
        assert made.outputs() == undisturbed(made)

    def test_one_that_was_in_a_blob_is_not_tried_in_the_journal_after_a_restart(self) -> None:
        for room, inline in ((100_000, True), (0, False)):
            made = world(inline_bytes_max=room)
            turns(made, made.worker(), 12)
            made.cluster.evict("a")
            worker = made.worker()
            turns(made, worker, 1)
            assert {run.checkpoints.inline for run in worker.runs.values()} == {inline}

    def test_a_state_of_another_key_is_not_unpickled(self) -> None:
        from streams.errors import CheckpointCorrupt

        made = world(inline_bytes_max=100_000)
        turns(made, made.worker(), 8)
        made.cluster.evict("a")
        with pytest.raises(CheckpointCorrupt, match="RIVERRUN_SIGNING_KEY"):
            turns(made, made.worker("b", key=b"another"), 3)


class TestInTheBackground:
    """The data path waits for the pickling, and for nothing else until the span is full."""

    def test_batches_go_on_while_a_blob_is_being_stored(self) -> None:
        made, later = world(checkpoint_every=60), Later()
        made.background = later
        worker = made.worker()
        begin_to_save(made, worker, later)
        begun_at = records(made)[-1].sequence
        turns(made, worker, 2)
        assert records(made)[-1].sequence == begun_at + 2
        assert not records(made)[-1].checkpoint
        later.finish()
        turns(made, worker, 1)
        saved = records(made)[-1].checkpoint
        assert saved
        assert saved.sequence == begun_at, "the state as it was when it was pickled"

    def test_a_crash_before_the_journal_names_it_uses_the_one_before_and_collects_the_orphan(self) -> None:
        made, later = world(), Later()
        made.background = later
        worker = made.worker()
        begin_to_save(made, worker, later)
        before = set(made.blobs.names())
        work, _ = later.work.pop(0)
        work()
        (orphan,) = set(made.blobs.names()) - before
        made.cluster.evict("a")
        made.background = AtOnce()
        worker = made.worker("b")
        turns(made, worker, 3)
        assert orphan in made.blobs.names(), "it may be a successor's, if we were the one that is late"
        made.until_done(worker)
        assert orphan not in made.blobs.names()
        assert made.telemetry.counts["replayed_records"] > 0

    def test_a_full_span_holds_the_task_until_the_store_has_answered(self) -> None:
        made, later = world(), Later()
        made.background = later
        worker = made.worker()
        turns(made, worker, 40)
        held_at = records(made)[-1].sequence
        replays = sum(r.records for r in records(made))
        assert made.pipeline.checkpoint_every <= replays < made.pipeline.checkpoint_every + made.pipeline.batch_max
        turns(made, worker, 5)
        assert records(made)[-1].sequence == held_at
        later.finish()
        turns(made, worker, 1)
        assert records(made)[-1].checkpoint, "told at once, without a batch"
        for _ in range(300):
            later.finish()
            made.turn(worker)
        assert made.outputs() == undisturbed(made)

    def test_how_old_the_state_of_a_restart_is_and_how_full_the_span_are_told_while_it_waits_too(self) -> None:
        made, later = world(), Later()
        made.background = later
        worker, gauges = made.worker(), made.telemetry.gauges
        turns(made, worker, 40)
        assert gauges["replay_span_ratio", ""] >= 1
        waited_s = gauges["checkpoint_age_seconds", ""]
        turns(made, worker, 10)
        assert gauges["checkpoint_age_seconds", ""] == pytest.approx(waited_s + 10 * TURN_S)
        later.finish()
        turns(made, worker, 2)  # the batch that tells of it is sent in one, and settled in the next
        assert gauges["replay_span_ratio", ""] < 1

    def test_seconds_of_work_fill_the_span_too(self) -> None:
        made = world(checkpoint_every=10**9, replay_max=timedelta(seconds=1))
        worker = made.worker()
        slow = 0.0

        def clock() -> float:
            nonlocal slow
            slow += 0.2  # every look at the clock finds it later: a step takes that long
            return made.now_s + slow

        worker._clock = clock
        turns(made, worker, 100)
        assert sum(1 for record in records(made) if record.checkpoint) > 3


class TestWithoutADeclaredLength:
    """A state that takes long to save is saved less often."""

    def test_the_span_is_a_second_or_four_times_what_saving_takes(self) -> None:
        made, later = world(checkpoint_every=10**9, replay_max=None), Later()
        made.background = later
        worker = made.worker()
        turns(made, worker, 3)
        run = worker.runs[0]
        for saving_s, full_at_s in ((0.1, 1.0), (2.0, 8.0)):
            run.checkpoints.saving_s = saving_s
            run.checkpoints.span = Span(10, full_at_s / 2)
            assert run.checkpoints.filled == pytest.approx(0.5)

    def test_one_that_is_pickled_quickly_is_pickled_in_place(self) -> None:
        made, forks = world(checkpoint_every=20), list[float]()
        worker = made.worker()
        turns(made, worker, 3)
        checkpoints = worker.runs[0].checkpoints

        def fork(state: Any) -> Callable[[], bytes]:
            forks.append(checkpoints.pickling_s)
            return freeze_here(state)

        checkpoints.store = replace(checkpoints.store, freeze=fork)
        turns(made, worker, 5)
        assert forks == []
        checkpoints.pickling_s = 0.5
        turns(made, worker, 5)
        assert forks == [0.5], "and the next was quick again"

    def test_what_saving_takes_is_measured_until_it_is_safe(self) -> None:
        made, later = world(), Later()
        made.background = later
        worker = made.worker()
        begin_to_save(made, worker, later)
        made.now_s += 7
        later.finish()
        turns(made, worker, 3)
        assert worker.runs[0].checkpoints.saving_s == pytest.approx(7, abs=3 * TURN_S)


class TestAStoreThatFails:
    """Disk full: go on until the span is full, tell, try again, lose nothing."""

    def test_it_goes_on_until_the_span_is_full_and_after_there_is_room(self, caplog: pytest.LogCaptureFixture) -> None:
        made = world()
        made.blobs = full = FullDisk()
        worker = made.worker()
        turns(made, worker, 60)
        done = sum(record.records for record in records(made))
        assert made.pipeline.checkpoint_every <= done < made.pipeline.checkpoint_every + made.pipeline.batch_max
        assert made.telemetry.counts["checkpoint_failures"] > 1
        assert "no space left on device" in caplog.text
        full.room = 1_000
        made.until_done(worker)
        assert made.outputs() == undisturbed(made)

    def test_not_even_the_first_checkpoint_then_nothing_is_predicted(self) -> None:
        made = world()
        made.blobs = full = FullDisk()
        full.room = 0
        worker = made.worker()
        turns(made, worker, 20)
        assert records(made) == []
        assert made.outputs()["predictions"] == []
        full.room = 1_000
        made.until_done(worker)
        assert made.outputs() == undisturbed(made)

    def test_a_stop_without_a_checkpoint_is_no_failure(self) -> None:
        made = world()
        made.blobs = full = FullDisk()
        worker = made.worker()
        turns(made, worker, 6)
        full.room = 0
        worker._log.close()
        full.room = 1_000
        made.run()
        assert made.telemetry.counts["replayed_records"] > 0
        assert made.outputs() == undisturbed(made)

    def test_a_store_that_cannot_be_read_at_all_is_to_be_tried_again(self) -> None:
        made = world()
        turns(made, made.worker(), 12)
        made.cluster.evict("a")

        def away(name: str) -> bytes:
            raise StoreUnavailable("no route to host", where=name)

        made.blobs.get = away  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable, match="no route to host"):
            turns(made, made.worker("b"), 3)


def test_a_state_over_its_budget_is_told_with_its_largest_parts(caplog: pytest.LogCaptureFixture) -> None:
    made = world(state_bytes_max=1_000)
    made.run()
    (first, *more) = [record.getMessage() for record in caplog.records if "over its budget" in record.getMessage()]
    assert "over its budget of 1000" in first
    assert "model tree" in first
    assert len(more) < 5, "again only when it has doubled"


def test_what_retention_is_about_to_delete_is_saved_early() -> None:
    # log       0 ......................... 60        no checkpoint is due (every 10**9 records)
    # kept          3 ──▶ 10 ──▶ 17 ...               the log's beginning comes nearer to the replay's start at 0
    made = world(checkpoint_every=10**9)
    worker = made.worker()
    turns(made, worker, 10)
    assert len([record for record in records(made) if record.checkpoint]) == 1
    position = worker.runs[0].positions[0]
    made.cluster.beginnings = {("sky", 0): 0}
    made.now_s += 20
    turns(made, worker, 1)
    made.cluster.beginnings = {("sky", 0): 1}
    made.now_s += 20
    turns(made, worker, 3)
    assert len([record for record in records(made) if record.checkpoint]) == 2
    assert worker.runs[0].checkpoints.positions[0] >= position


def test_a_crash_while_the_first_checkpoint_is_stored_leaves_an_orphan_that_is_collected() -> None:
    made = world()

    def dies(operation: str) -> None:
        if operation == "after put":
            raise Crash(operation)

    made.blobs.on = dies
    worker = made.worker()
    with pytest.raises(Crash):
        turns(made, worker, 3)
    (orphan,) = made.blobs.names()
    made.blobs.blobs[orphan] = b"half-writ"
    made.blobs.on = lambda _: None
    made.blobs.blobs["notes.txt"] = b"not ours"
    other = str(BlobName(7, 0, "0" * 64))
    made.blobs.blobs[other] = b"another task's"
    made.cluster.evict("a")
    made.run()
    assert {"notes.txt", other} <= set(made.blobs.names())
    assert made.outputs() == undisturbed(made)
