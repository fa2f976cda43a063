"""Cleaning rules mend or reject, and say so."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cleaning import Category, CleaningRule, Missing, Range, Require
from streams.errors import RecordRejected
from streams.schema import Event


class Wind(Event):
    mph: float | None = None
    gusts: int | None = None
    station: str | None = None


def cleaned(rule: CleaningRule, **fields: object) -> tuple[str | None, Wind]:
    event = Wind(**fields)  # type: ignore[arg-type]
    return rule(event), event


def rejection(rule: CleaningRule, **fields: object) -> tuple[str, str]:
    with pytest.raises(RecordRejected) as caught:
        cleaned(rule, **fields)
    return caught.value.reason, caught.value.field


def test_a_token_becomes_none_or_is_filled_and_is_counted_as_a_repair() -> None:
    assert cleaned(Missing("station", tokens=("NA", "")), station="NA") == ("station missing", Wind())
    assert cleaned(Missing("station", tokens=("NA",), fill="?"), station="NA") == ("station missing", Wind(station="?"))
    assert cleaned(Missing("mph", fill=0.0)) == ("mph missing", Wind(mph=0.0))


def test_what_is_not_missing_or_cannot_be_filled_is_left_alone() -> None:
    assert cleaned(Missing("station", tokens=("NA",)), station="JFK") == (None, Wind(station="JFK"))
    assert cleaned(Missing("station")) == (None, Wind())
    assert cleaned(Missing("mph", fill=9.0), mph=0.0) == (None, Wind(mph=0.0))


def test_what_must_be_there_is_rejected_when_missing() -> None:
    assert rejection(Missing("mph", reject=True)) == ("missing", "mph")
    assert rejection(Missing("station", tokens=("NA",), reject=True), station="NA") == ("missing", "station")


@pytest.mark.parametrize(
    ("otherwise", "mph", "repair", "after"),
    [
        ("clip", 250.0, "mph out of range", 200.0),
        ("clip", -1.0, "mph out of range", 0.0),
        ("missing", 250.0, "mph out of range", None),
        ("reject", 200.0, None, 200.0),
        ("reject", 0.0, None, 0.0),
        ("reject", None, None, None),
    ],
)
def test_a_number_out_of_range_is_clipped_or_made_missing(
    otherwise: str, mph: float | None, repair: str | None, after: float | None
) -> None:
    assert cleaned(Range("mph", 0, 200, otherwise), mph=mph) == (repair, Wind(mph=after))  # type: ignore[arg-type]


def test_a_number_out_of_range_is_rejected_by_default() -> None:
    assert rejection(Range("mph", 0, 200), mph=math.nextafter(200, 300)) == ("out_of_range", "mph")


@given(st.integers(-(10**6), 10**6), st.integers(-100, 100), st.integers(0, 100))
def test_clipping_ends_in_the_range_and_keeps_the_type(value: int, low: int, width: int) -> None:
    _, event = cleaned(Range("gusts", low, low + width, "clip"), gusts=value)
    assert type(event.gusts) is int
    assert low <= event.gusts <= low + width


def test_an_unknown_category_is_renamed_made_missing_or_rejected() -> None:
    known = {"EWR", "JFK"}
    assert cleaned(Category("station", known, "other"), station="LGA") == ("station unknown", Wind(station="other"))
    assert cleaned(Category("station", known, "missing"), station="LGA") == ("station unknown", Wind())
    assert rejection(Category("station", known), station="LGA") == ("unknown_category", "station")
    assert cleaned(Category("station", known), station="JFK") == (None, Wind(station="JFK"))
    assert cleaned(Category("station", known)) == (None, Wind())


def gusts_are_stronger(wind: Wind) -> bool:
    return wind.gusts >= wind.mph  # type: ignore[operator]


def test_a_requirement_rejects_with_its_own_reason() -> None:
    rule = Require(gusts_are_stronger, reason="weak_gusts", field="gusts")
    assert cleaned(rule, gusts=2, mph=1.0)[0] is None
    assert rejection(rule, gusts=1, mph=2.0) == ("weak_gusts", "gusts")
