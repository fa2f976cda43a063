"""From the bytes of a record to a typed event, or to a clear rejection."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec

from streams.errors import RecordRejected

NUMBER_MAX = 1e15
"""The largest magnitude a number may have: beyond it floats lose whole units and models their balance."""


class Event(msgspec.Struct, kw_only=True):
    """Base of all typed records. Annotations are the schema; ``msgspec.Meta`` bounds reject what lies outside.

    Unknown fields in the data are ignored, so that producers may add fields first.

    Examples
    --------
    >>> from typing import Annotated
    >>> class Reading(Event):
    ...     sensor: str
    ...     at: datetime
    ...     celsius: Annotated[float, msgspec.Meta(ge=-90, le=60)] | None = None
    """


TIME_MS_MIN, TIME_MS_MAX = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, in ms since the Unix epoch: times that every client of the outputs can show."""

E = TypeVar("E", bound=Event)

_FIELD_PATH = " - at `$"
_NAMED = re.compile(r"(?:missing required|unknown) field `([^`]*)`")


def epoch_ms(at: datetime | int | float | None, field: str = "") -> int:
    """A time as ms since the Unix epoch. Numbers are taken to be that already.

    Raises RecordRejected when there is none, when it lies outside the years 1 to 9999, or when a datetime has no zone:
    it would mean another time on another machine.

    >>> from datetime import timezone
    >>> epoch_ms(datetime(2013, 3, 1, tzinfo=timezone.utc))
    1362096000000
    """
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise RecordRejected(f"{field} {at} has no time zone", reason="schema", field=field)
        time_ms = round(at.timestamp() * 1000)
    elif at is None:
        raise RecordRejected(f"{field} is missing", reason="missing", field=field)
    else:
        time_ms = int(at)
    if not TIME_MS_MIN <= time_ms <= TIME_MS_MAX:
        raise RecordRejected(f"{field} is {at}, not in the years 1 to 9999", reason="out_of_range", field=field)
    return time_ms


class Decoder(Generic[E]):
    """Decodes and validates the values of one input.

    Examples
    --------
    >>> class Reading(Event):
    ...     celsius: float
    >>> Decoder(Reading)(b'{"celsius": 20.5}')
    Reading(celsius=20.5)
    >>> Decoder(Reading)(b'{"celsius": "hot"}')
    Traceback (most recent call last):
        ...
    streams.errors.RecordRejected: Expected `float`, got `str` - at `$.celsius`
    """

    def __init__(self, event_type: type[E]) -> None:
        self._decode: Callable[[bytes], E] = msgspec.json.Decoder(event_type).decode
        self._numbers, self._perhaps = _number_fields(event_type)
        self._numbers_of = _getter(self._numbers)

    def __call__(self, value: bytes | None) -> E:
        """The typed event. Raises RecordRejected with the reason "empty", "json", "schema" or "out_of_range"."""
        try:
            event = self._decode(value or b"")
        except msgspec.ValidationError as error:
            raise RecordRejected(str(error), reason="schema", field=_field_of(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if not value:
                raise RecordRejected("the record has no value (a tombstone, or empty)", reason="empty") from None
            raise RecordRejected(f"not JSON: {error}", reason="json") from None
        except RecursionError:
            raise RecordRejected("nested too deeply", reason="json") from None
        if self._numbers_of is not None:
            for number in self._numbers_of(event):
                if number is not None and not -NUMBER_MAX <= number <= NUMBER_MAX:  # NaN fails this too
                    raise self._too_far(event)
        for name in self._perhaps:
            number = getattr(event, name)
            if isinstance(number, int | float) and not -NUMBER_MAX <= number <= NUMBER_MAX:
                raise self._too_far(event)
        return event

    def _too_far(self, event: E) -> RecordRejected:
        fields = ((name, getattr(event, name)) for name in (*self._numbers, *self._perhaps))
        numbers = ((name, number) for name, number in fields if isinstance(number, int | float))
        name, number = next(each for each in numbers if not -NUMBER_MAX <= each[1] <= NUMBER_MAX)
        what = f"{name} is {_short(number)}, beyond ±{NUMBER_MAX:.0e}"
        return RecordRejected(what, reason="out_of_range", field=name)


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]] | None:
    """Gives these fields of an event; None if there are none."""
    if len(names) > 1:
        return attrgetter(*names)
    return (lambda event: (getattr(event, names[0]),)) if names else None


def _kinds(annotation: Any) -> list[msgspec.inspect.Type]:
    """The types that a field may have, without None."""
    kind = msgspec.inspect.type_info(annotation)
    members = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return [member for member in members if not isinstance(member, msgspec.inspect.NoneType)]


@cache
def _number_fields(event_type: type[Event]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fields that hold numbers, and those that may hold one or something else."""
    fields = [field for field in msgspec.structs.fields(event_type) if _may_be_number(field.type)]
    numbers = tuple(field.name for field in fields if is_number(field.type))
    return numbers, tuple(field.name for field in fields if field.name not in numbers)


def _may_be_number(annotation: Any) -> bool:
    return any(isinstance(kind, msgspec.inspect.FloatType | msgspec.inspect.IntType) for kind in _kinds(annotation))


def is_number(annotation: Any) -> bool:
    """Whether a field of this type is a number (or bool), apart from None.

    >>> is_number(float | None), is_number(int | str)
    (True, False)
    """
    numbers = msgspec.inspect.FloatType | msgspec.inspect.IntType | msgspec.inspect.BoolType
    return all(isinstance(kind, numbers) for kind in _kinds(annotation))


def is_time(annotation: Any) -> bool:
    """Whether a field of this type can tell a time: a datetime, or a number of ms."""
    times = msgspec.inspect.FloatType | msgspec.inspect.IntType | msgspec.inspect.DateTimeType
    return all(isinstance(kind, times) for kind in _kinds(annotation))


def is_text(annotation: Any) -> bool:
    """Whether a field of this type is text, apart from None."""
    return all(
        isinstance(kind, msgspec.inspect.StrType)
        or (isinstance(kind, msgspec.inspect.LiteralType) and all(isinstance(value, str) for value in kind.values))
        for kind in _kinds(annotation)
    )


def _field_of(message: str) -> str:
    """The field at fault in a message of msgspec's, with the path to it.

    >>> _field_of("Object missing required field `x`"), _field_of("Object missing required field `x` - at `$.a[...]`")
    ('x', 'a[...].x')
    """
    before, _, path = message.partition(_FIELD_PATH)
    named = _NAMED.search(before)
    return ".".join(part for part in (path.strip("`."), named[1] if named else "") if part)


def _short(number: float) -> str:
    text = str(number)
    return text if len(text) <= 24 else f"{text[:8]}… ({len(text)} characters)"
