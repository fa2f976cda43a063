"""What a run lost, doubled or changed, compared with another. It knows rows, not where they come from.

wanted   a  b  c  d          lost     d: in no place
found    a  c  b  b          doubled  b: once more than wanted
            *  *  *          unequal  three places
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import zip_longest


@dataclass(frozen=True)
class Difference:
    """Counts of rows. Two of them add up."""

    rows: int = 0
    lost: int = 0
    doubled: int = 0
    unequal: int = 0

    def __add__(self, other: Difference) -> Difference:
        return Difference(
            self.rows + other.rows,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.unequal + other.unequal,
        )


def compare(wanted: Iterable[Hashable], found: Iterable[Hashable]) -> Difference:
    """Row by row, in order. Only rows in other places than they should be are kept, by their digests.

    >>> compare("abcd", "acbb")
    Difference(rows=4, lost=1, doubled=1, unequal=3)
    """
    missing, extra = Counter[bytes](), Counter[bytes]()
    rows = unequal = 0
    for want, got in zip_longest(wanted, found):
        rows += want is not None
        if want == got:
            continue
        unequal += 1
        missing.update([] if want is None else [_digest(want)])
        extra.update([] if got is None else [_digest(got)])
    return Difference(rows, (missing - extra).total(), (extra - missing).total(), unequal)


def _digest(row: Hashable) -> bytes:
    return hashlib.blake2b(repr(row).encode(), digest_size=16).digest()
