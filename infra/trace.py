"""One event, from its input to its prediction to its label: found in the warehouse and, where the sink has not written
yet, in the topics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from connectors.kafka_admin import describe
from connectors.kafka_scan import scan
from connectors.warehouse import query
from streams.errors import PipelineError
from streams.records import FeaturesRecord, OutcomeRecord, PredictionRecord, RejectRecord, Scalar, Verdict

T = TypeVar("T")


class Source(msgspec.Struct):
    """An input record. ``key`` and ``value`` are text; null where they are none, or the record is gone."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None = None
    key: str | None = None
    value: str | None = None

    @property
    def where(self) -> str:
        """Its coordinates."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Alarm(msgspec.Struct):
    """An alarm that this event, or its label, has set off."""

    time_ms: int
    detector: str
    watched: str
    model: str | None
    value: float


class Traced(msgspec.Struct):
    """What became of one event. ``status``: it "waits" for its label, was "scored" with it, or is "expired"."""

    event: Source
    event_time_ms: int
    features: dict[str, Any] = {}
    said: list[Verdict] = []
    status: str = "waits"
    label: Scalar | None = None
    label_time_ms: int | None = None
    label_delay_ms: int | None = None
    label_record: Source | None = None
    alarms: list[Alarm] = []


class Rejected(msgspec.Struct):
    """A record that names the event and could not be used: the event itself, or a label of it."""

    reject: str
    record: Source
    reason: str
    field: str
    detail: str


class Trace(msgspec.Struct):
    """All that is known of an event. ``unasked`` says why the topics were not looked through; empty if they were."""

    pipeline: str
    event_id: str
    events: list[Traced]
    rejects: list[Rejected]
    unasked: str = ""


class _Place(NamedTuple):
    topic: str
    partition: int
    offset: int


_AT = 'topic, partition, "offset"'


class Tracer:
    """Looks for events of one pipeline.

    Parameters
    ----------
    root
        The folder of its Parquet files, ``{home}/{pipeline}/parquet``.
    config
        Keyword arguments for kafka-python's clients; None looks into the warehouse alone.
    """

    def __init__(self, root: Path, config: dict[str, Any] | None) -> None:
        self._root, self._config = root, config
        self._pipeline = root.parent.name

    def trace(self, event_id: str) -> Trace:
        """What is known of the event of this name. Raises PipelineError when Kafka cannot be asked."""
        found = self._predicted(event_id)
        self._add_features(event_id, found)
        self._add_outcomes(event_id, found)
        for traced in found.values():
            traced.event = self._source(_Place(traced.event.topic, traced.event.partition, traced.event.offset))
            traced.alarms = self._alarms(traced)
        events = sorted(found.values(), key=lambda each: (each.event_time_ms, each.event.offset))
        return Trace(self._pipeline, event_id, events, self._rejects(event_id))

    def _rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = query(self._root, sql, parameters=values).to_pylist()
        return rows

    def _rest(self, output: str, kind: type[T]) -> Iterator[tuple[_Place, T]]:
        """The records of an output topic that are not in the warehouse yet, with where they lie."""
        topic = f"{self._pipeline}.{output}"
        if self._config is None or not (count := describe(self._config, [topic]).get(topic)):
            return
        rows = self._rows(f"SELECT _partition, max(_offset) AS newest FROM {output} GROUP BY 1")  # noqa: S608 - a view
        starts = dict.fromkeys(range(count), 0) | {row["_partition"]: row["newest"] + 1 for row in rows}
        decode = msgspec.json.Decoder(kind).decode
        for record in scan(self._config, topic, starts):
            yield _Place(topic, record.partition, record.offset), decode(record.value)

    def _predicted(self, event_id: str) -> dict[_Place, Traced]:
        found: dict[_Place, Traced] = {}
        said = "model, version, role, prediction, probability, probabilities"
        sql = f"SELECT epoch_ms(event_time) AS time_ms, {_AT}, {said} FROM predictions WHERE event_id = ?"  # noqa: S608
        for row in self._rows(f"{sql} ORDER BY _partition, _offset", event_id):
            own = found.setdefault(_place(row), Traced(Source(*_place(row)), row["time_ms"]))
            own.said.append(msgspec.convert(row, Verdict))
        for _, record in self._rest("predictions", PredictionRecord):
            if record.event_id == event_id:
                verdicts = [msgspec.convert(msgspec.structs.asdict(record), Verdict), *record.shadows]
                place = _Place(record.topic, record.partition, record.offset)
                found[place] = Traced(Source(*place), record.event_time_ms, said=verdicts)
        return found

    def _add_features(self, event_id: str, found: dict[_Place, Traced]) -> None:
        for row in self._rows("SELECT * FROM features WHERE event_id = ?", event_id):
            if own := found.get(_place(row)):
                known = {*FeaturesRecord.__struct_fields__, "event_time", "_partition", "_offset"}
                own.features = {name: value for name, value in row.items() if name not in known and value is not None}
        for _, record in self._rest("features", FeaturesRecord):
            own = found.get(_Place(record.topic, record.partition, record.offset))
            if own and record.event_id == event_id:
                own.features = record.features

    def _add_outcomes(self, event_id: str, found: dict[_Place, Traced]) -> None:
        label = "label, epoch_ms(label_time) AS label_time_ms, label_delay_ms, label_topic, label_offset"
        sql = f"SELECT DISTINCT {_AT}, status, {label} FROM outcomes WHERE event_id = ?"  # noqa: S608
        for row in self._rows(sql, event_id):
            _end(found.get(_place(row)), row)
        for _, record in self._rest("outcomes", OutcomeRecord):
            if record.event_id == event_id:
                row = msgspec.structs.asdict(record)
                _end(found.get(_place(row)), row)
        for own in found.values():
            if own.label_record:
                at = own.label_record
                own.label_record = self._source(_Place(at.topic, at.partition, at.offset))

    def _source(self, place: _Place) -> Source:
        """The input record itself, as far as it is still there."""
        sql = 'SELECT timestamp_ms, key, value FROM inputs WHERE topic = ? AND partition = ? AND "offset" = ?'
        for row in self._rows(sql, *place):
            return Source(*place, row["timestamp_ms"], _text(row["key"]), _text(row["value"]))
        if self._config is not None and place.topic in describe(self._config, [place.topic]):
            for record in scan(self._config, place.topic, {place.partition: place.offset}):
                if record.offset == place.offset:
                    return Source(*place, record.timestamp, _text(record.key), _text(record.value))
                break
        return Source(*place)

    def _alarms(self, traced: Traced) -> list[Alarm]:
        places = [traced.event, *([traced.label_record] if traced.label_record else [])]
        sql = f"""
        SELECT epoch_ms("time") AS time_ms, detector, watched, model, "value" FROM drift
        WHERE ({_AT}) IN ({", ".join(["(?, ?, ?)"] * len(places))}) ORDER BY _offset
        """  # noqa: S608
        values = [value for each in places for value in (each.topic, each.partition, each.offset)]
        return [Alarm(**row) for row in self._rows(sql, *values)]

    def _rejects(self, event_id: str) -> list[Rejected]:
        sql = f"""
        SELECT _partition, _offset, {_AT}, timestamp_ms, reason, field, detail, key, value FROM rejects
        WHERE CASE WHEN json_valid(value_text) THEN list_contains(json_extract_string(value_text, '$.*'), ?) END
        ORDER BY _partition, _offset
        """  # noqa: S608
        topic, found = f"{self._pipeline}.rejects", []
        for row in self._rows(sql, event_id):
            if names(row["value"], event_id):
                source = Source(*_place(row), row["timestamp_ms"], _text(row["key"]), _text(row["value"]))
                where = f"{topic}[{row['_partition']}]@{row['_offset']}"
                found.append(Rejected(where, source, row["reason"], row["field"], row["detail"]))
        for at, record in self._rest("rejects", RejectRecord):
            if names(record.value, event_id):
                place = record.topic, record.partition, record.offset
                source = Source(*place, record.timestamp_ms, _text(record.key), _text(record.value))
                where = f"{topic}[{at.partition}]@{at.offset}"
                found.append(Rejected(where, source, record.reason, record.field, record.detail))
        return found


def trace(root: Path, config: dict[str, Any] | None, event_id: str) -> Trace:
    """What is known of an event: in the warehouse, and in the topics if Kafka can be asked."""
    try:
        return Tracer(root, config).trace(event_id)
    except PipelineError as error:
        if config is None:
            raise
        found = Tracer(root, None).trace(event_id)
        found.unasked = str(error)
        return found


def names(value: bytes | None, event_id: str) -> bool:
    """Whether a JSON record has this text or number in one of its fields.

    >>> names(b'{"payment": "p1", "fraud": true}', "p1"), names(b'{"note": "about p1"}', "p1"), names(b"{", "p1")
    (True, False, False)
    """
    try:
        read = msgspec.json.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(read, dict) and any(str(each) == event_id for each in read.values() if not isinstance(each, bool))


def _place(row: dict[str, Any]) -> _Place:
    return _Place(row["topic"], row["partition"], row["offset"])


def _end(own: Traced | None, row: dict[str, Any]) -> None:
    if own is None:
        return
    own.status, own.label = row["status"], row["label"]
    own.label_time_ms, own.label_delay_ms = row["label_time_ms"], row["label_delay_ms"]
    if row["label_topic"] is not None:
        own.label_record = Source(row["label_topic"], row["partition"], row["label_offset"])


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="backslashreplace")
