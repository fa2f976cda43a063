"""Whatever happens to workers, what is committed is what an undisturbed run would have committed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from streams import journal
from streams.errors import Fenced, OutcomeUnknown
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.task import Task
from tests.sim.cluster import Crash
from tests.sim.memory_log import MemoryLog
from tests.sim.world import World
from tests.streams import kit
from tests.streams.pipelines import trips


def world(seed: int = 1, pipeline: Pipeline = trips.pipeline, count: int = 60) -> World:
    made = World(pipeline)
    for partition in range(pipeline.partitions):
        made.put(kit.history(seed + partition, count, references=bool(pipeline.references), gaps=False), partition)
    return made


def wanted(made: World, partition: int = 0) -> dict[str, list[tuple[Any, ...]]]:
    """What one task gives that steps over all inputs at once, in canonical order."""
    task = Task(made.pipeline, partition)
    outputs: list[Output] = []
    for batch in kit.batches(made.inputs(partition), 10**9):
        outputs += task.step(batch).outputs
    by_name: dict[str, list[tuple[Any, ...]]] = {name: [] for name in made.outputs()}
    for name, key, value, timestamp_ms in outputs:
        by_name[name].append((key, value, timestamp_ms))
    return by_name


def digest(made: World, partition: int = 0) -> str:
    """The canonical digest of the task as a new worker brings it back."""
    worker = made.worker()
    for _ in range(3):
        made.turn(worker)
    return worker.runs[partition].task.digest()


class TestUndisturbed:
    """One worker from start to end."""

    def test_nothing_is_put_out_behind_a_transaction_that_was_left_open(self) -> None:
        # predictions   open ┄┄┄┄┄┄┄ aborted by its timeout │ what the worker puts out
        made = world()
        topic, timeout_s = made.pipeline.topic("predictions"), 30.0
        forgotten = made.cluster.start(timeout_s)
        made.cluster.append(topic, 0, Record(-1, 1_000, b"key", b"forgotten"), forgotten)
        made.run()
        assert made.cluster.now_s >= timeout_s
        assert made.outputs() == wanted(made)

    @pytest.mark.parametrize("seed", range(3))
    def test_a_worker_commits_what_stepping_by_hand_gives(self, seed: int) -> None:
        made = world(seed)
        worker = made.run()
        assert made.outputs() == wanted(made)
        task = Task(made.pipeline, 0)
        for batch in kit.batches(made.inputs(), 10**9):
            task.step(batch)
        assert worker.runs[0].task.digest() == task.digest()

    def test_the_journal_tells_every_offset_once_in_a_whole_chain(self) -> None:
        made = world()
        made.run()
        records = [journal.decode(record.value or b"", "") for record in made.journal()]
        journal.verify_chain(records, "")
        assert records[0].checkpoint, "the first checkpoint comes before the first batch"
        assert records[0].records == 0
        assert sum(record.records for record in records) == sum(map(len, made.inputs()))
        for stream in made.pipeline.inputs:
            assert records[0].ranges[stream.topic][0] == 0
            assert records[-1].ranges[stream.topic][1] == made.cluster.stable(stream.topic, 0)
        assert max(record.records for record in records) <= made.pipeline.batch_max

    def test_checkpoints_are_made_as_often_as_declared_and_three_are_kept(self) -> None:
        made = world(count=120)
        made.run()
        records = [journal.decode(record.value or b"", "") for record in made.journal()]
        saved = [record.checkpoint for record in records if record.checkpoint]
        assert len(saved) > 4
        for record in records:
            safe = max(each.sequence for each in saved if each.sequence <= record.sequence)
            span = sum(r.records for r in records if safe < r.sequence <= record.sequence)
            assert span < made.pipeline.checkpoint_every + made.pipeline.batch_max
        newest = sorted(each.name for each in saved[-3:])
        assert sorted(made.blobs.names())[-3:] == newest
        assert len(made.blobs.names()) <= 4, "an old one is collected when the record that names the newest is settled"

    def test_trailing_markers_are_committed_so_that_the_lag_comes_to_zero(self) -> None:
        made = world(count=5)
        made.run()
        for stream in made.pipeline.inputs:
            made.cluster.put(stream.topic, 0, kit.sky(0, 0, 0.0), commit=False)
        assert not made.done
        made.until_done(made.worker())

    def test_nothing_at_all_is_no_work(self) -> None:
        made = World(trips.pipeline)
        worker = made.worker()
        for _ in range(20):
            made.turn(worker)
        assert len(made.journal()) == 1, "the first checkpoint only"

    def test_an_input_that_lags_is_waited_for_and_an_idle_one_is_not(self) -> None:
        # starts  0 s ...        the sky was never published: it is idle after 1 s of silence
        made = World(trips.pipeline)
        inputs = kit.history(1)
        made.put([[], *inputs[1:]])
        worker = made.worker()
        for _ in range(3):  # assigned, fetched, and 0.3 s later
            made.turn(worker)
        assert made.outputs()["features"] == []
        made.until_done(worker)
        assert made.outputs() == wanted(made)

    def test_telemetry_counts_every_record_once(self) -> None:
        made = world()
        made.turn(made.run())  # what is committed is counted in the turn after
        assert made.telemetry.counts["records"] == sum(map(len, made.inputs()))
        assert made.telemetry.counts["rejects"] == len(made.outputs()["rejects"])
        assert made.telemetry.counts["labels"] > 0

    def test_backpressure_pauses_an_input_and_resumes_it(self) -> None:
        # ends        nothing comes, and the end is not known     │ comes
        # starts      more and more, paused at 8 batches         │ resumed when the queue is short
        made = World(trips.lean(batch_max=2))
        inputs = kit.history(1, 60, references=False, gaps=False)
        made.put(inputs)
        worker = made.worker()
        log = worker._log
        assert isinstance(log, MemoryLog)
        widest, paused = 0, False
        original = log._fetch

        def slow_labels(records_max: int) -> Any:
            """The labels' broker is slow: what it has comes only after the starts were paused."""
            nonlocal widest, paused
            widest = max(widest, worker.runs[0].buffers.waiting(1))
            paused = paused or ("starts", 0) in log.paused
            position = log._positions.pop(("ends", 0), None) if not paused else None
            fetched = original(records_max)
            if position is not None:
                log._positions["ends", 0] = position
            return fetched

        log._fetch = slow_labels  # type: ignore[method-assign]
        made.until_done(worker)
        assert paused
        assert widest <= 8 * 2 + 2 * 2, "one poll beyond the limit at the most"
        assert log.paused == set()
        assert made.outputs() == wanted(made)


