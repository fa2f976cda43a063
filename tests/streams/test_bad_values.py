"""What the fuzzer found, one by one: each of these was wrong before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from river.drift import PageHinkley
from river.naive_bayes import GaussianNB

from models import Learner, on_feature
from models.classes import CLASSES_MAX
from models.digest import state_digest
from streams.errors import RecordRejected
from streams.intake import NAME_CHARS_MAX
from streams.outputs import OUTPUT_BYTES_MAX, short
from streams.ports import Output
from streams.report import INT64_MAX, Counts, PeriodReport
from streams.schema import TIME_MS_MAX, Decoder, Event, epoch_ms
from streams.task import Task
from tests.streams import kit
from tests.streams.kit import end, events, labels, read, rejects, start
from tests.streams.pipelines import trips


def lean(**changes: Any) -> Task:
    return Task(trips.lean(**changes), 0)


def multiclass(**changes: Any) -> Task:
    return lean(target=trips.zone, champion=Learner("bayes", GaussianNB()), **changes)


class Gate(Event):
    gate: int | str | None = None


class TestFields:
    """What a field may hold."""

    def test_a_field_of_numbers_or_text_takes_both_and_bounds_the_numbers(self) -> None:
        assert [Decoder(Gate)(value).gate for value in (b'{"gate": 7}', b'{"gate": "A"}', b"{}")] == [7, "A", None]
        with pytest.raises(RecordRejected) as caught:
            Decoder(Gate)(b'{"gate": 1000000000000001}')
        assert (caught.value.reason, caught.value.field) == ("out_of_range", "gate")

    @pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
    def test_a_time_that_an_offset_takes_out_of_the_calendar_is_rejected(self, at: str) -> None:
        assert rejects(kit.step(lean(), *events(start(0, 0, "a", at=at))).outputs) == [("out_of_range", "at")]

    @pytest.mark.parametrize("at_ms", [TIME_MS_MAX + 1, -1e15, 1e15])
    def test_a_number_that_is_no_time_of_the_calendar_is_rejected(self, at_ms: float) -> None:
        with pytest.raises(RecordRejected, match="years 1 to 9999"):
            epoch_ms(at_ms, "at")

    def test_a_name_without_end_is_no_name(self) -> None:
        task = lean()
        assert rejects(kit.step(task, *events(start(0, 0, "x" * (NAME_CHARS_MAX + 1)))).outputs) == [
            ("too_large", "trip")
        ]
        assert rejects(kit.step(task, *events(start(1, 0, "x" * NAME_CHARS_MAX))).outputs) == []


class TestTimestamps:
    """Kafka's -1 says that a record has no timestamp; producers write anything."""

    @pytest.mark.parametrize("timestamp_ms", [-1, -(2**63), TIME_MS_MAX + 1, 2**63 - 1])
    def test_a_record_without_a_usable_timestamp_is_rejected_and_moves_no_clock(self, timestamp_ms: int) -> None:
        task = lean()
        bad = start(0, 0, "a")._replace(timestamp_ms=timestamp_ms)
        (output,) = kit.step(task, *events(bad)).outputs
        assert rejects([output]) == [("out_of_range", "timestamp")]
        assert output.timestamp_ms == 0
        assert read([output], "rejects")[0].timestamp_ms == timestamp_ms
        kit.step(task, *events(start(1, 5, "b")))
        assert task.now_ms == kit.T0_MS + 5


class TestText:
    """Half a surrogate pair cannot be written as UTF-8; only a pipeline's own functions can make one."""

    def test_a_feature_that_cannot_be_written_rejects_its_event(self) -> None:
        task = lean(features=half_a_pair)
        before = state_digest(task._panel.state())
        assert rejects(kit.step(task, *events(start(0, 0, "a"))).outputs) == [("feature_type", "")]
        assert state_digest(task._panel.state()) == before

    def test_a_label_that_cannot_be_written_is_rejected(self) -> None:
        task = lean(target=half_a_zone, champion=Learner("bayes", GaussianNB()))
        kit.step(task, *events(start(0, 0, "a")))
        assert rejects(kit.step(task, *labels(end(0, 1, "a"))).outputs) == [("target_failed", "")]

    def test_an_error_message_that_cannot_be_written_is_mended(self) -> None:
        assert short("bad: \ud800") == "bad: ?"
        step = kit.step(lean(features=complains), *events(start(0, 0, "a")))
        assert rejects(step.outputs) == [("features_failed", "")]


