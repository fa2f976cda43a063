"""Windows of the whole pipeline: exactly what one task would have reported, whatever the order of reports."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.learner import Features, Kind, Prediction
from models.prequential import Prequential
from streams.adding import PipelineReport, in_turn
from streams.feature_counts import distribution_of
from streams.merging import Reports, Window
from streams.records import Count, MetricsRecord
from streams.report import Counts, PeriodReport
from tests.models.test_scores import Outcome, binary, multiclass
from tests.streams import kit
from tests.streams.kit import flushed, read
from tests.streams.pipelines import trips
from tests.streams.test_reports import by_trip

PERIOD_MS = 1_000
SLIDING = 3
MODELS = ("logistic", "tree")


class Seen(NamedTuple):
    """What happened to a task in a window."""

    records: int
    repairs: int
    delays_ms: list[int]
    pending: int
    features: list[Features]
    outcomes: list[Outcome]


class Reporter:
    """A task's reports, as a task makes them, from what it saw."""

    def __init__(self, kind: Kind, task: int = 0, epoch: int = 0) -> None:
        self.kind, self.task = kind, task
        self.report = PeriodReport(PERIOD_MS, epoch=epoch)
        self.scores = [Prequential(kind, SLIDING) for _ in MODELS]
        self.models: list[Any] = [SimpleNamespace(name=name, version="1", role="challenger") for name in MODELS]
        self.models[0].role = "champion"

    def saw(self, window: int, *seen: Seen) -> MetricsRecord:
        """The report of a window, and of nothing after it."""
        assert self.report.start_ms is None
        self.report.open(window * PERIOD_MS)
        for each in seen:
            counts = Counts(inputs=1)
            counts.records[0], counts.label_delays_ms = each.records, each.delays_ms
            counts.labels["scored"] += len(each.delays_ms)
            self.report.add(counts, ["starts"])
            self.report.repairs.update({f"mended {each.repairs % 2}": each.repairs} if each.repairs else {})
            for features in each.features:
                self.report.features.add([features])
            for label, prediction in each.outcomes:
                for score in self.scores:
                    score.open.update(label, prediction)
        pending = sum(each.pending for each in seen)
        closed = self.report.close(self.task, (window + 1) * PERIOD_MS, pending, self.models, self.scores)
        self.report.start_ms = None
        return closed


def window(number: int) -> Window:
    return number * PERIOD_MS, (number + 1) * PERIOD_MS


OUTCOMES: dict[Kind, st.SearchStrategy[Outcome]] = {
    "binary": st.tuples(st.booleans(), st.floats(0, 1).map(binary)),
    "multiclass": st.tuples(
        st.sampled_from("abc"), st.dictionaries(st.sampled_from("abc"), st.floats(0, 1)).map(multiclass)
    ),
    "regression": st.tuples(st.floats(-1e15, 1e15), st.floats(-1e100, 1e100).map(Prediction)),
}


def seen(kind: Kind) -> st.SearchStrategy[Seen]:
    delays = st.lists(st.integers(-(10**9), 10**10), max_size=3)
    counts = st.integers(0, 9)
    values = st.floats(-1e15, 1e15) | st.booleans() | st.sampled_from(["ann", "bob"]) | st.none()
    features = st.lists(st.dictionaries(st.sampled_from(["km", "driver", "rain"]), values), max_size=3)
    return st.builds(Seen, counts, counts, delays, counts, features, st.lists(OUTCOMES[kind], max_size=5))


@st.composite
def histories(draw: Any) -> tuple[Kind, list[list[Seen | None]]]:
    """What each task saw in each window; None: it had no record in it."""
    kind = draw(st.sampled_from(list(OUTCOMES)))
    tasks, windows = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    row = st.lists(st.none() | seen(kind) | seen(kind), min_size=windows, max_size=windows)
    return kind, draw(st.lists(row, min_size=tasks, max_size=tasks))


def reports_of(kind: Kind, tasks: Sequence[Sequence[Seen | None]], epoch: int = 0) -> list[MetricsRecord]:
    """What the tasks report, window by window."""
    reporters = [Reporter(kind, task, epoch) for task in range(len(tasks))]
    return [
        reporter.saw(number, row[number])
        for number in range(len(tasks[0]))
        for reporter, row in zip(reporters, tasks, strict=True)
        if row[number] is not None
    ]


SAME = (
    *("window_start_time_ms", "window_end_time_ms", "records", "rejects", "repairs", "labels"),
    *("label_delay_bounds_ms", "label_delay_counts", "label_delay_sum_ms"),
    *("predicted", "features", "features_end"),
)