class TestStopping:
    """A worker that is told to stop."""

    def test_a_graceful_stop_leaves_nothing_to_replay(self) -> None:
        made = world()
        worker = made.new_worker()
        turns = iter([False] * 12 + [True])

        def stop() -> bool:
            made.now_s += 0.3
            return next(turns)

        worker.run(stop)
        last = journal.decode(made.journal()[-1].value or b"", "")
        assert last.checkpoint
        assert made.cluster.members == {}
        made.telemetry.counts.clear()
        made.run()
        assert made.telemetry.counts["replayed_records"] == 0
        assert made.outputs() == wanted(made)

    def test_an_error_leaves_the_group_without_a_checkpoint(self) -> None:
        made = world()
        worker = made.new_worker()
        blobs = set[str]()

        def fail(operation: str) -> None:
            if operation == "before commit" and made.outputs()["features"]:
                blobs.update(made.blobs.names())
                raise OutcomeUnknown("no answer")

        made.cluster.on = fail
        with pytest.raises(OutcomeUnknown):
            worker.run(lambda: False)
        made.cluster.on = lambda _: None
        assert worker.runs == {}
        assert set(made.blobs.names()) == blobs, "memory is ahead of the log: it must not be saved"
        made.run()
        assert made.outputs() == wanted(made)


def operations(made: World) -> list[str]:
    """The operations of an undisturbed run."""
    came: list[str] = []
    made.cluster.on = made.blobs.on = came.append
    made.run()
    return came


