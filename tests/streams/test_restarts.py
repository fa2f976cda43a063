"""Cuts, stops and restarts leave no trace, and a state goes on under a changed declaration."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.linear_model import LogisticRegression
from river.naive_bayes import GaussianNB
from river.tree import HoeffdingTreeClassifier

from models import Learner
from streams.batch import Batch
from streams.errors import Declined
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.task import Task
from tests.streams import kit
from tests.streams.kit import end, events, labels, read, start
from tests.streams.pipelines import trips

PIPELINES = {
    "binary": lambda: trips.pipeline,
    "lean": trips.lean,
    "regression": trips.regression,
    "multiclass": trips.multiclass,
}


def whole(kind: str, seed: int) -> tuple[Pipeline, list[list[Record]], Task, list[Output]]:
    pipeline = PIPELINES[kind]()
    inputs = kit.history(seed, references=kind == "binary")
    return pipeline, inputs, *kit.run(pipeline, inputs)


class TestTheSameAnyway:
    """Cuts, stops and restarts leave no trace."""

    @settings(max_examples=25)
    @given(st.sampled_from(list(PIPELINES)), st.integers(0, 5), st.lists(st.integers(0, 100), max_size=8))
    def test_outputs_do_not_depend_on_how_records_are_cut_into_batches(
        self, kind: str, seed: int, cuts: list[int]
    ) -> None:
        pipeline, inputs, undisturbed, wanted = whole(kind, seed)
        order, task, outputs = kit.merged(inputs), Task(pipeline, 0), []
        bounds = [0, *sorted(min(cut, len(order)) for cut in cuts), len(order)]
        for first, last in pairwise(bounds):
            outputs += task.step(Batch((), order[first:last])).outputs
        assert outputs == wanted
        assert task.digest() == undisturbed.digest()

    @settings(max_examples=25)
    @given(st.sampled_from(list(PIPELINES)), st.integers(0, 5), st.lists(st.integers(0, 100), min_size=1, max_size=3))
    def test_a_task_that_was_pickled_and_restored_goes_on_as_if_nothing_had_happened(
        self, kind: str, seed: int, stops: list[int]
    ) -> None:
        pipeline, inputs, undisturbed, wanted = whole(kind, seed)
        order, task, outputs = kit.merged(inputs), Task(pipeline, 0), []
        for place, record in enumerate(order):
            for _ in range(stops.count(place)):
                state = pickle.loads(pickle.dumps(task.state()))
                task = Task(PIPELINES[kind](), 0)
                task.restore(state)
            outputs += task.step(Batch((), [record])).outputs
        assert outputs == wanted
        assert task.digest() == undisturbed.digest()

    @pytest.mark.parametrize("kind", PIPELINES)
    @pytest.mark.parametrize("stretch", [1, 7])
    def test_nor_on_how_many_records_are_walked_over_before_the_models_are_asked(
        self, kind: str, stretch: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pipeline, inputs, undisturbed, wanted = whole(kind, seed=4)
        monkeypatch.setattr("streams.task.STRETCH", stretch)
        task = Task(pipeline, 0)
        assert task.step(Batch((), kit.merged(inputs))).outputs == wanted
        assert task.digest() == undisturbed.digest()

    def test_two_tasks_share_nothing(self) -> None:
        pipeline, inputs, undisturbed, wanted = whole("binary", 3)
        first, second, outputs = Task(pipeline, 0), Task(pipeline, 0), []
        for record in kit.merged(inputs):
            outputs += first.step(Batch((), [record])).outputs
            second.step(Batch((), [record]))
        assert outputs == wanted
        assert first.digest() == second.digest() == undisturbed.digest()

    def test_another_history_gives_another_digest(self) -> None:
        assert whole("binary", 1)[2].digest() != whole("binary", 2)[2].digest()


class TestRestore:
    """Whose state it is, and what changed since."""

    def state(self, pipeline: Pipeline, partition: int = 0) -> Any:
        task = Task(pipeline, partition)
        task.step(Batch((), kit.merged(kit.history(4, references=bool(pipeline.references)))))
        return pickle.loads(pickle.dumps(task.state()))

    @pytest.mark.parametrize(("name", "partition"), [("trips", 1), ("other", 0)])
    def test_another_tasks_state_is_refused(self, name: str, partition: int) -> None:
        state = self.state(trips.lean())
        with pytest.raises(Declined, match=r"the state belongs to trips\[0\]"):
            Task(trips.lean(name=name), partition).restore(state)

    def test_a_changed_learner_starts_fresh_and_the_others_go_on(self) -> None:
        before = trips.lean(challengers=[Learner("tree", HoeffdingTreeClassifier(grace_period=20))])
        after = trips.lean(challengers=[Learner("tree", HoeffdingTreeClassifier(grace_period=21))])
        state = self.state(before)
        same, changed = Task(before, 0), Task(after, 0)
        same.restore(pickle.loads(pickle.dumps(state)))
        changed.restore(state)
        asked = events(start(999, 10**6, "after"))
        was, now = (read(kit.step(task, *asked).outputs, "predictions")[0] for task in (same, changed))
        assert (now.probability, now.version) == (was.probability, was.version)
        assert now.shadows[0].probability == 0.5 != was.shadows[0].probability
        assert now.shadows[0].version != was.shadows[0].version

    def test_the_limits_of_what_is_remembered_are_those_declared_now(self) -> None:
        state = self.state(trips.lean())
        task = Task(trips.lean(labels=trips.ends(pending_max=2)), 0)
        task.restore(state)
        for i in range(4):
            kit.step(task, *events(start(900 + i, 10**6, f"trip {900 + i}")))
            kit.step(task, *labels(end(900 + i, 10**6, f"trip {900 + i}")))
        assert list(task._pending.resolved) == ["trip 902", "trip 903"]

    @pytest.mark.parametrize("change", ["added", "removed", "swapped", "champion anew"])
    def test_events_that_wait_while_the_learners_change_keep_each_models_own_prediction(self, change: str) -> None:
        logistic, tree, bayes = (
            trips.logistic(),
            Learner("tree", HoeffdingTreeClassifier()),
            Learner("bayes", GaussianNB()),
        )
        before = trips.lean(champion=logistic, challengers=[tree])
        after = {
            "added": trips.lean(champion=logistic, challengers=[bayes, tree]),
            "removed": trips.lean(champion=logistic),
            "swapped": trips.lean(champion=tree, challengers=[logistic]),
            "champion anew": trips.lean(champion=Learner("logistic", LogisticRegression()), challengers=[tree]),
        }[change]
        first, second = Task(before, 0), Task(after, 0)
        first.step(Batch((), kit.merged(kit.history(4, references=False))))
        (said,) = read(kit.step(first, *events(start(999, 10**6, "waits"))).outputs, "predictions")
        second.restore(pickle.loads(pickle.dumps(first.state())))
        step = kit.step(second, *labels(end(999, 10**6 + 1, "waits")))
        (outcome,) = read(step.outputs, "outcomes")
        said_by = {said.model: (said.version, said.probability)} | {
            v.model: (v.version, v.probability) for v in said.shadows
        }
        now_by = {v.model: (v.version, v.probability) for v in [outcome, *outcome.shadows]}
        for model, verdict in now_by.items():
            kept = verdict[0] == said_by.get(model, ("", 0))[0]
            assert verdict == said_by[model] if kept else verdict[1] is None, model
        assert outcome.status == "scored"

    def test_another_reporting_period_starts_anew_and_counts_its_reports_on(self) -> None:
        state = self.state(trips.lean())
        sequence = state["report"].sequence
        assert sequence > 0
        task = Task(trips.lean(report_every=trips.timedelta(seconds=7)), 0)
        task.restore(state)
        step = kit.step(task, *events(start(998, 10**6, "x"), start(999, 2 * 10**6, "y")))
        assert [report.sequence for report in read(step.outputs, "metrics")] == [sequence]
