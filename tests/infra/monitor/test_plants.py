"""Row 33: a monitor that was down counts nothing twice and forgets nothing. Without each protection its test fails."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from infra.monitor.ledger import Ledger
from streams.merging import Reports
from streams.records import MetricsRecord
from tests.infra.monitor import test_picture as picture

_add, _numbers = Reports.add, itertools.count(1_000_000)


def a_report_is_always_news(self: Reports, report: MetricsRecord, received_time_ms: int) -> bool:
    """Whatever its number says."""
    return _add(self, msgspec.structs.replace(report, sequence=next(_numbers)), received_time_ms)


def changes_are_made_one_by_one(self: Ledger) -> None:
    """And not written down before."""
    for key, value in self._changes.items():
        if value is None:
            self._table.pop(self._prefix + key, None)
        else:
            self._table[self._prefix + key] = value
    self._changes = {}


def nothing_is_kept(self: Ledger) -> None:
    """What was known ends with the process."""
    self._changes = {}


PLANTS: dict[str, tuple[str, Any, Callable[..., None]]] = {
    # what is taken out: where, what stands in its place, the test that notices
    "repeats-counted": (
        "streams.merging.Reports.add",
        a_report_is_always_news,
        picture.test_it_knows_what_reports_fed_directly_know,
    ),
    "changes-not-written-down-before": (
        "infra.monitor.ledger.Ledger.commit",
        changes_are_made_one_by_one,
        partial(picture.test_a_crash_at_any_write_loses_and_doubles_nothing, part_bytes=10**6),
    ),
    "nothing-kept": (
        "infra.monitor.ledger.Ledger.commit",
        nothing_is_kept,
        picture.test_a_restart_forgets_nothing,
    ),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_without_its_protection_the_test_of_a_fault_fails(plant: str) -> None:
    place, instead, test = PLANTS[plant]
    with pytest.MonkeyPatch.context() as patch:
        test(monkeypatch=patch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, instead)
        with pytest.raises(AssertionError):
            test(monkeypatch=patch)
