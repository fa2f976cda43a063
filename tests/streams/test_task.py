"""A task: predict, wait for the label, score, learn; the same however it was cut, stopped and brought back."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.linear_model import LogisticRegression
from river.naive_bayes import GaussianNB
from river.tree import HoeffdingTreeClassifier

from models import Learner
from streams.batch import Batch
from streams.errors import Declined, ModelFailed
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.records import MetricsRecord, RejectRecord
from streams.task import Task
from tests.streams import kit
from tests.streams.kit import end, raw, read, start
from tests.streams.pipelines import trips

LABELS, EVENTS = 0, 1  # the lean pipeline has no reference


def lean(**changes: Any) -> Task:
    return Task(trips.lean(**changes), 0)


def events(*records: Record) -> list[tuple[int, Record]]:
    return [(EVENTS, record) for record in records]


def labels(*records: Record) -> list[tuple[int, Record]]:
    return [(LABELS, record) for record in records]


def rejects(outputs: list[Output]) -> list[tuple[str, str]]:
    return [(reject.reason, reject.field) for reject in read(outputs, "rejects")]


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


class TestLabelPolicies:
    """What becomes of a label that meets no waiting event."""

    def run(self, policy: dict[str, Any], *records: tuple[int, Record]) -> tuple[list[tuple[str, str]], dict[str, int]]:
        step = kit.step(lean(labels=trips.ends(**policy)), *records)
        return rejects(step.outputs), dict(step.labels)

    @pytest.mark.parametrize(("policy", "rejected"), [("reject", [("duplicate_label", "trip")]), ("ignore", [])])
    def test_a_label_delivered_twice_trains_once(self, policy: str, rejected: list[Any]) -> None:
        both = [*events(start(0, 0, "a")), *labels(end(0, 1, "a"), end(1, 2, "a"))]
        assert self.run({"duplicate": policy}, *both) == (rejected, {"scored": 1, "duplicate": 1})

    @pytest.mark.parametrize(("policy", "rejected"), [("reject", [("corrected_label", "trip")]), ("ignore", [])])
    def test_of_two_different_labels_the_first_counts(self, policy: str, rejected: list[Any]) -> None:
        both = [*events(start(0, 0, "a")), *labels(end(0, 1, "a", minutes=30), end(1, 2, "a", minutes=1))]
        assert self.run({"corrected": policy}, *both) == (rejected, {"scored": 1, "corrected": 1})

    @pytest.mark.parametrize(("policy", "rejected"), [("reject", [("orphan_label", "trip")]), ("ignore", [])])
    def test_a_label_of_no_event_is_an_orphan(self, policy: str, rejected: list[Any]) -> None:
        orphan = labels(end(0, 1, "a"))
        assert self.run({"orphan": policy, "early": "reject"}, *orphan) == (rejected, {"orphan": 1})

    def test_an_early_label_that_is_held_meets_its_event(self) -> None:
        # labels  a               held, then learned from at once
        # events        a
        task = lean(labels=trips.ends(early="hold"))
        step = kit.step(task, *labels(end(0, 0, "a")), *events(start(0, 5_000, "a")))
        assert dict(step.labels) == {"early": 1, "scored": 1}
        assert [output.name for output in step.outputs] == ["features", "predictions", "outcomes"]
        assert read(step.outputs, "outcomes")[0].label_delay_ms == -5_000

    def test_an_early_label_that_is_not_held_is_an_orphan_and_its_event_expires(self) -> None:
        policy = {"early": "reject"}
        come = [*labels(end(0, 0, "a")), *events(start(0, 1, "a"), start(1, 70_000, "b"))]
        assert self.run(policy, *come) == ([("orphan_label", "trip")], {"orphan": 1, "expired": 1})

    @pytest.mark.parametrize(("policy", "rejected"), [("reject", [("orphan_label", "trip")]), ("ignore", [])])
    def test_a_held_label_whose_event_never_comes_becomes_an_orphan(self, policy: str, rejected: list[Any]) -> None:
        come = [*labels(end(7, 0, "a")), *events(start(0, 60_000, "b"))]
        assert self.run({"orphan": policy}, *come) == (rejected, {"early": 1, "orphan": 1})

    def test_an_orphan_that_was_held_is_rejected_whole_with_its_own_coordinates(self) -> None:
        label = end(7, 0, "a")
        step = kit.step(lean(), *labels(label), *events(start(0, 60_000, "b")))
        (reject,) = read(step.outputs, "rejects")
        assert (reject.topic, reject.offset, reject.timestamp_ms) == ("ends", 7, label.timestamp_ms)
        assert (reject.key, reject.value) == (label.key, label.value)

    def test_beyond_the_limit_the_oldest_events_expire(self) -> None:
        come = events(*[start(i, i, f"trip {i}") for i in range(5)])
        assert self.run({"pending_max": 2}, *come)[1] == {"expired": 3}

    def test_a_label_that_says_nothing_new_is_not_counted_by_windows(self) -> None:
        # labels   10 min   10 min again   70 min "corrected"        mean: 10, and not 15 or 30
        task = Task(trips.pipeline, 0)
        kit.step(task, (2, start(0, 0, "a")), (1, end(0, 1, "a", 10)), (1, end(1, 2, "a", 10)), (1, end(2, 3, "a", 70)))
        step = kit.step(task, (1, end(3, 4, "unknown", 30)), (2, start(1, 5, "b")))
        assert read(step.outputs, "features")[0].features["usual_minutes"] == 20.0, "an orphan's minutes are true, too"


class TestRejects:
    """Bad records go to the rejects topic, whole, and the task goes on."""

    @pytest.mark.parametrize(
        ("value", "reason", "field"),
        [
            (None, "empty", ""),
            (b"\xff\x00", "json", ""),
            (b'{"trip": 3}', "schema", "trip"),
            (start(0, 0, None).value, "missing", "trip"),
            (start(0, 0, "a", at=None).value, "missing", "at"),
            (start(0, 0, "a", at="2013-01-01T00:00:00").value, "schema", "at"),
            (start(0, 0, "a", km=1e300).value, "out_of_range", "km"),
            (start(0, 0, "a", km=-1.0).value, "backward", ""),
        ],
    )
    def test_a_bad_event_is_rejected_with_its_bytes_and_coordinates(self, value: Any, reason: str, field: str) -> None:
        task = lean()
        record = raw(7, 5, value, key=b"\xfe")
        step = kit.step(task, *events(record, start(8, 6, "next")))
        (reject,) = read(step.outputs, "rejects")
        assert isinstance(reject, RejectRecord)
        assert (reject.topic, reject.partition, reject.offset) == ("starts", 0, 7)
        assert (reject.timestamp_ms, reject.key, reject.value) == (record.timestamp_ms, b"\xfe", value)
        assert (reject.reason, reject.field) == (reason, field)
        assert reject.detail
        assert step.rejects == Counter({reason: 1})
        assert len(read(step.outputs, "predictions")) == 1, "the loop goes on"

    def test_an_event_seen_before_is_rejected_while_it_waits_and_while_it_is_remembered(self) -> None:
        task = lean()
        step = kit.step(task, *events(start(0, 0, "a"), start(1, 1, "a")), *labels(end(0, 2, "a")))
        assert rejects(step.outputs) == [("duplicate_event", "trip")]
        assert rejects(kit.step(task, *events(start(2, 3, "a"))).outputs) == [("duplicate_event", "trip")]
        assert rejects(kit.step(task, *events(start(3, 90_000, "a"))).outputs) == []

    @pytest.mark.parametrize(
        ("target", "label"),
        [("long", {"minutes": None}), ("minutes", {"minutes": None}), ("minutes", {"minutes": 1e300})],
    )
    def test_a_label_that_target_cannot_read_is_rejected(self, target: str, label: dict[str, Any]) -> None:
        pipeline = trips.regression() if target == "minutes" else trips.lean()
        task = Task(pipeline, 0)
        step = kit.step(task, *events(start(0, 0, "a")), *labels(end(0, 1, "a", **label)))
        ((reason, _),) = rejects(step.outputs)
        assert reason in {"target_failed", "out_of_range"}
        assert task.pending_labels == 1, "a good label may still come"

    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    def test_a_target_that_gives_none_is_no_label(self, kind: str) -> None:
        pipeline = trips.lean(target=none_of_bool if kind == "binary" else none_of_str)
        step = kit.step(Task(pipeline, 0), *events(start(0, 0, "a")), *labels(end(0, 1, "a")))
        assert rejects(step.outputs) == [("target_failed", "")]

    def test_a_cleaning_rule_that_raises_rejects_the_record(self) -> None:
        picky = replace(trips.starts, clean=[trips.Require(raises, "picky", field="km")])
        step = kit.step(lean(events=picky), *events(start(0, 0, "a")))
        assert rejects(step.outputs) == [("cleaning_failed", "km")]

    def test_features_that_raise_reject_the_event_and_windows_do_not_see_it(self) -> None:
        step = kit.step(lean(features=raises_on_a), *events(start(0, 0, "a"), start(1, 1, "b")))
        assert rejects(step.outputs) == [("features_failed", "")]
        assert len(read(step.outputs, "predictions")) == 1

    def test_a_model_that_raises_stops_the_task_and_names_the_remedy(self) -> None:
        class Broken(GaussianNB):
            def predict_proba_one(self, x: Any) -> Any:
                raise ZeroDivisionError("inside")

        with pytest.raises(ModelFailed, match=r"ZeroDivisionError: inside.*trips\[0\].*Remedy"):
            kit.step(lean(champion=Learner("broken", Broken())), *events(start(0, 0, "a")))

    def test_feature_names_may_be_those_of_the_records_own_fields(self) -> None:
        task = lean(features=clashing)
        step = kit.step(task, *events(start(3, 0, "a")))
        (row,) = read(step.outputs, "features")
        assert row.features == {"event_id": 1, "offset": 2, "topic": "mine"}
        assert (row.event_id, row.offset, row.topic) == ("a", 3, "starts")


def none_of_bool(end: trips.End) -> bool:
    return None  # type: ignore[return-value]


def none_of_str(end: trips.End) -> str:
    return None  # type: ignore[return-value]


def raises(start: trips.Start) -> bool:
    raise ValueError("no")


def raises_on_a(start: trips.Start, now: Any) -> dict[str, Any]:
    assert start.trip != "a"
    return {"km": start.km}


def clashing(start: trips.Start, now: Any) -> dict[str, Any]:
    return {"event_id": 1, "offset": 2, "topic": "mine"}


def period_counts(outputs: list[Output]) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """All counts of the metrics records, added up: integers, and sums of floats."""
    counts: Counter[tuple[str, ...]] = Counter()
    sums: Counter[tuple[str, ...]] = Counter()
    for report in read(outputs, "metrics"):
        for what in ("records", "rejects", "repairs", "labels"):
            counts.update({(what, c.name): c.count for c in getattr(report, what)})
        counts.update({("delay", str(i)): n for i, n in enumerate(report.label_delay_counts)})
        counts["delay", "sum"] += report.label_delay_sum_ms
        for model in report.models:
            counts[model.model, "n"] += model.counts.n
            counts.update({(model.model, c.label, c.prediction): c.count for c in model.counts.confusion})
            counts.update({(model.model, f"-{b}"): n for b, n in zip(model.counts.bins, model.counts.negatives)})  # noqa: B905
            counts.update({(model.model, f"+{b}"): n for b, n in zip(model.counts.bins, model.counts.positives)})  # noqa: B905
            sums[model.model, "log loss"] += model.counts.log_loss_sum
    return +counts, sums


def flushed(inputs: list[list[Record]]) -> list[list[Record]]:
    """With one more event, so late that every period is closed and every label has come or is late."""
    *others, events = inputs
    return [*others, [*events, start(10_000, 10**7, "the last"), start(10_001, 10**8, "the very last")]]


class TestMetrics:
    """Reports add up."""

    @pytest.mark.parametrize("seed", range(3))
    def test_the_reports_of_two_tasks_add_up_to_those_of_one(self, seed: int) -> None:
        # Models that do not learn, so that it makes no difference who predicts.
        frozen = replace(trips.logistic(), learn_until=trips.datetime.fromtimestamp(0, trips.UTC))
        pipeline = trips.lean(champion=frozen, baselines=[trips.Learner("rule", trips.Rule(trips.many_km))])
        inputs = kit.history(seed, references=False)
        halves = [[[r for r in records if by_trip(r) is odd] for records in inputs] for odd in (False, True)]
        _, whole = kit.run(pipeline, flushed(inputs))
        parts = [kit.run(pipeline, flushed(half))[1] for half in halves]
        counts, sums = period_counts(whole)
        part_counts, part_sums = (sum(both, Counter()) for both in zip(*map(period_counts, parts), strict=True))
        part_counts["records", "starts"] -= 1  # each half was flushed by an event of its own
        assert +part_counts == counts
        assert part_sums["logistic", "log loss"] == pytest.approx(sums["logistic", "log loss"])

    def test_all_periods_add_up_to_the_cumulative_values(self) -> None:
        _, outputs = kit.run(trips.pipeline, flushed(kit.history(1)))
        reports = read(outputs, "metrics")
        assert [report.sequence for report in reports] == list(range(len(reports)))
        for place, model in enumerate(reports[-1].models):
            assert model.cumulative.n == sum(report.models[place].counts.n for report in reports)
            assert model.sliding.n == sum(report.models[place].counts.n for report in reports[-3:])
        ended = sum(c.count for r in reports for c in r.labels if c.name in {"scored", "expired"})
        assert ended == len(read(outputs, "outcomes")) - 1, "the very last record expired one more, after the report"

    def test_periods_are_whole_and_do_not_overlap(self) -> None:
        _, outputs = kit.run(trips.pipeline, kit.history(2))
        before_ms = 0
        for report in read(outputs, "metrics"):
            assert report.window_start_time_ms % 30_000 == 0
            assert report.window_start_time_ms >= before_ms
            before_ms = report.window_end_time_ms

    def test_drift_is_reported_at_the_record_that_tipped_it(self) -> None:
        task = Task(trips.pipeline, 0)
        outputs: list[Output] = []
        for i in range(80):
            outputs += kit.step(task, (2, start(i, i * 10, f"trip {i}", km=1.0 if i < 40 else 15.0))).outputs
        drifts = read(outputs, "drift")
        assert drifts
        first = drifts[0]
        assert (first.detector, first.watched, first.model, first.action) == (
            "PageHinkley",
            "feature km",
            None,
            "reported",
        )
        assert (first.task, first.topic, first.partition, first.value) == (0, "starts", 0, 15.0)
        assert first.offset >= 40


def by_trip(record: Record) -> bool:
    """Which half a record belongs to: a trip stays whole; what names no trip is in the first."""
    try:
        name = msgspec.json.decode(record.value or b"")["trip"]
        return int(str(name).split()[-1]) % 2 == 1
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return False


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

    @settings(max_examples=25, deadline=None)
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

    @settings(max_examples=25, deadline=None)
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
