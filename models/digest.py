"""A digest of any state, equal for equal states in whichever process they were built.

Pickles of equal states may differ (a round trip changes what is shared), so they cannot be compared byte for byte. This
walks the objects instead: what they are, not how they lie in memory.
"""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

_RANDOM = (random.Random, np.random.RandomState, np.random.Generator)


def state_digest(state: Any) -> str:
    """SHA-256, in hex, of the state's contents.

    The order of dicts and sequences counts, that of sets does not. Functions and classes count by their name. A random
    source beside ``seed=None`` does not count: River gives one to each Gaussian in a tree, to draw samples that nothing
    here asks for, and no two processes would agree. (A model that does draw while it learns is not let in unseeded.)

    Examples
    --------
    >>> state_digest({"a": [1, 2.0]}) == state_digest({"a": [1, 2.0]})
    True
    >>> state_digest({"a": 1, "b": 2}) == state_digest({"b": 2, "a": 1})
    False
    >>> state_digest(1) == state_digest(1.0)
    False
    """
    digest = hashlib.sha256()
    _walk(state, digest, {})
    return digest.hexdigest()


def _walk(value: Any, digest: Any, seen: dict[int, tuple[int, Any]]) -> None:
    kind = type(value)
    if value is None or kind in (bool, int, str, bytes):
        digest.update(f"{kind.__name__}:{value!r};".encode())
        return
    if kind is float or isinstance(value, np.floating):
        digest.update(b"float:" + struct.pack("<d", value))
        return
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        digest.update(f"name:{value.__module__}.{value.__qualname__};".encode())
        return
    if kind is tuple:  # immutable, so whether two places share one says nothing
        digest.update(b"tuple(")
        for item in value:
            _walk(item, digest, seen)
        digest.update(b")")
        return
    if id(value) in seen:  # shared or cyclic: by when it was first met
        digest.update(f"again:{seen[id(value)][0]};".encode())
        return
    if isinstance(value, AbstractSet):
        parts = sorted(state_digest(item) for item in value)
        digest.update(f"{kind.__name__}{parts};".encode())
        return
    seen[id(value)] = (len(seen), value)  # holding the value keeps its id from being used again
    digest.update(f"{kind.__module__}.{kind.__qualname__}(".encode())
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, MethodType):
        _walk(value.__func__, digest, seen)
        _walk(value.__self__, digest, seen)
    elif isinstance(value, timedelta | np.generic):
        digest.update(repr(value).encode())
    else:
        _walk_parts(value, digest, seen)
    digest.update(b")")


def _walk_parts(value: Any, digest: Any, seen: dict[int, tuple[int, Any]]) -> None:
    if isinstance(value, Mapping):
        unseeded = value.get("seed", 0) is None
        for key, item in value.items():
            _walk(key, digest, seen)
            _walk(None if unseeded and isinstance(item, _RANDOM) else item, digest, seen)
        if type(value).__module__ == "collections" or type(value) is dict:
            return
    elif isinstance(value, list) or type(value).__name__ == "deque":
        for item in value:
            _walk(item, digest, seen)
        return
    reduced = value.__reduce_ex__(4)
    parts = reduced if isinstance(reduced, tuple) else (reduced,)
    for part in parts[:3]:  # how to build it, with what, and its state
        _walk(part, digest, seen)
    for items in parts[3:5]:  # what a list-like or dict-like object holds
        for item in items or ():
            _walk(item, digest, seen)
