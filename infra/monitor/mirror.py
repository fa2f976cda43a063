"""A Faust table as typed dictionaries: what is set or deleted in one is set or deleted in the table, and its changelog."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Mirror(dict[str, T], Generic[T]):
    """The entries of a table whose keys begin with a prefix, decoded; written through. Values are not to be changed in
    place: set them again.

    Examples
    --------
    >>> table = {"flights/held/0/1": b"7", "trips/held/0/1": b"8"}
    >>> held = Mirror(table, "flights/held/", int)
    >>> held["0/2"] = 9
    >>> held, held.pop("0/1"), table["flights/held/0/2"]
    ({'0/1': 7, '0/2': 9}, 7, b'9')
    >>> sorted(table)
    ['flights/held/0/2', 'trips/held/0/1']
    """

    def __init__(self, table: MutableMapping[str, bytes], prefix: str, kind: Any) -> None:
        self._table, self._prefix = table, prefix
        decode = msgspec.json.Decoder(kind).decode
        names = [name for name in table if name.startswith(prefix)]
        super().__init__({name.removeprefix(prefix): decode(table[name]) for name in names})

    def __setitem__(self, key: str, value: T) -> None:
        super().__setitem__(key, value)
        self._table[self._prefix + key] = msgspec.json.encode(value)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        del self._table[self._prefix + key]

    def pop(self, key: str, *default: Any) -> T:  # type: ignore[override]
        """As a dictionary's."""
        if key not in self and default:
            return default[0]  # type: ignore[no-any-return]
        value = self[key]
        del self[key]
        return value
