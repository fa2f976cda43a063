"""Chaos of a size for every test run; and that its judge can be displeased."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chaos.compare import Difference, compare
from tests.chaos.faults import KINDS
from tests.chaos.run import Chaos, run

ROWS = [(at, b"key", b"value %d" % at) for at in range(6)]


@pytest.mark.chaos
@pytest.mark.broker
@pytest.mark.timeout(600)
def test_nothing_comes_of_chaos(tmp_path: Path):
    report = run(Chaos(seed=11, seconds=60, events=100_000, home=tmp_path, every_s=2.0))
    assert (report.lost, report.doubled, report.unequal, report.states_unequal) == (0, 0, 0, 0)
    assert report.faults.keys() | report.faults_left_out.keys() == KINDS.keys()
    assert len(report.faults) >= len(KINDS) - 3, f"left out: {report.faults_left_out}"
    assert report.recoveries > 0
    assert report.records_compared > 300_000
    report.write(tmp_path / "chaos.json")
    written = json.loads((tmp_path / "chaos.json").read_text())
    named = ["events", "faults", "recoveries", "lost", "doubled", "unequal", "longest_unavailable_s"]
    assert list(written)[: len(named)] == named
    assert written["events"] == 100_000


def test_the_same_rows_differ_in_nothing():
    assert compare(ROWS, list(ROWS)) == Difference(rows=6)


def test_a_lost_row_is_counted_wherever_it_is():
    for place in range(6):
        found = ROWS[:place] + ROWS[place + 1 :]
        assert compare(ROWS, found) == Difference(rows=6, lost=1, unequal=6 - place)


def test_a_doubled_row_is_counted_at_once_and_later():
    assert compare(ROWS, [*ROWS[:2], *ROWS[1:]]) == Difference(rows=6, doubled=1, unequal=5)
    assert compare(ROWS, [*ROWS, ROWS[0]]) == Difference(rows=6, doubled=1, unequal=1)


def test_swapped_rows_are_neither_lost_nor_doubled_but_unequal():
    assert compare(ROWS, [ROWS[1], ROWS[0], *ROWS[2:]]) == Difference(rows=6, unequal=2)


def test_a_changed_row_is_one_lost_and_one_too_many():
    changed = (3, b"key", b"value 3, or nearly")
    assert compare(ROWS, [*ROWS[:3], changed, *ROWS[4:]]) == Difference(rows=6, lost=1, doubled=1, unequal=1)


def test_differences_add_up():
    assert Difference(1, 2, 3, 4) + Difference(10, 20, 30, 40) == Difference(11, 22, 33, 44)
