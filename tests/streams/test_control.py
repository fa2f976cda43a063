"""Decisions on a task's models: obeyed, refused, remembered, and as if the task had never been restarted."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from river.drift import ADWIN
from river.linear_model import LogisticRegression
from river.tree import HoeffdingTreeClassifier

from models import Learner, on_error
from streams.batch import Batch, InputBuffers, merge
from streams.ports import Output, Record
from streams.task import Task
from tests.streams import kit
from tests.streams.kit import end, events, labels, read, start
from tests.streams.pipelines import trips

CONTROL = 2
"""The index behind the inputs of the lean pipeline."""


def duel(**changes: Any) -> Task:
    """A champion, a challenger and a baseline."""
    models = {
        "champion": Learner("logistic", LogisticRegression()),
        "challengers": [Learner("tree", HoeffdingTreeClassifier(grace_period=5))],
        "baselines": [Learner("yardstick", LogisticRegression())],
    }
    return Task(trips.lean(**(models | changes)), 0)


def decision(action: str, model: str | None = None, id: str = "1", **more: Any) -> Record:
    row = {"id": id, "action": action, "model": model, "by": "ann", "why": "to see", "decided_time_ms": 5} | more
    return Record(0, 9_999_999_999_999, None, msgspec.json.encode(row))


def decide(task: Task, *records: Record) -> list[tuple[bool, str]]:
    """What became of these: whether they were obeyed, and the reason if not."""
    outputs = kit.step(task, *[(CONTROL, record) for record in records]).outputs
    return [(row.obeyed, row.reason) for row in read(outputs, "decisions")]


def lived(task: Task, trips_from: int = 0, count: int = 20) -> list[Output]:
    """So many trips, each with its label."""
    outputs = []
    for i in range(trips_from, trips_from + count):
        outputs += kit.step(task, *events(start(i, i * 1_000, f"trip {i}", km=i % 20))).outputs
        outputs += kit.step(task, *labels(end(i, i * 1_000 + 500, f"trip {i}", minutes=(i % 20) * 2.0))).outputs
    return outputs


def test_the_promoted_model_is_the_champion_of_what_comes_and_of_what_waits() -> None:
    task = duel()
    lived(task)
    kit.step(task, *events(start(50, 50_000, "before")))
    assert decide(task, decision("promote", "tree")) == [(True, "")]
    (outcome,) = read(kit.step(task, *labels(end(50, 51_000, "before"))).outputs, "outcomes")
    (prediction,) = read(kit.step(task, *events(start(51, 52_000, "after"))).outputs, "predictions")
    for row in (outcome, prediction):
        assert (row.model, row.role) == ("tree", "champion")
        assert [(each.model, each.role) for each in row.shadows] == [
            ("logistic", "challenger"),
            ("yardstick", "baseline"),
        ]


def test_each_model_keeps_what_it_said_and_learned_when_roles_change() -> None:
    one, other = duel(), duel()
    lived(one)
    lived(other)
    decide(one, decision("promote", "tree"))
    for task in (one, other):
        lived(task, 20)
    said = [read(lived(task, 40, 1), "outcomes")[0] for task in (one, other)]
    by_name = [{row.model: row.probability} | {each.model: each.probability for each in row.shadows} for row in said]
    assert by_name[0] == by_name[1]


def test_a_reset_model_forgets_and_says_so_by_its_version_and_what_it_said_before_is_not_scored() -> None:
    task, fresh = duel(), duel()
    lived(task)
    kit.step(task, *events(start(50, 50_000, "before")))
    assert decide(task, decision("reset", "logistic")) == [(True, "")]
    kit.step(task, *labels(end(50, 50_500, "before", minutes=1.0)))
    kit.step(fresh, *events(start(50, 50_000, "before")))
    kit.step(fresh, *labels(end(50, 50_500, "before", minutes=1.0)))
    new, first = (read(lived(each, 60, 1), "predictions")[0] for each in (task, fresh))
    assert new.probability == first.probability
    assert (first.version + ".1", new.shadows[0].version) == (new.version, first.shadows[0].version)
    assert task._panel.scores[0].open.n == 1, "of the trip after it alone"


def test_a_paused_pipeline_predicts_and_scores_and_learns_nothing_until_it_resumes() -> None:
    task = duel()
    lived(task)
    assert decide(task, decision("pause")) == [(True, "")]
    before = pickle.dumps([model.model for model in task._panel.models])
    outputs = lived(task, 20)
    assert pickle.dumps([model.model for model in task._panel.models]) == before
    assert {row.status for row in read(outputs, "outcomes")} == {"scored"}
    assert decide(task, decision("pause", id="2"), decision("resume", id="3")) == [
        (False, "learning is paused"),
        (True, ""),
    ]
    lived(task, 40)
    assert pickle.dumps([model.model for model in task._panel.models]) != before


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (decision("promote", "nobody"), "there is no model 'nobody', only logistic, tree, yardstick"),
        (decision("promote"), "there is no model None, only logistic, tree, yardstick"),
        (decision("promote", "logistic"), "logistic is the champion"),
        (decision("promote", "yardstick"), "yardstick is a baseline"),
        (decision("reset", "nobody"), "there is no model 'nobody', only logistic, tree, yardstick"),
        (decision("resume"), "learning is not paused"),
        (decision("reset", "tree", after=1), "stale: it was taken after 1 decisions, by now 0 were obeyed"),
        (
            decision("pause", stale_time_ms=1_019_500),
            "stale: it was to be obeyed until 1970-01-01T00:16:59.500000Z, it is 1970-01-01T00:16:59.500000Z",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason_and_changes_no_model(record: Record, reason: str) -> None:
    task = duel()
    lived(task)
    before = pickle.dumps(task._panel.state())
    assert decide(task, record) == [(False, reason)]
    assert pickle.dumps(task._panel.state()) == before


def test_what_is_not_stale_yet_is_obeyed() -> None:
    task = duel()
    lived(task)
    assert decide(task, decision("pause", stale_time_ms=1_019_501)) == [(True, "")]


def test_a_decision_is_obeyed_once_and_one_that_saw_it_comes_after_it() -> None:
    task = duel()
    first, again = decision("promote", "tree"), decision("promote", "logistic")
    assert decide(task, first, again) == [(True, ""), (False, "it was taken before")]
    assert decide(task, decision("reset", "tree", id="2", after=0))[0][0] is False
    assert decide(task, decision("reset", "tree", id="3", after=1)) == [(True, "")]


@pytest.mark.parametrize(
    ("record", "reason", "field"),
    [
        (Record(7, 3, None, None), "empty", ""),
        (Record(7, 3, None, b"{"), "json", ""),
        (Record(7, 3, None, b"\xff"), "json", ""),
        (Record(7, 3, None, b'{"id": "1"}'), "schema", "action"),
        (decision("resign"), "schema", "action"),
        (decision("pause", by=""), "schema", "by"),
        (decision("pause", why="x" * 300_000), "schema", "why"),
        (decision("pause", decided_time_ms=10**18), "schema", "decided_time_ms"),
        (decision("pause", typo=1), "schema", "typo"),
    ],
)
def test_what_is_no_decision_is_rejected(record: Record, reason: str, field: str) -> None:
    (reject,) = read(kit.step(duel(), (CONTROL, record)).outputs, "rejects")
    assert (reject.topic, reject.offset, reject.reason, reject.field) == ("trips.control", record.offset, reason, field)


def test_a_decision_moves_no_time_and_tells_whose_it_was() -> None:
    task = duel()
    lived(task, count=1)
    now_ms = task.now_ms
    (row,) = read(kit.step(task, (CONTROL, decision("reset", "tree"))).outputs, "decisions")
    assert task.now_ms == now_ms == row.time_ms
    assert (row.decision, row.action, row.model, row.by, row.why) == ("1", "reset", "tree", "ann", "to see")
    assert (row.decided_time_ms, row.number, row.topic) == (5, 1, "trips.control")


def test_a_watch_on_the_champion_begins_anew_with_another_one() -> None:
    task = duel(drift=[on_error(ADWIN()), on_error(ADWIN(), "logistic")])
    lived(task)
    decide(task, decision("promote", "tree"))
    followed, kept = task._panel.watches
    assert (followed.seen, kept.seen) == (0, 20)
    lived(task, 20, 1)
    assert (followed.seen, kept.seen) == (1, 21)
    decide(task, decision("reset", "logistic", id="2"))
    assert (followed.seen, kept.seen) == (1, 0)


def test_a_restored_task_goes_on_with_what_was_decided() -> None:
    task = duel()
    lived(task)
    decide(task, decision("promote", "tree"), decision("reset", "yardstick", id="2"), decision("pause", id="3"))
    lived(task, 20)
    restored = duel()
    restored.restore(pickle.loads(pickle.dumps(task.state())))
    assert restored.digest() == task.digest()
    assert lived(restored, 40) == lived(task, 40)
    assert decide(restored, decision("pause", id="3")) == [(False, "it was taken before")]


def test_a_champion_that_is_declared_anew_is_the_champion() -> None:
    task = duel()
    decide(task, decision("promote", "tree"))
    declared = replace(
        task.pipeline,
        champion=task.pipeline.baselines[0],
        baselines=(),
        challengers=[task.pipeline.champion, *task.pipeline.challengers],
    )
    deployed = Task(declared, 0)
    deployed.restore(pickle.loads(pickle.dumps(task.state())))
    assert [(model.name, model.role) for model in deployed._panel.models] == [
        ("yardstick", "champion"),
        ("logistic", "challenger"),
        ("tree", "challenger"),
    ]


def test_a_promoted_model_that_is_declared_no_more_leaves_the_declared_champion() -> None:
    task = duel()
    decide(task, decision("promote", "tree"))
    deployed = Task(replace(task.pipeline, challengers=()), 0)
    deployed.restore(pickle.loads(pickle.dumps(task.state())))
    assert [(model.name, model.role) for model in deployed._panel.models] == [
        ("logistic", "champion"),
        ("yardstick", "baseline"),
    ]


def test_decisions_come_first_in_a_batch_whatever_their_time_and_are_never_waited_for() -> None:
    # labels 0:100        events 0:50      control 0:9,999,999,999,999
    buffers = InputBuffers([0, 0, 0], urgent=CONTROL)
    early, late, order = Record(0, 50, None, b""), Record(0, 100, None, b""), decision("pause")
    buffers.add(0, [late], end_offset=1)
    buffers.add(1, [early], end_offset=1)
    assert buffers.cut(1, idle=()).records == [(1, early)], "no decision has come"
    buffers.add(CONTROL, [order])
    batch = buffers.cut(10, idle=[1])
    assert batch == Batch(((0, 1), (1, 1), (0, 1)), [(CONTROL, order), (0, late)])
    assert merge(batch.ranges, [[late], [], [order]], urgent=CONTROL) == batch
