"""Reports of a pipeline of two tasks, as notes."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec

from infra.monitor.picture import Note, Picture
from models.learner import Features
from streams.merging import Reports
from streams.records import DecisionRecord, DriftRecord, MetricsRecord, VersionRecord
from tests.models.test_scores import binary
from tests.streams.test_merging import Reporter, Seen


def reports(windows: int, tasks: int = 2, seed: int = 1) -> list[MetricsRecord]:
    """What the tasks report, window by window."""
    draw = random.Random(seed)
    reporters = [Reporter("binary", task) for task in range(tasks)]
    made = []
    for number in range(windows):
        for reporter in reporters:
            outcomes = [(draw.random() < 0.5, binary(draw.random())) for _ in range(3)]
            rows: list[Features] = [{"km": draw.uniform(0, 9)} for _ in outcomes]
            seen = Seen(
                draw.randrange(9), draw.randrange(3), [draw.randrange(10**6)], draw.randrange(5), rows, outcomes
            )
            made.append(reporter.saw(number, seen))
    return made


def note(output: str, record: object, partition: int, offset: int, pipeline: str = "trips") -> Note:
    return Note(pipeline, output, partition, offset, 1_000 + offset, msgspec.json.encode(record))


def metrics(records: Iterable[MetricsRecord], pipeline: str = "trips") -> list[Note]:
    """Each at its own offset of its task's partition."""
    return [note("metrics", report, report.task, 2 * report.sequence, pipeline) for report in records]


def others(pipeline: str = "trips") -> list[Note]:
    """An alarm, two answers and two versions, one of which was let go."""
    drift = DriftRecord(0, 5, "starts", 0, 7, "ADWIN", "error of tree", "tree", 0.5, "reported")
    answered = ("pause", None, None, "ann", "bad labels", 5, True, "", 1)
    answers = [DecisionRecord(task, 6, "trips.control", task, 0, "id", *answered) for task in (0, 1)]
    kept = VersionRecord(0, 7, "tree", "good", "1.0", True, _NO_SCORES)
    return [
        note("drift", drift, 0, 3, pipeline),
        *(note("decisions", answer, answer.task, 0, pipeline) for answer in answers),
        note("versions", kept, 0, 0, pipeline),
        note("versions", msgspec.structs.replace(kept, label="better"), 0, 1, pipeline),
        note("versions", msgspec.structs.replace(kept, kept=False), 0, 2, pipeline),
    ]


_NO_SCORES = reports(1)[0].models[0].sliding


def known(picture: Picture) -> bytes:
    """All that it knows, but for the order of dictionaries."""
    parts = [picture.alarms, picture.asked, picture.answers, picture.paused, picture.versions]
    return reported(picture.reports) + msgspec.json.encode(parts, order="sorted")


def reported(reports: Reports, receipts: bool = True) -> bytes:
    """All that is known of reports."""
    built = msgspec.to_builtins(reports, str_keys=True)
    if not receipts:  # when a report came is another matter
        built["receipts"] = {}
    return msgspec.json.encode(built, order="sorted")
