"""The views people query: what each column is, in SQL and in words."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from connectors.sinks.files import anchor
from connectors.sinks.schema import TABLES, Kind, table
from streams.records import ScoreValues
from streams.schema import TIME_MS_MAX, TIME_MS_MIN


class Column(NamedTuple):
    """A column of a view: the SQL that yields it, and what it means."""

    name: str
    sql: str
    comment: str


class View(NamedTuple):
    """A view over the Parquet files of one table."""

    name: str
    comment: str
    source: str  # what follows FROM
    columns: list[Column]

    def statements(self) -> Iterator[str]:
        """SQL that makes the view and documents it."""
        select = ", ".join(f"{column.sql} AS {quoted(column.name)}" for column in self.columns)
        yield f"CREATE VIEW {quoted(self.name)} AS SELECT {select} FROM {self.source}"  # noqa: S608 - names are quoted
        yield f"COMMENT ON VIEW {quoted(self.name)} IS {text(self.comment)}"
        for column in self.columns:
            yield f"COMMENT ON COLUMN {quoted(self.name)}.{quoted(column.name)} IS {text(column.comment)}"


def quoted(name: str) -> str:
    """A name in SQL.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string in SQL.

    >>> text("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def views(root: Path, kind: Kind) -> list[View]:
    """All views over the files under ``root``; each table's folder gets its ``_schema.parquet`` first."""
    schemas = {name: anchor(root / name, table(name, kind).schema) for name in TABLES}
    files = {name: _files(root / name) for name in TABLES}
    return [
        _features(files["features"], schemas["features"], kind),
        _predictions(files["predictions"]),
        _outcomes(files["outcomes"], kind),
        _metrics(files["metrics"]),
        _reports(files["metrics"]),
        _distributions(files["metrics"]),
        View("drift", "A detector saw the distribution change", files["drift"], _plain("task", *_DRIFT, *_OWN)),
        View(
            "decisions",
            "What people and rules decided on the models, and what each task made of it",
            files["decisions"],
            _plain("task", *_DECISION, *_OWN),
        ),
        View(
            "alerts",
            "Declared alerts: when they began, and when they were over",
            f"(SELECT * FROM {files['alerts']} QUALIFY row_number() OVER (PARTITION BY alert ORDER BY _offset) = 1)",  # noqa: S608
            _plain(*_ALERT, *_OWN),
        ),
        View(
            "rejects",
            "Records that could not be used, whole",
            files["rejects"],
            [*_plain(*_REJECT), *_BYTES, *_plain(*_OWN)],
        ),
        View("inputs", "The input topics as they were read", files["inputs"], [*_plain(*_INPUT), *_BYTES]),
    ]


_WORDS = {
    "event_id": "identity of the event",
    "event_time": "when it happened, by the event's own time (UTC)",
    "topic": "topic of the input record",
    "partition": "partition of the input record",
    "offset": "offset of the input record (a keyword in SQL: write it in double quotes)",
    "model": "name of the model",
    "version": "version of the model",
    "role": "champion, challenger or baseline",
    "since": "sequence of the report that its scores begin with: when it was declared, declared anew or reset",
    "prediction": "what the model predicted",
    "probability": "P(True) by the model; binary pipelines only",
    "probabilities": "class -> probability; multiclass pipelines only",
    "status": "scored, or expired without a label",
    "label": "what really happened; null when expired",
    "label_time": "time of the label record (UTC)",
    "label_delay_ms": "from the event to its label, in ms",
    "label_topic": "topic of the label record",
    "label_offset": "offset of the label record; its partition is that of the event",
    "task": "the task, which is the partition it owns",
    "epoch": "the life of the task: a higher one if it began anew, without its journal",
    "sequence": "number of the task's report in its life, counted up by one",
    "window_start_time": "start of the period (UTC)",
    "window_end_time": "end of the period (UTC), not in it",
    "time": "the task's time then: of the newest record (UTC)",
    "detector": "the drift detector",
    "watched": "the stream of values it watches",
    "value": "the value that tipped it, or ended it",
    "action": "what was done, or was to be done",
    "decision": "identity of the decision: the same in every task",
    "by": "who decided",
    "why": "why, in the words of who decided",
    "decided_time": "when it was decided (UTC)",
    "obeyed": "whether the task obeyed",
    "number": "how many decisions the task had obeyed then",
    "alert": "identity of the alert",
    "name": "what it is called",
    "lasts": "true: it began with this window; false: it was over",
    "measure": "what is watched",
    "bound": "the bound that it is beyond",
    "over": "windows that the value is taken over",
    "waiting": "tasks that had not reported of the window yet",
    "timestamp_ms": "the record's timestamp, ms since the Unix epoch",
    "reason": "why it was rejected, in one word; why a decision was not obeyed",
    "field": "the part of the record at fault",
    "detail": "why it was rejected, in a sentence",
    "predicted": "events that were predicted on in this period",
    "pending_labels": "events still waiting for their label",
    "label_delay_bounds_ms": "upper bounds of the buckets of label delays, in ms; the last bucket is open",
    "label_delay_counts": "labels in each bucket",
    "label_delay_sum_ms": "sum of the label delays of the period, in ms",
    "_partition": "partition of the output record itself",
    "_offset": "offset of the output record itself",
}
_EVENT = ("event_id", "event_time", "topic", "partition", "offset")
_SAID = ("model", "version", "role", "prediction", "probability", "probabilities")
_LABEL = ("status", "label", "label_time", "label_delay_ms", "label_topic", "label_offset")
_PERIOD = ("task", "epoch", "sequence", "window_start_time", "window_end_time")
_DRIFT = ("time", "topic", "partition", "offset", "detector", "watched", "model", "value", "action")
_DECISION = (
    *("time", "topic", "partition", "offset", "decision", "action", "model"),
    *("by", "why", "decided_time", "obeyed", "reason", "number"),
)
_ALERT = (
    *("alert", "name", "lasts", "window_start_time", "window_end_time"),
    *("measure", "value", "bound", "over", "waiting"),
)
_REJECT = ("topic", "partition", "offset", "timestamp_ms", "reason", "field", "detail")
_INPUT = ("topic", "partition", "offset", "timestamp_ms")
_OWN = ("_partition", "_offset")
_SANE = f"timestamp_ms BETWEEN {TIME_MS_MIN} AND {TIME_MS_MAX}"
_BYTES = [
    Column("record_time", f"CASE WHEN {_SANE} THEN make_timestamptz(timestamp_ms * 1000) END", "timestamp_ms in UTC"),
    Column("key", "key", "the record's key, as bytes"),
    Column("value", "value", "the record's value, as bytes"),
    Column("key_text", "TRY(decode(key))", "the key as text, where it is valid UTF-8"),
    Column("value_text", "TRY(decode(value))", "the value as text, where it is valid UTF-8"),
]
# the champion's verdict and its shadows, one row each
_CHAMPION = f"struct_pack({', '.join(f'{name} := {name}' for name in _SAID)})"
_VERDICTS = f"(SELECT *, unnest(list_prepend({_CHAMPION}, shadows)) AS said FROM {{files}})"  # noqa: S608 - all ours


def _plain(*names: str) -> list[Column]:
    return [Column(name, quoted(name), _WORDS[name]) for name in names]


def _said() -> list[Column]:
    return [Column(name, f"said.{name}", _WORDS[name]) for name in _SAID]


def _features(files: str, schema: pa.Schema, kind: Kind) -> View:
    own = [name for name in table("features", kind).schema.names if name not in _OWN]
    features = [name for name in schema.names if name not in own and name not in _OWN]
    types = {pa.bool_(): "BOOLEAN", pa.float64(): "DOUBLE", pa.string(): "VARCHAR"}
    casts = [Column(name, f"{quoted(name)}::{types[schema.field(name).type]}", "a feature") for name in features]
    return View("features", "What the models saw: one row an event", files, [*_plain(*own), *casts, *_plain(*_OWN)])


def _predictions(files: str) -> View:
    columns = [*_plain(*_EVENT), *_said(), *_plain(*_OWN)]
    return View("predictions", "One row an event and model", _VERDICTS.format(files=files), columns)


def _outcomes(files: str, kind: Kind) -> View:
    error = Column("error", "said.prediction - label", "prediction minus label; null when expired")
    correct = Column("correct", "said.prediction = label", "whether the prediction was the label; null when expired")
    verdict = error if kind == "regression" else correct
    columns = [*_plain(*_EVENT, *_LABEL), *_said(), verdict, *_plain(*_OWN)]
    comment = "Predictions joined with their labels: one row an event and model"
    return View("outcomes", comment, _VERDICTS.format(files=files), columns)


def _metrics(files: str) -> View:
    models = [Column(name, f"m.{name}", _WORDS[name]) for name in ("model", "version", "role", "since")]
    scores = [
        Column(f"{span}_{score}", f"m.{span}.{score}", f"{score} {words}")
        for span, words in (("cumulative", "so far"), ("sliding", "over the sliding window"))
        for score in typing.get_type_hints(ScoreValues)
    ]
    counts = [
        Column("n", "m.counts.n", "outcomes scored in this period"),
        Column("counts", "m.counts", "counts of this period, which add up over tasks and periods"),
    ]
    source = f"(SELECT *, unnest(models) AS m FROM {files})"  # noqa: S608 - the path is quoted
    columns = [*_plain(*_PERIOD), *models, *counts, *scores, *_plain(*_OWN)]
    return View("metrics", "Scores: one row a task, period and model", source, columns)


def _reports(files: str) -> View:
    maps = [
        Column("records", "map_from_entries(records)", "input topic -> records read in this period"),
        Column("rejects", "map_from_entries(rejects)", "reason -> records rejected in this period"),
        Column("repairs", "map_from_entries(repairs)", "field and remedy -> values mended in this period"),
        Column("labels", "map_from_entries(labels)", "what became of labels (scored, expired, …) -> count"),
    ]
    rest = _plain("pending_labels", "label_delay_bounds_ms", "label_delay_counts", "label_delay_sum_ms", *_OWN)
    return View(
        "reports", "Input and label counts: one row a task and period", files, [*_plain(*_PERIOD), *maps, *rest]
    )


def _distributions(files: str) -> View:
    of_feature = [
        Column("feature", "f.name", "name of the feature; one that no event of the period had is not listed"),
        Column("n", "f.n", "events with a value of it"),
        Column("missing", "f.missing", "events without"),
        Column("buckets", "f.buckets", "buckets of its numbers, eight an octave; 0 holds zeros (see pipeline.md)"),
        Column("counts", "f.counts", "how many numbers are in each bucket"),
        Column("values", 'map_from_entries(f."values")', "text, true or false -> count; the rest is (others)"),
    ]
    source = f"(SELECT *, unnest(features) AS f FROM {files})"  # noqa: S608 - the path is quoted
    columns = [*_plain(*_PERIOD, "predicted"), *of_feature, *_plain(*_OWN)]
    return View("distributions", "How features are spread: one row a task, period and feature", source, columns)


def _files(folder: Path) -> str:
    return f"read_parquet({text(f'{folder}/**/*.parquet')}, union_by_name = true, hive_partitioning = false)"
