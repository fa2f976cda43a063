"""Any bytes become a typed event, or one RecordRejected with a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import RecordRejected
from streams.schema import NUMBER_MAX, Decoder, Event, epoch_ms, is_number, is_text, is_time


class Reading(Event):
    sensor: str
    celsius: Annotated[float, msgspec.Meta(ge=-90)] | None = None
    count: int | None = None
    at: datetime | None = None
    where: Literal["in", "out"] = "in"


class Renamed(Event, rename="camel"):
    wind_speed: float


decode = Decoder(Reading)


def rejected(value: bytes | None) -> RecordRejected:
    with pytest.raises(RecordRejected) as caught:
        decode(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "reason", "field"),
    [
        (None, "empty", ""),
        (b"", "empty", ""),
        (b" ", "json", ""),
        (b"{", "json", ""),
        (b'{"sensor": "a"}x', "json", ""),
        (b"\x00", "json", ""),
        (b"\xff\xfe", "json", ""),
        (b'{"sensor": "\xff"}', "json", ""),
        (b'{"sensor": "\\ud800"}', "json", ""),  # half a surrogate pair
        (b'{"sensor": "\xed\xa0\x80"}', "json", ""),
        (b'{"other": ' + b"[" * 100_000 + b'], "sensor": "a"}', "json", ""),
        (b'{"other": ' + b'{"a":' * 100_000, "json", ""),
        (b'{"sensor": "a", "celsius": NaN}', "json", ""),
        (b'{"sensor": "a", "celsius": Infinity}', "json", ""),
        (b"null", "schema", ""),
        (b"[]", "schema", ""),
        (b"7", "schema", ""),
        (b"{}", "schema", "sensor"),
        (b'{"sensor": null}', "schema", "sensor"),
        (b'{"sensor": 7}', "schema", "sensor"),
        (b'{"sensor": "a", "celsius": "hot"}', "schema", "celsius"),
        (b'{"sensor": "a", "celsius": true}', "schema", "celsius"),
        (b'{"sensor": "a", "celsius": -91}', "schema", "celsius"),
        (b'{"sensor": "a", "celsius": 1e400}', "schema", "celsius"),
        (b'{"sensor": "a", "celsius": 1e308}', "out_of_range", "celsius"),
        (b'{"sensor": "a", "celsius": ' + b"1" * 30 + b"}", "out_of_range", "celsius"),
        (b'{"sensor": "a", "count": ' + b"1" * 30 + b"}", "out_of_range", "count"),
        (b'{"sensor": "a", "count": -' + b"1" * 30 + b"}", "out_of_range", "count"),
        (b'{"sensor": "a", "count": ' + b"1" * 10_000 + b"}", "schema", "count"),
        (b'{"sensor": "a", "count": 1.5}', "schema", "count"),
        (b'{"sensor": "a", "at": "yesterday"}', "schema", "at"),
        (b'{"sensor": "a", "where": "up"}', "schema", "where"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_reading_is_rejected_with_reason_and_field(value: bytes | None, reason: str, field: str) -> None:
    why = rejected(value)
    assert (why.reason, why.field) == (reason, field)
    assert len(why.what) < 300, "the message does not repeat the record"


def test_a_missing_field_is_named_in_the_message() -> None:
    assert "sensor" in rejected(b"{}").what


def test_unknown_fields_are_ignored_and_the_last_of_a_doubled_one_counts() -> None:
    assert decode(b'{"sensor": "a", "new": [1], "sensor": "b"}') == Reading(sensor="b")


@pytest.mark.parametrize("celsius", [NUMBER_MAX, 0.0, -89.5, 5e-324])
def test_numbers_up_to_the_bound_pass(celsius: float) -> None:
    assert decode(json.dumps({"sensor": "a", "celsius": celsius}).encode()).celsius == celsius


def test_a_renamed_field_is_checked_under_its_own_name() -> None:
    assert Decoder(Renamed)(b'{"windSpeed": 3}').wind_speed == 3
    with pytest.raises(RecordRejected) as caught:
        Decoder(Renamed)(b'{"windSpeed": 1e300}')
    assert caught.value.field == "wind_speed"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
near_misses = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("sensor", "celsius", "count", "at", "where"), json_values)
).map(lambda row: json.dumps(row).encode())


@given(st.binary() | near_misses)
def test_no_bytes_raise_anything_but_a_rejection(value: bytes) -> None:
    event, reason = None, ""
    try:
        event = decode(value)
    except RecordRejected as why:
        reason = why.reason
    assert reason in {"", "empty", "json", "schema", "out_of_range"}
    if event is not None:
        assert event.celsius is None or abs(event.celsius) <= NUMBER_MAX
        assert event.count is None or abs(event.count) <= NUMBER_MAX
        msgspec.json.encode(event)  # whatever was let in can be written out again


# Seconds as a float hold a thousandth of a ms until the year 2200; a thousand years on only half a ms.
@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)), st.integers(-23, 23))  # noqa: DTZ001
def test_a_time_is_the_same_in_any_zone_to_the_millisecond(at: datetime, hours: int) -> None:
    try:
        elsewhere = at.astimezone(timezone(timedelta(hours=hours)))
    except OverflowError:
        return  # no such time in Python's calendar
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert epoch_ms(at) == epoch_ms(elsewhere)
    assert abs(epoch_ms(at) - (at - epoch) / timedelta(milliseconds=1)) <= 0.5 + 1e-3


def test_numbers_are_milliseconds_already() -> None:
    assert (epoch_ms(5), epoch_ms(5.9)) == (5, 5)


def test_a_time_without_a_zone_is_rejected_because_it_means_another_time_elsewhere() -> None:
    with pytest.raises(RecordRejected) as caught:
        epoch_ms(datetime(2013, 1, 1), "at")  # noqa: DTZ001
    assert (caught.value.reason, caught.value.field) == ("schema", "at")


def test_a_missing_time_is_rejected() -> None:
    with pytest.raises(RecordRejected) as caught:
        epoch_ms(None, "at")
    assert (caught.value.reason, caught.value.field) == ("missing", "at")


def test_types_tell_numbers_times_and_texts() -> None:
    types = [int, float | None, bool, datetime | None, str, Literal["a"], Literal[1], int | str, list[float]]
    assert [is_number(kind) for kind in types] == [True, True, True, False, False, False, False, False, False]
    assert [is_time(kind) for kind in types] == [True, True, False, True, False, False, False, False, False]
    assert [is_text(kind) for kind in types] == [False, False, False, False, True, True, False, False, False]
