"""Reports of metrics and drift: periods that are whole, and counts that add up."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace

import msgspec
import pytest

from streams.ports import Output, Record
from streams.task import Task
from tests.streams import kit
from tests.streams.kit import flushed, read, start
from tests.streams.pipelines import trips


def period_counts(outputs: list[Output]) -> Counter[tuple[str, ...]]:
    """All counts of the metrics records, added up."""
    counts: Counter[tuple[str, ...]] = Counter()
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
            counts[model.model, "log loss"] += model.counts.log_loss_units
    return +counts


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
        counts = sum(map(period_counts, parts), Counter[tuple[str, ...]]())
        counts["records", "starts"] -= 1  # each half was flushed by an event of its own
        assert +counts == period_counts(whole)

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

    def test_a_model_that_is_declared_later_says_since_which_report_it_is_scored(self) -> None:
        before = Task(trips.lean(), 0)
        kit.step(before, *kit.events(*[start(i, i * 40_000, f"trip {i}") for i in range(3)]))
        task = Task(trips.lean(challengers=[trips.Learner("tree", trips.HoeffdingTreeClassifier())]), 0)
        task.restore(pickle.loads(pickle.dumps(before.state())))
        step = kit.step(task, *kit.events(*[start(i, i * 40_000, f"trip {i}") for i in range(3, 6)]))
        told = [(r.sequence, [(m.model, m.since) for m in r.models]) for r in read(step.outputs, "metrics")]
        assert told == [(i, [("logistic", 0), ("tree", 2)]) for i in (2, 3, 4)]

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
