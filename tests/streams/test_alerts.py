"""Alerts: what is measured, when it begins and ends, and that it does not matter who judges and when."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learner import Features
from streams import measures
from streams.alerts import Alert, Standing, judge
from streams.measures import Measure
from streams.merging import WINDOWS_AHEAD, Reports
from streams.records import AlertRecord, Count, MetricsRecord
from tests.models.test_scores import binary
from tests.streams.test_merging import Reporter, Seen

REJECTS = Alert("many rejects", measures.rejects(), above=0.2, windows=2)


def reports_of(
    tasks: int, shares: Iterable[float], features: Features | None = None, wrong: bool = False
) -> list[MetricsRecord]:
    """Each task's report of each window: of ten records this share was rejected. Half of the labels are true."""
    reporters = [Reporter("binary", task) for task in range(tasks)]
    outcomes = [(label, binary(0.9 if label != wrong else 0.1)) for label in (True, False)]
    made = []
    for number, share in enumerate(shares):
        for reporter in reporters:
            report = reporter.saw(number, Seen(0, 0, [], 0, [features or {"km": 1.0}] * 10, outcomes))
            rejects = [Count("schema", round(10 * share))]
            made.append(msgspec.structs.replace(report, records=[Count("starts", 10)], rejects=rejects))
    return made


def held(came: Iterable[MetricsRecord], tasks: int = 1, kept: int = 100) -> Reports:
    reports = Reports(tasks=tasks, kept=kept, receipt_ms=60_000)
    for report in came:
        reports.add(report, 0)
    return reports


def told(alert: Alert, came: Iterable[MetricsRecord], tasks: int = 1) -> list[AlertRecord]:
    """What is told when the reports come one by one."""
    reports, standing, found = held([], tasks), Standing(), []
    for report in came:
        reports.add(report, 0)
        found += judge(alert, standing, reports)
    return found


def test_it_begins_after_so_many_windows_in_a_row_and_ends_with_the_first_that_is_not() -> None:
    came = reports_of(1, [0.0, 0.3, 0.1, 0.3, 0.4, 0.5, 0.2, 0.3])
    found = told(REJECTS, came)
    assert [(each.lasts, each.value) for each in found] == [(True, 0.4), (False, 0.2)]
    ends = [came[4].window_end_time_ms, came[6].window_end_time_ms]
    assert [each.window_end_time_ms for each in found] == ends
    assert [each.alert for each in found] == [f"many rejects from {ends[0]}", f"many rejects until {ends[1]}"]
    assert found[0].bound == "above 0.2"
    assert found[0].measure == "share of rejects"


def test_below() -> None:
    alert = Alert("worse", measures.score("accuracy"), below=0.6)
    assert [each.lasts for each in told(alert, [*reports_of(1, [0, 0], wrong=True)])] == [True]
    assert told(alert, reports_of(1, [0, 0])) == []


def test_a_window_without_anything_to_measure_changes_nothing() -> None:
    came = reports_of(1, [0.3, 0.3, 0.3, 0.0])
    came[1] = msgspec.structs.replace(came[1], records=[], rejects=[])
    found = told(REJECTS, came)
    assert [(each.lasts, each.window_end_time_ms) for each in found] == [
        (True, came[2].window_end_time_ms),
        (False, came[3].window_end_time_ms),
    ]


def in_some_order(came: list[MetricsRecord], chance: random.Random) -> Iterator[MetricsRecord]:
    """Those of one task in their order, and none so far ahead that the other is not waited for."""
    left = [[report for report in came if report.task == task] for task in (0, 1)]
    while any(left):
        ahead = len(left[1]) - len(left[0])
        task = chance.randrange(2) if abs(ahead) < WINDOWS_AHEAD - 1 else int(ahead > 0)
        if left[task]:
            yield left[task].pop(0)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.9]), max_size=8), st.randoms(use_true_random=False))
def test_what_is_told_does_not_depend_on_the_order_nor_on_restarts(shares: list[float], chance: random.Random) -> None:
    came = reports_of(2, shares)
    reports, standing, found = held([], tasks=2), Standing(), []
    for report in in_some_order(came, chance):
        for _ in range(chance.randrange(1, 3)):  # it may come twice
            reports.add(report, 0)
            found += judge(REJECTS, standing, reports)
        if chance.random() < 0.5:
            reports = msgspec.json.decode(msgspec.json.encode(reports), type=Reports)
            standing = msgspec.json.decode(msgspec.json.encode(standing), type=Standing)
    assert found == list(judge(REJECTS, Standing(), held(came, tasks=2)))


def test_a_task_that_reports_nothing_holds_up_the_others_for_some_windows_only() -> None:
    came = [report for report in reports_of(2, [0.9] * 8) if report.task == 0]
    found = told(REJECTS, came, tasks=2)
    assert [each.window_end_time_ms for each in found] == [came[1].window_end_time_ms]
    assert found[0].waiting == [1]
    silent = came[: 1 + WINDOWS_AHEAD]
    assert told(REJECTS, silent, tasks=2) == []


def test_windows_that_were_folded_are_not_judged_again() -> None:
    standing, reports = Standing(), held([], kept=2)
    found = []
    for report in reports_of(1, [0.9] * 6):
        reports.add(report, 0)
        found += judge(REJECTS, standing, reports)
    assert len(found) == 1


def value(measure: Measure, came: list[MetricsRecord], over: int = 1) -> float | None:
    reports = held(came)
    return measure.of(reports, reports.windows[-1], over)


def test_what_can_be_measured() -> None:
    came = reports_of(1, [0.1, 0.3])
    assert value(measures.rejects(), came) == 0.3
    assert value(measures.rejects(), came, over=2) == 0.2
    came[1] = msgspec.structs.replace(
        came[1],
        repairs=[Count("km: clamped", 5), Count("rain: defaulted", 1)],
        labels=[Count("expired", 1), Count("scored", 3)],
    )
    assert value(measures.repairs(), came) == 0.6
    assert value(measures.expired(), came) == 0.25
    assert value(measures.score("accuracy"), came) == 1.0
    name = came[0].models[0].model
    assert value(measures.score("accuracy", name), came) == 1.0
    assert value(measures.score("accuracy", "nobody"), came) is None
    assert value(measures.lead("accuracy", name), came) == 0.0
    assert value(measures.lead("accuracy", "nobody"), came) is None
    assert value(measures.score("rmse"), came) is None, "the target is no number"


def test_how_features_have_moved_and_how_many_are_missing() -> None:
    before = reports_of(1, [0] * 10, {"km": 1.0, "rain": None})
    assert value(measures.missing("rain"), before) == 1.0
    assert value(measures.missing("km"), before) == 0.0
    assert value(measures.missing("no such feature"), before) == 1.0
    assert value(measures.moved("km"), before) == pytest.approx(0, abs=0.1)
    assert value(measures.moved("km"), before[:1]) is None, "there is nothing before"
    after = reports_of(1, [0] * 11, {"km": 900.0, "rain": None})[-1:]
    moved = value(measures.moved("km"), [*before, *after])
    assert moved is not None
    assert moved > 1
    assert value(measures.moved("km"), [*before, *after], over=20) is None
    cut = msgspec.structs.replace(before[-1], features=[], features_end="km")
    assert value(measures.missing("rain"), [cut]) is None, "there was no room to tell of it"
