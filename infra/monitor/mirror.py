"""A part of a table as a dictionary of typed values: what is set or deleted in one is so in the other."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from infra.monitor.ledger import Ledger

T = TypeVar("T")


class Mirror(dict[str, T], Generic[T]):
    """The entries of a ledger whose keys begin with a prefix, decoded; written through. Values are not to be changed in
    place: set them again.

    Examples
    --------
    >>> table = {"flights/held/0/1": b"7", "trips/held/0/1": b"8"}
    >>> ledger = Ledger(table, "flights/")
    >>> held = Mirror(ledger, "held/", int)
    >>> held["0/2"] = 9
    >>> dict(held), held.pop("0/1")
    ({'0/1': 7, '0/2': 9}, 7)
    >>> ledger.commit()
    >>> table["flights/held/0/2"], "flights/held/0/1" in table
    (b'9', False)
    """

    def __init__(self, ledger: Ledger, prefix: str, kind: Any) -> None:
        self._ledger, self._prefix = ledger, prefix
        decode = msgspec.json.Decoder(kind).decode
        found = {key: value for key, value in ledger.entries.items() if key.startswith(prefix)}
        super().__init__({key.removeprefix(prefix): decode(value) for key, value in found.items()})

    def __setitem__(self, key: str, value: T) -> None:
        super().__setitem__(key, value)
        self._ledger.set(self._prefix + key, msgspec.json.encode(value))

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._ledger.delete(self._prefix + key)

    def pop(self, key: str, *default: Any) -> Any:
        """As a dictionary's."""
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value
