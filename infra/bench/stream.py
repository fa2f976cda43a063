"""Records made up from what a pipeline declares, in the order of their timestamps, without end.

events   e0  e1  e2  e3  …             one each ``spacing_ms`` of event time
labels               l0  l1  …         each ``label_after_ms`` behind its event
references  of a key before its first event, and one more each ``REFERENCE_EACH`` events

Labels follow the first number of their event four times in five, so that there is something to learn: a tree that is
shown noise stays small, and cheaper than yours.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import inspect

from infra.bench.draw import Draw, choice, drawer, number, undrawable
from streams.cleaning import Category, Range
from streams.inputs import AnyInput
from streams.pipeline import Pipeline
from streams.schema import is_number

REFERENCE_EACH = 100
FOLLOWS = 0.8
NAMES_MAX = 10**9
_encode = msgspec.json.Encoder().encode


class Row(NamedTuple):
    """An input record."""

    topic: str
    key: bytes
    value: bytes
    timestamp_ms: int


class Stream(Protocol):
    """Where the records of a measurement come from."""

    def rows(self, spacing_ms: Callable[[], float]) -> Iterator[Row]:
        """Records in the order of their timestamps; ``spacing_ms`` of event time between two events, if made up."""

    @property
    def hottest_key(self) -> float:
        """The share of events that the most frequent key has."""


class MadeUp:
    """Records drawn from the declared types. Declined when a field has a type that cannot be drawn.

    Parameters
    ----------
    pipeline
        Whose inputs they are for.
    keys
        How many keys the events are spread over, evenly; fewer if the key's type has fewer values.
    label_after_ms
        Event time from an event to its label, ms.
    start_ms
        Time of the first record, ms since the Unix epoch.
    """

    def __init__(self, pipeline: Pipeline, keys: int, label_after_ms: int, start_ms: int, seed: int = 1) -> None:
        self._label_after_ms, self._start_ms = label_after_ms, start_ms
        self._events = Form(pipeline.events, pipeline.events.id)
        self._labels = Form(pipeline.labels, pipeline.labels.joins)
        self._references = [Form(reference) for reference in pipeline.references]
        self._keys = min(keys, *(form.keys_max for form in (self._events, self._labels, *self._references)))
        self._draw = random.Random(seed)  # noqa: S311 - no secret

    @property
    def hottest_key(self) -> float:
        """All keys are equally frequent."""
        return 1 / self._keys

    def rows(self, spacing_ms: Callable[[], float]) -> Iterator[Row]:
        """See Stream."""
        draw, at_ms, due, seen = self._draw.random, float(self._start_ms), deque[Row](), set[int]()
        event_number = 0
        while True:
            now_ms, key = round(at_ms), self._draw.randrange(self._keys)
            while due and due[0].timestamp_ms <= now_ms:
                yield due.popleft()
            if key not in seen or event_number % REFERENCE_EACH == 0:
                seen.add(key)
                yield from (form.row(key, None, now_ms, draw)[0] for form in self._references)
            row, lead = self._events.row(key, event_number, now_ms, draw)
            yield row
            follows, label_ms = self._follows(0.5 if lead is None else lead), now_ms + self._label_after_ms
            due.append(self._labels.row(key, event_number, label_ms, follows)[0])
            event_number += 1
            at_ms += spacing_ms()

    def _follows(self, lead: float) -> Callable[[], float]:
        return lambda: lead if self._draw.random() < FOLLOWS else self._draw.random()


class Form:
    """How a record of one input is filled in. ``named`` is the field with the event's name, if it has one."""

    def __init__(self, stream: AnyInput, named: str | None = None) -> None:
        fields = {field.name: field for field in msgspec.structs.fields(stream.type)}
        self._topic, self._wire = stream.topic, {name: field.encode_name for name, field in fields.items()}
        self._key, self._time, self._named = stream.key, stream.time, named
        path = stream.type.__name__
        self._key_of, self.keys_max = _names(fields[stream.key].type, f"{path}.{stream.key}", stream, "k")
        self._name_of = _names(fields[named].type, f"{path}.{named}", stream, "e")[0] if named else None
        special = {stream.key, stream.time, named}
        rest = {name: field for name, field in fields.items() if name not in special}
        self._dates = [name for name, field in rest.items() if inspect.DateTimeType in _kinds(field.type)]
        ruled = _ruled(stream, {name: field.type for name, field in fields.items()})
        self._draws: list[tuple[str, Draw]] = [
            (self._wire[name], ruled.get(name) or drawer(field.type, f"{path}.{name}"))
            for name, field in rest.items()
            if name not in self._dates
        ]
        numbers = [name for name, field in rest.items() if name not in self._dates and is_number(field.type)]
        self._lead = self._wire[numbers[0]] if numbers else None
        self._dated = inspect.DateTimeType in _kinds(fields[stream.time].type)

    def row(self, key: int, event: int | None, at_ms: int, draw: Callable[[], float]) -> tuple[Row, float | None]:
        """A record, and the u that its first number was drawn from."""
        wire, at, lead = self._wire, datetime.fromtimestamp(at_ms / 1_000, UTC), None
        key_value = self._key_of(key)
        value = {wire[self._key]: key_value, wire[self._time]: at if self._dated else at_ms}
        if self._name_of is not None and self._named is not None and event is not None:
            value[wire[self._named]] = self._name_of(event)
        for name in self._dates:
            value[wire[name]] = at
        for name, of in self._draws:
            u = draw()
            value[name] = of(u)
            if name == self._lead:
                lead = u
        return Row(self._topic, str(key_value).encode(), _encode(value), at_ms), lead


def _kinds(annotation: Any) -> set[type[inspect.Type]]:
    kind = inspect.type_info(annotation)
    return {type(each) for each in kind.types} if isinstance(kind, inspect.UnionType) else {type(kind)}


def _names(annotation: Any, path: str, stream: AnyInput, prefix: str) -> tuple[Callable[[int], Any], int]:
    """Number -> the name that a key or an event with this number has, by its type; and how many there are."""
    field = path.rpartition(".")[2]
    known = [rule.known for rule in stream.clean if isinstance(rule, Category) and rule.field == field]
    kind = inspect.type_info(annotation)
    if isinstance(kind, inspect.UnionType):
        kind = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
    values: list[Any] = sorted(known[0]) if known else []
    if isinstance(kind, inspect.LiteralType):
        values = list(kind.values)
    if isinstance(kind, inspect.EnumType):
        values = [each.value for each in kind.cls]
    if values:
        return (lambda number: values[number % len(values)]), len(values)
    if isinstance(kind, inspect.StrType) and kind.pattern is None:
        least = kind.min_length or 0
        return (lambda number: prefix + str(number).rjust(least - 1, "0")), NAMES_MAX
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return (lambda number: number + 1), NAMES_MAX
    if isinstance(kind, inspect.UUIDType):
        return (lambda number: f"{number:032x}"), NAMES_MAX
    raise undrawable(path, f"a {type(kind).__name__.removesuffix('Type')} as a name")


def _ruled(stream: AnyInput, types: dict[str, Any]) -> dict[str, Draw]:
    """Values that the cleaning rules let through, for fields that have such rules."""
    found: dict[str, Draw] = {}
    for rule in stream.clean:
        if isinstance(rule, Category):
            found[rule.field] = choice(sorted(rule.known))
        elif isinstance(rule, Range):
            whole = inspect.FloatType not in _kinds(types[rule.field])
            found[rule.field] = number(rule.low, rule.high, whole=whole)
    return found