def half_a_pair(start: trips.Start, now: Any) -> dict[str, Any]:
    return {"text": "\ud800"}


def half_a_zone(end: trips.End) -> str:
    return "\udfff"


def complains(start: trips.Start, now: Any) -> dict[str, Any]:
    raise ValueError("\ud800")


def wordy(start: trips.Start, now: Any) -> dict[str, Any]:
    return {"km": start.km, **{f"text {i}": start.driver for i in range(10)}}


class TestTraces:
    """A rejected event is not seen by detectors either."""

    def test_an_event_too_large_to_put_out_is_not_shown_to_the_detectors(self) -> None:
        task = lean(features=wordy, drift=[on_feature("km", PageHinkley())])
        step = kit.step(task, *events(start(0, 0, "a", driver="x" * 200_000), start(1, 0, "b")))
        assert rejects(step.outputs) == [("too_large", "")]
        assert task._panel.watches[0].seen == 1


class TestKeys:
    """A window or a join over something that is no category."""

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("streams.windows.KEYS_MAX", 3)
        monkeypatch.setattr("streams.joins.KEYS_MAX", 3)

    def cities(self, count: int, first: int = 0, at_ms: int = 0) -> list[Any]:
        return [start(i, at_ms, f"trip {i}", city=f"city {i}") for i in range(first, first + count)]

    def test_a_key_too_many_rejects_its_record_until_the_window_has_room(self) -> None:
        task = lean()
        step = kit.step(task, *events(*self.cities(5)))
        assert rejects(step.outputs) == [("too_many_keys", "city")] * 2
        assert len(read(step.outputs, "predictions")) == 3, "the rejected ones were not predicted on"
        assert rejects(kit.step(task, *events(*self.cities(3, first=5, at_ms=95_000))).outputs) == []

    def test_a_reference_holds_so_many_keys_and_goes_on_with_those(self) -> None:
        task = Task(trips.pipeline, 0)
        value = kit.sky(0, 0, 0.5).value or b""
        skies = [(0, kit.raw(i, 0, value.replace(b"nyc", b"c%d" % (i % 4)))) for i in range(8)]
        assert rejects(kit.step(task, *skies).outputs) == [("too_many_keys", "city")] * 2


