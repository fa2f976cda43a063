"""Draw values of a declared type: ``drawer(annotation, path)(u)`` is one, for u in [0, 1).

A larger u gives a larger number. So a label whose u follows that of its event can be learned, a little.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from statistics import NormalDist
from typing import Any

from msgspec import inspect

from streams.errors import Declined

Draw = Callable[[float], Any]
WORDS, LONG, NONE_SHARE = 20, 3, 0.05
"""Texts are of 20 words, lists have three items, and every twentieth value that may be None is."""

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_EDGE = 1e-6


def drawer(annotation: Any, path: str) -> Draw:
    """What draws values of a type. Declined, naming ``path``, if it is one that cannot be drawn.

    >>> from typing import Literal
    >>> [drawer(Literal["shop", "web"], "Payment.channel")(u) for u in (0.1, 0.9)]
    ['shop', 'web']
    >>> drawer(list[bool], "Payment.flags")(0.3)
    [False, True, True]
    """
    return _of(inspect.type_info(annotation), path)


def _of(kind: inspect.Type, path: str) -> Draw:
    if isinstance(kind, inspect.Metadata):
        return _of(kind.type, path)
    if isinstance(kind, inspect.UnionType):
        return _union(kind, path)
    if isinstance(kind, inspect.StructType | inspect.DataclassType | inspect.TypedDictType):
        return _fields(kind, path)
    simple = _SIMPLE.get(type(kind))
    if simple:
        return simple
    for makes in (_number, _choice, _text, _collection):
        draw = makes(kind, path)
        if draw:
            return draw
    raise undrawable(path, type(kind).__name__.removesuffix("Type"))


def undrawable(path: str, what: str) -> Declined:
    """The error for a type of which no value can be made up."""
    return Declined(
        f"no values can be made up for {path}: {what}",
        where=path,
        remedy="give records of your own: `--records FOLDER` with a file <topic>.jsonl for each input",
    )


def _union(kind: inspect.UnionType, path: str) -> Draw:
    some = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
    draw = _of(some, path)
    if len(kind.types) == 1 or not kind.includes_none:
        return draw
    return lambda u: None if u < NONE_SHARE else draw((u - NONE_SHARE) / (1 - NONE_SHARE))


def _fields(kind: inspect.StructType | inspect.DataclassType | inspect.TypedDictType, path: str) -> Draw:
    if getattr(kind, "array_like", False):
        raise undrawable(path, "a Struct that is an array")
    fields, tag_field = kind.fields, getattr(kind, "tag_field", None)
    tagged = {tag_field: kind.tag} if isinstance(kind, inspect.StructType) and tag_field else {}
    draws = {each.encode_name: _of(each.type, f"{path}.{each.name}") for each in fields}
    return lambda u: tagged | {name: draw(turned(u, place)) for place, (name, draw) in enumerate(draws.items())}


def turned(u: float, place: int) -> float:
    """Another number in [0, 1) that follows from ``u``: one for each place.

    >>> turned(0.25, 0), round(turned(0.25, 1), 3)
    (0.25, 0.868)
    """
    return (u + place * 0.618_033_988_749) % 1


def _number(kind: inspect.Type, _path: str) -> Draw | None:
    if not isinstance(kind, inspect.IntType | inspect.FloatType | inspect.DecimalType):
        return None
    low = next((bound for bound in (getattr(kind, "ge", None), getattr(kind, "gt", None)) if bound is not None), None)
    high = next((bound for bound in (getattr(kind, "le", None), getattr(kind, "lt", None)) if bound is not None), None)
    whole = isinstance(kind, inspect.IntType)
    step = 1.0 if whole else _EDGE
    if low is not None and getattr(kind, "gt", None) is not None:
        low += step
    if high is not None and getattr(kind, "lt", None) is not None:
        high -= step
    return number(low, high, whole=whole, multiple=getattr(kind, "multiple_of", None))


def number(low: float | None, high: float | None, *, whole: bool = False, multiple: float | None = None) -> Draw:
    """Numbers between two bounds: even between both, a long tail from one, a bell around 0 without.

    >>> [number(0, 10, whole=True)(u) for u in (0.0, 0.5, 0.999)]
    [0, 5, 10]
    >>> round(number(None, None)(0.5), 6)
    0.0
    """
    bell = NormalDist()

    def draw(u: float) -> float:
        if low is not None and high is not None:
            return low + u * (high - low)
        if low is not None or high is not None:
            tail = -math.log(1 - u) * 100
            return low + tail if low is not None else high - tail  # type: ignore[operator]
        spread = 1_000.0 if whole else 1.0
        return spread * bell.inv_cdf(min(max(u, _EDGE), 1 - _EDGE))

    if multiple:
        return lambda u: type(multiple)(draw(u) // multiple * multiple)
    return (lambda u: round(draw(u))) if whole else draw


def _choice(kind: inspect.Type, _path: str) -> Draw | None:
    if isinstance(kind, inspect.LiteralType):
        return choice(kind.values)
    if isinstance(kind, inspect.EnumType):
        return choice([each.value for each in kind.cls])
    return None


def choice(values: Sequence[Any]) -> Draw:
    """One of these.

    >>> choice("abc")(0.4)
    'b'
    """
    return lambda u: values[int(u * len(values))]


def _text(kind: inspect.Type, path: str) -> Draw | None:
    if not isinstance(kind, inspect.StrType):
        return None
    if kind.pattern is not None:
        raise undrawable(path, f"text that matches {kind.pattern!r}")
    least, most = kind.min_length or 0, kind.max_length
    return lambda u: f"w{int(u * WORDS)}".ljust(least, "x")[:most]


def _collection(kind: inspect.Type, path: str) -> Draw | None:
    if isinstance(kind, inspect.TupleType):
        draws = [_of(each, f"{path}[{place}]") for place, each in enumerate(kind.item_types)]
        return lambda u: [draw(turned(u, place)) for place, draw in enumerate(draws)]
    if isinstance(kind, inspect.CollectionType):
        item = _of(kind.item_type, f"{path}[]")
        long = max(kind.min_length or 0, min(LONG, LONG if kind.max_length is None else kind.max_length))
        return lambda u: [item(turned(u, place)) for place in range(long)]
    if isinstance(kind, inspect.DictType):
        key, value = _of(kind.key_type, f"{path} (its keys)"), _of(kind.value_type, f"{path}[]")
        return lambda u: {key(place / LONG): value(turned(u, place)) for place in range(LONG)}
    return None


_SIMPLE: dict[type[inspect.Type], Draw] = {
    inspect.BoolType: lambda u: u >= 0.5,
    inspect.NoneType: lambda _u: None,
    inspect.AnyType: lambda u: u,
    inspect.DateTimeType: lambda u: _AT + timedelta(seconds=round(u * 1e6)),
    inspect.DateType: lambda u: date(2026, 1, 1) + timedelta(days=int(u * 365)),
    inspect.TimeType: lambda u: time(int(u * 24)),
    inspect.TimeDeltaType: lambda u: timedelta(seconds=round(u * 3_600)),
    inspect.UUIDType: lambda u: uuid.UUID(int=int(u * 2**64)),
    inspect.BytesType: lambda u: int(u * 2**32).to_bytes(4),
}
