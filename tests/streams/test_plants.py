"""Rows 27 and 28: what fields, categories and clocks may do. Without each protection its own test is seen to fail."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from streams.errors import RecordRejected
from streams.schema import Decoder
from tests.streams import test_bad_values as values
from tests.streams import test_cleaning as cleaning
from tests.streams import test_limits as limits
from tests.streams import test_schema as schema

FOR_EVER_MS = 10**15


_strict = msgspec.json.Decoder


def lax(event_type: Any) -> Any:
    """A decoder that takes "3" for 3."""
    return _strict(event_type, strict=False)


def a_field_of_another_type_is_rejected() -> None:
    with pytest.raises(RecordRejected):
        Decoder(schema.Reading)(b'{"sensor": "a", "count": "3"}')


PLANTS: dict[str, tuple[str, Any, Callable[..., None]]] = {
    # what is taken out: where, what stands in its place, the test that notices
    "fields-of-another-type-taken": (
        "streams.schema.msgspec.json.Decoder",
        lax,
        a_field_of_another_type_is_rejected,
    ),
    "any-category-taken": (
        "streams.cleaning.Category.__call__",
        lambda self, event: None,
        cleaning.test_an_unknown_category_is_renamed_made_missing_or_rejected,
    ),
    "classes-without-end": (
        "models.classes.Classes.has_room_for",
        lambda self, name: True,
        values.TestClasses().test_classes_without_end_are_rejected_and_known_ones_still_learned,
    ),
    "a-record-moves-any-time": (
        "streams.task.LEAP_MAX_MS",
        FOR_EVER_MS,
        limits.TestTheFuture().test_a_record_ten_years_ahead_expires_no_more_than_a_day_would,
    ),
    "pending-events-without-end": (
        "models.pending.PendingLabels.overfull",
        False,
        partial(limits.TestTheFuture().test_a_clock_a_day_off_leaves_what_waits_within_its_bounds, -limits.DAY_MS),
    ),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_without_its_protection_the_test_of_a_fault_fails(plant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, nothing, test = PLANTS[plant]
    more = {"monkeypatch": monkeypatch} if plant == "classes-without-end" else {}
    test(**more)
    monkeypatch.setattr(place, nothing)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(**more)
