"""A task: predict, wait for the label, score, learn; for every kind of target."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from river.naive_bayes import GaussianNB

from models import Learner
from streams.records import MetricsRecord
from streams.task import Task
from tests.streams import kit
from tests.streams.kit import end, events, flushed, labels, raw, read, rejects, start
from tests.streams.pipelines import trips


def lean(**changes: Any) -> Task:
    return Task(trips.lean(**changes), 0)


class TestOneEvent:
    """From prediction to learning."""

    def test_an_event_is_predicted_on_at_once_and_learned_from_when_its_label_comes(self) -> None:
        # offset   events 0      labels 0
        #          predict       score, learn
        task = lean()
        first = kit.step(task, *events(start(0, 0, "a")))
        assert [output.name for output in first.outputs] == ["features", "predictions"]
        assert (first.labels, task.pending_labels) == (Counter(), 1)
        second = kit.step(task, *labels(end(0, 9_000, "a")))
        assert [output.name for output in second.outputs] == ["outcomes"]
        assert (second.labels, task.pending_labels) == (Counter(scored=1), 0)
        (outcome,), (prediction,) = read(second.outputs, "outcomes"), read(first.outputs, "predictions")
        assert (outcome.status, outcome.label, outcome.label_delay_ms) == ("scored", True, 9_000)
        assert (outcome.prediction, outcome.probability) == (prediction.prediction, prediction.probability)
        assert (outcome.topic, outcome.offset, outcome.label_topic, outcome.label_offset) == ("starts", 0, "ends", 0)
        third = kit.step(task, *events(start(1, 10_000, "b")))
        assert read(third.outputs, "predictions")[0].probability > prediction.probability, "it has learned"

    def test_the_features_learned_from_are_those_predicted_on(self) -> None:
        # busy   0     1     2          when a's label comes, 2 trips are on; it learns from busy=0
        seen: list[tuple[str, dict[str, Any]]] = []

        class Spy(GaussianNB):
            def predict_proba_one(self, x: dict[str, Any]) -> dict[Any, float]:
                seen.append(("predict", dict(x)))
                return {}

            def learn_one(self, x: dict[str, Any], y: Any) -> None:
                seen.append(("learn", dict(x)))

        task = Task(replace(trips.pipeline, champion=Learner("spy", Spy()), challengers=(), baselines=()), 0)
        for i, trip in enumerate("abc"):
            kit.step(task, (2, start(i, i * 1_000, trip, km=i)))
        kit.step(task, (1, end(0, 5_000, "a")), (1, end(1, 5_000, "c")))
        predicted = [x for what, x in seen if what == "predict"]
        assert [x["busy"] for x in predicted] == [0, 1, 2]
        assert [x for what, x in seen if what == "learn"] == [predicted[0], predicted[2]]

    def test_a_label_that_never_comes_expires_its_event_and_nothing_is_learned(self) -> None:
        task = lean(labels=trips.ends(early="reject"))
        kit.step(task, *events(start(0, 0, "a")))
        expired = kit.step(task, *events(start(1, 60_000, "b")))
        (outcome,) = read(expired.outputs, "outcomes")
        assert (outcome.event_id, outcome.status, outcome.label, outcome.label_delay_ms) == ("a", "expired", None, None)
        assert expired.labels == Counter(expired=1)
        assert read(expired.outputs, "predictions")[0].probability == 0.5
        late = kit.step(task, *labels(end(0, 60_001, "a")))
        assert rejects(late.outputs) == [("orphan_label", "trip")]

    def test_a_metrics_record_names_every_count_of_its_period(self) -> None:
        task = lean()
        kit.step(task, *events(start(0, 0, "a", driver="NA"), raw(1, 0, b"{")), *labels(end(0, 1_500, "a")))
        (report,) = read(kit.step(task, *events(start(2, 60_000, "b"))).outputs, "metrics")
        assert isinstance(report, MetricsRecord)
        assert (report.task, report.sequence) == (0, 0)
        assert report.window_end_time_ms - report.window_start_time_ms == 30_000
        assert [(c.name, c.count) for c in report.records] == [("ends", 1), ("starts", 2)]
        assert [(c.name, c.count) for c in report.rejects] == [("json", 1)]
        assert [(c.name, c.count) for c in report.repairs] == [("driver missing", 1)]
        assert [(c.name, c.count) for c in report.labels] == [("scored", 1)]
        assert (report.label_delay_sum_ms, report.label_delay_counts[:3]) == (1_500, [0, 1, 0])
        (model,) = report.models
        assert (model.counts.n, model.cumulative.n, model.sliding.n) == (1, 1, 1)


class TestOtherTargets:
    """Numbers and classes, end to end."""

    def test_a_regression_is_predicted_scored_and_learned(self) -> None:
        _, outputs = kit.run(trips.regression(), flushed(kit.history(5, trips=400, references=False)))
        outcomes = [o for o in read(outputs, "outcomes") if o.status == "scored"]
        assert all(isinstance(o.label, float) and isinstance(o.prediction, float) for o in outcomes)
        assert all(o.probability is None and o.probabilities is None for o in outcomes)
        last = read(outputs, "metrics")[-1].models[0].cumulative
        assert last.n == len(outcomes)
        assert last.mae == pytest.approx(sum(abs(o.label - o.prediction) for o in outcomes) / len(outcomes))
        errors = [abs(o.label - o.prediction) for o in outcomes]
        assert sum(errors[-50:]) < sum(errors[:50]) / 2, "it learns"

    def test_classes_are_predicted_scored_and_learned(self) -> None:
        _, outputs = kit.run(trips.multiclass(), flushed(kit.history(6, trips=300, references=False)))
        outcomes = [o for o in read(outputs, "outcomes") if o.status == "scored"]
        assert outcomes[0].prediction is None, "no class is known yet"
        assert {o.label for o in outcomes} == {"centre", "ring", "country"}
        known = outcomes[-1].probabilities
        assert set(known) == {"centre", "ring", "country"}
        assert sum(known.values()) == pytest.approx(1)
        last = read(outputs, "metrics")[-1].models[0].cumulative
        right = sum(o.label == o.prediction for o in outcomes)
        assert last.accuracy == pytest.approx(right / len(outcomes))
        assert last.accuracy > 0.6
