"""From a record of an input to a typed, cleaned event and its time; or to a clear rejection."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import Any

from streams.errors import RecordRejected
from streams.inputs import AnyInput
from streams.outputs import KEY_BYTES_MAX, RECORD_BYTES_MAX
from streams.ports import Record
from streams.schema import TIME_MS_MAX, Decoder, Event, epoch_ms

NAME_CHARS_MAX = 1_000
"""How long the name of an event may be: names are kept while their events wait, and repeated in every output."""


class Intake:
    """Takes in the records of one input."""

    def __init__(self, stream: AnyInput) -> None:
        self._stream, self._clean, self._time = stream, stream.clean, stream.time
        self._decode = Decoder[Any](stream.type)
        self._time_of = attrgetter(stream.time)

    def __call__(self, record: Record, repairs: Counter[str]) -> tuple[Event, int]:
        """The event and its time, ms since the Unix epoch. What is mended in it is counted in ``repairs``.

        Raises RecordRejected when the record is too large, or is not such an event.
        """
        _, timestamp_ms, key, value = record
        if not 0 <= timestamp_ms <= TIME_MS_MAX:
            what = f"the record's timestamp is {timestamp_ms}, not in the years 1970 to 9999"
            raise RecordRejected(what, reason="out_of_range", field="timestamp")
        if (value and len(value) > RECORD_BYTES_MAX) or (key and len(key) > KEY_BYTES_MAX):
            what = f"key and value may have {KEY_BYTES_MAX:,} and {RECORD_BYTES_MAX:,} bytes"
            raise RecordRejected(what, reason="too_large")
        event = self._decode(value)
        if self._clean:
            self._mend(event, repairs)
        return event, epoch_ms(self._time_of(event), self._time)

    def _mend(self, event: Event, repairs: Counter[str]) -> None:
        for rule in self._clean:
            try:
                repair = rule(event)
            except RecordRejected:
                raise
            except Exception as error:
                what = f"{type(rule).__name__} raised {type(error).__name__}: {error}"
                raise RecordRejected(what, reason="cleaning_failed", field=rule.field) from error
            if repair is not None:
                repairs[repair] += 1


def name_of(event: Event, field: str) -> str:
    """What an event is called by this field. Raises RecordRejected when it has no name, or one that is too long."""
    name = getattr(event, field)
    if name is None:
        raise RecordRejected(f"{field} is missing", reason="missing", field=field)
    name = str(name)
    if len(name) > NAME_CHARS_MAX:
        what = f"{field} has {len(name):,} characters, {NAME_CHARS_MAX:,} at the most"
        raise RecordRejected(what, reason="too_large", field=field)
    return name