ALL_OPERATIONS = operations(world())
KINDS = sorted(set(ALL_OPERATIONS))
PLACES = [
    (kind, place)
    for kind in KINDS
    for places in [[i for i, name in enumerate(ALL_OPERATIONS, 1) if name == kind]]
    for place in sorted({places[0], places[1 % len(places)], places[len(places) // 2], places[-1]})
]


class TestCrashes:
    """kill -9 between any two steps."""

    def test_every_step_of_the_loop_is_among_those_crashed_at(self) -> None:
        steps = {"poll", "begin", "send_offsets", "commit", "put"}
        assert {f"{when} {step}" for when in ("before", "after") for step in steps} | {"before produce"} <= set(KINDS)

    @pytest.mark.parametrize(("kind", "place"), PLACES, ids=lambda value: str(value).replace(" ", "-"))
    def test_a_crash_at_any_step_leaves_no_trace_in_what_is_committed(self, kind: str, place: int) -> None:
        made = world()
        assert made.run_through_crashes({place}) == 1
        assert made.outputs() == wanted(made)

    @pytest.mark.parametrize("seed", range(12))
    def test_many_crashes_also_during_recovery_leave_no_trace(self, seed: int) -> None:
        draw = random.Random(seed)
        made = world(seed)
        crash_at, place = set[int](), 0
        for _ in range(12):
            place += draw.choice([1, 3, 20, 100])
            crash_at.add(place)
        assert made.run_through_crashes(crash_at) > 3, f"seed {seed}"
        made.cluster.on = made.blobs.on = lambda _: None
        assert made.outputs() == wanted(made), f"seed {seed}"
        undisturbed = world(seed)
        undisturbed.run()
        assert digest(made) == digest(undisturbed)

    def test_a_commit_whose_answer_was_not_seen_is_not_done_twice(self) -> None:
        made = world()
        answers = Counter[str]()

        def lose_answers(operation: str) -> None:
            answers[operation] += 1
            if operation == "after commit" and answers[operation] in {1, 3, 4, 9}:
                raise OutcomeUnknown("the answer was lost", where="commit")

        made.cluster.on = lose_answers
        for _ in range(5):
            try:
                made.run()
            except OutcomeUnknown:
                continue
        assert answers["after commit"] > 9
        assert made.outputs() == wanted(made)

    @pytest.mark.parametrize("kind", ["regression", "multiclass"])
    def test_crashes_leave_no_trace_with_other_targets(self, kind: str) -> None:
        made = world(7, trips.regression() if kind == "regression" else trips.multiclass())
        assert made.run_through_crashes({5, 40, 41, 90, 150, 260}) > 3
        assert made.outputs() == wanted(made)


class TestRebalance:
    """Tasks move from worker to worker."""

    def test_two_workers_share_the_tasks_and_commit_what_one_would(self) -> None:
        made = world(3, replace(trips.pipeline, partitions=3), count=40)
        made.until_done(made.worker("a"), made.worker("b"))
        for partition in range(3):
            assert made.outputs(partition) == wanted(made, partition)

    @pytest.mark.parametrize("seed", range(6))
    def test_workers_that_come_and_go_leave_no_trace(self, seed: int) -> None:
        draw = random.Random(seed)
        made = world(seed, replace(trips.pipeline, partitions=3), count=40)
        workers: dict[str, Any] = {"a": made.worker("a")}
        for turn in range(60):
            for name in list(workers):
                made.turn(workers[name])
            if turn % 6 == 5:
                name = draw.choice("abcd")
                if name not in workers:
                    workers[name] = made.worker(name)
                elif len(workers) > 1:
                    gone = workers.pop(name)
                    if draw.random() < 0.5:
                        gone._log.close()  # leaves, and checkpoints what it had
                    else:
                        made.cluster.evict(name)  # died
        made.until_done(*workers.values())
        for partition in range(3):
            assert made.outputs(partition) == wanted(made, partition)

    def test_a_task_given_up_in_peace_is_not_replayed_by_its_next_owner(self) -> None:
        made = world()
        first = made.worker("a")
        for _ in range(6):
            made.turn(first)
        first._log.close()
        made.telemetry.counts.clear()
        made.until_done(made.worker("b"))
        assert made.telemetry.counts["replayed_records"] == 0
        assert made.outputs() == wanted(made)

    def test_a_zombie_commits_nothing(self) -> None:
        # a    step, begin, produce │ SIGSTOP ......................... │ commit: fenced
        # b                         │ takes over, goes on to the end    │
        made = world()
        zombie = made.worker("a")
        successor: list[Any] = []

        def stop_and_continue(operation: str) -> None:
            if operation == "before commit" and len(made.outputs()["features"]) > 5 and not successor:
                successor.append(None)
                made.cluster.evict("a")
                made.until_done(made.worker("b"))

        made.cluster.on = stop_and_continue
        with pytest.raises(Fenced):
            made.until_done(zombie, also=lambda: False)
        assert successor
        assert made.outputs() == wanted(made)

    def test_lost_tasks_are_dropped_without_a_checkpoint(self) -> None:
        made = world()
        worker = made.worker()
        for _ in range(6):
            made.turn(worker)
        before = len(made.journal())
        worker.revoked([0], lost=True)
        assert worker.runs == {}
        assert len(made.journal()) == before


def test_the_crash_is_no_exception_that_code_could_swallow() -> None:
    assert not issubclass(Crash, Exception)


def test_batches_shrink_while_a_step_takes_too_long_and_grow_again() -> None:
    # step takes   0.4 s a record, then 1 ms             batches   200  100  50  25 ... 200
    made = world(pipeline=replace(trips.pipeline, batch_max=200), count=1_500)
    worker = made.worker()
    slow_s, passed_s = 0.4, 0.0
    step = Task.step

    def slow(self: Task, batch: Any) -> Any:
        nonlocal passed_s
        passed_s += slow_s * len(batch.records)
        return step(self, batch)

    worker._clock = lambda: made.now_s + passed_s
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "step", slow)
        sizes = []
        while not made.done:
            made.turn(worker)
            sizes.append(worker.runs[0].records_max if worker.runs else 200)
            slow_s = 0.4 if min(sizes) > 50 else 0.001
    assert min(sizes) <= 50
    assert sizes[-1] > min(sizes)
    assert made.outputs() == wanted(made)
