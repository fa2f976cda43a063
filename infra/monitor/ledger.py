"""Changes to a Faust table that take effect together: after a crash all of them, or none.

A table's changelog is a topic, and its records of one moment do not come to it as one. So the changes are first
written down under keys of their own, and then made:

    changelog   redo/0 redo/1 … redo │ held/0/7  lives/0  held/0/2 …
    crash       nothing has happened │ who reads the table makes them again: they are all in ``redo``
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

import msgspec

PART_BYTES_MAX = 1_000_000
"""Changes are written down in parts of about so many bytes; one change is never cut."""

_Changes = dict[str, bytes | None]


class _Part(msgspec.Struct, array_like=True):
    number: int
    changes: _Changes


class _Redo(msgspec.Struct, array_like=True):
    number: int
    parts: int


class Ledger:
    """The part of a table under a prefix. What is set or deleted waits for ``commit``.

    The table may be changed in ``commit`` only: Faust allows it while it hands out a record, and at no other time.

    Examples
    --------
    >>> table = {}
    >>> ledger = Ledger(table, "trips/")
    >>> ledger.set("a", b"1")
    >>> ledger.set("b", b"2")
    >>> ledger.commit()
    >>> sorted(table), Ledger(table, "trips/").entries
    (['trips/a', 'trips/b', 'trips/redo', 'trips/redo/0'], {'a': b'1', 'b': b'2'})

    After a crash between the two:

    >>> del table["trips/b"]
    >>> Ledger(table, "trips/").entries
    {'a': b'1', 'b': b'2'}
    """

    def __init__(self, table: MutableMapping[str, bytes], prefix: str) -> None:
        self._table, self._prefix = table, prefix
        names = [name for name in table if name.startswith(prefix)]
        found = {name.removeprefix(prefix): table[name] for name in names}
        self._number, self._changes = _to_redo(found)
        present = {**found, **self._changes}
        self.entries = {key: v for key, v in present.items() if v is not None and key.partition("/")[0] != "redo"}
        """What was there when it was opened."""

    def set(self, key: str, value: bytes) -> None:
        """Set it, with the next commit."""
        self._changes[key] = value

    def delete(self, key: str) -> None:
        """Delete it, with the next commit."""
        self._changes[key] = None

    def commit(self) -> None:
        """Make all changes since the last commit."""
        if not self._changes:
            return
        self._number += 1
        parts = _parts(self._changes)
        for place, part in enumerate(parts):
            self._table[f"{self._prefix}redo/{place}"] = msgspec.msgpack.encode(_Part(self._number, part))
        self._table[f"{self._prefix}redo"] = msgspec.msgpack.encode(_Redo(self._number, len(parts)))
        for key, value in self._changes.items():
            if value is None:
                self._table.pop(self._prefix + key, None)
            else:
                self._table[self._prefix + key] = value
        self._changes = {}


def _to_redo(found: Mapping[str, bytes]) -> tuple[int, _Changes]:
    """Number and changes of the last commit; none where a later one was begun, as it was made then."""
    if "redo" not in found:
        return 0, {}
    redo = msgspec.msgpack.decode(found["redo"], type=_Redo)
    names = [f"redo/{place}" for place in range(redo.parts)]
    parts = [msgspec.msgpack.decode(found[name], type=_Part) for name in names]
    if any(part.number != redo.number for part in parts):
        return max(redo.number, *(part.number for part in parts)), {}
    return redo.number, {key: value for part in parts for key, value in part.changes.items()}


def _parts(changes: _Changes) -> list[_Changes]:
    parts: list[_Changes] = [{}]
    size = 0
    for key, value in changes.items():
        length = len(key) + len(value or b"")
        if parts[-1] and size + length > PART_BYTES_MAX:
            parts.append({})
            size = 0
        parts[-1][key] = value
        size += length
    return parts
