"""Distributions of features in reports: within the size of a record, and added up to those of one task."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from models.classes import CLASSES_MAX
from models.distribution import NAMES_MAX, VALUES_MAX, Distributions
from streams.adding import in_turn, side_by_side
from streams.feature_counts import counts_of_features
from streams.outputs import OUTPUT_BYTES_MAX
from streams.records import FeatureCounts, MetricsRecord
from streams.report import PeriodReport
from streams.task import Task
from tests.streams import kit
from tests.streams.kit import end, events, labels, read, start
from tests.streams.pipelines import trips


def reported(*rows: dict[str, Any], sequence: int = 0) -> MetricsRecord:
    """A report of a period with these events."""
    report = PeriodReport(1_000, start_ms=0, sequence=sequence)
    for row in rows:
        report.features.add([row])
    return report.close(0, 1_000, 0, [], [])


def one(report: MetricsRecord, name: str = "km") -> FeatureCounts:
    (found,) = [feature for feature in report.features if feature.name == name]
    return found


class TestReports:
    """What a task tells of its features."""

    def test_a_report_has_the_features_of_the_events_that_were_predicted_on(self) -> None:
        # events   a, b (rejected), c │ d         of the first period: a and c
        task = Task(trips.lean(), 0)
        bad = start(1, 1, "b", km=-500.0)
        step = kit.step(task, *events(start(0, 0, "a", km=1.0), bad, start(2, 2, "c", km=3.0), start(3, 40_000, "d")))
        (report,) = read(step.outputs, "metrics")
        assert (report.predicted, report.features_end) == (2, None)
        assert one(report) == FeatureCounts("km", n=2, missing=0, buckets=[513, 525], counts=[1, 1], values=[])

    def test_a_feature_that_an_event_lacks_is_missing(self) -> None:
        report = reported({"km": 1.0}, {"driver": "ann"}, {"km": None, "driver": True})
        assert (one(report).n, one(report).missing) == (1, 2)
        assert [(value.name, value.count) for value in one(report, "driver").values] == [("ann", 1), ("true", 1)]

    def test_each_period_begins_anew(self) -> None:
        task = Task(trips.lean(), 0)
        step = kit.step(task, *events(*[start(i, i * 40_000, f"trip {i}") for i in range(3)]))
        assert [(report.predicted, one(report).n) for report in read(step.outputs, "metrics")] == [(1, 1), (1, 1)]

    def test_the_open_period_is_part_of_the_state(self) -> None:
        task, again = Task(trips.lean(), 0), Task(trips.lean(), 0)
        kit.step(task, *events(start(0, 0, "a")))
        again.restore(task.state())
        (report,) = read(kit.step(again, *events(start(1, 40_000, "b"))).outputs, "metrics")
        assert report.predicted == one(report).n == 1


class TestSize:
    """A report is put out, whatever the features are."""

    def wide(self, sequence: int = 0) -> MetricsRecord:
        """A report of 700 features with far more numbers, texts and names than fit."""
        rows = []
        for i in range(300):
            texts = {f"{'é' * 90} {j:03d}": f"{chr(1) * 40} {i}" for j in range(0, 700, 2)}
            numbers = {f"{'é' * 90} {j:03d}": (-1.1) ** (i * j % 363) for j in range(1, 700, 2)}
            rows.append(texts | numbers)
        return reported(*rows, sequence=sequence)

    def test_features_that_have_no_room_are_not_told(self) -> None:
        report = self.wide()
        told = [feature.name for feature in report.features]
        assert OUTPUT_BYTES_MAX / 2 < len(msgspec.json.encode(report)) <= OUTPUT_BYTES_MAX
        assert told == [f"{'é' * 90} {j:03d}" for j in range(len(told))]
        assert report.features_end == f"{'é' * 90} {len(told):03d}"
        assert len(report.features[0].values) == VALUES_MAX + 1

    def test_a_sum_of_reports_is_within_the_size_too(self) -> None:
        whole = side_by_side((0, 1_000), {0: self.wide(), 1: self.wide(1)}, {}, [])
        assert len(msgspec.json.encode(whole)) <= OUTPUT_BYTES_MAX
        assert whole.features_end is not None
        assert {feature.n for feature in whole.features} == {600}

    def test_there_is_room_beside_a_matrix_of_many_classes(self) -> None:
        task = Task(trips.lean(target=trips.zone, champion=trips.Learner("bayes", trips.GaussianNB())), 0)
        names = [f"{'é' * 190} {i}" for i in range(CLASSES_MAX)]
        task._panel.scores[0].open.counts.update(dict.fromkeys(zip(names, [*names[1:], names[0]], strict=True), 1))
        for i in range(300):
            task._report.features.add([{f"feature {j:03d}": (-1.1) ** (i * j % 363) for j in range(NAMES_MAX)}])
        kit.step(task, *events(start(0, 0, "a")), *labels(end(0, 1, "a")))
        (report,) = [o for o in kit.step(task, *events(start(1, 40_000, "b"))).outputs if o.name == "metrics"]
        assert OUTPUT_BYTES_MAX / 2 < len(report.value) <= OUTPUT_BYTES_MAX
        assert len(read([report], "metrics")[0].features) > 50


class TestSums:
    """Several reports as one."""

    def test_a_feature_that_only_one_report_has_was_missing_in_the_other(self) -> None:
        both = in_turn(reported({"km": 1.0}, {"km": 2.0}), reported({"driver": "ann"}, sequence=1))
        assert both.predicted == 3
        assert [(f.name, f.n, f.missing) for f in both.features] == [("driver", 1, 2), ("km", 2, 1)]

    def test_what_one_report_could_not_tell_no_sum_tells(self) -> None:
        # told   a b c │ a b …        of c the second says nothing, so the sum does not either
        first, second = reported({"a": 1, "b": 1, "c": 1}), reported({"a": 1, "b": 1}, sequence=1)
        second.features_end = "c"
        both = in_turn(first, second)
        assert ([f.name for f in both.features], both.features_end) == (["a", "b"], "c")

    @pytest.mark.parametrize("parts", [1, 2, 3])
    def test_too_many_texts_and_names_add_up_to_what_one_task_would_tell(self, parts: int) -> None:
        rows = [{f"word {(i * 37) % 700:03d}": 1, "driver": f"driver {(i * 53) % 250}"} for i in range(2_000)]
        whole = reported(*rows)
        total = reported(*rows[::parts])
        for part in range(1, parts):
            total = in_turn(total, reported(*rows[part::parts], sequence=part))
        assert msgspec.json.encode((total.predicted, total.features, total.features_end)) == msgspec.json.encode(
            (whole.predicted, whole.features, whole.features_end)
        )


def test_features_are_told_in_the_order_of_their_names() -> None:
    spread = Distributions()
    spread.add([{"b": 1, "a": 2}])
    assert [feature.name for feature in counts_of_features(spread)] == ["a", "b"]
