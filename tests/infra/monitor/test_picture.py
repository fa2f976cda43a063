"""A picture is the same after a crash at any write to its table, and however often a note comes."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from infra.monitor import ledger, picture
from infra.monitor.picture import Note, Picture
from streams.alerts import Alert
from streams.errors import RecordRejected
from streams.measures import repairs
from streams.merging import Reports
from tests.infra.monitor.notes import known, metrics, note, others, reported, reports
from tests.streams.pipelines import trips

PIPELINE = trips.pipeline
REPAIRED = Alert("many repairs", repairs(), above=0.2, pauses=True)


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
    for each in notes:
        whole.take(each)
        ends.append(len(table.log))
    for cut in range(len(table.log)):
        first = next(place for place, end in enumerate(ends) if end > cut)
        again = Picture(pipeline, table_after(table.log[:cut]))
        for each in notes[max(first - cut % 3, 0) :]:
            again.take(each)
        assert known(again) == known(whole), cut


def test_it_knows_what_reports_fed_directly_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "WINDOWS_KEPT", 3)
    pipeline, came = _sliding_over(2), reports(6)
    direct = Reports(tasks=pipeline.partitions, kept=3, receipt_ms=picture.RECEIPT_MS)
    made = Picture(pipeline, {})
    for each, report in zip(metrics(came), came, strict=True):
        direct.add(report, each.received_time_ms)
        made.take(each)
        made.take(each)
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


def test_what_is_to_be_sent_is_sent_until_it_is_seen() -> None:
    made, alert, decision = Picture(_sliding_over(2), table := {}), None, None
    for each in metrics(reports(6)):
        made.take(each)
    for outgoing in Picture(_sliding_over(2), table).judging.outgoing.values():
        alert, decision = alert or outgoing.alert, decision or outgoing.decision
    assert alert is not None
    assert decision is not None
    assert (alert.name, decision.action, decision.by) == ("many repairs", "pause", "alert many repairs")
    for partition in range(2):
        made.take(note("alerts", alert, 0, partition))  # a crash may send it twice
        made.take(note("control", decision, partition, 0))
    left = Picture(_sliding_over(2), table)
    assert {alert.alert, decision.id}.isdisjoint(left.judging.outgoing)
    assert len(left.alerts) == len(left.asked) == 1


def test_old_alarms_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "KEPT", 2)
    made, alarm = Picture(PIPELINE, {}), others()[0]
    for offset in range(5):
        made.take(Note("trips", "drift", 0, offset, 0, alarm.value))
    assert [int(place.rpartition("/")[2]) for place in sorted(made.alarms)] == [3, 4]


def _sliding_over(periods: int) -> Any:
    return replace(PIPELINE, sliding_periods=periods, alerts=[REPAIRED])
