"""Checkpoints: a task's whole state as a signed blob, verified before it is unpickled. The one place that unpickles."""

from __future__ import annotations

import hashlib
import hmac
import io
import pickle
from typing import Any

from streams.errors import CheckpointCorrupt
from streams.ports import BlobStore

MAGIC = b"riverrun-checkpoint-1\n"


def save(store: BlobStore, state: Any, key: bytes) -> str:
    """Pickle, sign and store a state. Returns the blob's name, the SHA-256 of its contents."""
    body = io.BytesIO()
    pickle.Pickler(body, protocol=5).dump(state)
    payload = body.getvalue()
    blob = MAGIC + hmac.digest(key, payload, "sha256") + payload
    name = hashlib.sha256(blob).hexdigest()
    store.put(name, blob)
    return name


def load(store: BlobStore, name: str, key: bytes) -> Any:
    """The state in a blob. Raises CheckpointCorrupt, before anything is unpickled, unless name and signature hold."""
    blob = store.get(name)
    remedy = "the checkpoint before it is used; look at the disk, and at RIVERRUN_SIGNING_KEY"
    if hashlib.sha256(blob).hexdigest() != name or not blob.startswith(MAGIC):
        raise CheckpointCorrupt("the blob is not what its name says", where=name, remedy=remedy)
    signature, payload = blob[len(MAGIC) : len(MAGIC) + 32], blob[len(MAGIC) + 32 :]
    if not hmac.compare_digest(signature, hmac.digest(key, payload, "sha256")):
        raise CheckpointCorrupt("the blob is not signed with our key", where=name, remedy=remedy)
    return pickle.loads(payload)  # noqa: S301 - signed by us, checked just above