def equal(got: PipelineReport, wanted: MetricsRecord, fields: Iterable[str] = SAME) -> bool:
    """Whether they say the same, byte by byte."""
    mine, theirs = ([getattr(report, field) for field in fields] for report in (got, wanted))
    return msgspec.json.encode(mine) == msgspec.json.encode(theirs)


@given(histories(), st.randoms(use_true_random=False))
def test_merged_reports_equal_those_of_one_task_that_saw_all(
    history: tuple[Kind, list[list[Seen | None]]], draw: random.Random
) -> None:
    # task 0   a │ b │   │ c        three windows are held, what is older is folded;
    # task 1   d │   │   │ e        after each window all is compared with one task that saw a d │ b │ c e
    kind, tasks = history
    one, reports = Reporter(kind), Reports(len(tasks), SLIDING, PERIOD_MS)
    came = reports_of(kind, tasks)
    last: list[int] = [0] * len(tasks)
    for number in range(len(tasks[0])):
        of_all = [each for row in tasks if (each := row[number]) is not None]
        own = [report for report in came if report.window_start_time_ms == number * PERIOD_MS]
        if not of_all:
            continue
        for task, row in enumerate(tasks):
            if (each := row[number]) is not None:
                last[task] = each.pending
        draw.shuffle(own)
        for report in [*own, *own]:
            reports.add(report, 0)
        wanted = one.saw(number, *of_all)
        reports = msgspec.json.decode(msgspec.json.encode(reports), type=Reports)
        merged, sliding = reports.merged(window(number)), reports.sliding(window(number), SLIDING)
        assert equal(merged, wanted)
        assert merged.tasks == sorted(report.task for report in own)
        assert merged.pending_labels == sum(last)
        for got, so_far, lately, scores in zip(
            merged.models, reports.cumulative(window(number)).models, sliding.models, wanted.models, strict=True
        ):
            assert msgspec.json.encode(got.counts) == msgspec.json.encode(scores.counts)
            assert (so_far.values, lately.values) == (scores.cumulative, scores.sliding)


@st.composite
def lives(draw: Any) -> list[MetricsRecord]:
    """Reports of tasks with two lives each, doubled and shuffled; of a life that has begun some may be missing."""
    kind = draw(st.sampled_from(list(OUTCOMES)))
    came = []
    for epoch in (0, 7):
        row = st.lists(st.none() | seen(kind) | seen(kind), min_size=4, max_size=4)
        came += reports_of(kind, draw(st.lists(row, min_size=2, max_size=2)), epoch)
    came = [report for report in came if draw(st.integers(0, 9))]
    return [*came, *draw(st.lists(st.sampled_from(came), max_size=10))] if came else []


def known(came: Iterable[MetricsRecord], kept: int) -> bytes:
    """All that is known after these reports; the order of a dict's keys says nothing."""
    reports = Reports(2, kept, PERIOD_MS)
    for report in came:
        reports.add(report, received_time_ms=5)
    return msgspec.json.encode(msgspec.to_builtins(reports, str_keys=True), order="sorted")


