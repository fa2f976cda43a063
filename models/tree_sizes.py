"""How large a Hoeffding tree is, told by what it consists of and not by how that lies in memory.

River's trees measure themselves now and then (``memory_estimate_period``), and switch leaves off beyond ``max_size``.
River adds up ``sys.getsizeof`` over objects told apart by their identity. That depends on the past: a dict that grew is
larger than its copy, and a feature's name that came with a pickle is another object than the one in the next event. A
model that was restored would measure another size than one that was not, and in the end predict otherwise.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_DICT_BYTES, _ENTRY_BYTES = 64, 100
_SEQUENCE_BYTES, _ITEM_BYTES = 56, 8
_TEXT_BYTES = 49
_NOT_HELD = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType)
_UNITS = {"byte": 1, "KiB": 2**10, "MiB": 2**20}


def size(thing: Any, unit: str = "byte") -> float:
    """About how much memory a tree or a part of it takes, in ``unit`` (byte, KiB, MiB): equal for equal ones.

    It stands in for ``river.tree.utils.calculate_object_size``. What is shared counts once, but for numbers, texts and
    tuples: whether two places share one of those says nothing.

    Examples
    --------
    >>> grown = {number: 0.5 for number in range(100)}
    >>> for number in range(99):
    ...     del grown[number]
    >>> sys.getsizeof(grown) == sys.getsizeof({99: 0.5}), size(grown) == size({99: 0.5})
    (False, True)
    """
    total, seen, waiting = 0, dict[int, Any](), [thing]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, _NOT_HELD):
            continue
        own, parts = _measured(part)
        total += own
        waiting += parts
        if not isinstance(part, str | bytes | int | float | tuple):
            seen[id(part)] = part  # held, or its id may be used again
    return total / _UNITS[unit]


def _measured(part: Any) -> tuple[int, list[Any]]:
    """The bytes of an object itself, and what it consists of."""
    if isinstance(part, str):
        return _TEXT_BYTES + len(part), []
    if isinstance(part, np.ndarray):
        return _SEQUENCE_BYTES + part.nbytes, []
    if isinstance(part, Mapping):
        return _DICT_BYTES + _ENTRY_BYTES * len(part), [*part.keys(), *part.values()]
    if isinstance(part, list | tuple | deque | AbstractSet):
        return _SEQUENCE_BYTES + _ITEM_BYTES * len(part), list(part)
    if hasattr(part, "__dict__"):
        return _SEQUENCE_BYTES, [dict(vars(part))]
    return sys.getsizeof(part), []


def use() -> None:
    """Have River's trees measure themselves so, in all of this process; without trees, import none, as that is slow."""
    if (trees := sys.modules.get("river.tree.hoeffding_tree")) is not None:
        trees.calculate_object_size = size  # type: ignore[attr-defined]
