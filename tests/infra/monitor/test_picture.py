"""A picture is the same after a crash at any write to its table, and however often a note comes."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from infra.monitor import ledger, picture
from infra.monitor.picture import Note, Picture
from streams.errors import RecordRejected
from streams.merging import Reports
from tests.infra.monitor.notes import known, metrics, others, reported, reports
from tests.streams.pipelines import trips

PIPELINE = trips.pipeline


class Changelog(dict[str, bytes]):
    """A table that writes down each change, as Faust does."""

    def __init__(self) -> None:
        self.log: list[tuple[str, bytes | None]] = []

    def __setitem__(self, key: str, value: bytes) -> None:
        self.log.append((key, value))
        super().__setitem__(key, value)

    def pop(self, key: str, *default: Any) -> Any:
        self.log.append((key, None))
        return super().pop(key, *default)


def table_after(log: list[tuple[str, bytes | None]]) -> dict[str, bytes]:
    table: dict[str, bytes] = {}
    for key, value in log:
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return table


@pytest.mark.parametrize("part_bytes", [10**6, 2_000])
def test_a_crash_at_any_write_loses_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch, part_bytes: int) -> None:
    # notes      0     1     2     3      the offset is committed behind what the changelog has of it:
    # changelog  ▒▒▒▒  ▒▒▒▒  ▒▒┊          after a crash at ┊ the notes from 2, or from before, come again
    monkeypatch.setattr(picture, "WINDOWS_KEPT", 3)
    monkeypatch.setattr(ledger, "PART_BYTES_MAX", part_bytes)
    pipeline = _sliding_over(2)
    notes = [*metrics(reports(6)), *others()]
    random.Random(1).shuffle(notes)
    notes.sort(key=lambda note: note.offset if note.output != "metrics" else 0)
    table = Changelog()
    whole, ends = Picture(pipeline, table), []
    for note in notes:
        whole.take(note)
        ends.append(len(table.log))
    for cut in range(len(table.log)):
        first = next(place for place, end in enumerate(ends) if end > cut)
        again = Picture(pipeline, table_after(table.log[:cut]))
        for note in notes[max(first - cut % 3, 0) :]:
            again.take(note)
        assert known(again) == known(whole), cut


def test_it_knows_what_reports_fed_directly_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "WINDOWS_KEPT", 3)
    pipeline, came = _sliding_over(2), reports(6)
    direct = Reports(tasks=pipeline.partitions, kept=3, receipt_ms=picture.RECEIPT_MS)
    made = Picture(pipeline, {})
    for note, report in zip(metrics(came), came, strict=True):
        direct.add(report, note.received_time_ms)
        made.take(note)
        made.take(note)
    assert reported(made.reports) == reported(direct)


def test_a_restart_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "WINDOWS_KEPT", 3)
    pipeline, table = _sliding_over(2), dict[str, bytes]()
    made = Picture(pipeline, table)
    for each in [*metrics(reports(6)), *others()]:
        made.take(each)
        assert known(Picture(pipeline, table)) == known(made)


def test_what_is_no_record_of_ours_changes_nothing() -> None:
    made = Picture(PIPELINE, {})
    before = known(made)
    for output in picture.OUTPUTS:
        for value in (b"", b"{}", b"\xff", b"[" * 100_000):
            with pytest.raises(RecordRejected):
                made.take(Note("trips", output, 0, 0, 0, value))
    assert known(made) == before


def test_old_alarms_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "KEPT", 2)
    made, alarm = Picture(PIPELINE, {}), others()[0]
    for offset in range(5):
        made.take(Note("trips", "drift", 0, offset, 0, alarm.value))
    assert [int(place.rpartition("/")[2]) for place in sorted(made.alarms)] == [3, 4]


def _sliding_over(periods: int) -> Any:
    return replace(PIPELINE, sliding_periods=periods)
