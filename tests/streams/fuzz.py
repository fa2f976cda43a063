"""Bad input as hypothesis strategies: bytes, JSON of any shape, and records that are nearly right.

A record is built from the text of its fields, not from Python values: NaN, 1e400, a doubled key and half a surrogate
pair can be written down only so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from streams.ports import Record
from tests.streams.kit import T0_MS, iso

SKY, ARRIVALS, RIDES = 0, 1, 2
DAY_MS = 86_400_000

Fields = list[tuple[bytes, bytes]]
"""Names and values as JSON text, in order; a name may come twice."""


class Arriving(NamedTuple):
    """A record to come: of which input, when (ms after the one before it, or ``at_ms`` by its own clock), and what."""

    index: int
    value: bytes | None
    passed_ms: int = 1_000
    at_ms: int | None = None
    key: bytes | None = b"nyc"


names = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"])
seconds = st.integers(-90, 90).map(lambda s: T0_MS + 60_000 + 1_000 * s)
times = seconds.map(lambda at_ms: f'"{iso(at_ms)}"'.encode())
numbers = st.sampled_from(
    [b"0", b"1e308", b"3e14", b"-3e14", b"1", b"7.5", b"12", b"19.25", b"1e15", b"-1e15", b"5e-324", b"-0.0"]
)
cities = st.sampled_from([b'"nyc"', b'"ulm"', b'"no such city"'])


def _quoted(text: str) -> bytes:
    return json.dumps(text).encode()


def _fields(*fields: tuple[str, st.SearchStrategy[bytes]]) -> st.SearchStrategy[Fields]:
    return st.tuples(*[values for _, values in fields]).map(
        lambda drawn: [(f'"{name}"'.encode(), value) for (name, _), value in zip(fields, drawn, strict=True)]
    )


VALID: tuple[st.SearchStrategy[Fields], ...] = (
    _fields(("city", cities), ("at", seconds.map(lambda at: b"%d" % at)), ("rain", numbers)),
    _fields(
        ("ride", names.map(_quoted)),
        ("city", cities),
        ("at", times),
        ("minutes", numbers),
        ("zone", st.sampled_from([b'"centre"', b'"ring"', b'"country"'])),
    ),
    _fields(
        ("ride", names.map(_quoted)),
        ("city", cities),
        ("at", times),
        ("km", numbers),
        ("seats", st.sampled_from([b"1", b"4", b"null"])),
        ("gate", st.sampled_from([b"1", b'"A"', b"null"])),
        ("driver", st.sampled_from([b'"ann"', b'"NA"', b'"unseen"', b"null"])),
    ),
)
"""By input: fields as they should be."""

SHAPES = (b"null", b"true", b"false", b"[]", b"{}", b'""', b'"text"', b"[1]", b'{"a": 1}', b"-", b"'", b"")
NUMBERS = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"1e308", b"-1e308", b"1.0000001e15"),
    *(b"1e15", b"-1e15", b"-0.0", b"5e-324", b"1e-160", b"1.5", b"1e3", b"9" * 30, b"-" + b"9" * 30, b"1" * 5_000),
)
TEXTS = (
    *(b'"' + b"x" * 20_000 + b'"', b'"' + b"\\u0000" * 100_000 + b'"', b"[" * 100_000, b'{"a":' * 100_000),
    *(b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\\u0000"', b'"\xf0\x9f\x9a\x95"', b"\xef\xbb\xbf1"),
)
TIMES = (
    *(b'"0001-01-01T00:00:00Z"', b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59.999999-23:59"'),
    *(b'"1970-01-01T00:00:00"', b'"2013-13-01T00:00:00Z"', b'"1970-01-01T00:17:30.0009+01:00"'),
    *(b"0", b"-1", b"999999999999999", b"-999999999999999", b"253402300800000", b"9007199254740993"),
)
nasty = st.one_of(*[st.sampled_from(values) for values in (SHAPES, NUMBERS, TEXTS, TIMES)])
"""Values, as JSON text and as what is none, that a field should not have, or only just may."""


def _mutated(row: Fields, place: int, how: str, value: bytes) -> Fields:
    name, kept = row[place % len(row)]
    change: dict[str, Fields] = {
        "drop": [],
        "rename": [(b'"' + name, kept) if value == b'""' else (name.upper(), kept)],
        "replace": [(name, value)],
        "double": [(name, kept), (name, value)],
        "extend": [(name, kept), (b'"more"', value)],
    }
    place %= len(row)
    return [*row[:place], *change[how], *row[place + 1 :]] or [(b'"more"', value)]


def _text(row: Fields) -> bytes:
    return b"{" + b", ".join(name + b": " + value for name, value in row) + b"}"


def _near(valid: st.SearchStrategy[Fields]) -> st.SearchStrategy[bytes]:
    hows = st.sampled_from(["replace", "replace", "drop", "rename", "double", "extend"])
    changed = st.builds(_mutated, valid, st.integers(0, 6), hows, nasty)
    again = st.builds(_mutated, changed, st.integers(0, 6), hows, nasty)
    torn = st.tuples(valid.map(_text), st.integers(0, 200)).map(lambda both: both[0][: both[1]])
    return st.one_of(changed.map(_text), changed.map(_text), again.map(_text), torn)


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
).map(lambda value: json.dumps(value).encode())

nested = st.sampled_from([b"[" * 100_000, b'{"more": ' + b"[" * 100_000, b'{"more": ' * 100_000])
junk = st.none() | st.binary(max_size=40) | any_json | st.sampled_from([b"\xef\xbb\xbf{}", b'"\xff"', b"x" * 600_000])

clocks = st.sampled_from(
    [-1, -1_000, 0, 1, T0_MS + 60_000 - DAY_MS, T0_MS + 60_000 + DAY_MS, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)]
)
keys = st.sampled_from([b"nyc"] * 6 + [None, b"", b"\xff", b"k" * 60_000])


def _arriving(index: int) -> st.SearchStrategy[Arriving]:
    here = st.just(index)
    good = VALID[index].map(_text)
    passed = st.integers(0, 20_000)

    def some(value: st.SearchStrategy[bytes | None], **other: st.SearchStrategy[Any]) -> st.SearchStrategy[Arriving]:
        more = {"at_ms": st.none(), "key": st.just(b"nyc")} | other
        return st.builds(Arriving, here, value, passed, **more)

    return st.one_of(  # each branch an object of its own: the same one twice would count once
        *[some(good) for _ in range(8)],
        *[some(_near(VALID[index])) for _ in range(3)],
        some(junk),
        some(good.map(lambda text: text.replace(b': "', b': "\xff', 1))),
        some(nested),
        some(good, key=keys),
        some(good, at_ms=clocks),
    )


_decision = _fields(
    ("id", names.map(_quoted)),
    ("action", st.sampled_from([b'"promote"', b'"reset"', b'"pause"', b'"resume"'])),
    ("model", st.sampled_from([b'"logistic"', b'"tree"', b'"rule"', b'"nobody"', b"null"])),
    ("by", st.just(b'"ann"')),
    ("why", st.just(b'"to see"')),
    ("decided_time_ms", numbers),
    ("after", st.sampled_from([b"null", b"null", b"0", b"1"])),
)
decisions = st.lists(
    st.one_of(_decision.map(_text), _near(_decision), _near(_decision), junk, nested), min_size=1, max_size=12
)
"""Values of the topic of decisions."""


class History(list[tuple[int, Record]]):
    """Records in order, with the index of their input. Shown cut short: some have a million bytes."""

    def __repr__(self) -> str:
        return "[" + ",\n ".join(f"({index}, {_short(record)})" for index, record in self) + "]"


def _short(record: Record) -> str:
    offset, timestamp_ms, key, value = record
    return f"Record({offset}, {timestamp_ms}, {(key or b'')[:20]!r}, {(value or b'')[:200]!r})"


def placed(arriving: Sequence[Arriving]) -> History:
    """The records with their offsets and timestamps."""
    next_offsets, now_ms, records = [0, 0, 0], T0_MS, History()
    for index, value, passed_ms, at_ms, key in arriving:
        now_ms += passed_ms
        records.append((index, Record(next_offsets[index], now_ms if at_ms is None else at_ms, key, value)))
        next_offsets[index] += 1
    return records


_slot = st.one_of(  # an empty one is the simplest: a history that fails is shrunk to the records that matter
    st.none(), *[_arriving(index) for index in (SKY, *[ARRIVALS] * 4, *[RIDES] * 4)]
)
histories = st.lists(_slot, min_size=30, max_size=30).map(lambda slots: placed([slot for slot in slots if slot]))
"""Events, labels and references of one task, interleaved; most of them are valid."""
