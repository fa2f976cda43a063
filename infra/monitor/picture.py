"""What the monitor knows of one pipeline: the merged reports, alarms, alerts, decisions with answers, and versions.

Taken in note by note; the same note again changes nothing. All of it lives in a table (ledger.py), so that it outlives
the monitor. What a note changes is changed as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec

from infra.monitor.judging import Judging
from infra.monitor.ledger import Ledger
from infra.monitor.mirror import Mirror
from streams.control import Decision
from streams.control import decode as decode_decision
from streams.errors import RecordRejected
from streams.merging import Life, Reports
from streams.pipeline import Pipeline
from streams.records import AlertRecord, DecisionRecord, DriftRecord, MetricsRecord, VersionRecord

WINDOWS_KEPT = 1_000
"""Windows held of each pipeline; what is older is in the totals."""

RECEIPT_MS = 60_000
"""Length of a window of processing time."""

KEPT = 500
"""Alarms, alerts, decisions, and answers to decisions, held of each pipeline."""

OUTPUTS = ("metrics", "drift", "decisions", "versions", "alerts", "control")
"""The topics of a pipeline that are read."""


class Note(msgspec.Struct, frozen=True):
    """A record of a topic of a pipeline, and when it was first seen, ms since the Unix epoch."""

    pipeline: str
    output: str
    partition: int
    offset: int
    received_time_ms: int
    value: bytes


class Picture:
    """One pipeline's state. ``table`` holds it, under keys that begin with the pipeline's name.

    Examples
    --------
    >>> from tests.streams.pipelines import trips
    >>> table = {}
    >>> picture = Picture(trips.pipeline, table)
    >>> drift = DriftRecord(0, 5, "starts", 0, 7, "ADWIN", "error of tree", "tree", 0.5, "reported")
    >>> note = Note("trips", "drift", 0, 3, 1_000, msgspec.json.encode(drift))
    >>> picture.take(note), picture.take(note), [each.detector for each in picture.alarms.values()]
    (True, False, ['ADWIN'])
    >>> Picture(trips.pipeline, table).alarms == picture.alarms
    True
    """

    def __init__(self, pipeline: Pipeline, table: MutableMapping[str, bytes]) -> None:
        self.pipeline = pipeline
        self._ledger = ledger = Ledger(table, f"{pipeline.name}/")
        self._windows: Mirror[list[tuple[int, int]]] = Mirror(ledger, "windows/", list[tuple[int, int]])
        self._lives: Mirror[Life] = Mirror(ledger, "lives/", Life)
        self._read: Mirror[int] = Mirror(ledger, "read/", int)
        self.reports = Reports(
            tasks=pipeline.partitions,
            kept=max(WINDOWS_KEPT, pipeline.sliding_periods),
            receipt_ms=RECEIPT_MS,
            windows=list(self._windows.get("held", [])),
            held=Mirror(ledger, "held/", MetricsRecord),
            lives={int(task): life for task, life in self._lives.items()},
            receipts=Mirror(ledger, "receipts/", MetricsRecord),
        )
        self.alarms: Mirror[DriftRecord] = Mirror(ledger, "alarms/", DriftRecord)
        self.alerts: Mirror[AlertRecord] = Mirror(ledger, "alerts/", AlertRecord)
        self.asked: Mirror[Decision] = Mirror(ledger, "asked/", Decision)
        self.answers: Mirror[DecisionRecord] = Mirror(ledger, "answers/", DecisionRecord)
        self.versions: Mirror[VersionRecord] = Mirror(ledger, "versions/", VersionRecord)
        self.judging = Judging(pipeline, ledger)
        self.changes = 0
        """How often it changed since it was opened: for those who wait for news."""
        self._take: dict[str, Callable[[Note], bool]] = {
            "metrics": self._report,
            "drift": self._alarm,
            "decisions": self._answer,
            "versions": self._version,
            "alerts": self._alert,
            "control": self._decision,
        }

    def take(self, note: Note) -> bool:
        """Take in a record; whether it was news. Raises RecordRejected when it is none of ours."""
        try:
            news = self._take[note.output](note)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            where = f"{self.pipeline.topic(note.output)}[{note.partition}]@{note.offset}"
            raise RecordRejected(f"not a record of {note.output}: {error}", reason="json", where=where) from error
        self._ledger.commit()
        self.changes += news
        return news

    def _report(self, note: Note) -> bool:
        report = msgspec.json.decode(note.value, type=MetricsRecord)
        before = list(self.reports.windows)
        news = self.reports.add(report, note.received_time_ms)
        moved = self.reports.windows != before
        if moved:
            self._windows["held"] = list(self.reports.windows)
        for task, life in self.reports.lives.items():
            if moved or (news and task == report.task):  # a window that is no longer held is folded into all totals
                self._lives[str(task)] = life
        if news:
            self.judging.judge(self.reports, note.received_time_ms)
        return news

    def _alarm(self, note: Note) -> bool:
        alarm = msgspec.json.decode(note.value, type=DriftRecord)
        if self._known(note):
            return False
        _keep(self.alarms, _place(note), alarm)
        return True

    def _answer(self, note: Note) -> bool:
        answer = msgspec.json.decode(note.value, type=DecisionRecord)
        if self._known(note):
            return False
        _keep(self.answers, _place(note), answer)
        self.judging.answered(answer)
        return True

    def _alert(self, note: Note) -> bool:
        alert = msgspec.json.decode(note.value, type=AlertRecord)
        if self._known(note) or any(each.alert == alert.alert for each in self.alerts.values()):  # it may come twice
            return False
        _keep(self.alerts, _place(note), alert)
        self.judging.seen(alert.alert)
        return True

    def _decision(self, note: Note) -> bool:
        decision = decode_decision(note.value)
        if self._known(note) or any(each.id == decision.id for each in self.asked.values()):  # each partition has it
            return False
        _keep(self.asked, _place(note), decision)
        self.judging.seen(decision.id)
        return True

    def _version(self, note: Note) -> bool:
        told = msgspec.json.decode(note.value, type=VersionRecord)
        if self._known(note):
            return False
        key = f"{told.model}/{told.label}/{told.task}"
        if told.kept:
            self.versions[key] = told
        else:
            self.versions.pop(key, None)
        return True

    def _known(self, note: Note) -> bool:
        """Whether it came before. Notes of a partition come in order, repeats apart."""
        partition = f"{note.output}/{note.partition}"
        if note.offset <= self._read.get(partition, -1):
            return True
        self._read[partition] = note.offset
        return False


def _place(note: Note) -> str:
    """Sorts by arrival."""
    return f"{note.received_time_ms:015d}/{note.partition:05d}/{note.offset:015d}"


def _keep(kept: Mirror[Any], place: str, record: Any) -> None:
    """Keep it, and so many of the newest."""
    kept[place] = record
    for oldest in sorted(kept)[:-KEPT]:
        del kept[oldest]
