"""What the monitor knows of one pipeline: the merged reports, alarms, decisions with their answers, and versions.

Taken in note by note; the same note again changes nothing. All of it lives in a table (mirror.py), so that it outlives
the monitor.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec

from infra.monitor.mirror import Mirror
from streams.merging import Life, Reports
from streams.pipeline import Pipeline
from streams.records import DecisionRecord, DriftRecord, MetricsRecord, VersionRecord

WINDOWS_KEPT = 1_000
"""Windows held of each pipeline; what is older is in the totals."""

KEPT = 500
"""Alarms, and answers to decisions, held of each pipeline."""

OUTPUTS = ("metrics", "drift", "decisions", "versions")
"""The outputs of a pipeline that are read."""


class Note(msgspec.Struct, frozen=True):
    """A record of an output of a pipeline, and when it was first seen, ms since the Unix epoch."""

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
    >>> picture = Picture(trips.pipeline, {})
    >>> drift = DriftRecord(0, 5, "starts", 0, 7, "ADWIN", "error of tree", "tree", 0.5, "reported")
    >>> note = Note("trips", "drift", 0, 3, 1_000, msgspec.json.encode(drift))
    >>> picture.take(note), picture.take(note), [each.detector for each in picture.alarms.values()]
    (True, False, ['ADWIN'])
    """

    def __init__(self, pipeline: Pipeline, table: MutableMapping[str, bytes]) -> None:
        self.pipeline, name = pipeline, pipeline.name
        self._windows: Mirror[list[tuple[int, int]]] = Mirror(table, f"{name}/windows/", list[tuple[int, int]])
        self._lives: Mirror[Life] = Mirror(table, f"{name}/lives/", Life)
        self.reports = Reports(
            tasks=pipeline.partitions,
            kept=max(WINDOWS_KEPT, pipeline.sliding_periods),
            receipt_ms=60_000,
            windows=list(self._windows.get("held", [])),
            held=Mirror(table, f"{name}/held/", MetricsRecord),
            lives={int(task): life for task, life in self._lives.items()},
            receipts=Mirror(table, f"{name}/receipts/", MetricsRecord),
        )
        self.alarms: Mirror[DriftRecord] = Mirror(table, f"{name}/alarms/", DriftRecord)
        self.answers: Mirror[DecisionRecord] = Mirror(table, f"{name}/answers/", DecisionRecord)
        self.versions: Mirror[VersionRecord] = Mirror(table, f"{name}/versions/", VersionRecord)
        self.changes = 0
        """How often it changed since it was opened: for those who wait for news."""
        self._take: dict[str, Callable[[Note], bool]] = {
            "metrics": self._report,
            "drift": self._alarm,
            "decisions": self._answer,
            "versions": self._version,
        }

    def take(self, note: Note) -> bool:
        """Take in a record; whether it was news."""
        news = self._take[note.output](note)
        self.changes += news
        return news

    def _report(self, note: Note) -> bool:
        report = msgspec.json.decode(note.value, type=MetricsRecord)
        before = list(self.reports.windows)
        news = self.reports.add(report, note.received_time_ms)
        if self.reports.windows != before:
            self._windows["held"] = self.reports.windows
        if news:
            for task, life in self.reports.lives.items():
                if self._lives.get(str(task)) != life or task == report.task:
                    self._lives[str(task)] = life
        return news

    def _alarm(self, note: Note) -> bool:
        return _keep(self.alarms, note, msgspec.json.decode(note.value, type=DriftRecord))

    def _answer(self, note: Note) -> bool:
        return _keep(self.answers, note, msgspec.json.decode(note.value, type=DecisionRecord))

    def _version(self, note: Note) -> bool:
        told = msgspec.json.decode(note.value, type=VersionRecord)
        key = f"{told.model}/{told.label}/{told.task}"
        if self.versions.get(key) == told:
            return False
        self.versions[key] = told
        return True


def _keep(kept: Mirror[Any], note: Note, record: Any) -> bool:
    """Keep it by its place in the topic, and so many of the newest."""
    key = f"{note.received_time_ms:015d}/{note.partition}/{note.offset}"
    place = f"/{note.partition}/{note.offset}"
    if any(known.endswith(place) for known in kept):
        return False
    kept[key] = record
    for oldest in sorted(kept)[:-KEPT]:
        del kept[oldest]
    return True