class TestClasses:
    """A multiclass label that is an id, or free text."""

    def teach(self, task: Task, count: int, name: str = "zone {}") -> list[Output]:
        outputs: list[Output] = []
        for i in range(count):
            outputs += kit.step(task, *events(start(i, i, f"trip {i}"))).outputs
            outputs += kit.step(task, *labels(end(i, i, f"trip {i}", zone=name.format(i)))).outputs
        return outputs

    def test_a_class_without_end_is_rejected(self) -> None:
        task = multiclass()
        kit.step(task, *events(start(0, 0, "a")))
        step = kit.step(task, *labels(end(0, 1, "a", zone="x" * 201)))
        assert rejects(step.outputs) == [("too_large", "target")]
        assert task.pending_labels == 1, "a good label may still come"

    def test_classes_without_end_are_rejected_and_known_ones_still_learned(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("models.classes.CLASSES_MAX", 3)
        task = multiclass()
        assert rejects(self.teach(task, 5)) == [("too_many_classes", "target")] * 2
        kit.step(task, *events(start(9, 9, "known")))
        assert kit.step(task, *labels(end(9, 9, "known", zone="zone 1"))).labels == {"scored": 1}

    def test_a_held_label_of_a_class_too_many_is_rejected_when_its_event_comes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("models.classes.CLASSES_MAX", 1)
        task = multiclass()
        self.teach(task, 1)
        label = end(7, 9, "early", zone="another")
        step = kit.step(task, *labels(label), *events(start(8, 10, "early")))
        (reject,) = read(step.outputs, "rejects")
        assert (reject.reason, reject.topic, reject.offset, reject.value) == (
            "too_many_classes",
            "ends",
            7,
            label.value,
        )
        assert [output.name for output in step.outputs] == ["features", "predictions", "rejects"]

    def test_long_names_of_classes_leave_room_for_fewer(self) -> None:
        task = multiclass(challengers=[Learner(f"bayes {i}", GaussianNB()) for i in range(7)])
        outputs = self.teach(task, 80, "é" * 190 + " {}")
        assert ("too_many_classes", "target") in rejects(outputs)
        assert max(len(output.value) for output in outputs) <= OUTPUT_BYTES_MAX
        assert ("too_large", "") not in rejects(outputs), "events are predicted on as before"

    def test_known_classes_are_part_of_the_state(self) -> None:
        task, again = multiclass(), multiclass()
        self.teach(task, 5)
        again.restore(task.state())
        assert list(again._panel.classes.known) == [f"zone {i}" for i in range(5)]

    def test_a_report_folds_rare_classes_when_the_matrix_would_be_too_large(self) -> None:
        # Every class is taken for the next: as many cells as classes, and more bytes than a report may have.
        task = multiclass()
        score = task._panel.scores[0].open
        names = [f"{'é' * 190} {i}" for i in range(CLASSES_MAX)]
        score.counts.update(dict.fromkeys(zip(names, [*names[1:], names[0]], strict=True), 1))
        score.counts[names[0], names[0]] = 500
        kit.step(task, *events(start(0, 0, "a")))
        (report,) = [o for o in kit.step(task, *events(start(1, 40_000, "b"))).outputs if o.name == "metrics"]
        assert len(report.value) <= OUTPUT_BYTES_MAX
        counts = read([report], "metrics")[0].models[0].counts
        assert sum(cell.count for cell in counts.confusion) == CLASSES_MAX + 500
        assert sum(cell.count for cell in counts.confusion if cell.label == cell.prediction) == 500
        assert any(cell.label == "(others)" for cell in counts.confusion)


class TestFarAway:
    """Event times that are no mistake of the calendar, but of a clock."""

    def test_rows_of_the_year_9999_do_not_push_out_those_of_today(self) -> None:
        task = Task(trips.pipeline, 0)
        far = [(0, kit.raw(i, 0, kit.sky(i, TIME_MS_MAX - 2 * kit.T0_MS - i, 9.0).value)) for i in range(40)]
        kit.step(task, *far, (0, kit.sky(50, 0, 0.25)), (0, kit.sky(51, 1, 0.5)))
        (row,) = read(kit.step(task, (2, start(0, 2, "a"))).outputs, "features")
        assert row.features["rain"] == 0.5

    def test_an_event_of_the_year_9999_does_not_stay_in_the_windows(self) -> None:
        task = Task(trips.pipeline, 0)
        kit.step(task, (2, start(0, 0, "far", at="9999-12-31T00:00:00Z")))
        (row,) = read(kit.step(task, (2, start(1, 120_000, "a"))).outputs, "features")
        assert row.features["busy"] == 0

    def test_label_delays_of_millennia_add_up_to_what_64_bits_hold(self) -> None:
        report = PeriodReport(1_000, start_ms=0)
        counts = Counts(inputs=0)
        counts.label_delays_ms = [TIME_MS_MAX + 62_135_596_800_000] * 30_000
        report.add(counts, [])
        assert report.delay_sum_ms > INT64_MAX
        closed = msgspec.json.decode(msgspec.json.encode(report.close(0, 1_000, 0, [], [])))
        assert closed["label_delay_sum_ms"] == INT64_MAX
