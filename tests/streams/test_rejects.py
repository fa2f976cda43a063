"""Bad records go to the rejects topic, whole, and the task goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from river.naive_bayes import GaussianNB

from models import Learner
from streams.errors import ModelFailed
from streams.records import RejectRecord
from streams.task import Task
from tests.streams import kit
from tests.streams.kit import end, events, labels, raw, read, rejects, start
from tests.streams.pipelines import trips


def lean(**changes: Any) -> Task:
    return Task(trips.lean(**changes), 0)


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