@given(lives(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_neither_order_nor_repeats_show(came: list[MetricsRecord], draw: random.Random, kept: int) -> None:
    shuffled = list(came)
    draw.shuffle(shuffled)
    assert known(shuffled, kept) == known(came, kept)
    assert known([*shuffled, *came], kept) == known(came, kept)


@given(lives())
def test_a_higher_epoch_is_all_there_is(came: list[MetricsRecord]) -> None:
    newest = {task: max((r.epoch for r in came if r.task == task), default=0) for task in (0, 1)}
    reports, alone = Reports(2, 4, PERIOD_MS), Reports(2, 4, PERIOD_MS)
    for report in came:
        reports.add(report, 0)
        if report.epoch == newest[report.task]:
            alone.add(report, 0)
    for each in alone.windows:
        assert reports.merged(each) == alone.merged(each)
        assert reports.cumulative(each) == alone.cumulative(each)


def small(task: int, number: int, *outcomes: Outcome, reporter: Reporter | None = None) -> MetricsRecord:
    """A report of a binary pipeline."""
    return (reporter or Reporter("binary", task)).saw(number, Seen(1, 0, [], 2, [{"km": 1.0}], list(outcomes)))


RIGHT, WRONG = (True, binary(0.9)), (True, binary(0.1))


class TestWhoReported:
    """Complete is what no task will add to any more."""

    def test_a_window_is_complete_when_every_task_has_reported_of_it_or_of_a_later_one(self) -> None:
        # window   0   1   2
        # task 0   x   x   x
        # task 1   x       x        it had no record in window 1
        # task 2   x                it may report of 1 yet
        reports = Reports(3, 9, PERIOD_MS)
        reporters = [Reporter("binary", task) for task in range(3)]
        for task, numbers in enumerate([(0, 1, 2), (0, 2), (0,)]):
            for number in numbers:
                reports.add(small(task, number, reporter=reporters[task]), 0)
        merged = [reports.merged(window(number)) for number in range(3)]
        assert [report.tasks for report in merged] == [[0, 1, 2], [0], [0, 1]]
        assert [report.waiting for report in merged] == [[], [2], [2]]
        assert [report.complete for report in merged] == [True, False, False]
        assert [report.pending_labels for report in merged] == [6, 6, 6], "what waits in a silent task still waits"

    def test_a_window_that_is_not_held_is_no_window(self) -> None:
        reports = Reports(1, 2, PERIOD_MS)
        reporter = Reporter("binary")
        for number in range(3):
            reports.add(small(0, number, reporter=reporter), 0)
        assert reports.windows == [window(1), window(2)]
        for number in (0, 3):
            with pytest.raises(ValueError, match="is not in list"):
                reports.merged(window(number))
        assert reports.cumulative(window(2)).models[0].values.n == 0
        assert reports.cumulative(window(2)).window_start_time_ms == 0

    def test_a_report_that_comes_late_is_added_to_what_was_folded_once(self) -> None:
        reports = Reports(2, 1, PERIOD_MS)
        first, second = Reporter("binary", 0), Reporter("binary", 1)
        for number in range(3):
            reports.add(small(0, number, RIGHT, reporter=first), 0)
        late = [small(1, number, WRONG, reporter=second) for number in range(3)]
        for report in (late[1], late[0], late[2], late[0]):
            reports.add(report, 0)
        (model, _) = reports.cumulative(window(2)).models
        assert (model.values.n, model.values.accuracy) == (6, 0.5)
        assert reports.lives[1].folded == [(0, 1)]


class TestModels:
    """Tasks take decisions and deploys each at its own time."""

    def test_a_model_says_in_how_many_tasks_it_is_what(self) -> None:
        reports = Reports(3, 9, PERIOD_MS)
        for task in range(3):
            reporter = Reporter("binary", task)
            if task == 2:  # promoted here already, and another version
                reporter.models[0].role, reporter.models[1].role = "challenger", "champion"
                reporter.models[1].version = "2"
            reports.add(small(task, 0, RIGHT, reporter=reporter), 0)
        logistic, tree = reports.merged(window(0)).models
        assert logistic.roles == [Count("challenger", 1), Count("champion", 2)]
        assert tree.roles == [Count("challenger", 2), Count("champion", 1)]
        assert tree.versions == [Count("1", 2), Count("2", 1)]
        assert (logistic.counts.n, tree.counts.n) == (3, 3)

    def test_models_come_and_go(self) -> None:
        # window   0                1
        # task 0   logistic, tree   logistic, forest
        reports, reporter = Reports(1, 9, PERIOD_MS), Reporter("binary")
        reports.add(small(0, 0, RIGHT, reporter=reporter), 0)
        reporter.models[1].name, reporter.scores[1] = "forest", Prequential("binary", SLIDING)
        reports.add(small(0, 1, WRONG, reporter=reporter), 0)
        so_far = reports.cumulative(window(1)).models
        assert [(model.model, model.values.n) for model in so_far] == [("logistic", 2), ("forest", 1)]
        assert [model.model for model in reports.cumulative(window(0)).models] == ["logistic", "tree"]

    @pytest.mark.parametrize("kept", [1, 2, 9])
    def test_a_model_that_was_reset_counts_from_there(self, kept: int) -> None:
        # window    0       1                2
        # outcomes  wrong   wrong, reset     right
        reports, reporter = Reports(1, kept, PERIOD_MS), Reporter("binary")
        for number, outcome in enumerate([WRONG, WRONG, RIGHT]):
            report = small(0, number, outcome, reporter=reporter)
            reports.add(report, 0)
            if number == 1:
                reporter.scores[0] = Prequential("binary", SLIDING)
        logistic, tree = reports.cumulative(window(2)).models
        assert (logistic.values, tree.values) == tuple(scores.cumulative for scores in report.models)
        assert (logistic.values.n, tree.values.n) == (1, 3)
        logistic, tree = reports.sliding(window(2), SLIDING).models
        assert logistic.values == report.models[0].sliding


class TestProcessingTime:
    """Windows by when a report first came."""

    def test_a_report_is_in_the_window_of_its_first_arrival(self) -> None:
        # received    5 ms    1,500 ms
        # reports     0, 1    0 again, 2
        reports, reporter = Reports(1, 9, receipt_ms=1_000), Reporter("binary")
        came = [small(0, number, RIGHT, reporter=reporter) for number in range(3)]
        for number, at_ms in [(0, 5), (1, 5), (0, 1_500), (2, 1_500)]:
            reports.add(came[number], at_ms)
        assert reports.received_windows() == [(0, 1_000), (1_000, 2_000)]
        before, after = (reports.received(each) for each in reports.received_windows())
        assert (before.models[0].values.n, after.models[0].values.n) == (2, 1)
        assert (before.window_start_time_ms, before.window_end_time_ms) == (0, 1_000)
        assert equal(after, came[2], ["records", "labels", "label_delay_counts"])

    def test_a_backlog_of_a_year_counts_though_most_of_its_windows_are_no_longer_held(self) -> None:
        reports, reporter = Reports(1, 3, receipt_ms=1_000), Reporter("binary")
        for number in range(100):
            reports.add(small(0, number, RIGHT, reporter=reporter), received_time_ms=10 * number)
        (every,) = reports.received_windows()
        assert reports.received(every).models[0].values.n == 100
        assert len(reports.held) == 3

    def test_as_many_windows_are_kept_as_of_event_time(self) -> None:
        reports, reporter = Reports(1, 3, receipt_ms=1_000), Reporter("binary")
        for number in range(9):
            reports.add(small(0, number, reporter=reporter), received_time_ms=1_000 * number)
        assert reports.received_windows() == [(6_000, 7_000), (7_000, 8_000), (8_000, 9_000)]

    def test_what_a_former_life_reported_is_gone_here_too(self) -> None:
        reports = Reports(1, 3, receipt_ms=1_000)
        reports.add(small(0, 0, RIGHT), 5)
        reports.add(small(0, 0, RIGHT, reporter=Reporter("binary", epoch=4)), 2_000)
        assert reports.received_windows() == [(2_000, 3_000)]


def test_delays_of_other_buckets_add_up_on_the_bounds_they_share() -> None:
    # bounds   1 s  10 s        │    10 s  60 s
    # counts   1    2     3     │    4     5     6        shared: up to 10 s, and longer
    one, other = small(0, 0), small(0, 1)
    other.sequence = 1
    one.label_delay_bounds_ms, one.label_delay_counts = [1_000, 10_000], [1, 2, 3]
    other.label_delay_bounds_ms, other.label_delay_counts = [10_000, 60_000], [4, 5, 6]
    added = in_turn(one, other)
    assert (added.label_delay_bounds_ms, added.label_delay_counts) == ([10_000], [7, 14])


@pytest.mark.parametrize("seed", range(3))
def test_two_tasks_of_a_pipeline_come_to_what_one_comes_to(seed: int) -> None:
    frozen = replace(trips.logistic(), learn_until=trips.datetime.fromtimestamp(0, trips.UTC))
    pipeline = trips.lean(champion=frozen)
    inputs = kit.history(seed, references=False)
    reports, whole = Reports(2, 9, PERIOD_MS), Reports(1, 9, PERIOD_MS)
    for report in read(kit.run(pipeline, flushed(inputs))[1], "metrics"):
        whole.add(report, 0)
    for task in (0, 1):
        half = [[r for r in records if by_trip(r) is bool(task)] for records in inputs]
        for report in read(kit.run(pipeline, flushed(half))[1], "metrics"):
            report.task = task
            reports.add(report, 0)
    assert reports.windows == whole.windows
    so_far, wanted = (each.cumulative(each.windows[-1]) for each in (reports, whole))
    assert so_far.complete
    assert msgspec.json.encode(so_far.models[0].counts) == msgspec.json.encode(wanted.models[0].counts)
    assert (so_far.labels, so_far.rejects) == (wanted.labels, wanted.rejects)
    ((km,), (km_of_one,)) = (map(distribution_of, report.features) for report in (so_far, wanted))
    km_of_one.add([5.0])  # each half was flushed by an event of its own
    assert (so_far.predicted, km) == (wanted.predicted + 1, km_of_one)
