"""The epoch of a task: which of its lives a report belongs to."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from streams.records import MetricsRecord
from streams.task import Task
from tests.sim.cluster import Crash
from tests.sim.memory_log import MemoryLog
from tests.sim.world import World
from tests.streams import kit
from tests.streams.kit import flushed, read, start
from tests.streams.pipelines import trips


def world() -> World:
    made = World(trips.pipeline)
    made.put(flushed(kit.history(1, 40, gaps=False)))
    return made


def begun_anew() -> World:
    """A pipeline whose journal, offsets and checkpoints were deleted, behind the reports of its former life."""
    made = world()
    made.run()._log.close()
    made.cluster.topics["trips.journal"][0].clear()
    made.cluster.offsets.clear()
    made.blobs.blobs.clear()
    return made


def reports(made: World) -> list[MetricsRecord]:
    return [msgspec.json.decode(value, type=MetricsRecord) for _, value, _ in made.outputs()["metrics"]]


def lives(made: World) -> list[tuple[int, list[int]]]:
    """Epochs in the order they come in, each with the sequences of its reports."""
    found: dict[int, list[int]] = {}
    for report in reports(made):
        found.setdefault(report.epoch, []).append(report.sequence)
    return list(found.items())


def test_a_task_in_a_new_topic_has_epoch_0_through_all_restarts() -> None:
    made = world()
    assert made.run_through_crashes({20, 60, 100}) == 3
    ((epoch, sequences),) = lives(made)
    assert (epoch, sequences) == (0, list(range(len(sequences))))


def test_a_task_that_begins_anew_behind_its_reports_has_the_end_of_them_for_its_epoch() -> None:
    # metrics   0 1 2 3 … 8 │ 9 10 11
    # epoch     0           │ 9          the second life knows nothing of the first, and counts its reports from 0
    made = begun_anew()
    end = MemoryLog(made.cluster, "reader").end_offset("trips.metrics", 0)
    made.run()
    (first, before), (second, after) = lives(made)
    assert (first, second) == (0, end)
    assert before == after == list(range(len(before)))
    told = [msgspec.structs.replace(report, epoch=0) for report in reports(made)]
    assert told[: len(before)] == told[len(before) :], "it reads the same inputs again, from their beginning"


@pytest.mark.parametrize("crash_at", range(1, 26))
def test_wherever_it_crashes_while_it_begins_the_epoch_is_the_same(crash_at: int) -> None:
    undisturbed, crashed = begun_anew(), begun_anew()
    undisturbed.run()
    assert crashed.run_through_crashes({crash_at}) == 1
    assert crashed.outputs()["metrics"] == undisturbed.outputs()["metrics"]


def test_the_first_transaction_that_fails_leaves_no_trace_in_the_epoch() -> None:
    made = begun_anew()
    end = MemoryLog(made.cluster, "reader").end_offset("trips.metrics", 0)

    def dies(operation: str) -> None:
        if operation == "before commit":
            raise Crash(operation)

    made.cluster.on = dies
    with pytest.raises(Crash):
        made.run()
    made.cluster.on = lambda _: None
    made.run()
    assert [epoch for epoch, _ in lives(made)] == [0, end]


@pytest.mark.parametrize("changes", [{}, {"report_every": timedelta(seconds=5)}])
def test_the_epoch_is_part_of_the_state_whatever_the_period(changes: dict[str, Any]) -> None:
    before, task = Task(trips.lean(), 0), Task(trips.lean(**changes), 0)
    before.begin(7)
    kit.step(before, *kit.events(start(0, 0, "a"), start(1, 40_000, "b")))
    task.restore(pickle.loads(pickle.dumps(before.state())))
    assert task.epoch == 7
    step = kit.step(task, *kit.events(start(2, 80_000, "c"), start(3, 120_000, "d")))
    first, *_ = read(step.outputs, "metrics")
    assert (first.epoch, first.sequence) == (7, 1)


def test_tasks_of_other_epochs_have_other_states() -> None:
    one, other = Task(trips.pipeline, 0), Task(trips.pipeline, 0)
    other.begin(1)
    assert one.digest() != other.digest()
