"""What is too large, or from the future: bounded harm, and never a loop."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.outputs import KEY_BYTES_MAX, OUTPUT_BYTES_MAX, RECORD_BYTES_MAX
from streams.ports import Output
from streams.task import LEAP_MAX_MS, Task
from tests.streams import kit
from tests.streams.pipelines import trips

LABELS, EVENTS = 0, 1
DAY_MS = 86_400_000


def task(**changes: Any) -> Task:
    return Task(trips.lean(**changes), 0)


def rejects(outputs: list[Output]) -> list[Any]:
    return kit.read(outputs, "rejects")


class TestTooLarge:
    """Row 25: a reject that says where it lies, small enough to be put out."""

    def test_a_record_of_10_mb_is_rejected_by_its_coordinates(self) -> None:
        at = task()
        huge = kit.start(7, 0, "huge", driver="x" * 10_000_000)
        outputs = kit.step(at, (EVENTS, huge)).outputs
        (reject,) = rejects(outputs)
        assert (reject.reason, reject.topic, reject.partition, reject.offset) == ("too_large", "starts", 0, 7)
        assert (reject.whole, reject.value, reject.size) == (False, None, len(huge.value or b"") + 3)
        assert len(outputs[0].value) < 1_000
        assert kit.step(at, (EVENTS, kit.start(8, 1, "next"))).outputs[0].name == "features"

    def test_the_largest_record_that_is_looked_into_fits_whole_into_its_reject(self) -> None:
        value = b"\xff" * RECORD_BYTES_MAX
        (output,) = kit.step(task(), (EVENTS, kit.raw(0, 0, value, key=b"k" * KEY_BYTES_MAX))).outputs
        (reject,) = rejects([output])
        assert reject.whole
        assert reject.value == value
        assert len(output.value) + len(output.key or b"") < OUTPUT_BYTES_MAX

    def test_a_key_too_large_is_not_repeated(self) -> None:
        (output,) = kit.step(task(), (EVENTS, kit.raw(0, 0, b"{}", key=b"k" * (KEY_BYTES_MAX + 1)))).outputs
        (reject,) = rejects([output])
        assert (reject.reason, reject.whole, reject.key, output.key) == ("too_large", False, None, None)

    def test_features_too_large_to_put_out_are_a_reject_and_the_event_does_not_wait(self) -> None:
        at = task(features=verbose)
        outputs = kit.step(at, (EVENTS, kit.start(0, 0, "wordy", driver="x" * 400_000))).outputs
        (reject,) = rejects(outputs)
        assert reject.reason == "too_large"
        assert [output.name for output in outputs] == ["rejects"]
        assert at.pending_labels == 0

    def test_an_error_that_repeats_what_it_complains_of_is_cut(self) -> None:
        (output,) = kit.step(task(), (EVENTS, kit.raw(0, 0, b'{"trip": "' + b"y" * 200_000 + b'"}'))).outputs
        assert len(rejects([output])[0].detail) <= 1_000
        assert len(output.value) < 400_000


def verbose(start: trips.Start, now: Any) -> dict[str, Any]:
    return {"a": start.driver, "b": f"{start.driver}!", "c": f"{start.driver}?", "km": start.km}


class TestTheFuture:
    """Row 28: one record moves the time a day forward at the most."""

    def test_a_record_ten_years_ahead_expires_no_more_than_a_day_would(self) -> None:
        at = task()
        kit.step(at, (EVENTS, kit.start(0, 0, "waits")))
        before = at.now_ms
        kit.step(at, (EVENTS, kit.raw(1, 3_650 * DAY_MS, b"not even JSON")))
        assert at.now_ms == before + LEAP_MAX_MS
        kit.step(at, (EVENTS, kit.start(2, 1_000, "of the present")))
        assert at.now_ms == before + LEAP_MAX_MS, "time does not go back"

    def test_the_gap_of_a_long_silence_is_made_up_record_by_record(self) -> None:
        at = task()
        kit.step(at, (EVENTS, kit.start(0, 0, "first")))
        for day in range(3):
            kit.step(at, (EVENTS, kit.start(1 + day, 3 * DAY_MS, f"after three days {day}")))
        assert at.now_ms == kit.T0_MS + 3 * DAY_MS

    def test_a_first_record_of_any_time_begins_there(self) -> None:
        at = task()
        kit.step(at, (EVENTS, kit.start(0, 9_000 * DAY_MS, "first")))
        assert at.now_ms == kit.T0_MS + 9_000 * DAY_MS

    @pytest.mark.parametrize("skew_ms", [-DAY_MS, DAY_MS])
    def test_a_clock_a_day_off_leaves_what_waits_within_its_bounds(self, skew_ms: int) -> None:
        at = task(labels=trips.ends(pending_max=10))
        for i in range(50):
            skewed = skew_ms if i % 2 else 0
            kit.step(at, (EVENTS, kit.start(i, i * 100 + skewed, f"trip {i}")))
            assert at.pending_labels <= 10


@pytest.mark.parametrize(
    "text", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"9" * 30, b"1e308", b"-1e308"]
)
def test_numbers_no_model_should_see_are_rejected_with_their_field(text: bytes) -> None:
    value = b'{"trip": "a", "city": "nyc", "at": "2024-01-01T00:00:00Z", "km": ' + text + b"}"
    (reject,) = rejects(kit.step(task(), (EVENTS, kit.raw(0, 0, value))).outputs)
    assert reject.reason in {"json", "schema", "out_of_range"}
    assert msgspec.json.encode(reject.value)
