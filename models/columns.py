"""Rows of named values as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any


def columns(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Each name, in the order they come in, and its values in all rows: None where a row has none.

    Rows mostly have the same names in the same order; then all columns are made at once.

    Examples
    --------
    >>> [(name, list(column)) for name, column in columns([{"km": 1.0}, {"km": 2.0, "driver": "ann"}])]
    [('km', [1.0, 2.0]), ('driver', [None, 'ann'])]
    """
    orders = dict.fromkeys(map(tuple, rows))
    names = dict.fromkeys(chain.from_iterable(orders))
    if len(orders) == 1:
        return zip(names, zip(*map(dict.values, rows), strict=True), strict=True)
    return ((name, [row.get(name) for row in rows]) for name in names)
