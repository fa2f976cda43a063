"""What becomes of a label that comes twice, early, late or for no event."""

from __future__ import annotations

from typing import Any

import pytest

from streams.ports import Record
from streams.task import Task
from tests.streams import kit
from tests.streams.kit import end, events, labels, read, rejects, start
from tests.streams.pipelines import trips


def lean(**changes: Any) -> Task:
    return Task(trips.lean(**changes), 0)


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
