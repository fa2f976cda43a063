"""Records of the user's own, from files of JSON lines: ``<topic>.jsonl``, one for each input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from infra.bench.stream import Row
from streams.errors import Declined
from streams.inputs import AnyInput
from streams.pipeline import Pipeline

EVENTS_MIN = 100
_encode = msgspec.json.Encoder().encode
_REMEDY = "write a file <topic>.jsonl of JSON objects, one a line, for each input"


class _Line(NamedTuple):
    at_ms: int
    place: int  # among the inputs: at the same time references come first, then labels, then events
    fields: dict[str, Any]


class Recorded:
    """Records of these files, by time. When all have been given they come again, later and under other names.

    Parameters
    ----------
    pipeline
        Whose inputs they are for.
    path
        The folder that holds the files; or the file of the events, beside which the others are looked for.

    Raises
    ------
    Declined
        Events or labels are missing, there are fewer than 100 events, or a line lacks its time, key or name.
    """

    def __init__(self, pipeline: Pipeline, path: Path) -> None:
        self._inputs = pipeline.inputs
        folder = path if path.is_dir() else path.parent
        self._names = [_Names(each, getattr(each, "id", getattr(each, "joins", None))) for each in self._inputs]
        needed = {pipeline.events.topic, pipeline.labels.topic}
        files = {each.topic: folder / f"{each.topic}.jsonl" for each in self._inputs}
        if path.is_file():
            files[pipeline.events.topic] = path
        lines = [
            _Line(names.at_ms(fields, where), place, fields)
            for place, names in enumerate(self._names)
            for where, fields in _read(files[names.topic], needed=names.topic in needed)
        ]
        self._lines = sorted(lines, key=lambda line: line[:2])
        keys = Counter(self._names[-1].key_of(line.fields) for line in lines if line.place == len(self._inputs) - 1)
        if keys.total() < EVENTS_MIN:
            file = str(files[pipeline.events.topic])
            raise Declined(f"{keys.total()} events are too few to measure", where=file, remedy=f"give {EVENTS_MIN}")
        self._hottest_key = keys.most_common(1)[0][1] / keys.total()

    @property
    def hottest_key(self) -> float:
        """The share of events that the most frequent key has."""
        return self._hottest_key

    def rows(self, spacing_ms: Callable[[], float]) -> Iterator[Row]:  # noqa: ARG002 - they have times of their own
        """See Stream."""
        first_ms, last_ms = self._lines[0].at_ms, self._lines[-1].at_ms
        turn = 0
        while True:
            for line in self._lines:
                yield self._names[line.place].row(line.fields, turn, line.at_ms, turn * (last_ms - first_ms + 1_000))
            turn += 1


class _Names:
    """Which fields of an input's records are its key, its time and its event's name."""

    def __init__(self, stream: AnyInput, named: str | None) -> None:
        wire = {field.name: field.encode_name for field in msgspec.structs.fields(stream.type)}
        self.topic = stream.topic
        self._key, self._time, self._named = wire[stream.key], wire[stream.time], wire[named] if named else None

    def at_ms(self, fields: dict[str, Any], where: str) -> int:
        for name in (self._key, self._time, *([self._named] if self._named else [])):
            if fields.get(name) is None:
                raise Declined(f"no field {name!r}", where=where, remedy=_REMEDY)
        at = fields[self._time]
        if isinstance(at, int | float):
            return int(at)
        try:
            return round(datetime.fromisoformat(at).astimezone(UTC).timestamp() * 1_000)
        except (TypeError, ValueError):
            raise Declined(f"{self._time} is {at!r}, no time", where=where, remedy="ISO text or ms") from None

    def key_of(self, fields: dict[str, Any]) -> str:
        return str(fields[self._key])

    def row(self, fields: dict[str, Any], turn: int, at_ms: int, later_ms: int) -> Row:
        if turn:
            fields = fields | {self._time: _later(fields[self._time], later_ms)}
            if self._named:
                name = fields[self._named]
                fields[self._named] = name + turn * 10**11 if isinstance(name, int) else f"{name}~{turn}"
        return Row(self.topic, self.key_of(fields).encode(), _encode(fields), at_ms + later_ms)


def _later(at: Any, by_ms: int) -> Any:
    """
    >>> _later("2026-03-01T09:00:00+00:00", 1_500), _later(1_000, 1_500)
    ('2026-03-01T09:00:01.500000+00:00', 2500)
    """
    if isinstance(at, int | float):
        return at + by_ms
    moved = datetime.fromisoformat(at).astimezone(UTC).timestamp() + by_ms / 1_000
    return datetime.fromtimestamp(moved, UTC).isoformat()


def _read(file: Path, *, needed: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    if not file.is_file():
        if needed:
            raise Declined(f"there is no {file.name}", where=str(file.parent), remedy=_REMEDY)
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{file}:{number}"
            if line.strip():
                try:
                    yield where, msgspec.json.decode(line, type=dict[str, Any])
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise Declined(f"no JSON object: {error}", where=where, remedy=_REMEDY) from error
